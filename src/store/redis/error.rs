//! What can go wrong with Redis, told without a secret.

use ::redis::ErrorKind;

use crate::bounds::StoreDeadline;

/// A URL that is not one of Redis. It is not shown: it may have a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL is not one of Redis; allowed: redis://[user:password@]host[:port][/database] and \
     redis+unix:///path, and rediss:// where the crate redis is built with TLS"
)]
#[non_exhaustive]
pub struct InvalidRedisUrl;

/// Why Redis was of no use to a call. It has no secret in it, and of what the server says no
/// more than the code of its error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisError {
    /// The deadline has passed.
    #[error("Redis did not answer within {} ms", .0.get())]
    TimedOut(StoreDeadline),
    /// A call has waited in vain, and the server has given no sign of life since.
    #[error("Redis has been silent since it did not answer in time")]
    Silent,
    /// There is no connection, and why.
    #[error("there is no connection to Redis: {0}")]
    Unconnected(String),
    /// The server has answered with an error of this code, such as `LOADING`, `NOAUTH`,
    /// `READONLY` or `MOVED`.
    #[error("Redis answered with the error {0}")]
    Refused(String),
    /// The call was not made in a Tokio runtime.
    #[error("Redis can be reached only from within a Tokio runtime")]
    NoRuntime,
}

impl RedisError {
    /// What follows the code may repeat the command that was sent, and with it a password.
    pub(super) fn refused(code: &str) -> Self {
        let is_code = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let code = if code.len() <= 32 && code.bytes().all(is_code) { code } else { "of no name" };
        Self::Refused(code.into())
    }
}

/// Why a connection could not be made, or is of no use any more.
pub(super) fn reason(error: &::redis::RedisError) -> String {
    match error.kind() {
        // What the operating system says, or the TLS library.
        ErrorKind::Io => error.to_string(),
        ErrorKind::AuthenticationFailed => "it refused the user or the password".into(),
        ErrorKind::Server(_) | ErrorKind::Extension => {
            "it refused the database, or asks for a password".into()
        }
        ErrorKind::Parse => "what answers does not speak its protocol".into(),
        _ => error.category().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_named_and_nothing_else_that_the_server_says() {
        for code in ["LOADING", "ERR_2", "X123456789_123456789_123456789_1"] {
            assert_eq!(RedisError::refused(code), RedisError::Refused(code.into()));
        }
        for other in ["wrong", "ERR user:password", "X123456789_123456789_123456789_12"] {
            assert_eq!(RedisError::refused(other), RedisError::Refused("of no name".into()));
        }
    }

    #[test]
    fn what_does_not_speak_the_protocol_is_called_so() {
        let error = ::redis::RedisError::from((ErrorKind::Parse, "secret"));
        assert_eq!(reason(&error), "what answers does not speak its protocol");
    }
}
