//! A law that does not hold, and the macro that says so.

/// The text of the law, with what was found.
pub(crate) type Broken = String;

/// Leaves the function with the text, unless the law holds.
macro_rules! law {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}

pub(crate) use law;
