//! Endpoints: small servers that do as they are told and remember what they were asked.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::TcpSocket;

use super::wire::{Framing, Head};
use super::{DEADLINE, wait_until};

/// How an endpoint answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// 200 with its name, on a connection that stays open.
    Name,
    /// 200 with its name, on a connection that is closed after it.
    NameAndClose,
    /// As `Name`, once the gate is open.
    Gated(Arc<Gate>),
    /// These bytes, on a connection that stays open.
    Bytes(Vec<u8>),
    /// These bytes, after which it breaks off.
    BytesAndClose(Vec<u8>),
    /// These bytes, after which it resets the connection. Only connections made from now on do.
    BytesAndReset(Vec<u8>),
    /// These bytes as soon as the head has come; the body is read after them.
    AtOnce(Vec<u8>),
    /// 101, and then whatever comes is sent back. `bye` closes the tunnel.
    Echo,
}

/// Something to wait for.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn open(&self) {
        *lock(&self.is_open) = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        // Longer than any test waits: a gate that stays shut must not open by itself.
        let _ =
            self.opened.wait_timeout_while(lock(&self.is_open), DEADLINE * 2, |is_open| !*is_open);
    }
}

/// A request that an endpoint was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) head: Head,
    /// As much of the body as has come.
    pub(crate) body: Vec<u8>,
    pub(crate) is_whole: bool,
}

/// A server on a port of its own, which no one else gets while it refuses connections.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<Listening>>,
    /// Bound to the port, and never listening.
    _reserved: Option<TcpSocket>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    answer: Mutex<Answer>,
    seen: Mutex<Vec<Seen>>,
    streams: Mutex<Vec<TcpStream>>,
    connections: AtomicUsize,
    open: AtomicUsize,
}

#[derive(Debug)]
struct Listening {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Endpoint {
    pub(crate) fn start(name: &str) -> Self {
        let (reserved, listener) = bind();
        let endpoint = Self {
            name: name.into(),
            address: listener.local_addr().expect("an address"),
            shared: Arc::new(Shared {
                name: name.into(),
                answer: Mutex::new(Answer::Name),
                seen: Mutex::default(),
                streams: Mutex::default(),
                connections: AtomicUsize::new(0),
                open: AtomicUsize::new(0),
            }),
            listening: Mutex::new(None),
            _reserved: reserved,
        };
        endpoint.listen(listener);
        endpoint
    }

    fn listen(&self, listener: TcpListener) {
        let (stop, shared) = (Arc::new(AtomicBool::new(false)), Arc::clone(&self.shared));
        let until = Arc::clone(&stop);
        let thread = thread::spawn(move || accept(&listener, &shared, &until));
        *lock(&self.listening) = Some(Listening { stop, thread });
    }

    /// From now on it answers like this.
    pub(crate) fn answers(&self, answer: Answer) {
        *lock(&self.shared.answer) = answer;
    }

    /// It goes: its connections are closed and new ones refused.
    pub(crate) fn go_down(&self) {
        self.stop_listening();
        // A process that is just being started by another test holds the listener too, until it runs.
        wait_until("connections are refused", || {
            TcpStream::connect_timeout(&self.address, DEADLINE).is_err()
        });
        self.close_connections();
    }

    fn stop_listening(&self) {
        if let Some(Listening { stop, thread }) = lock(&self.listening).take() {
            stop.store(true, Ordering::SeqCst);
            let _ = TcpStream::connect_timeout(&self.address, DEADLINE);
            let _ = thread.join();
        }
    }

    /// It is back, on the same port.
    pub(crate) fn come_back(&self) {
        self.listen(bind_again(self.address));
    }

    /// Closes the connections that are open, and takes new ones. It waits until the other sides have closed
    /// them too: until then a request might still be sent over one.
    pub(crate) fn close_connections(&self) {
        for stream in lock(&self.shared.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Write);
        }
        wait_until("the ends of the connections", || self.shared.open.load(Ordering::SeqCst) == 0);
    }

    /// How many connections it has taken.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many requests it was sent.
    pub(crate) fn count(&self) -> usize {
        lock(&self.shared.seen).len()
    }

