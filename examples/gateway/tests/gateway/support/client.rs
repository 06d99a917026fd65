//! A client of few words: one that says what it is told to, and one that keeps cookies.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::DEADLINE;
use super::wire::{Framing, Head};

#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

pub(crate) fn request(method: &str, target: &str) -> Request {
    Request { method: method.into(), target: target.into(), fields: Vec::new(), body: None }
}

pub(crate) fn get(target: &str) -> Request {
    request("GET", target)
}

pub(crate) fn post(target: &str, body: impl Into<Vec<u8>>) -> Request {
    request("POST", target).body(body)
}

impl Request {
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.into(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut field = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        if !self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            field("Host", b"shop.example.com");
        }
        for (name, value) in &self.fields {
            field(name, value);
        }
        if let Some(body) = &self.body {
            field("Content-Length", body.len().to_string().as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The name of the endpoint that has answered.
    #[track_caller]
    pub(crate) fn served_by(&self) -> String {
        self.head.get("x-served-by").unwrap_or_else(|| panic!("no endpoint has answered: {self:?}"))
    }

    /// What the gateway says has become of the request.
    #[track_caller]
    pub(crate) fn outcome(&self) -> String {
        self.head.get("x-affinity-outcome").unwrap_or_else(|| panic!("no outcome: {self:?}"))
    }

    /// The affinity cookie's Set-Cookie line.
    pub(crate) fn set_cookie(&self) -> Option<String> {
        let mut lines =
            self.head.all("set-cookie").into_iter().filter(|line| line.starts_with("__cflb="));
        let line = lines.next();
        assert!(lines.next().is_none(), "two affinity cookies: {self:?}");
        line
    }

    /// The affinity cookie as the next request carries it: `name=value`.
    #[track_caller]
    pub(crate) fn cookie(&self) -> String {
        let line = self.set_cookie().unwrap_or_else(|| panic!("no cookie: {self:?}"));
        line.split(';').next().unwrap_or_default().into()
    }

    /// The 36 bytes of the token in the cookie.
    #[track_caller]
    pub(crate) fn token(&self) -> [u8; 36] {
        token_bytes(&self.cookie())
    }

    #[track_caller]
    pub(crate) fn assert_ok(&self) {
        assert_eq!(self.status, 200, "{self:?}");
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The 36 bytes of the token in `__cflb=…`.
#[track_caller]
fn token_bytes(cookie: &str) -> [u8; 36] {
    let (_, value) = cookie.split_once('=').expect("a name and a value");
    URL_SAFE_NO_PAD.decode(value).expect("base64url").try_into().expect("36 bytes")
}

/// One connection, on which anything can be written and responses are read.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    #[track_caller]
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::try_open(address).expect("a connection")
    }

    pub(crate) fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Writes these bytes. That the other side has gone is seen when reading.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.get_mut().write_all(bytes.as_ref());
    }

    pub(crate) fn send(&mut self, request: &Request) {
        self.write(request.bytes());
    }

    /// Says that nothing more will be written.
    pub(crate) fn finish_writing(&mut self) {
        let _ = self.stream.get_mut().shutdown(Shutdown::Write);
    }

    /// The next head, 1xx ones included.
    pub(crate) fn head(&mut self) -> io::Result<Head> {
        Head::read(&mut self.stream)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The next response. The error says that it is not whole.
    pub(crate) fn try_response(&mut self, to_head: bool) -> io::Result<Response> {
        let head = self.head()?;
        let status = status(&head);
        let mut body = Vec::new();
        Framing::of_response(&head, status, to_head)
            .read(&mut self.stream, |piece| body.extend_from_slice(piece))?;
        Ok(Response { status, head, body })
    }

    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        self.try_response(false).expect("a whole response")
    }

    #[track_caller]
    pub(crate) fn exchange(&mut self, request: &Request) -> Response {
        self.send(request);
        let response = self.try_response(request.method == "HEAD");
        response.unwrap_or_else(|error| panic!("no whole response to {request:?}: {error}"))
    }

    /// This many bytes.
    #[track_caller]
    pub(crate) fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).expect("as many bytes");
        bytes
    }

    /// Whether nothing comes for this time.
    pub(crate) fn is_silent(&mut self, time: Duration) -> bool {
        self.stream.get_ref().set_read_timeout(Some(time)).expect("a time");
        let came = self.stream.fill_buf().map(<[u8]>::len);
        self.stream.get_ref().set_read_timeout(Some(DEADLINE)).expect("a time");
        came.is_err_and(|error| {
            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        })
    }

    /// The same connection, for a thread that writes while another one reads.
    #[track_caller]
    pub(crate) fn writer(&self) -> TcpStream {
        self.stream.get_ref().try_clone().expect("a clone")
    }

    /// Whatever comes until the other side closes.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => {
                panic!("it is not closed: {error}")
            }
            _ => bytes,
        }
    }
}

fn status(head: &Head) -> u16 {
    head.start.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// A client with a cookie jar.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    address: SocketAddr,
    jar: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, jar: Vec::new() }
    }

    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.send(get(target))
    }

    #[track_caller]
    pub(crate) fn send(&mut self, mut request: Request) -> Response {
        if !self.jar.is_empty() {
            request = request.with("Cookie", self.cookies());
        }
        let response = Connection::open(self.address).exchange(&request);
        for line in response.head.all("set-cookie") {
            let pair = line.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a name and a value");
            self.jar.retain(|(known, _)| known != name);
            self.jar.push((name.into(), value.into()));
        }
        response
    }

    /// What it sends as its Cookie field.
    pub(crate) fn cookies(&self) -> String {
        self.jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }
}
