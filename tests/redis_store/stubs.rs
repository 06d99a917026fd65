//! Servers that are not Redis: ports that refuse, hang, or answer as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use crate::client::runtime_of_one_thread;

/// The URL of a port that refuses connections.
pub(crate) fn refusing() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port())
}

/// The URL of a port that neither accepts nor refuses connections: a listener with a full queue.
/// It lasts as long as the second value is kept.
pub(crate) fn blackhole() -> (String, impl Sized) {
    let runtime = runtime_of_one_thread();
    let _guard = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap().into_std().unwrap();
    let address = listener.local_addr().unwrap();
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let queue: Vec<_> = (0..64).map_while(connect).collect();
    assert!(queue.len() < 64, "the queue is never full");
    (format!("redis://{address}"), (listener, queue))
}

/// The URL of a server that answers each command with the bytes that `answer` returns.
pub(crate) fn answering(
    answer: impl Fn(&[String]) -> Option<&'static str> + Send + Clone + 'static,
) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            std::thread::spawn(move || converse(&stream, answer));
        }
    });
    url
}

/// Answers commands until the client closes the connection or `answer` returns `None`.
fn converse(
    mut stream: &TcpStream,
    answer: impl Fn(&[String]) -> Option<&'static str>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    /// The number in a line of the protocol, such as `*2` or `$5`.
    fn number(reader: &mut impl BufRead, sign: char) -> std::io::Result<Option<usize>> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        Ok(line.trim_end().strip_prefix(sign).and_then(|count| count.parse().ok()))
    }
    loop {
        let Some(count) = number(&mut reader, '*')? else { return Ok(()) };
        let mut words = Vec::new();
        for _ in 0..count {
            let Some(length) = number(&mut reader, '$')? else { return Ok(()) };
            let mut word = vec![0; length + 2];
            reader.read_exact(&mut word)?;
            words.push(String::from_utf8_lossy(&word[..length]).into_owned());
        }
        let Some(bytes) = answer(&words) else { return Ok(()) };
        stream.write_all(bytes.as_bytes())?;
    }
}
