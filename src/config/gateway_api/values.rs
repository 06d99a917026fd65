//! The values that are written as names.

use std::fmt;

use crate::cookies::Lifetime;

/// The carrier of a session. Gateway API: `sessionPersistence.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[expect(clippy::exhaustive_enums, reason = "the two values of the API")]
pub enum SessionPersistenceType {
    /// A cookie: [`CookiePolicy::new`](crate::CookiePolicy::new).
    #[default]
    Cookie,
    /// A header that the gateway issues:
    /// [`CookiePolicy::in_header`](crate::CookiePolicy::in_header).
    Header,
}

/// The time for which clients keep the cookie. Gateway API:
/// `sessionPersistence.cookie.lifetimeType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[expect(clippy::exhaustive_enums, reason = "the two values of the API")]
pub enum CookieLifetimeType {
    /// Clients keep the cookie for the absolute timeout: `Expires` and `Max-Age` are written.
    Permanent,
    /// Browsers drop the cookie when they are closed: neither is written.
    #[default]
    Session,
}

impl From<CookieLifetimeType> for Lifetime {
    fn from(lifetime: CookieLifetimeType) -> Self {
        match lifetime {
            CookieLifetimeType::Permanent => Self::Permanent,
            CookieLifetimeType::Session => Self::Session,
        }
    }
}

macro_rules! named {
    ($name:ident: $($value:ident $text:literal),*) => {
        impl $name {
            /// All values.
            #[cfg(feature = "serde")]
            pub(super) const ALL: &[Self] = &[$(Self::$value),*];

            /// Returns the value as the API writes it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

named!(SessionPersistenceType: Cookie "Cookie", Header "Header");
named!(CookieLifetimeType: Permanent "Permanent", Session "Session");
