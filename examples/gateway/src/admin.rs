//! The admin listener: shows the state of the gateway, and changes it while it runs.

use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use session_affinity::EndpointId;

use crate::changes::{OriginChange, PoolChange};
use crate::control::Control;
use crate::json::{self, Whole};
use crate::keys::Refused;
use crate::metrics;
use crate::paced::Paced;
use crate::state;

/// A call that is refused and has changed nothing.
struct Refusal {
    status: StatusCode,
    error: String,
    allow: Option<&'static str>,
}

type Answer = Result<Value, Refusal>;

/// The content of an answer.
enum Content {
    Json(Value),
    Metrics(String),
}

/// The length of the longest body that is read, in bytes. Valid ones are far shorter.
const LONGEST_BODY: usize = 64 * 1024;

pub(crate) async fn answer(control: &Control, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, allow, content) = match call(control, request).await {
        Ok(content) => (StatusCode::OK, None, content),
        Err(Refusal { status, error, allow }) => {
            (status, allow, Content::Json(json!({ "error": error })))
        }
    };
    let (kind, body) = match content {
        Content::Json(value) => ("application/json", format!("{value}\n")),
        Content::Metrics(text) => (metrics::CONTENT_TYPE, text),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(allow) = allow {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    }
    response
}

async fn call(control: &Control, request: Request<Incoming>) -> Result<Content, Refusal> {
    let (head, body) = request.into_parts();
    if is_from_a_page(&head.headers) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "web pages are not answered"));
    }
    if !is_for_this_machine(&head) {
        let expected = "only requests whose Host is an IP address or localhost are answered";
        return Err(Refusal::new(StatusCode::FORBIDDEN, expected));
    }
    let path = decoded(head.uri.path()).ok_or_else(not_found)?;
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let allowed = match path.as_slice() {
        ["state"] | ["metrics"] | ["drain" | "census", _, _] => "GET, HEAD",
        ["pools", _] | ["pools", _, "origins", _] => "PATCH",
        ["clock"] => "PUT",
        ["keys"] => "POST",
        ["keys", _] => "DELETE",
        _ => return Err(not_found()),
    };
    if !allowed.split(", ").any(|method| head.method == method) {
        let error = format!("{} is not allowed here; expected {allowed}", head.method);
        return Err(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            error,
            allow: Some(allowed),
        });
    }
    let value = match path.as_slice() {
        ["metrics"] => return scrape(control),
        ["state"] => state::gateway(&control.gateway),
        ["drain", pool, name] => drain(control, pool, name)?,
        ["census", pool, name] => census(control, pool, name)?,
        ["pools", pool] => change_pool(control, pool, body).await?,
        ["pools", pool, "origins", name] => change_origin(control, pool, name, body).await?,
        ["clock"] => set_clock(control, body).await?,
        ["keys"] => {
            let key = read(control, body).await?;
            state::keys(&control.add_key(key).map_err(refused)?)
        }
        ["keys", id] if head.method == Method::DELETE => {
            let id = key_id(id).ok_or_else(not_found)?;
            state::keys(&control.remove_key(id).map_err(refused)?)
        }
        _ => return Err(not_found()),
    };
    Ok(Content::Json(value))
}

/// Returns whether a web page sent the request. Any page in a browser that can reach this listener
/// could otherwise call it, and send it a key.
fn is_from_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.get("sec-fetch-site").is_some_and(|site| site != "none")
}

/// Returns whether the request names this machine by an address or as `localhost`. A web page whose
/// own name was made to point here (DNS rebinding) sends that name.
fn is_for_this_machine(head: &Parts) -> bool {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    let named = [host.as_ref(), head.uri.authority()];
    host.is_some() && named.into_iter().flatten().all(is_local)
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let has_user = authority.as_str().contains('@');
    !has_user && (host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok())
}

