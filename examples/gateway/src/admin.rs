//! The admin listener: shows the state of the gateway, and changes it while it runs.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::control::Control;
use crate::json::{self, Whole};
use crate::metrics;
use crate::paced::Paced;
use crate::state;

mod caller;
mod drains;
mod path;
mod places;
mod refusal;
mod sessions;

use caller::{is_for_this_machine, is_from_a_page};
use path::{decoded, key_id};
use refusal::{Refusal, bad, not_found, refused};
use sessions::Bearer;

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
        ["keys"] | ["sessions", "find"] => "POST",
        ["sessions", _] => "GET, HEAD, PATCH, DELETE",
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
        ["drain", pool, name] => drains::drain(control, pool, name).await?,
        ["census", pool, name] => drains::census(control, pool, name)?,
        ["pools", pool] => places::change_pool(control, pool, body).await?,
        ["pools", pool, "origins", name] => {
            places::change_origin(control, pool, name, body).await?
        }
        ["clock"] => set_clock(control, body).await?,
        ["keys"] => {
            let key = read(control, body).await?;
            state::keys(&control.add_key(key).map_err(refused)?)
        }
        ["keys", id] if head.method == Method::DELETE => {
            let id = key_id(id).ok_or_else(not_found)?;
            state::keys(&control.remove_key(id).map_err(refused)?)
        }
        ["sessions", "find"] => {
            let bearer = Bearer::read(&whole(control, body).await?)?;
            sessions::find(control, bearer).await?
        }
        ["sessions", key] => match head.method {
            Method::PATCH => {
                let place = read(control, body).await?;
                sessions::place(control, key, place).await?
            }
            Method::DELETE => sessions::end(control, key).await?,
            _ => sessions::show(control, key).await?,
        },
        _ => return Err(not_found()),
    };
    Ok(Content::Json(value))
}

fn scrape(control: &Control) -> Result<Content, Refusal> {
    let text = metrics::scrape(&control.gateway);
    text.map(Content::Metrics)
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn set_clock(control: &Control, body: Incoming) -> Answer {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Offset {
        offset_seconds: Whole,
    }
    let Offset { offset_seconds } = read(control, body).await?;
    control.set_clock(offset_seconds);
    control.tell_the_fleet();
    Ok(state::clock(&control.gateway))
}

/// Reads the whole body as an object of JSON.
async fn read<T: DeserializeOwned>(control: &Control, body: Incoming) -> Result<T, Refusal> {
    json::object(&whole(control, body).await?).map_err(bad)
}

/// Reads the whole body.
async fn whole(control: &Control, body: Incoming) -> Result<Bytes, Refusal> {
    let body = Paced::new(body, control.gateway.limits.body_idle);
    let body = Limited::new(body, LONGEST_BODY).collect().await;
    let body = body.map_err(|error| bad(format!("the body could not be read: {error}")))?;
    Ok(body.to_bytes())
}
