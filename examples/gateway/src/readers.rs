//! The readers of what clients, proxies and operators write, for the fuzz targets: they run the
//! gateway's own code without a socket.

use std::net::IpAddr;

use hyper::header::HeaderMap;
use session_affinity::Scheme;

use crate::forwarded::{self, Peer, TrustedProxies};
use crate::settings::Settings;
use crate::{file, proxy_protocol};

pub use crate::forwarded::Ports;
pub use crate::proxy_protocol::{Malformed, Parsed};

/// The readers of `X-Forwarded-For`, `Forwarded` and `X-Real-IP`, with the proxies that they believe.
#[derive(Debug)]
pub struct Forwarded(TrustedProxies);

impl Forwarded {
    /// Creates the readers of a gateway with these `trusted_proxies`; `None` for a text that is
    /// neither an address nor a network.
    pub fn new(trusted: &[&str], ports: Ports) -> Option<Self> {
        let networks = trusted.iter().map(|network| network.parse());
        Some(Self(TrustedProxies::new(networks.collect::<Result<_, _>>().ok()?, ports)))
    }

    /// Returns whether the statements of this address are believed.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.0.trusts(ip)
    }

    /// Returns the address and the scheme of the client of a request that came from `peer`.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> (IpAddr, Scheme) {
        let forwarded::Client { ip, scheme } = self.0.client(&Peer::new(peer), headers);
        (ip, scheme)
    }

    /// Sets the fields by which an endpoint is told of the client.
    pub fn tell(&self, peer: IpAddr, client: (IpAddr, Scheme), headers: &mut HeaderMap) {
        let (ip, scheme) = client;
        self.0.tell(&Peer::new(peer), forwarded::Client { ip, scheme }, headers);
    }
}

/// Reads the beginning of a connection as a header of the PROXY protocol.
///
/// # Errors
/// [`Malformed`] for bytes that no header begins with.
pub fn proxy_protocol(bytes: &[u8]) -> Result<Parsed, Malformed> {
    proxy_protocol::parse(bytes)
}

/// Reads and checks the text of a configuration file, but opens no store.
///
/// # Errors
/// The message that the gateway prints when it starts.
pub fn configuration(text: &[u8]) -> Result<(), String> {
    let mut file = file::parse(text)?;
    file.store = None;
    Settings::new(file).map(|_| ())
}
