//! One change of a message's header fields, for stacks that lend no `&mut HeaderMap`.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// One change of the header fields of a request or a response, as a value: for a stack that keeps
/// header fields in a type of its own and lends no `&mut HeaderMap`. Carry the changes out in their
/// order, and stop at the first that the stack refuses.
///
/// | of a request, before it goes upstream | of a response, before it goes to the client |
/// |---|---|
/// | [`Affinity::strip_changes`](crate::Affinity::strip_changes) | [`Affinity::strip_response_changes`](crate::Affinity::strip_response_changes), then [`Settlement::changes`](crate::Settlement::changes) |
///
/// ```
/// use session_affinity::cookies::FieldChange;
/// # use http::{HeaderName, HeaderValue};
/// # struct Response(Vec<(HeaderName, HeaderValue)>);
/// # impl Response {
/// #     fn remove_header(&mut self, name: &HeaderName) { self.0.retain(|field| field.0 != name) }
/// #     fn append_header(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), ()> { self.0.push((name, value)); Ok(()) }
/// # }
/// fn change(response: &mut Response, change: FieldChange) -> Result<(), ()> {
///     match change {
///         FieldChange::Remove(name) => Ok(response.remove_header(&name)),
///         FieldChange::Append(name, value) => response.append_header(name, value),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an embedder carries out both")]
pub enum FieldChange {
    /// Remove every field line of this name.
    Remove(HeaderName),
    /// Append a field line, beside those of the same name.
    Append(HeaderName, HeaderValue),
}

impl FieldChange {
    /// Returns the changes that turn the lines of one field into those that `edit` leaves of them.
    pub(crate) fn of(
        name: &HeaderName,
        headers: &HeaderMap,
        edit: impl FnOnce(&mut HeaderMap),
    ) -> std::vec::IntoIter<Self> {
        let lines =
            |headers: &HeaderMap| -> Vec<_> { headers.get_all(name).iter().cloned().collect() };
        let before = lines(headers);
        let mut edited: HeaderMap =
            before.iter().map(|line| (name.clone(), line.clone())).collect();
        edit(&mut edited);
        let after = lines(&edited);
        if before == after {
            return Vec::new().into_iter();
        }
        let appended = after.into_iter().map(|line| Self::Append(name.clone(), line));
        let changes: Vec<_> = std::iter::once(Self::Remove(name.clone())).chain(appended).collect();
        changes.into_iter()
    }
}
