//! The three endpoints, in a process of their own: each answers with its name at once.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Result;
use crate::children::Process;

pub const ROLE: &str = "endpoints";
const COUNT: usize = 3;

/// Starts the endpoints, and returns their addresses.
pub fn start() -> Result<(Process, Vec<SocketAddr>)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(ROLE);
    let (process, announced) = Process::in_role(command, COUNT)?;
    Ok((process, announced.into_iter().map(|(_, address)| address).collect()))
}

/// Serves them until the standard input ends.
pub async fn serve() -> Result<()> {
    for number in 1..=COUNT {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("s{number} {}", listener.local_addr()?);
        tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(converse(stream, number));
                }
            }
        });
    }
    until_the_input_ends().await;
    Ok(())
}

/// Answers requests without a body, one after another.
async fn converse(mut stream: TcpStream, number: usize) -> std::io::Result<()> {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nendpoint s{number}"
    );
    let mut read = Vec::with_capacity(4_096);
    stream.set_nodelay(true)?;
    while stream.read_buf(&mut read).await? > 0 {
        while let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            read.drain(..end + 4);
            stream.write_all(answer.as_bytes()).await?;
        }
    }
    Ok(())
}

pub async fn until_the_input_ends() {
    let input =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    let _ = input.await;
}
