//! The errors of a Redis store. They hold no secrets.

use ::redis::ErrorKind;

use crate::limits::StoreDeadline;

/// The error of a URL that is not one of a Redis server. The URL is not shown, as it may contain a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL is not a Redis URL; allowed: redis://[user:password@]host[:port][/database] and \
     redis+unix:///path, and rediss:// where the crate redis is built with TLS"
)]
#[non_exhaustive]
pub struct InvalidRedisUrl;

/// The error of a call to Redis. It holds no secrets, and of an error that the server returns only
/// the code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisError {
    /// The deadline has passed.
    #[error("Redis did not answer within {} ms", .0.get())]
    TimedOut(StoreDeadline),
    /// An earlier call has timed out, and the server has not answered since.
    #[error("Redis has not answered since a call timed out")]
    Silent,
    /// There is no connection, for the reason given.
    #[error("there is no connection to Redis: {0}")]
    Unconnected(String),
    /// The server has answered with an error of this code, such as `LOADING`, `NOAUTH`,
    /// `READONLY` or `MOVED`. A code that is not 1 to 32 capital letters, digits and underscores
    /// is replaced by `(no code)`.
    #[error("Redis answered with the error {0}")]
    Refused(String),
    /// The call was made outside a Tokio runtime.
    #[error("Redis can be reached only from within a Tokio runtime")]
    NoRuntime,
}

impl RedisError {
    /// The error of an answer with this code. The text after the code may repeat the command that
    /// was sent, and with it a password: it is left out.
    pub(super) fn refused(code: &str) -> Self {
        let is_code = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let code = if (1..=32).contains(&code.len()) && code.bytes().all(is_code) {
            code
        } else {
            "(no code)"
        };
        Self::Refused(code.into())
    }
}

/// The reason for which a connection could not be made, or has failed.
pub(super) fn reason(error: &::redis::RedisError) -> String {
    match error.kind() {
        // Written by the operating system or the TLS library.
        ErrorKind::Io => error.to_string(),
        ErrorKind::AuthenticationFailed => "the server refused the user or the password".into(),
        ErrorKind::Server(_) | ErrorKind::Extension => {
            "the server refused the database, or requires a password".into()
        }
        ErrorKind::Parse => "the server does not speak the Redis protocol".into(),
        _ => error.category().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_error_that_the_server_returns_only_the_code_is_shown() {
        for code in ["LOADING", "ERR_2", "X123456789_123456789_123456789_1"] {
            assert_eq!(RedisError::refused(code), RedisError::Refused(code.into()));
        }
        for other in ["", "wrong", "ERR user:password", "X123456789_123456789_123456789_12"] {
            assert_eq!(RedisError::refused(other), RedisError::Refused("(no code)".into()));
        }
    }

    #[test]
    fn an_answer_in_another_protocol_is_named_as_the_reason() {
        let error = ::redis::RedisError::from((ErrorKind::Parse, "secret"));
        assert_eq!(reason(&error), "the server does not speak the Redis protocol");
    }
}
