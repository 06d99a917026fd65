//! The field of a response that brings the token to the client.

use std::iter;

use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

use crate::carrier::IssuedHeader;
use crate::cookies::FieldChange;

/// The field of a response that brings the token to the client, or takes it back.
///
/// ```
/// use http::HeaderValue;
/// use session_affinity::carrier::IssuedHeader;
/// use session_affinity::policy::ResponseField;
/// let header = IssuedHeader::new("x-session-affinity")?;
/// let field = ResponseField::Header(header, HeaderValue::from_static("token"));
/// assert_eq!(field.set_cookie(), None);
/// # Ok::<(), session_affinity::carrier::InvalidIssuedHeader>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a token comes by a cookie or by a header")]
pub enum ResponseField {
    /// A `Set-Cookie` line, appended beside those of the endpoint.
    SetCookie(HeaderValue),
    /// An issued header with its value, in the place of the response's own field of that name.
    Header(IssuedHeader, HeaderValue),
}

impl ResponseField {
    /// Returns the `Set-Cookie` line; `None` for an issued header.
    pub fn set_cookie(&self) -> Option<&HeaderValue> {
        match self {
            Self::SetCookie(line) => Some(line),
            Self::Header(..) => None,
        }
    }

    /// Returns the value of the field.
    pub fn value(&self) -> &HeaderValue {
        match self {
            Self::SetCookie(value) | Self::Header(_, value) => value,
        }
    }

    /// Marks the value as sensitive, as it is meant for one client.
    fn sensitive(mut self) -> Self {
        match &mut self {
            Self::SetCookie(value) | Self::Header(_, value) => value.set_sensitive(true),
        }
        self
    }

    /// Puts the field into a response, marked sensitive. Returns `None`, and changes nothing, where
    /// the map has no room for it and `spare` more.
    pub(super) fn put(self, headers: &mut HeaderMap, spare: usize) -> Option<()> {
        headers.try_reserve(spare.saturating_add(1)).ok()?;
        match self.sensitive() {
            Self::SetCookie(line) => headers.try_append(SET_COOKIE, line).map(drop),
            Self::Header(header, value) => headers.try_insert(header.name(), value).map(drop),
        }
        .ok()
    }

    /// Returns the changes of [`ResponseField::put`].
    pub(super) fn changes(self, headers: &HeaderMap) -> impl Iterator<Item = FieldChange> + use<> {
        let (own, change) = match self.sensitive() {
            Self::SetCookie(line) => (None, FieldChange::Append(SET_COOKIE, line)),
            Self::Header(header, value) => {
                let name = header.name().clone();
                let own = headers.contains_key(&name).then(|| FieldChange::Remove(name.clone()));
                (own, FieldChange::Append(name, value))
            }
        };
        own.into_iter().chain(iter::once(change))
    }
}
