//! Changes of pools and endpoints by `PATCH`: all of a body takes effect, or nothing.

use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error};
use session_affinity::limits::Percent;
use session_affinity::pools::{LoadShedding, NotInSnapshot, ShedBy};
use session_affinity::{EndpointId, Health, Pools, UnixTime, Weight};

use crate::disabling::{self, some_time};
use crate::json::{Whole, some, some_object};
use crate::upstream::Upstream;

/// The body of `PATCH /pools/{pool}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolChange {
    #[serde(default, deserialize_with = "some")]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "some_time")]
    disabled_at: Option<UnixTime>,
    #[serde(default, deserialize_with = "some_minimum")]
    minimum_origins: Option<u32>,
    #[serde(default, deserialize_with = "some_object")]
    load_shedding: Option<SheddingChange>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SheddingChange {
    #[serde(default, deserialize_with = "some_percent")]
    default_percent: Option<Percent>,
    #[serde(default, deserialize_with = "some")]
    default_policy: Option<ShedBy>,
    #[serde(default, deserialize_with = "some_percent")]
    session_percent: Option<Percent>,
    /// Checked and then dropped: the parameter has one value.
    #[serde(default, deserialize_with = "some", rename = "session_policy")]
    _session_policy: Option<SessionPolicy>,
}

/// Cloudflare's `load_shedding.session_policy`, as the crate reads it from a file.
#[derive(serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum SessionPolicy {
    #[serde(alias = "")]
    Hash,
}

/// The body of `PATCH /pools/{pool}/origins/{name}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OriginChange {
    #[serde(default, deserialize_with = "some")]
    healthy: Option<bool>,
    #[serde(default, deserialize_with = "some")]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "some_time")]
    disabled_at: Option<UnixTime>,
    #[serde(default, deserialize_with = "some_weight")]
    weight: Option<Weight>,
}

/// The reason for which a change has changed nothing.
pub(crate) enum Unchanged {
    /// There is no such pool or endpoint.
    Unknown,
    /// The change contradicts itself or what is there, as this line says.
    Invalid(String),
}

impl From<NotInSnapshot> for Unchanged {
    fn from(_: NotInSnapshot) -> Self {
        Self::Unknown
    }
}

impl From<String> for Unchanged {
    fn from(error: String) -> Self {
        Self::Invalid(error)
    }
}

impl PoolChange {
    pub(crate) const EXPECTED: &str =
        "expected any of enabled, disabled_at, minimum_origins, load_shedding";

    pub(crate) fn is_empty(&self) -> bool {
        self.enabled.is_none()
            && self.disabled_at.is_none()
            && self.minimum_origins.is_none()
            && self.load_shedding.is_none()
    }

    /// Returns the next snapshot, in which the pool of this name is changed.
    pub(crate) fn apply(
        &self,
        pools: &Pools<Arc<Upstream>>,
        name: &str,
        now: UnixTime,
    ) -> Result<Pools<Arc<Upstream>>, Unchanged> {
        let pool = pools.pool(name).ok_or(Unchanged::Unknown)?;
        let state = disabling::state(self.enabled, self.disabled_at, pool.state(), now)?;
        let changed = pools.edited(|edit| {
            if let Some(state) = state {
                edit.pool_state(name, state)?;
            }
            if let Some(minimum) = self.minimum_origins {
                edit.pool_minimum_origins(name, minimum)?;
            }
            if let Some(change) = &self.load_shedding {
                edit.pool_shedding(name, change.apply(pool.shedding()))?;
            }
            Ok(())
        });
        Ok(changed?)
    }
}

impl SheddingChange {
    fn apply(&self, before: LoadShedding) -> LoadShedding {
        LoadShedding {
            default_percent: self.default_percent.unwrap_or(before.default_percent),
            shed_by: self.default_policy.unwrap_or(before.shed_by),
            session_percent: self.session_percent.unwrap_or(before.session_percent),
        }
    }
}

impl OriginChange {
    pub(crate) const EXPECTED: &str = "expected any of healthy, enabled, disabled_at, weight";

    pub(crate) fn is_empty(&self) -> bool {
        self.healthy.is_none()
            && self.enabled.is_none()
            && self.disabled_at.is_none()
            && self.weight.is_none()
    }

    /// Returns the next snapshot, in which the endpoint of this id is changed.
    pub(crate) fn apply(
        &self,
        pools: &Pools<Arc<Upstream>>,
        id: EndpointId,
        now: UnixTime,
    ) -> Result<Pools<Arc<Upstream>>, Unchanged> {
        let origin = pools.endpoint(id).ok_or(Unchanged::Unknown)?;
        let state = disabling::state(self.enabled, self.disabled_at, origin.state(), now)?;
        let changed = pools.edited(|edit| {
            if let Some(healthy) = self.healthy {
                edit.health(id, if healthy { Health::Healthy } else { Health::Unhealthy })?;
            }
            if let Some(state) = state {
                edit.state(id, state)?;
            }
            if let Some(weight) = self.weight {
                edit.weight(id, weight)?;
            }
            Ok(())
        });
        Ok(changed?)
    }
}

fn some_minimum<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u32>, D::Error> {
    let Whole(minimum) = Whole::deserialize(input)?;
    u32::try_from(minimum)
        .map(Some)
        .map_err(|_| D::Error::custom("expected a whole number from 0 to 4294967295"))
}

fn some_percent<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Percent>, D::Error> {
    let percent =
        Whole::deserialize(input)?.not_negative().and_then(|percent| Percent::new(percent).ok());
    percent.map(Some).ok_or_else(|| D::Error::custom("expected a whole number from 0 to 100"))
}

fn some_weight<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Weight>, D::Error> {
    let weight = Weight::from_fraction(f64::deserialize(input)?);
    weight.map(Some).map_err(|_| D::Error::custom("expected 0 to 1 in steps of 0.01"))
}
