//! The error for a policy that another one cannot wrap, by the life of its sessions.

use super::Life;

/// The error for a policy whose sessions have a life that the policy around it has no use for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the policy within {around} has the life {life:?}; allowed: {allowed}, such as CookiePolicy"
)]
#[non_exhaustive]
pub struct InvalidLife {
    /// The name of the policy that was to wrap the other one.
    pub around: &'static str,
    /// The life of the sessions of the policy to wrap.
    pub life: Life,
    allowed: &'static str,
}

impl InvalidLife {
    pub(super) const fn new(around: &'static str, life: Life, allowed: &'static str) -> Self {
        Self { around, life, allowed }
    }
}
