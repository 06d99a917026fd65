//! Names of load balancers, pools and endpoints, checked once.

use std::fmt;

/// The name of a load balancer, a pool or an endpoint: 1 to 255 bytes of UTF-8
/// without NUL and control characters. Names are compared to the letter.
///
/// ```
/// use session_affinity::Name;
/// assert_eq!(Name::new("eu-1")?.as_str(), "eu-1");
/// assert!(Name::new("").is_err());
/// # Ok::<(), session_affinity::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidName`] when it is empty, longer than 255 bytes or has a control character.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        let name = name.into();
        if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
            return Err(InvalidName { name });
        }
        Ok(Self(name.into_boxed_str()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that is empty, too long or has control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no name; allowed: 1 to 255 bytes without control characters")]
pub struct InvalidName {
    /// What was given.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_255_bytes_without_control_characters() {
        for name in ["a", "Zürich", "北京-1", "with space", &"n".repeat(255)] {
            assert_eq!(Name::new(name).unwrap().as_str(), name);
            assert_eq!(Name::new(name).unwrap().to_string(), name);
        }
        for no_name in
            ["", "a\0b", "a\nb", "a\u{7f}", "a\u{85}", &"n".repeat(256), &"ü".repeat(128)]
        {
            assert!(Name::new(no_name).is_err(), "{no_name:?}");
        }
        assert_eq!(
            Name::new("a\nb").unwrap_err().to_string(),
            "\"a\\nb\" is no name; allowed: 1 to 255 bytes without control characters"
        );
    }
}
