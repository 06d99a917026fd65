//! The gateway's file.

use std::fmt::{self, Display};
use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use super::Endpoint;

/// Three secrets of 32 bytes in base64: all of the same letter, `1`, `2` and `3`.
pub(crate) const SECRETS: [&str; 3] = [
    "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=",
    "MjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjI=",
    "MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM=",
];

/// A file with one pool, `eu`, of these endpoints, by whose names its origins are called. Sessions are kept in a
/// cookie, outcomes are told, and the two keys are 2, which signs, and 1. The time to connect is longer than a busy
/// machine needs: only an endpoint that is down is a passive failure.
pub(crate) fn shop(endpoints: &[&Endpoint]) -> Config {
    shop_of_pools(&[("eu", endpoints)])
}

/// A file with these pools, in that order.
pub(crate) fn shop_of_pools(pools: &[(&str, &[&Endpoint])]) -> Config {
    let ids: Vec<_> = pools.iter().map(|(id, _)| id).collect();
    let pools: Vec<_> = pools
        .iter()
        .map(|(id, endpoints)| {
            let origins: Vec<_> =
                endpoints.iter().map(|endpoint| origin(&endpoint.name, endpoint.address)).collect();
            json!({ "id": id, "origins": origins })
        })
        .collect();
    Config(json!({
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "keys": [{ "id": 2, "secret": SECRETS[1] }, { "id": 1, "secret": SECRETS[0] }],
        "explain": true,
        "connect_timeout_ms": 4_000,
        "load_balancer": {
            "name": "shop.example.com",
            "session_affinity": "cookie",
            "default_pools": ids,
        },
        "pools": pools,
    }))
}

fn origin(name: &str, address: SocketAddr) -> Value {
    json!({ "name": name, "address": address.to_string() })
}

/// A file, changed by paths such as `load_balancer.session_affinity_ttl` and `pools.0.id`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config(pub(crate) Value);

impl Config {
    pub(crate) fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        let (parent, name) = self.parent(path);
        match parent {
            Value::Array(items) => {
                let index: usize = name.parse().expect("an index");
                items[index] = value.into();
            }
            parent => parent[name] = value.into(),
        }
        self
    }

    pub(crate) fn without(mut self, path: &str) -> Self {
        let (parent, name) = self.parent(path);
        parent.as_object_mut().and_then(|object| object.remove(name)).expect("something to remove");
        self
    }

    /// Sets one of `session_affinity_attributes`.
    pub(crate) fn attribute(self, name: &str, value: impl Into<Value>) -> Self {
        self.set(&format!("load_balancer.session_affinity_attributes.{name}"), value)
    }

    pub(crate) fn failover(self, mode: &str) -> Self {
        self.attribute("zero_downtime_failover", mode)
    }

    /// Sessions in the store, under these header entries, with a secret of their own.
    pub(crate) fn by_headers(self, entries: &[&str]) -> Self {
        self.set("load_balancer.session_affinity", "header")
            .set("session_secret", SECRETS[2])
            .attribute("headers", entries.to_vec())
    }

    /// By the address of the client, which the peer is trusted to tell.
    pub(crate) fn by_address(self) -> Self {
        self.set("load_balancer.session_affinity", "ip_cookie")
            .set("trusted_proxies", vec!["127.0.0.1/32"])
    }

    fn parent<'a, 'b>(&'a mut self, path: &'b str) -> (&'a mut Value, &'b str) {
        let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut place = &mut self.0;
        for step in parents.split('.').filter(|step| !step.is_empty()) {
            place = match step.parse::<usize>() {
                Ok(index) => &mut place[index],
                Err(_) => &mut place[step],
            };
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
        }
        (place, name)
    }
}

impl Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
