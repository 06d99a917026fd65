//! A call to the admin listener that is refused.

use hyper::StatusCode;

use crate::keys::Refused;

/// A call that is refused and has changed nothing.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: String,
    pub(super) allow: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), allow: None }
    }
}

pub(super) fn bad(error: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, error)
}

pub(super) fn conflict(error: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::CONFLICT, error)
}

/// The store did not answer, so the answer is not known.
pub(super) fn unreachable(error: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error)
}

pub(super) fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is nothing here")
}

pub(super) fn unknown_origin(pool: &str, name: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("there is no origin {name:?} in a pool {pool:?}"))
}

pub(super) fn refused(refused: Refused) -> Refusal {
    match refused {
        Refused::Unknown => Refusal::new(StatusCode::NOT_FOUND, "there is no key of this id"),
        Refused::Conflict(why) => conflict(why),
    }
}
