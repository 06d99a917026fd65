//! One session: shown, ended, pinned to another endpoint. A token is worth a session to anyone who has
//! it, so no answer and no error repeats one.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use session_affinity::carrier::Carrier;
use session_affinity::limits::Ttl;
use session_affinity::policy::{Claim, Life};
use session_affinity::pools::EndpointView;
use session_affinity::store::{
    AsyncSessionStore, Lookup, Record, SessionKey, StoreWrite, WriteKind,
};
use session_affinity::{Affinity, EndpointId, Health, Pools, RequestMeta, Scheme, UnixTime};

use super::Answer;
use super::refusal::{Refusal, bad, conflict, unknown_origin, unreachable};
use crate::control::Control;
use crate::json::{self, some, some_object};
use crate::proxy::Gateway;
use crate::upstream::Upstream;

/// The part of a request that tells its session: the body of `POST /sessions/find`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bearer {
    #[serde(default, deserialize_with = "some")]
    cookie: Option<String>,
    #[serde(default, deserialize_with = "some_object")]
    headers: Option<Fields>,
}

/// The fields of a request: a value each, or several.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Fields(Map<String, Value>);

/// The endpoint to pin a session to: the body of `PATCH /sessions/{key}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    pool: String,
    origin: String,
}

/// Shows the session of a request.
pub(super) async fn find(control: &Control, bearer: Bearer) -> Answer {
    let gateway = &control.gateway;
    let (affinity, now) = (gateway.affinity.load_full(), gateway.clock.now());
    let headers = bearer.headers(&affinity)?;
    let visit = affinity.recall(&RequestMeta::new(&headers, Scheme::Https), now);
    match (visit.claim(), visit.lookup()) {
        (Claim::Carried(pin), _) => {
            Ok(shown(gateway, None, pin.endpoint, Some(pin.issued), Some(pin.expires)))
        }
        (Claim::Foreign(endpoint), _) => Ok(shown(gateway, None, endpoint, None, None)),
        (Claim::Stored(_), Some(lookup)) => stored(gateway, lookup).await,
        (Claim::New(Some(reason)), _) => Err(no_session(&reason.to_string())),
        (Claim::New(None), _) => Err(no_session("such a request carries none")),
        (Claim::Stored(_) | Claim::Unbound, _) => Err(no_session("such a request can have none")),
    }
}

/// Shows a session of the store.
pub(super) async fn show(control: &Control, key: &str) -> Answer {
    let gateway = &control.gateway;
    let lookup = lookup(&gateway.affinity.load(), key, gateway.clock.now())?;
    stored(gateway, lookup).await
}

/// Pins a session of the store to another endpoint, as if it began there now.
pub(super) async fn place(control: &Control, key: &str, place: Place) -> Answer {
    let gateway = &control.gateway;
    let lookup = lookup(&gateway.affinity.load(), key, gateway.clock.now())?;
    let Lookup { key, ttl, now } = lookup;
    place.keeping(&gateway.pools.load())?;
    existing(gateway, lookup).await?;
    // Until it is used, no request tells the endpoint's census of the session. It is noted before it is
    // there, and before the last look at the endpoint, which may have been disabled while the store
    // answered: a drain that begins after that look knows of it.
    place.keeping(&gateway.pools.load())?.note_session(now, now.saturating_add(ttl.get()));
    let id = place.keeping(&gateway.pools.load())?.id();
    save(gateway, StoreWrite { key, ttl, now, kind: WriteKind::Replace(id) }).await?;
    stored(gateway, lookup).await
}

impl Place {
    /// Returns the endpoint, where it would keep a session.
    fn keeping<'p>(
        &self,
        pools: &'p Pools<Arc<Upstream>>,
    ) -> Result<EndpointView<'p, Arc<Upstream>>, Refusal> {
        let Self { pool, origin } = self;
        let endpoint = pools.endpoint(EndpointId::new(pool, origin));
        let endpoint = endpoint.ok_or_else(|| unknown_origin(pool, origin))?;
        // On a draining endpoint a session would begin after the drain did.
        let is_in_service = endpoint.state().is_enabled() && endpoint.pool().state().is_enabled();
        if !is_in_service || endpoint.health() == Health::Unhealthy {
            return Err(conflict(format!(
                "the origin {origin:?} in the pool {pool:?} is disabled or unhealthy, and would not keep the session"
            )));
        }
        Ok(endpoint)
    }
}

/// Ends a session of the store.
pub(super) async fn end(control: &Control, key: &str) -> Answer {
    let gateway = &control.gateway;
    let lookup = lookup(&gateway.affinity.load(), key, gateway.clock.now())?;
    existing(gateway, lookup).await?;
    let Lookup { key, ttl, now } = lookup;
    save(gateway, StoreWrite { key, ttl, now, kind: WriteKind::Remove }).await?;
    Ok(json!({ "key": key.to_string(), "ended": true }))
}

impl Bearer {
    const EXPECTED: &str = "expected either cookie, as text, or headers, as an object";

