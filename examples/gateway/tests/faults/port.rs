//! A port that is nobody else's, also while the gateway is down.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    /// Bound to the port, and never listening.
    _socket: TcpSocket,
}

impl Port {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        Self { address: socket.local_addr().expect("an address"), _socket: socket }
    }
}
