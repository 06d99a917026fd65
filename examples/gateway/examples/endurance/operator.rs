//! The operator: each act is done, and written to the log of scenes.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use session_affinity::Health;

use crate::act::Act;
use crate::endpoint::{Endpoint, Way};
use crate::gateway::Gateway;
use crate::kind::{Kind, pool_of};
use crate::naive::Service;
use crate::scene::{Log, Scene};

pub struct Operator<'a> {
    pub kind: &'a Kind,
    pub gateway: Gateway,
    pub endpoints: Arc<[Endpoint]>,
    pub log: Arc<Mutex<Log>>,
}

impl Operator<'_> {
    /// Acts: from the begin on a request may meet the scene after it, and from the end on it must.
    pub async fn act(&mut self, act: Act) -> Result<(), String> {
        let before = self.now();
        let mut after = Scene::clone(&before);
        match act {
            Act::Health(name, healthy) => {
                let health = if healthy { Health::Healthy } else { Health::Unhealthy };
                let Some(origin) = after.origin_mut(name) else { return Ok(()) };
                origin.health = health;
                self.patch(name, json!({ "healthy": healthy }), after).await.map(drop)
            }
            Act::Weight(name, weight) => {
                let Some(origin) = after.origin_mut(name) else { return Ok(()) };
                origin.weight = weight;
                let weight = json!({ "weight": f64::from(weight) / 100.0 });
                self.patch(name, weight, after).await.map(drop)
            }
            Act::Enabled(name, enabled) => {
                let clock = after.clock();
                let Some(origin) = after.origin_mut(name) else { return Ok(()) };
                set(&mut origin.service, enabled, clock);
                if enabled {
                    after.drained.remove(name);
                }
                let answer = self.patch(name, json!({ "enabled": enabled }), after.clone()).await?;
                if let Some(origin) = after.origin_mut(name) {
                    stamp(&mut origin.service, &answer)?;
                }
                self.settle(after);
                Ok(())
            }
            Act::PoolEnabled(pool, enabled) => {
                let clock = after.clock();
                let Some(known) = after.pool_mut(pool) else { return Ok(()) };
                set(&mut known.service, enabled, clock);
                if enabled {
                    after.drained.retain(|name| pool_of(name) != pool);
                }
                let answer =
                    self.patch_pool(pool, json!({ "enabled": enabled }), after.clone()).await?;
                if let Some(known) = after.pool_mut(pool) {
                    stamp(&mut known.service, &answer)?;
                }
                self.settle(after);
                Ok(())
            }
            Act::Minimum(pool, minimum) => {
                let Some(known) = after.pool_mut(pool) else { return Ok(()) };
                known.minimum_origins = minimum;
                self.patch_pool(pool, json!({ "minimum_origins": minimum }), after).await.map(drop)
            }
            Act::Shed(pool, new, live) => {
                let Some(known) = after.pool_mut(pool) else { return Ok(()) };
                (known.default_percent, known.session_percent) = (new, live);
                let shedding = json!({ "default_percent": new, "session_percent": live });
                let change = json!({ "load_shedding": shedding });
                self.patch_pool(pool, change, after).await.map(drop)
            }
            Act::Add(name) | Act::Remove(name) => {
                let pool = pool_of(name);
                let fresh = self.kind.world();
                let fresh = fresh.pools.iter().flat_map(|pool| &pool.endpoints);
                let fresh = fresh.copied().find(|origin| origin.name == name);
                let Some(known) = after.pool_mut(pool) else { return Ok(()) };
                known.endpoints.retain(|origin| origin.name != name);
                known.endpoints.extend(fresh.filter(|_| matches!(act, Act::Add(_))));
                let names: Vec<_> = known.endpoints.iter().map(|origin| origin.name).collect();
                after.drained.remove(name);
                self.begin(after.clone());
                let endpoints = self.endpoints.clone();
                let listed = endpoints.iter().filter(|endpoint| names.contains(&endpoint.name));
                let listed = listed.map(|endpoint| (endpoint.name, endpoint.address));
                self.gateway.set_origins(pool, listed).await?;
                self.settle(after);
                Ok(())
            }
            Act::Way(name, way) => {
                let mut meanwhile = after.clone();
                // Connections are closed for it.
                meanwhile.set_cut(Some(name).filter(|_| way == Way::Refuses));
                meanwhile.set_way(name, way);
                self.begin(meanwhile);
                if let Some(endpoint) = self.endpoint(name) {
                    endpoint.set(way).await?;
                }
                after.set_way(name, way);
                self.begin(after.clone());
                self.settle(after);
                Ok(())
            }
            Act::Cut(name) => {
                let mut meanwhile = after.clone();
                meanwhile.set_cut(Some(name));
                self.begin(meanwhile);
                if let Some(endpoint) = self.endpoint(name) {
                    endpoint.cut().await?;
                }
                self.begin(after.clone());
                self.settle(after);
                Ok(())
            }
            Act::Ahead(seconds) => {
                after.ahead += seconds;
                self.begin(after.clone());
                let clock = json!({ "offset_seconds": after.ahead });
                self.gateway.call("PUT /clock", &clock).await?;
                self.settle(after);
                Ok(())
            }
            Act::AskDrain(name) => {
                if after.origin_mut(name).is_none() {
                    return Ok(());
                }
                let call = format!("GET /drain/{}/{name}", pool_of(name));
                if self.gateway.call(&call, &Value::Null).await?["drained"] == true {
                    after.drained.insert(name);
                    self.begin(after.clone());
                    self.settle(after);
                }
                Ok(())
            }
        }
    }

    async fn patch(&self, name: &str, change: Value, after: Scene) -> Result<Value, String> {
        self.begin(after.clone());
        let call = format!("PATCH /pools/{}/origins/{name}", pool_of(name));
        let answer = self.gateway.call(&call, &change).await?;
        self.settle(after);
        Ok(answer)
    }

    async fn patch_pool(&self, pool: &str, change: Value, after: Scene) -> Result<Value, String> {
        self.begin(after.clone());
        let answer = self.gateway.call(&format!("PATCH /pools/{pool}"), &change).await?;
        self.settle(after);
        Ok(answer)
    }

    fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name)
    }

    pub fn now(&self) -> Arc<Scene> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).now()
    }

    fn begin(&self, scene: Scene) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).begin(scene);
    }

    fn settle(&self, scene: Scene) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).settle(scene);
    }
}

fn set(service: &mut Service, enabled: bool, clock: u64) {
    match (enabled, *service) {
        (true, _) => *service = Service::Enabled,
        (false, Service::Enabled) => *service = Service::Disabled(Some(clock)),
        (false, Service::Disabled(_)) => {}
    }
}

/// Takes over the second in which the gateway says that it was disabled.
fn stamp(service: &mut Service, answer: &Value) -> Result<(), String> {
    match (&mut *service, answer["disabled_at"].as_u64()) {
        (Service::Enabled, None) => Ok(()),
        (Service::Disabled(Some(at)), Some(stamp)) if stamp.abs_diff(*at) <= 30 => {
            *at = stamp;
            Ok(())
        }
        (service, stamp) => Err(format!("it is {service:?}, and its disabled_at is {stamp:?}")),
    }
}