    /// Reads the body of a call. An error repeats nothing of it: a token may stand there as a name too.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        json::secret_object(body, Self::EXPECTED).map_err(bad)
    }

    /// Makes the headers of the request. An error names a field and never its value.
    fn headers(&self, affinity: &Affinity) -> Result<HeaderMap, Refusal> {
        let mut headers = HeaderMap::new();
        let mut add = |name: HeaderName, value: &str| {
            let value = HeaderValue::from_str(value);
            let value =
                value.map_err(|_| bad(format!("{name}: expected the value of a header")))?;
            headers.append(name, value);
            Ok(())
        };
        match (&self.cookie, &self.headers) {
            (Some(cookie), None) => {
                // The policy `header` has the name of a cookie too, to strip it.
                let (Life::Absolute(_), Some(Carrier::Cookie(name))) =
                    (affinity.life(), affinity.carrier())
                else {
                    return Err(bad("cookie: sessions have no cookie here; expected headers"));
                };
                let named = format!("{}=", name.as_str());
                let value = cookie.strip_prefix(&named).unwrap_or(cookie);
                add(COOKIE, &format!("{named}{value}"))?;
            }
            (None, Some(Fields(fields))) => {
                for (name, values) in fields {
                    let field = HeaderName::from_bytes(name.as_bytes());
                    let field = field.map_err(|_| bad("headers: expected the names of headers"))?;
                    let values = match values {
                        Value::Array(values) => values.as_slice(),
                        value => std::slice::from_ref(value),
                    };
                    for value in values {
                        let expected = || bad(format!("headers.{field}: expected text, or a list"));
                        add(field.clone(), value.as_str().ok_or_else(expected)?)?;
                    }
                }
            }
            _ => return Err(bad(Self::EXPECTED)),
        }
        Ok(headers)
    }
}

/// Returns the question for a session of the store, if this gateway's sessions are there.
fn lookup(affinity: &Affinity, key: &str, now: UnixTime) -> Result<Lookup, Refusal> {
    let ttl = match affinity.life() {
        Life::Idle(ttl) => ttl,
        Life::Unknown => Ttl::MAX,
        Life::Absolute(_) => return Err(carried(affinity.carrier())),
        Life::Sessionless => return Err(conflict("this gateway keeps no sessions")),
    };
    // The error of the crate repeats the text.
    let key: SessionKey =
        key.parse().map_err(|_| bad("the key of a session: expected 32 hexadecimal digits"))?;
    Ok(Lookup { key, ttl, now })
}

fn carried(carrier: Option<&Carrier>) -> Refusal {
    let carrier = match carrier {
        Some(Carrier::Header(_)) => "header",
        _ => "cookie",
    };
    conflict(format!(
        "sessions live in a {carrier} of the client here, and no gateway can change one: \
         POST /sessions/find shows it; to end it have the application remove it, to move it disable \
         its origin, and DELETE /keys/{{id}} ends all of one key"
    ))
}

/// Shows the session that a lookup asks for.
async fn stored(gateway: &Gateway, lookup: Lookup) -> Answer {
    match existing(gateway, lookup).await? {
        Record::Found { endpoint, issued } => {
            let memory = gateway.store.memory();
            let end = memory.and_then(|memory| memory.session(lookup.key, lookup.now));
            let end = end.map(|session| session.end);
            Ok(shown(gateway, Some(lookup.key), endpoint, Some(issued), end))
        }
        _ => Err(conflict("the record of this session cannot be read; PATCH or DELETE it")),
    }
}

/// Returns the record that a lookup asks for, readable or not.
async fn existing(gateway: &Gateway, lookup: Lookup) -> Result<Record, Refusal> {
    match gateway.store.record(Some(lookup)).await {
        Record::Absent => Err(no_session("the store has none of this key")),
        Record::Unreachable => Err(unreachable("the store did not answer")),
        record => Ok(record),
    }
}

/// Carries out a write and waits for it.
async fn save(gateway: &Gateway, write: StoreWrite) -> Result<(), Refusal> {
    #[cfg(feature = "redis")]
    if let Some(redis) = gateway.store.redis() {
        return redis.save(&write).await.map_err(|error| unreachable(error.to_string()));
    }
    gateway.store.commit(Some(write)).await;
    Ok(())
}

fn shown(
    gateway: &Gateway,
    key: Option<SessionKey>,
    endpoint: EndpointId,
    issued: Option<UnixTime>,
    ends: Option<UnixTime>,
) -> Value {
    let pools = gateway.pools.load();
    let view = pools.endpoint(endpoint);
    json!({
        "key": key.map(|key| key.to_string()),
        "endpoint": endpoint.to_string(),
        "pool": view.map(|view| view.pool().name()),
        "origin": view.map(|view| view.name()),
        "issued": issued.map(|time| time.as_secs()),
        "ends": ends.map(|time| time.as_secs()),
    })
}

fn no_session(why: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("there is no session: {why}"))
}