    /// All requests that it was sent.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// The last request that it was sent.
    #[track_caller]
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().unwrap_or_else(|| panic!("{} was asked nothing", self.name))
    }

    /// Waits until its last request is like this.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&Seen) -> bool) {
        wait_until(what, || lock(&self.shared.seen).last().is_some_and(&is_so));
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop_listening();
        for stream in lock(&self.shared.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A listener, and a socket that keeps its port for as long as it lives.
fn bind() -> (Option<TcpSocket>, TcpListener) {
    let reserve = || -> io::Result<(TcpSocket, TcpListener)> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = TcpListener::bind(socket.local_addr()?)?;
        Ok((socket, listener))
    };
    match reserve() {
        Ok((socket, listener)) => (Some(socket), listener),
        // Where two sockets can't share a port.
        Err(_) => (None, TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")),
    }
}

/// A listener on a port that had one until now. A process that another test is just starting holds
/// the old listener too, until it runs.
fn bind_again(address: SocketAddr) -> TcpListener {
    let mut listener = None;
    wait_until("its own port", || {
        listener = TcpListener::bind(address).ok();
        listener.is_some()
    });
    listener.expect("its own port")
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, stop: &AtomicBool) {
    while let Ok((stream, _)) = listener.accept() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        shared.connections.fetch_add(1, Ordering::SeqCst);
        shared.open.fetch_add(1, Ordering::SeqCst);
        let _ = stream.set_nodelay(true);
        lock(&shared.streams).extend(stream.try_clone());
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // How a connection ends concerns its other side.
            let answer = lock(&shared.answer).clone();
            let _ = match answer {
                Answer::BytesAndReset(bytes) => shared.reset(&stream, &bytes),
                _ => {
                    let _ = shared.converse(&stream);
                    stream.shutdown(Shutdown::Both)
                }
            };
            shared.forget(stream);
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

impl Shared {
    fn converse(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        while let Some(head) = Head::read(&mut reader)? {
            let index = self.note(head.clone());
            let answer = lock(&self.answer).clone();
            if let Answer::AtOnce(bytes) = &answer {
                stream.write_all(bytes)?;
            }
            Framing::of_request(&head)
                .read(&mut reader, |piece| self.seen()[index].body.extend_from_slice(piece))?;
            self.seen()[index].is_whole = true;
            match answer {
                Answer::Name => stream.write_all(&self.name_for(&head, ""))?,
                Answer::NameAndClose => {
                    return stream.write_all(&self.name_for(&head, "Connection: close\r\n"));
                }
                Answer::Gated(gate) => {
                    gate.wait();
                    stream.write_all(&self.name_for(&head, ""))?;
                }
                Answer::AtOnce(_) => {}
                Answer::Bytes(bytes) => stream.write_all(&bytes)?,
                Answer::BytesAndClose(bytes) | Answer::BytesAndReset(bytes) => {
                    return stream.write_all(&bytes);
                }
                Answer::Echo => return self.echo(stream, &mut reader),
            }
        }
        Ok(())
    }

    /// Answers a head and leaves it unread: a connection that is closed before all that has come was read is reset.
    fn reset(&self, mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
        let mut buffer = [0; 16_384];
        loop {
            let length = stream.peek(&mut buffer)?;
            if let Ok(Some(head)) = Head::read(&mut &buffer[..length]) {
                self.note(head);
                return stream.write_all(bytes);
            }
            if length == 0 || length == buffer.len() {
                return Ok(());
            }
            thread::yield_now();
        }
    }

    /// Closes it: the clone that is kept for `close_connections` would hold it open.
    fn forget(&self, stream: TcpStream) {
        let peer = stream.peer_addr().ok();
        lock(&self.streams)
            .retain(|other| other.peer_addr().is_ok_and(|other| Some(other) != peer));
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        lock(&self.seen)
    }

    fn note(&self, head: Head) -> usize {
        let mut seen = self.seen();
        seen.push(Seen { head, ..Seen::default() });
        seen.len() - 1
    }

    fn name_for(&self, head: &Head, field: &str) -> Vec<u8> {
        let (name, length) = (&self.name, self.name.len());
        let body = if head.start.starts_with("HEAD ") { "" } else { name };
        format!("HTTP/1.1 200 OK\r\nX-Served-By: {name}\r\nContent-Length: {length}\r\n{field}\r\n{body}").into_bytes()
    }

    fn echo(&self, mut stream: &TcpStream, reader: &mut impl Read) -> io::Result<()> {
        let name = &self.name;
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nX-Served-By: {name}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut buffer = [0; 4_096];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(()),
                length if buffer.starts_with(b"bye") => return stream.write_all(&buffer[..length]),
                length => stream.write_all(&buffer[..length])?,
            }
        }
    }
}

/// A port at which a connection is neither made nor refused: a listener that accepts nothing,
/// with a full queue.
#[derive(Debug)]
pub(crate) struct Silent {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Silent {
    /// `None` where a full queue does not keep connections waiting.
    pub(crate) fn start() -> Option<Self> {
        Self::at((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// At the port of an endpoint that is down.
    pub(crate) fn at(address: SocketAddr) -> Option<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let _guard = runtime.enter();
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        socket.bind(address).expect("a port");
        let listener =
            socket.listen(1).and_then(tokio::net::TcpListener::into_std).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mut queue = Vec::new();
        for _ in 0..64 {
            match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                Ok(stream) => queue.push(stream),
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    return Some(Self { address, _listener: listener, _queue: queue });
                }
                Err(_) => return None,
            }
        }
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
