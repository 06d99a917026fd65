//! TLS to a server: the authorities it is trusted by, and a certificate of the gateway's own.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The certificates for a `rediss://` URL, for
/// [`RedisStore::with_tls`](crate::store::RedisStore::with_tls).
///
/// By default a server is trusted when an authority of the operating system has signed its
/// certificate for the host of the URL. The environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR`
/// name other files. There is no way to skip the check.
///
/// TLS 1.2 and 1.3 are spoken by rustls with the provider `ring`. A provider that another part of
/// the program has installed is neither needed nor used.
///
/// ```no_run
/// use session_affinity::store::{RedisStore, RedisTls};
/// use session_affinity::LoadBalancer;
///
/// let tls = RedisTls::new()
///     .with_authorities(&std::fs::read("ca.pem")?)?
///     .with_client_certificate(&std::fs::read("gateway.pem")?, &std::fs::read("gateway.key")?)?;
/// let store = RedisStore::new(LoadBalancer::new("shop")?, "rediss://redis.internal:6379")?
///     .with_tls(tls)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct RedisTls {
    /// `None` for those of the operating system.
    authorities: Option<Arc<RootCertStore>>,
    certificate: Option<Arc<CertifiedKey>>,
    /// Made once: the authorities of the system are in files.
    connector: Arc<OnceLock<TlsConnector>>,
}

impl RedisTls {
    /// Creates a configuration that trusts the authorities of the operating system and sends no
    /// certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these authorities instead of those of the operating system. `pem` holds one
    /// certificate or several, as PEM.
    ///
    /// # Errors
    /// [`InvalidRedisTls::Authorities`] if there is no certificate, or one that cannot be read.
    pub fn with_authorities(mut self, pem: &[u8]) -> Result<Self, InvalidRedisTls> {
        let mut authorities = RootCertStore::empty();
        for certificate in certificates(pem).ok_or(InvalidRedisTls::Authorities)? {
            authorities.add(certificate).map_err(|_| InvalidRedisTls::Authorities)?;
        }
        self.authorities = Some(Arc::new(authorities));
        self.connector = Arc::default();
        Ok(self)
    }

    /// Sends a certificate of the gateway's own, for servers that ask for one (mutual TLS; Redis'
    /// `tls-auth-clients`, by default on). `certificates` holds it and those that lead to its
    /// authority, `key` its private key, both as PEM.
    ///
    /// # Errors
    /// [`InvalidRedisTls::Certificate`] or [`InvalidRedisTls::Key`] if either cannot be read, and
    /// [`InvalidRedisTls::Key`] if the key is not that of the certificate.
    pub fn with_client_certificate(
        mut self,
        certificates: &[u8],
        key: &[u8],
    ) -> Result<Self, InvalidRedisTls> {
        let chain = self::certificates(certificates).ok_or(InvalidRedisTls::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| InvalidRedisTls::Key)?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(|_| InvalidRedisTls::Key)?;
        self.certificate = Some(Arc::new(certified));
        self.connector = Arc::default();
        Ok(self)
    }

    /// The connector, which reads the files of the operating system once, where it needs them.
    pub(super) async fn connector(&self) -> io::Result<TlsConnector> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector.clone());
        }
        let tls = self.clone();
        let made = spawn_blocking(move || tls.connect()).await.map_err(io::Error::other)??;
        Ok(self.connector.get_or_init(|| made).clone())
    }

    fn connect(&self) -> io::Result<TlsConnector> {
        let authorities = match &self.authorities {
            Some(given) => given.clone(),
            None => Arc::new(system_authorities()?),
        };
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(authorities);
        let config = match &self.certificate {
            None => config.with_no_client_auth(),
            Some(certified) => config
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified.clone()))),
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty())
}

fn system_authorities() -> io::Result<RootCertStore> {
    let mut authorities = RootCertStore::empty();
    // One certificate that cannot be read is no reason to do without the others.
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if authorities.is_empty() {
        return Err(io::Error::other(
            "this machine has no certificate authorities: install them, set SSL_CERT_FILE, or give \
             them to RedisTls::with_authorities",
        ));
    }
    Ok(authorities)
}

/// Shows how many authorities were given and whether there is a certificate, not the key.
impl fmt::Debug for RedisTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTls")
            .field("authorities", &self.authorities.as_ref().map(|given| given.len()))
            .field("has_client_certificate", &self.certificate.is_some())
            .finish_non_exhaustive()
    }
}

/// The error of certificates that cannot be used. It shows nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRedisTls {
    /// The authorities are not certificates.
    #[error("the authorities are no certificates that can be read; allowed: one or more, as PEM")]
    Authorities,
    /// The gateway's own certificate is not one.
    #[error("the client certificate cannot be read; allowed: one or more certificates, as PEM")]
    Certificate,
    /// The private key is not one, or is the key of another certificate.
    #[error(
        "the client key cannot be read or is not that of the client certificate; allowed: its \
         private key, as PEM"
    )]
    Key,
    /// The URL of the store is not one of TLS.
    #[error("certificates are given, and the URL is one without TLS; allowed: rediss://")]
    PlainUrl,
}
