//! A plain server that says its name, and the cookies that it sees.

use std::io::{Read as _, Result, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use http::header::COOKIE;
use http::{HeaderMap, Response};

use crate::client::{PATIENCE, exchange};

/// A server on a port of its own, for as long as the tests run.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    pub(crate) address: String,
}

impl Backend {
    /// A server that sets this cookie for a client without it; `#` stands for a number, `@` for the
    /// name of the server.
    pub(crate) fn start(name: &'static str, set_cookie: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let sessions = Arc::new(AtomicU32::new(0));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let sessions = sessions.clone();
                thread::spawn(move || answer(stream?, name, set_cookie, &sessions));
            }
        });
        Self { name, address }
    }

    /// Sends a request with the cookies among these headers.
    pub(crate) fn ask(&self, headers: &HeaderMap) -> Result<Response<String>> {
        exchange(TcpStream::connect(&self.address)?, headers)
    }
}

/// Answers one request, and closes the connection.
fn answer(mut stream: TcpStream, name: &str, set_cookie: &str, sessions: &AtomicU32) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let field = |line: &str| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(COOKIE.as_str()).then(|| value.trim().to_owned())
    };
    let cookies = head.lines().filter_map(field).collect::<Vec<_>>().join("; ");
    let body = format!("{name}\n{cookies}\n");
    let cookie = set_cookie.split('=').next().filter(|cookie| !cookie.is_empty());
    let set = match cookie {
        Some(cookie) if !cookies.contains(&format!("{cookie}=")) => {
            let number = sessions.fetch_add(1, Ordering::Relaxed);
            let value = set_cookie.replace('#', &number.to_string()).replace('@', name);
            format!("Set-Cookie: {value}; Path=/\r\n")
        }
        _ => String::new(),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n{set}\r\n{body}"
    )
}

/// The name and the cookies that a server's answer states.
pub(crate) fn read(body: &str) -> (String, String) {
    let (name, cookies) = body.split_once('\n').expect("two lines");
    (name.to_owned(), cookies.trim_end().to_owned())
}
