//! The errors of a Redis store. They hold no secrets.

use ::redis::ErrorKind;

use crate::limits::StoreDeadline;

/// The error of a URL that is not one of a Redis server, or that asks for TLS without the feature
/// `redis-tls`. The URL is not shown, as it may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRedisUrl {
    /// The text is not the URL of a Redis server.
    #[error(
        "the URL is not a Redis URL; allowed: redis://[user:password@]host[:port][/database], \
         rediss:// for the same with TLS, and redis+unix:///path"
    )]
    NotRedis,
    /// The URL asks for TLS, which this program was built without.
    #[error(
        "the URL asks for TLS, and the feature redis-tls is off; allowed: redis:// and \
         redis+unix://"
    )]
    WithoutTls,
}

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
    /// The server is a node of a Redis Cluster with this many shards. It would refuse the sessions
    /// of the other shards.
    #[error(
        "Redis is a cluster of {}, and redirections are not followed; allowed: a single server, a \
         cluster of one shard, or a proxy in front of the cluster",
        match shards {
            0 => "shards that CLUSTER INFO does not tell".into(),
            count => format!("{count} shards"),
        }
    )]
    Cluster {
        /// The number of primaries that serve keys; 0 if the server does not say.
        shards: u32,
    },
    /// The server is a Redis Sentinel, which keeps no records.
    #[error(
        "Redis is a Sentinel, which keeps no records; allowed: the primary that it watches, by a \
         name or a proxy that follows the primary"
    )]
    Sentinel,
    /// The server is a replica, which refuses writes.
    #[error(
        "Redis is a replica, which refuses writes; allowed: its primary, by a name or a proxy that \
         follows the primary"
    )]
    Replica,
    /// So many writes wait for the server that no other is taken.
    #[error("too many writes wait for Redis; allowed: {0} at a time")]
    Overloaded(usize),
    /// The call was made outside a Tokio runtime.
    #[error("Redis can be reached only from within a Tokio runtime")]
    NoRuntime,
}

impl RedisError {
    /// Returns whether the URL has to be changed, because its server is of the wrong kind: a
    /// cluster of several shards, a Sentinel or a replica. Waiting does not help, except that a
    /// replica may become a primary.
    pub fn is_wrong_server(&self) -> bool {
        matches!(self, Self::Cluster { .. } | Self::Sentinel | Self::Replica)
    }

    /// The kind of this error, as [`StoreHealth::errors`](crate::store::StoreHealth::errors) names
    /// it.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::TimedOut(_) => Kind::TimedOut,
            Self::Silent => Kind::Silent,
            Self::Unconnected(_) => Kind::Unconnected,
            Self::Refused(_) => Kind::Refused,
            Self::Cluster { .. } | Self::Sentinel | Self::Replica => Kind::WrongServer,
            Self::Overloaded(_) => Kind::Overloaded,
            Self::NoRuntime => Kind::NoRuntime,
        }
    }

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

/// The kinds of errors, which are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    TimedOut,
    Silent,
    Unconnected,
    Refused,
    WrongServer,
    Overloaded,
    NoRuntime,
}

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::TimedOut,
        Self::Silent,
        Self::Unconnected,
        Self::Refused,
        Self::WrongServer,
        Self::Overloaded,
        Self::NoRuntime,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Silent => "silent",
            Self::Unconnected => "unconnected",
            Self::Refused => "refused",
            Self::WrongServer => "wrong_server",
            Self::Overloaded => "overloaded",
            Self::NoRuntime => "no_runtime",
        }
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
    fn each_kind_has_a_place_and_a_label_of_its_own() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            assert_eq!(Kind::ALL.iter().filter(|other| other.label() == kind.label()).count(), 1);
        }
    }

    #[test]
    fn an_answer_in_another_protocol_is_named_as_the_reason() {
        let error = ::redis::RedisError::from((ErrorKind::Parse, "secret"));
        assert_eq!(reason(&error), "the server does not speak the Redis protocol");
    }
}
