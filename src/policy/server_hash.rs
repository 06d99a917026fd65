//! The hashes by which other proxies name a server in their cookies.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The hash by which another proxy names a server in its cookie. It makes the table of a
/// [`ForeignCookie`](super::ForeignCookie) out of the other proxy's configuration, also where
/// servers come and go.
///
/// ```
/// use session_affinity::EndpointId;
/// use session_affinity::cookies::CookieName;
/// use session_affinity::policy::{ForeignCookie, ServerHash};
///
/// // sticky: { cookie: { name: lb } }, servers: [{ url: "http://10.0.0.1:80" }, …]
/// let servers = [("http://10.0.0.1:80", "eu-1"), ("http://10.0.0.2:80", "eu-2")];
/// let traefik = ForeignCookie::new(CookieName::new("lb")?).with_endpoints(
///     servers.map(|(url, name)| (ServerHash::Traefik.value(url), EndpointId::new("eu", name))),
/// );
/// assert_eq!(traefik.endpoint(b"e0c6f0ca44f87f06"), Some(EndpointId::new("eu", "eu-2")));
/// # Ok::<(), session_affinity::cookies::InvalidCookieName>(())
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum ServerHash<'a> {
    /// nginx's `sticky cookie`, for a server without `route=`: the MD5 of its address, which
    /// is that to which the server's name resolves, with the port: `10.0.0.1:80`,
    /// `[2001:db8::1]:80`. For ingress-nginx with `affinity-mode: persistent`, put the name of the
    /// backend before the pod's address: `shop-web-8010.0.0.1:8080`. Needs the feature `md5`.
    #[cfg(feature = "md5")]
    Nginx,
    /// Traefik since 3.3.4: the first 16 digits of the SHA-256 of the server's URL, as it stands in the
    /// configuration: `http://10.0.0.1:80`.
    Traefik,
    /// Caddy's `lb_policy cookie NAME SECRET`: the HMAC-SHA-256 of the upstream as it stands in the
    /// configuration, with the port: `10.0.0.1:80`, `eu-1.example.com:80`.
    Caddy {
        /// The secret of the policy; empty where the configuration has none.
        secret: &'a str,
    },
}

impl ServerHash<'_> {
    /// Returns the cookie's value for a server, in hexadecimal digits of small letters.
    ///
    /// ```
    /// use session_affinity::policy::ServerHash;
    /// assert_eq!(ServerHash::Traefik.value("http://127.0.0.1:19101"), "a7f259357eb701e2");
    /// ```
    pub fn value(self, server: &str) -> String {
        match self {
            #[cfg(feature = "md5")]
            Self::Nginx => hexadecimal(md5::Md5::digest(server)),
            Self::Traefik => hexadecimal(Sha256::digest(server)).chars().take(16).collect(),
            Self::Caddy { secret } => {
                // HMAC takes keys of any length: the error type is for other MACs.
                let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
                let mac = mac.map(|mac| mac.chain_update(server).finalize().into_bytes());
                mac.map(hexadecimal).unwrap_or_default()
            }
        }
    }
}

/// Shows no secret.
impl fmt::Debug for ServerHash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(feature = "md5")]
            Self::Nginx => "Nginx",
            Self::Traefik => "Traefik",
            Self::Caddy { .. } => "Caddy { secret: .. }",
        })
    }
}

fn hexadecimal(bytes: impl AsRef<[u8]>) -> String {
    let digits = bytes.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
