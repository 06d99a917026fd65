//! nginx and HAProxy, each with a stickiness of its own.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::children::{Folder, Process, is_there, path};

pub const ALL: [&str; 2] = ["nginx", "haproxy"];

/// A peer that runs, with its files.
pub struct Peer {
    pub name: &'static str,
    pub address: SocketAddr,
    pub process: Process,
    _folder: Folder,
}

/// The number of processes of nginx.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One that is also the master, which a tool can watch.
    InTheMaster,
    /// One below the master, as an operator has it.
    One,
}

/// Starts the peers that are installed, each below a tool if there is one.
pub fn start(
    workers: Workers,
    endpoints: &[SocketAddr],
    tool: impl Fn(&str) -> Option<Command>,
) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for name in ALL {
        if !is_there(name) {
            println!("{name} is not installed, and left out");
            continue;
        }
        let (folder, address) = (Folder::new()?, free_address()?);
        let mut command = match tool(name) {
            Some(mut tool) => {
                tool.arg(name);
                tool
            }
            None => Command::new(name),
        };
        let file = folder.path().join("conf");
        if name == "nginx" {
            std::fs::write(&file, nginx(workers, address, endpoints)?)?;
            command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(&file);
        } else {
            std::fs::write(&file, haproxy(address, endpoints)?)?;
            command.args(["-db", "-f"]).arg(&file);
        }
        let process = Process::start(
            command.env("PATH", path()).stdout(Stdio::null()).stderr(Stdio::null()),
        )?;
        await_answer(name, address)?;
        peers.push(Peer { name, address, process, _folder: folder });
    }
    Ok(peers)
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn await_answer(name: &str, address: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(address).is_err() {
        if Instant::now() > deadline {
            return Err(format!("{name} did not start").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn nginx(workers: Workers, address: SocketAddr, endpoints: &[SocketAddr]) -> Result<String> {
    let master = if workers == Workers::One { "on" } else { "off" };
    let mut text = format!(
        "daemon off; master_process {master}; worker_processes 1; pid nginx.pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
access_log off; server_tokens off;
client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
keepalive_requests 1000000000; keepalive_timeout 600s;
upstream all {{ hash $cookie_srv consistent;\n"
    );
    for endpoint in endpoints {
        writeln!(text, "server {endpoint};")?;
    }
    write!(
        text,
        "keepalive 64; keepalive_requests 1000000000; keepalive_timeout 600s; }}
server {{ listen {address};
location / {{
proxy_pass http://all; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $http_host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
proxy_set_header X-Forwarded-Host $http_host;
}} }} }}\n"
    )?;
    Ok(text)
}

fn haproxy(address: SocketAddr, endpoints: &[SocketAddr]) -> Result<String> {
    let mut text = format!(
        "global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 10s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    option forwardfor
    http-reuse always
frontend load
    bind {address}
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend all
backend all
    balance roundrobin
    cookie backend insert indirect nocache\n"
    );
    for (number, endpoint) in (1..).zip(endpoints) {
        writeln!(text, "    server s{number} {endpoint} cookie s{number}")?;
    }
    Ok(text)
}