fn scrape(control: &Control) -> Result<Content, Refusal> {
    let text = metrics::scrape(&control.gateway);
    text.map(Content::Metrics)
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn drain(control: &Control, pool: &str, name: &str) -> Answer {
    let (affinity, pools) = (control.gateway.affinity.load_full(), control.gateway.pools.load());
    let id = EndpointId::new(pool, name);
    let endpoint = pools.endpoint(id).ok_or_else(|| unknown_origin(pool, name))?;
    let drain = affinity.drain(endpoint, endpoint.census(), control.gateway.clock.now());
    Ok(state::drain(&drain))
}

/// Returns what this gateway has seen of an endpoint's sessions, for an operator who merges it with
/// the censuses of the other gateways.
fn census(control: &Control, pool: &str, name: &str) -> Answer {
    let pools = control.gateway.pools.load();
    let endpoint = pools.endpoint(EndpointId::new(pool, name));
    Ok(json!(endpoint.ok_or_else(|| unknown_origin(pool, name))?.census()))
}

async fn change_pool(control: &Control, pool: &str, body: Incoming) -> Answer {
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, format!("there is no pool {pool:?}"));
    control.gateway.pools.load().pool(pool).ok_or_else(unknown)?;
    let change: PoolChange = read(control, body).await?;
    if change.is_empty() {
        return Err(bad(PoolChange::EXPECTED));
    }
    let now = control.gateway.clock.now();
    let changed = control.gateway.pools.update(|pools| change.apply(pools, pool, now));
    let pools = changed.map_err(|_| unknown())?;
    pools.pool(pool).map(state::pool).ok_or_else(unknown)
}

async fn change_origin(control: &Control, pool: &str, name: &str, body: Incoming) -> Answer {
    let unknown = || unknown_origin(pool, name);
    let id = EndpointId::new(pool, name);
    control.gateway.pools.load().target(id).ok_or_else(unknown)?;
    let change: OriginChange = read(control, body).await?;
    if change.is_empty() {
        return Err(bad(OriginChange::EXPECTED));
    }
    let now = control.gateway.clock.now();
    let changed = control.gateway.pools.update(|pools| change.apply(pools, id, now));
    let pools = changed.map_err(|_| unknown())?;
    pools.endpoint(id).map(state::origin).ok_or_else(unknown)
}

async fn set_clock(control: &Control, body: Incoming) -> Answer {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Offset {
        offset_seconds: Whole,
    }
    let Offset { offset_seconds } = read(control, body).await?;
    control.set_clock(offset_seconds);
    Ok(state::clock(&control.gateway))
}

/// Reads the whole body as an object of JSON.
async fn read<T: DeserializeOwned>(control: &Control, body: Incoming) -> Result<T, Refusal> {
    let body = Paced::new(body, control.gateway.limits.body_idle);
    let body = Limited::new(body, LONGEST_BODY).collect().await;
    let body = body.map_err(|error| bad(format!("the body could not be read: {error}")))?;
    json::object(&body.to_bytes()).map_err(bad)
}

/// Returns the segments of a path, percent-decoded one by one, so that a name may contain a slash.
/// `None` for a path that is not UTF-8 or has a `%` without two hexadecimal digits.
fn decoded(path: &str) -> Option<Vec<String>> {
    path.strip_prefix('/')?.split('/').map(decoded_segment).collect()
}

fn decoded_segment(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

/// Reads the id of a key in its shortest notation: neither `+1` nor `01`.
fn key_id(text: &str) -> Option<u8> {
    text.parse().ok().filter(|id: &u8| id.to_string() == text)
}

fn refused(refused: Refused) -> Refusal {
    match refused {
        Refused::Unknown => Refusal::new(StatusCode::NOT_FOUND, "there is no key of this id"),
        Refused::Conflict(why) => Refusal::new(StatusCode::CONFLICT, why),
    }
}

fn bad(error: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, error)
}

fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is nothing here")
}

fn unknown_origin(pool: &str, name: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("there is no origin {name:?} in a pool {pool:?}"))
}

impl Refusal {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), allow: None }
    }
}
