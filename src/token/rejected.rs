//! The reasons for which a token is refused.

/// The reason for which a token was refused, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The value is not 48 characters of the base64url alphabet.
    #[error("the token is malformed; allowed: 48 characters of base64url")]
    Malformed,
    /// The token has a version that this crate does not write.
    #[error("the token has an unknown version; allowed: 1")]
    UnknownVersion,
    /// The token's key id is not on the keyring: the key was removed, or has not arrived yet.
    #[error("the token's key id is not on the keyring")]
    UnknownKey,
    /// The tag does not fit this key, load balancer and carrier.
    #[error("the token's tag does not fit this key, load balancer and carrier")]
    Forged,
    /// The token was issued further in the future than the clock skew allows.
    #[error("the token was issued further in the future than the clock skew allows")]
    Premature,
    /// The token's own life, or the configured lifetime, is over.
    #[error("the token has expired")]
    Expired,
}
