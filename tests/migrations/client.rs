//! A client with a cookie jar, and one request of it over a stream.

use std::collections::BTreeMap;
use std::io::{Error, Read, Result, Write};
use std::time::Duration;

use http::header::{COOKIE, HeaderName, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response};

/// No wait is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// A browser of one host, as far as cookies go.
#[derive(Debug, Default)]
pub(crate) struct Client {
    jar: BTreeMap<String, String>,
    /// The application's own cookie as the application has set it, without what a proxy put there.
    pub(crate) application: Option<String>,
}

impl Client {
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.jar.get(name).cloned()
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let pairs: Vec<_> =
            self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let line = HeaderValue::try_from(pairs.join("; ")).unwrap();
        let lines = (!pairs.is_empty()).then_some((COOKIE, line));
        lines.into_iter().collect()
    }

    /// Keeps the cookies of a response, and drops those that it takes back.
    pub(crate) fn keep(&mut self, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                assert!(line.contains("; Path=/;"), "{line}");
                self.jar.remove(name);
                continue;
            }
            self.jar.insert(name.into(), value.into());
            if let Some((_, own)) = value.split_once("~app-") {
                self.application = Some(format!("{name}=app-{own}"));
            }
        }
    }
}

/// Sends a request with the cookies among these headers, and reads the response to its end.
pub(crate) fn exchange(
    mut stream: impl Read + Write,
    headers: &HeaderMap,
) -> Result<Response<String>> {
    let mut head = "GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n".to_owned();
    for line in headers.get_all(COOKIE) {
        head += &format!("Cookie: {}\r\n", line.to_str().map_err(Error::other)?);
    }
    write!(stream, "{head}\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(Error::other(answer.clone()))?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let mut response = Response::new(body.to_owned());
    *response.status_mut() = status.parse().map_err(Error::other)?;
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name = HeaderName::try_from(name).map_err(Error::other)?;
        let value = HeaderValue::from_str(value).map_err(Error::other)?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}
