//! The carrier of a token: a cookie, or a header that the gateway issues.

use http::HeaderMap;
use http::header::SET_COOKIE;

use crate::cookies::{CookieName, FieldChange};

mod issued_header;

pub use issued_header::{InvalidIssuedHeader, IssuedHeader};

/// The carrier of a policy's token, by its name: a cookie, or a header that the gateway issues in
/// a response and that the client sends back in its requests.
///
/// ```
/// use session_affinity::carrier::{Carrier, IssuedHeader};
/// use session_affinity::cookies::CookieName;
/// let cookie = Carrier::from(CookieName::default());
/// let header = Carrier::from(IssuedHeader::new("X-Session-Affinity")?);
/// assert_eq!((cookie.as_str(), header.as_str()), ("__cflb", "x-session-affinity"));
/// # Ok::<(), session_affinity::carrier::InvalidIssuedHeader>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a token comes by a cookie or by a header")]
#[allow(
    clippy::large_enum_variant,
    reason = "each policy has one, and a box would cost reads; without memchr a name is small"
)]
pub enum Carrier {
    /// A cookie of this name.
    Cookie(CookieName),
    /// A header of this name.
    Header(IssuedHeader),
}

impl Carrier {
    /// Returns the name of the cookie or the header; that of a header is in small letters.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cookie(name) => name.as_str(),
            Self::Header(header) => header.as_str(),
        }
    }

    /// Returns the name of the cookie; `None` for a header.
    pub fn cookie_name(&self) -> Option<&CookieName> {
        match self {
            Self::Cookie(name) => Some(name),
            Self::Header(_) => None,
        }
    }

    /// Removes the cookie or the header from the headers of a request, as [`CookieName::strip`] and
    /// [`IssuedHeader::strip`] do.
    pub fn strip(&self, headers: &mut HeaderMap) {
        match self {
            Self::Cookie(name) => name.strip(headers),
            Self::Header(header) => header.strip(headers),
        }
    }

    /// Returns the changes of [`Carrier::strip`], for a request without a `&mut HeaderMap`.
    pub fn strip_changes(&self, headers: &HeaderMap) -> impl Iterator<Item = FieldChange> + use<> {
        let (cookie, header) = match self {
            Self::Cookie(name) => (Some(name.strip_changes(headers)), None),
            Self::Header(header) => (None, Some(header.strip_changes(headers))),
        };
        cookie.into_iter().flatten().chain(header.into_iter().flatten())
    }

    /// Removes what an endpoint's response says under this name, before the gateway says it, and
    /// returns the number of field lines that are gone. Two gateways of one name, one behind the
    /// other, would each replace the cookie of the other in the client, so that neither keeps a
    /// session: count these lines, and give each gateway a name of its own.
    ///
    /// ```
    /// use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
    /// use session_affinity::carrier::Carrier;
    /// use session_affinity::cookies::CookieName;
    /// let mut response = HeaderMap::new();
    /// response.append(SET_COOKIE, HeaderValue::from_static("__cflb=of-another-gateway"));
    /// assert_eq!(Carrier::from(CookieName::default()).strip_response(&mut response), 1);
    /// assert!(response.is_empty());
    /// ```
    pub fn strip_response(&self, headers: &mut HeaderMap) -> usize {
        match self {
            Self::Cookie(name) => name.strip_response(headers),
            Self::Header(header) => {
                let count = headers.get_all(header.name()).iter().count();
                headers.remove(header.name());
                count
            }
        }
    }

    /// Returns the changes of [`Carrier::strip_response`], for a response without a
    /// `&mut HeaderMap`.
    pub fn strip_response_changes(
        &self,
        headers: &HeaderMap,
    ) -> impl Iterator<Item = FieldChange> + use<> {
        let name = match self {
            Self::Cookie(_) => &SET_COOKIE,
            Self::Header(header) => header.name(),
        };
        FieldChange::of(name, headers, |headers| {
            let _ = self.strip_response(headers);
        })
    }

    /// Returns the part of a token's scope that names the carrier. No name of a cookie has a colon,
    /// so a cookie and a header never open each other's tokens.
    pub(crate) fn scope(&self) -> String {
        match self {
            Self::Cookie(name) => name.as_str().into(),
            Self::Header(header) => format!("header:{header}"),
        }
    }
}

impl From<CookieName> for Carrier {
    fn from(name: CookieName) -> Self {
        Self::Cookie(name)
    }
}

impl From<&CookieName> for Carrier {
    fn from(name: &CookieName) -> Self {
        Self::Cookie(name.clone())
    }
}

impl From<IssuedHeader> for Carrier {
    fn from(header: IssuedHeader) -> Self {
        Self::Header(header)
    }
}

impl From<&IssuedHeader> for Carrier {
    fn from(header: &IssuedHeader) -> Self {
        Self::Header(header.clone())
    }
}

impl From<&Carrier> for Carrier {
    fn from(carrier: &Carrier) -> Self {
        carrier.clone()
    }
}
