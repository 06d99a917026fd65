//! Endpoints that answer, fail, refuse, hang and close as they are told.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::kind::ISSUED;

/// The way in which an endpoint treats a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Answers,
    /// It answers with a 500, which is an answer like any other.
    Fails,
    /// It answers with the head and half of the body, and closes the connection.
    Halves,
    /// It closes the connection after the request.
    Closes,
    /// It never answers.
    Hangs,
    /// It takes no connection.
    Refuses,
}

/// The time in which the gateway has to close a connection that its endpoint has closed.
const NOTICED: Duration = Duration::from_secs(10);

pub struct Endpoint {
    pub name: &'static str,
    pub address: SocketAddr,
    /// Bound to the port and never listening, so that the port is not another program's while the
    /// endpoint refuses.
    _holder: TcpSocket,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    name: &'static str,
    way: Mutex<Way>,
    /// The connections since the last cut: each holds a receiver, and is cut by a message.
    uncut: Mutex<watch::Sender<()>>,
    open: AtomicUsize,
    broken: Mutex<Option<String>>,
}

impl Endpoint {
    pub fn start(name: &'static str) -> Result<Self, String> {
        let failed = |error| format!("the endpoint {name} cannot be started: {error}");
        let holder = bound((Ipv4Addr::LOCALHOST, 0).into()).map_err(failed)?;
        let address = holder.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            name,
            way: Mutex::new(Way::Answers),
            uncut: Mutex::default(),
            open: AtomicUsize::new(0),
            broken: Mutex::new(None),
        });
        let endpoint = Self { name, address, _holder: holder, shared, listening: Mutex::new(None) };
        endpoint.listen()?;
        Ok(endpoint)
    }

    /// Changes the way. When this returns, the new way alone counts.
    pub async fn set(&self, way: Way) -> Result<(), String> {
        let before = std::mem::replace(&mut *lock(&self.shared.way), way);
        if way == Way::Refuses {
            let listening = lock(&self.listening).take();
            if let Some(listening) = listening {
                listening.abort();
                // An error says that it was aborted.
                let _ = listening.await;
            }
            self.cut().await?;
        } else if before == Way::Refuses {
            self.listen()?;
        }
        Ok(())
    }

    /// Closes all connections, and waits until the gateway has closed its ends: from then on it
    /// sends no request over one of them.
    pub async fn cut(&self) -> Result<(), String> {
        let cut = std::mem::take(&mut *lock(&self.shared.uncut));
        cut.send_replace(());
        timeout(NOTICED, cut.closed())
            .await
            .map_err(|_| format!("the gateway keeps a connection that {} has closed", self.name))
    }

    /// Returns the number of connections.
    pub fn connections(&self) -> usize {
        self.shared.open.load(SeqCst)
    }

    /// Returns a request that no endpoint may get, if one came.
    pub fn broken(&self) -> Option<String> {
        lock(&self.shared.broken).take()
    }

    fn listen(&self) -> Result<(), String> {
        let failed = |error| format!("the endpoint {} cannot listen: {error}", self.name);
        let listener =
            bound(self.address).and_then(|socket| socket.listen(1_024)).map_err(failed)?;
        let shared = self.shared.clone();
        *lock(&self.listening) = Some(tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    shared.open.fetch_add(1, SeqCst);
                    let cut = lock(&shared.uncut).subscribe();
                    tokio::spawn(serve(shared.clone(), stream, cut));
                }
            }
        }));
        Ok(())
    }
}

async fn serve(shared: Arc<Shared>, mut stream: TcpStream, mut cut: watch::Receiver<()>) {
    tokio::select! {
        // An error of the connection concerns the gateway, whose client then tells.
        _ = converse(&shared, &mut stream) => {}
        _ = cut.changed() => {}
    }
    let _ = stream.shutdown().await;
    let _ = timeout(NOTICED * 2, until_closed(&mut stream)).await;
    drop(stream);
    shared.open.fetch_sub(1, SeqCst);
}

async fn until_closed(stream: &mut TcpStream) {
    let mut rest = [0; 1_024];
    while stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
}

/// Serves the requests of a connection until one side ends it.
async fn converse(shared: &Shared, stream: &mut TcpStream) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Some((head, body)) = request(stream, &mut bytes).await? else { return Ok(()) };
        shared.inspect(&head);
        let way = *lock(&shared.way);
        let (name, text) = (shared.name, format!("{} {body}", shared.name));
        let status = if way == Way::Fails { "500 Internal Server Error" } else { "200 OK" };
        let head = format!(
            "HTTP/1.1 {status}\r\nX-Served-By: {name}\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        match way {
            Way::Answers | Way::Fails => {
                stream.write_all(format!("{head}{text}").as_bytes()).await?;
            }
            Way::Halves => {
                let half = text.get(..text.len() / 2).unwrap_or_default();
                return stream.write_all(format!("{head}{half}").as_bytes()).await;
            }
            // Refuses: the connection is from before, and would be cut next.
            Way::Closes | Way::Refuses => return Ok(()),
            Way::Hangs => {
                until_closed(stream).await;
                return Ok(());
            }
        }
    }
}

/// Reads a request: its head, and the length of its body. `None` at the end of the connection.
async fn request(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
) -> std::io::Result<Option<(String, usize)>> {
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let body = length.and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
    while bytes.len() < end + body {
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
    bytes.drain(..end + body);
    Ok(Some((head, body)))
}

impl Shared {
    /// An endpoint gets no token of the gateway's, and the client's other cookie.
    fn inspect(&self, head: &str) {
        let is_token = |line: &str| line.contains("__cflb=") || line.starts_with(ISSUED);
        if head.lines().any(is_token) || !head.lines().any(|line| line == "cookie: theme=dark") {
            let request = format!("the endpoint {} got this request:\n{head}", self.name);
            lock(&self.broken).get_or_insert(request);
        }
    }
}

fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
