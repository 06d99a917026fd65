//! The error for a `sessionPersistence` that is refused.

use super::duration::InvalidGatewayDuration;
use crate::carrier::InvalidIssuedHeader;
use crate::config::invalid::{contradiction, from, refused};
use crate::cookies::{InvalidAttributes, InvalidCookieName, InvalidCookiePath};

/// The error for a `sessionPersistence` that is refused. Each message names the field, what it was
/// and what is allowed, so there is no source that would say it again.
///
/// A field is named by its path below `sessionPersistence`, `cookie.name` for example.
/// [`field`](Self::field) returns it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSessionPersistence {
    /// The absolute timeout is no duration of GEP-2257.
    #[error("{} is {:?}; allowed: {}", self.field(), .0.value(), .0.allowed())]
    AbsoluteTimeout(InvalidGatewayDuration),
    /// The absolute timeout is 0, or longer than the longest life of a session.
    #[error("{} is {absolute_timeout:?}; allowed: 1s to 87600h", self.field())]
    Lifetime {
        /// The timeout that was given.
        absolute_timeout: String,
    },
    /// The cookie is permanent and there is no absolute timeout, of which its `Max-Age` is made.
    #[error("{} is missing; allowed with cookie.lifetimeType Permanent: 1s to 87600h", self.field())]
    NoAbsoluteTimeout,
    /// The type is `Cookie` and there is no cookie.
    #[error("{} is missing; allowed with type Cookie: an object, {{}} for the defaults", self.field())]
    NoCookie,
    /// The type is `Cookie` and there is a header.
    #[error("{} is set; allowed with type Cookie: cookie alone", self.field())]
    HeaderWithCookie,
    /// The type is `Header` and there is no header.
    #[error("{} is missing; allowed with type Header: an object with a name", self.field())]
    NoHeader,
    /// The type is `Header` and there is a cookie.
    #[error("{} is set; allowed with type Header: header alone", self.field())]
    CookieWithHeader,
    /// The name of the cookie is not valid.
    #[error(
        "{} is {:?}; allowed: 1 to 256 letters, digits and any of !#$%&'*+-.^_`|~",
        self.field(), .0.name
    )]
    CookieName(InvalidCookieName),
    /// The path of the cookie is not valid.
    #[error(
        "{} is {:?}; allowed: / and then visible ASCII characters other than ;, 1024 in all",
        self.field(), .0.path
    )]
    CookiePath(InvalidCookiePath),
    /// The attributes of the cookie contradict each other, or its name.
    #[error("{} {}", self.field(), contradiction(.0))]
    Attributes(InvalidAttributes),
    /// The name of the header is not valid.
    #[error("{} {}", self.field(), refused(.0))]
    HeaderName(InvalidIssuedHeader),
}

impl InvalidSessionPersistence {
    /// Returns the path of the field with which the message begins. It is `samesite` or
    /// `partitioned` for an attribute that was passed to
    /// [`SessionPersistence::policy_with`](super::SessionPersistence::policy_with).
    ///
    /// ```
    /// use session_affinity::config::gateway_api::SessionPersistence;
    /// use session_affinity::{Key, Keyring, LoadBalancer, Secret};
    /// let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
    /// let persistence = SessionPersistence::in_header("host");
    /// let error = persistence.policy(&LoadBalancer::new("default/shop/0")?, &keyring).err();
    /// assert_eq!(error.map(|error| error.field()), Some("header.name"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn field(&self) -> &'static str {
        match self {
            Self::AbsoluteTimeout(_) | Self::Lifetime { .. } | Self::NoAbsoluteTimeout => {
                "absoluteTimeout"
            }
            Self::NoCookie | Self::CookieWithHeader => "cookie",
            Self::NoHeader | Self::HeaderWithCookie => "header",
            Self::CookieName(_) => "cookie.name",
            Self::CookiePath(_) => "cookie.path",
            Self::Attributes(error) => match error {
                InvalidAttributes::NoneWithoutSecure => "samesite",
                InvalidAttributes::PartitionedWithoutSecure => "partitioned",
                InvalidAttributes::PrefixWithoutSecure(_) | InvalidAttributes::HostPrefix(_) => {
                    "cookie.name"
                }
            },
            Self::HeaderName(_) => "header.name",
        }
    }
}

from! { InvalidSessionPersistence:
    CookieName(InvalidCookieName),
    CookiePath(InvalidCookiePath),
    Attributes(InvalidAttributes),
    HeaderName(InvalidIssuedHeader),
}
