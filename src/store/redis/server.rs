//! A server's account of itself, by which it is taken or refused when it is connected.

use ::redis::aio::MultiplexedConnection;
use ::redis::{RedisError as Failure, Value, cmd};

use super::error::RedisError;

/// The answer of a server to `HELLO`, as far as it says whether it keeps records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// A primary, or a proxy that does not know `HELLO`.
    Primary,
    Replica,
    Sentinel,
    /// A node of a Redis Cluster, which may have one shard or several.
    ClusterNode,
}

impl Server {
    /// Asks the server. `HELLO` needs no permission and changes nothing.
    ///
    /// # Errors
    /// That of the connection, which some proxies close at a command that they do not know.
    pub(super) async fn ask(commands: &mut MultiplexedConnection) -> Result<Self, Failure> {
        Ok(Self::of(&commands.send_packed_command(&cmd("HELLO")).await?))
    }

    pub(super) fn of(hello: &Value) -> Self {
        match (field(hello, "mode"), field(hello, "role")) {
            (Some("sentinel"), _) => Self::Sentinel,
            (_, Some("replica" | "slave")) => Self::Replica,
            (Some("cluster"), _) => Self::ClusterNode,
            _ => Self::Primary,
        }
    }
}

/// Refuses a cluster whose other nodes keep records too. A cluster of one shard keeps all.
pub(super) async fn accept_cluster(commands: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let info = commands.send_packed_command(cmd("CLUSTER").arg("INFO")).await;
    one_shard(info.as_ref().ok())
}

/// Reads the answer to `CLUSTER INFO`, if there is one.
pub(super) fn one_shard(info: Option<&Value>) -> Result<(), RedisError> {
    let text = info.and_then(text).unwrap_or_default();
    let of = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let shards = of("cluster_size").and_then(|size| size.trim().parse().ok());
    match (shards, of("cluster_state").map(str::trim)) {
        (Some(1), Some("ok")) => Ok(()),
        (Some(0 | 1), _) => Err(RedisError::refused("CLUSTERDOWN")),
        (shards, _) => Err(RedisError::Cluster { shards: shards.unwrap_or(0) }),
    }
}

/// A field of a map, in either version of the protocol.
fn field<'v>(map: &'v Value, name: &str) -> Option<&'v str> {
    match map {
        Value::Map(fields) => {
            fields.iter().find_map(|(key, value)| text(value).filter(|_| text(key) == Some(name)))
        }
        Value::Array(list) => list
            .as_chunks::<2>()
            .0
            .iter()
            .find_map(|[key, value]| text(value).filter(|_| text(key) == Some(name))),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(fields: &[(&str, &str)]) -> [Value; 2] {
        let bulk = |text: &str| Value::BulkString(text.into());
        let pairs: Vec<_> = fields.iter().map(|(key, value)| (bulk(key), bulk(value))).collect();
        let list = pairs.iter().cloned().flat_map(|(key, value)| [key, value]).collect();
        [Value::Map(pairs), Value::Array(list)]
    }

    #[test]
    fn the_mode_and_the_role_say_whether_a_server_keeps_records() {
        for (mode, role, server) in [
            ("standalone", "master", Server::Primary),
            ("standalone", "replica", Server::Replica),
            ("standalone", "slave", Server::Replica),
            ("cluster", "master", Server::ClusterNode),
            ("cluster", "replica", Server::Replica),
            ("sentinel", "master", Server::Sentinel),
            ("later", "later", Server::Primary),
        ] {
            for hello in hello(&[("server", "redis"), ("mode", mode), ("role", role)]) {
                assert_eq!(Server::of(&hello), server, "{mode} {role}");
            }
        }
        for hello in hello(&[("server", "redis"), ("mode", "sentinel")]) {
            assert_eq!(Server::of(&hello), Server::Sentinel);
        }
    }

    #[test]
    fn a_server_that_does_not_say_is_taken() {
        for answer in [Value::Nil, Value::Okay, Value::Array(vec![Value::Int(1)])] {
            assert_eq!(Server::of(&answer), Server::Primary);
        }
    }
}
