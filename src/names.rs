//! The names of load balancers, pools and endpoints, checked once.

use std::sync::Arc;

/// The name of a load balancer: 1 to 255 bytes of UTF-8 without control characters. Cloning it is
/// cheap.
///
/// The name is part of the keys that seal tokens and hash client addresses and headers, so a cookie
/// of one load balancer is invalid at another. Names are compared byte by byte.
///
/// ```
/// use session_affinity::LoadBalancer;
/// let shop = LoadBalancer::new("shop.example.com")?;
/// assert_eq!(shop.as_str(), "shop.example.com");
/// assert_eq!("shop.example.com".parse(), Ok(shop));
/// assert!(LoadBalancer::new("").is_err());
/// # Ok::<(), session_affinity::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoadBalancer(Arc<str>);

impl LoadBalancer {
    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidName`] when the name is empty, longer than 255 bytes or contains a control
    /// character.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        Ok(Self(checked(name.into())?.into()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

checked_text!(LoadBalancer, InvalidName);

/// Clones the name, so that a function can take it by reference, or from an affinity, which has one.
impl From<&LoadBalancer> for LoadBalancer {
    fn from(name: &LoadBalancer) -> Self {
        name.clone()
    }
}

#[cfg(feature = "serde")]
crate::wire::text!(LoadBalancer);

/// The error for a name that is empty, longer than 255 bytes or contains a control character.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a valid name; allowed: 1 to 255 bytes without control characters")]
#[non_exhaustive]
pub struct InvalidName {
    /// The name that was refused.
    pub name: String,
}

/// Checks the name of a load balancer, a pool or an endpoint.
pub(crate) fn checked(name: String) -> Result<Box<str>, InvalidName> {
    if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
        return Err(InvalidName { name });
    }
    Ok(name.into_boxed_str())
}

/// The conversions from and to text of a type with `new` and `as_str`.
macro_rules! checked_text {
    ($name:ident, $error:ident) => {
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self.as_str(), f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $error;

            fn try_from(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                Self::new(text)
            }
        }
    };
}
pub(crate) use checked_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_255_bytes_without_control_characters() {
        for name in ["a", "Zürich", "北京-1", "with space", &"n".repeat(255)] {
            assert_eq!(LoadBalancer::new(name).unwrap().as_str(), name);
            assert_eq!(LoadBalancer::new(name).unwrap().to_string(), name);
            assert_eq!(checked(name.into()).as_deref(), Ok(name));
        }
        for invalid in
            ["", "a\0b", "a\nb", "a\u{7f}", "a\u{85}", &"n".repeat(256), &"ü".repeat(128)]
        {
            assert_eq!(LoadBalancer::new(invalid), Err(InvalidName { name: invalid.into() }));
            assert_eq!(checked(invalid.into()), Err(InvalidName { name: invalid.into() }));
        }
        assert_eq!(
            LoadBalancer::new("a\nb").unwrap_err().to_string(),
            "\"a\\nb\" is not a valid name; allowed: 1 to 255 bytes without control characters"
        );
    }

    #[test]
    fn a_name_is_read_from_text_and_shown_as_text() {
        let shop = LoadBalancer::new("shop").unwrap();
        assert_eq!("shop".parse(), Ok(shop.clone()));
        assert_eq!(LoadBalancer::try_from("shop"), Ok(shop.clone()));
        assert_eq!(LoadBalancer::try_from("shop".to_owned()), Ok(shop.clone()));
        assert_eq!(shop.as_ref(), "shop");
        assert_eq!(format!("{shop:>6} {shop:?}"), "  shop LoadBalancer(\"shop\")");
        assert!(shop < LoadBalancer::new("shops").unwrap());
        assert!("a\nb".parse::<LoadBalancer>().is_err());
    }
}
