//! The gateways that are tried at the same time: together they have every policy, every carrier,
//! every failover mode and every `on_loss`.

use serde_json::{Value, json};
use session_affinity::FailoverMode;
use session_affinity::failover::OnLoss;

use crate::endpoint::Endpoint;
use crate::naive::{NaivePool, Rules, World};

/// The life of a session in seconds: from its begin, or with the policy `header` from its last use.
pub const TTL: u64 = 30 * 60;
/// The drain of an endpoint in seconds. The clock is set ahead, so drains end all the time.
const DRAIN: u64 = 2 * 60;
/// The time that an endpoint has for its answer. It must be longer than a busy machine stalls.
pub const ANSWER_MS: u64 = 3_000;

/// The pools, and their endpoints.
pub const SITE: [(&str, &[&str]); 3] =
    [("eu", &["eu-1", "eu-2", "eu-3"]), ("us", &["us-1", "us-2"]), ("ap", &["ap-1", "ap-2"])];

/// Returns the pool of an endpoint.
pub fn pool_of(endpoint: &str) -> &'static str {
    let at = SITE.iter().find(|(_, endpoints)| endpoints.contains(&endpoint));
    at.map_or("", |(pool, _)| pool)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Cookie,
    /// `ip_cookie`.
    Address,
    /// `cookie`, with the token in a header that the gateway issues.
    IssuedHeader,
    /// `header`, with a record in the store.
    Header,
}

/// The name of the header that the gateway issues.
pub const ISSUED: &str = "x-session-affinity";

/// The configuration of one gateway.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub name: &'static str,
    pub policy: Policy,
    mode: FailoverMode,
    across_pools: bool,
    retries: u8,
    pub cooling_off: u64,
    on_loss: OnLoss,
    /// The pools in their order, and the fallback pool.
    order: (&'static [&'static str], &'static str),
}

pub const KINDS: [Kind; 4] = [
    Kind {
        name: "cookie, sticky",
        policy: Policy::Cookie,
        mode: FailoverMode::Sticky,
        across_pools: true,
        retries: 2,
        cooling_off: 0,
        on_loss: OnLoss::Move,
        order: (&["eu", "us", "ap"], "us"),
    },
    Kind {
        name: "ip_cookie, temporary",
        policy: Policy::Address,
        mode: FailoverMode::Temporary,
        across_pools: false,
        retries: 1,
        cooling_off: 2,
        on_loss: OnLoss::Lend,
        order: (&["eu", "us"], "ap"),
    },
    Kind {
        name: "header, temporary",
        policy: Policy::Header,
        mode: FailoverMode::Temporary,
        across_pools: true,
        retries: 3,
        cooling_off: 0,
        on_loss: OnLoss::Move,
        order: (&["us", "eu"], "ap"),
    },
    Kind {
        name: "issued header, none",
        policy: Policy::IssuedHeader,
        mode: FailoverMode::None,
        across_pools: true,
        retries: 1,
        cooling_off: 0,
        on_loss: OnLoss::Refuse,
        order: (&["ap", "us", "eu"], "eu"),
    },
];

impl Kind {
    /// Returns the file of the gateway.
    pub fn file(&self, endpoints: &[Endpoint]) -> Value {
        let origin = |name: &&str| {
            let endpoint = endpoints.iter().find(|endpoint| endpoint.name == *name);
            json!({ "name": name, "address": endpoint.map(|it| it.address.to_string()) })
        };
        let pool = |(id, origins): &(&str, &[&str])| json!({ "id": id, "origins": origins.iter().map(origin).collect::<Vec<_>>() });
        let mut attributes = json!({
            "drain_duration": DRAIN,
            "zero_downtime_failover": match self.mode {
                FailoverMode::None => "none",
                FailoverMode::Temporary => "temporary",
                FailoverMode::Sticky => "sticky",
            },
        });
        if self.policy == Policy::Header {
            attributes["headers"] = json!(["x-user"]);
        }
        let mut file = json!({
            "keys": [{ "id": 1, "secret": "MzIgYnl0ZXMgb3IgbW9yZSBmcm9tIHlvdXIgdmF1bHQ=" }],
            "session_secret": "MzIgYnl0ZXMgb3IgbW9yZSBmcm9tIHlvdXIgdmF1bHQ=",
            "trusted_proxies": ["127.0.0.1"],
            "explain": true,
            "retries": self.retries,
            "cooling_off": self.cooling_off,
            "on_loss": match self.on_loss {
                OnLoss::Move => "move",
                OnLoss::Lend => "lend",
                OnLoss::Refuse => "refuse",
            },
            // A loopback connection that is refused is refused at once.
            "connect_timeout_ms": 5_000,
            "answer_timeout_ms": ANSWER_MS,
            "load_balancer": {
                "name": "shop.example.com",
                "session_affinity": match self.policy {
                    Policy::Cookie | Policy::IssuedHeader => "cookie",
                    Policy::Address => "ip_cookie",
                    Policy::Header => "header",
                },
                "session_affinity_ttl": TTL,
                "session_affinity_attributes": attributes,
                "adaptive_routing": { "failover_across_pools": self.across_pools },
                "default_pools": self.order.0,
                "fallback_pool": self.order.1,
            },
            "pools": SITE.iter().map(pool).collect::<Vec<_>>(),
        });
        if self.policy == Policy::IssuedHeader {
            file["carrier"] = json!({ "header": ISSUED });
        }
        file
    }

    /// Returns the same for the naive tables.
    pub fn world(&self) -> World {
        let (order, fallback) = self.order;
        let apart = Some(fallback).filter(|pool| !order.contains(pool));
        let names: Vec<_> = order.iter().copied().chain(apart).collect();
        let pool = |name: &&'static str| {
            let (_, endpoints) =
                SITE.iter().find(|(pool, _)| pool == name).copied().unwrap_or(SITE[0]);
            let mut pool = NaivePool::new(name, endpoints);
            pool.in_order = order.contains(name);
            pool
        };
        let mut world = World::new(names.iter().map(pool).collect());
        world.fallback = names.iter().position(|name| *name == fallback);
        world.rules = Rules {
            mode: self.mode,
            retries: self.retries.into(),
            across_pools: self.across_pools,
            drain_duration: DRAIN,
            cooling_off: self.cooling_off,
            on_loss: self.on_loss,
        };
        world
    }
}
