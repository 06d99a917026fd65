//! The address of a server, and how its user signs in, as its URL says.

use std::fmt;
use std::path::PathBuf;

use ::redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use super::error::InvalidRedisUrl;

/// A server, and the user, the password and the database to ask it with.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) place: Place,
    pub(super) login: RedisConnectionInfo,
    #[cfg(feature = "redis-tls")]
    pub(super) tls: super::tls::RedisTls,
}

/// The place at which a server listens.
#[derive(Clone)]
pub(super) enum Place {
    Tcp { host: String, port: u16, encryption: Encryption },
    Unix(PathBuf),
}

/// The protocol beneath that of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    Plain,
    Tls,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, InvalidRedisUrl> {
        let (scheme, rest) = url.split_once(':').ok_or(InvalidRedisUrl::NotRedis)?;
        // TLS is made here, with a provider of its own: the client library would ask the process
        // for one. So it is given the URL of the same server without TLS.
        let (plain, encryption) = match scheme.to_ascii_lowercase().as_str() {
            "rediss" => ("redis", Encryption::Tls),
            "valkeys" => ("valkey", Encryption::Tls),
            _ => (scheme, Encryption::Plain),
        };
        // A fragment of the client library's is `#insecure`, which checks no certificate.
        if encryption == Encryption::Tls && rest.contains('#') {
            return Err(InvalidRedisUrl::NotRedis);
        }
        if encryption == Encryption::Tls && cfg!(not(feature = "redis-tls")) {
            return Err(InvalidRedisUrl::WithoutTls);
        }
        let info = format!("{plain}:{rest}")
            .into_connection_info()
            .map_err(|_| InvalidRedisUrl::NotRedis)?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                Place::Tcp { host: host.clone(), port: *port, encryption }
            }
            ConnectionAddr::Unix(path) if cfg!(unix) => Place::Unix(path.clone()),
            _ => return Err(InvalidRedisUrl::NotRedis),
        };
        Ok(Self {
            place,
            login: info.redis_settings().clone().set_skip_set_lib_name(),
            #[cfg(feature = "redis-tls")]
            tls: super::tls::RedisTls::new(),
        })
    }

    #[cfg(feature = "redis-tls")]
    pub(super) fn encryption(&self) -> Encryption {
        match self.place {
            Place::Tcp { encryption, .. } => encryption,
            Place::Unix(_) => Encryption::Plain,
        }
    }

    /// Returns a text without the user's name and password, where it may hold them.
    pub(super) fn redacted(&self, text: &str) -> String {
        let secrets = [self.login.password(), self.login.username()];
        match secrets.into_iter().flatten().any(|secret| text.contains(secret)) {
            true => "(left out, as it contains the user or the password)".into(),
            false => text.chars().take(200).collect(),
        }
    }
}

/// Shows host and port, or the path; not the user and the password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, encryption: Encryption::Plain } => write!(f, "{host}:{port}"),
            Self::Tcp { host, port, encryption: Encryption::Tls } => {
                write!(f, "{host}:{port} (TLS)")
            }
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}
