//! The settings of the gateway: the contents of the file, checked before any address is bound.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use session_affinity::config::{
    Config, Extensions, InvalidConfig, OriginConfig, PoolConfig, SessionAffinity,
};
use session_affinity::cookies::CookieName;
use session_affinity::store::AnyStore;
use session_affinity::{Affinity, Keyring, Pools, Secret};

use crate::address::{ALLOWED, Address};
use crate::control::Control;
use crate::file::File;
use crate::forwarded::TrustedProxies;
use crate::json::Object;
use crate::keys;
use crate::proxy::Gateway;
use crate::store;
use crate::upstream::{self, Upstream};

pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) trusted: TrustedProxies,
    pub(crate) connect_timeout: Duration,
    pub(crate) explain: bool,
    pub(crate) cookie: CookieName,
    pub(crate) affinity: Affinity,
    pub(crate) pools: Pools<Arc<Upstream>>,
    pub(crate) store: AnyStore,
    pub(crate) warnings: Vec<String>,
    config: Config,
    keyring: Keyring,
}

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Settings {
    /// Checks a file.
    pub(crate) fn new(mut file: File) -> Result<Self, String> {
        let mut warnings = Vec::new();
        let keyring = keyring(&mut file, &mut warnings)?;
        let pool_configs: Vec<PoolConfig> =
            std::mem::take(&mut file.pools).into_iter().map(|Object(pool)| pool).collect();
        let connect_timeout = connect_timeout(file.connect_timeout_ms)?;
        let mut config = file.load_balancer.clone();
        config.extensions = extensions(&mut file);
        if config.session_affinity == SessionAffinity::Header
            && config.extensions.session_secret.is_none()
        {
            config.extensions.session_secret = Some(last(&keyring));
            warnings.push(
                "session_secret is not set: the last of the keys takes its place until the end"
                    .into(),
            );
        }
        let cookie = CookieName::new(config.extensions.cookie_name.clone())
            .map_err(|error| in_the_file(&error.into()))?;
        let affinity =
            Affinity::from_config(&config, &keyring).map_err(|error| in_the_file(&error))?;
        let store =
            store::open(file.store.as_deref(), file.store_deadline_ms, affinity.load_balancer())?;
        Ok(Self {
            listen: file.listen.unwrap_or(LOOPBACK),
            admin: file.admin.unwrap_or(LOOPBACK),
            trusted: TrustedProxies::new(std::mem::take(&mut file.trusted_proxies)),
            connect_timeout,
            explain: file.explain,
            cookie,
            affinity,
            store,
            pools: pools(&config, &pool_configs)?,
            warnings,
            config,
            keyring,
        })
    }

    /// Returns a function that makes the administrator's control of a gateway with these settings.
    pub(crate) fn control(&self) -> impl FnOnce(Arc<Gateway>) -> Control + use<> {
        let (config, keyring) = (self.config.clone(), self.keyring.clone());
        move |gateway| Control::new(gateway, config, keyring)
    }
}

fn keyring(file: &mut File, warnings: &mut Vec<String>) -> Result<Keyring, String> {
    match file.keys.take() {
        Some(keys) => Keyring::new(keys.into_iter().map(|Object(key)| key.into()))
            .map_err(|error| error.to_string()),
        None => {
            warnings.push(
                "keys is not set: a random key is used, and sessions end with this process".into(),
            );
            keys::random().map(Keyring::from)
        }
    }
}

fn last(keyring: &Keyring) -> Secret {
    keyring.keys().last().unwrap_or(keyring.signing()).secret().clone()
}

fn connect_timeout(milliseconds: Option<u64>) -> Result<Duration, String> {
    match milliseconds {
        None => Ok(Duration::from_millis(500)),
        Some(0) => Err("connect_timeout_ms is 0; allowed: 1 or more milliseconds".into()),
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
    }
}

fn extensions(file: &mut File) -> Extensions {
    let defaults = Extensions::default();
    let cookie = file.cookie.take();
    let (name, path, domain, partitioned) = match cookie {
        Some(cookie) => (cookie.name, cookie.path, cookie.domain, cookie.partitioned),
        None => (None, None, None, false),
    };
    Extensions {
        retries: file.retries.unwrap_or(defaults.retries),
        ipv6_prefix: file.ipv6_prefix.unwrap_or(defaults.ipv6_prefix),
        clock_skew: file.clock_skew.unwrap_or(defaults.clock_skew),
        cooling_off: file.cooling_off.unwrap_or(defaults.cooling_off),
        always_use_https: file.always_use_https,
        cache_guard: file.cache_guard.unwrap_or(defaults.cache_guard),
        session_secret: file.session_secret.take(),
        cookie_name: name.unwrap_or(defaults.cookie_name),
        cookie_path: path.unwrap_or(defaults.cookie_path),
        cookie_domain: domain,
        cookie_partitioned: partitioned,
    }
}

/// Returns the message of an error with the name that its field has in the file, where it differs
/// from the name in the crate: the fields of `Extensions` stand at the top, those of the cookie in
/// `cookie`, and the name of the load balancer in `load_balancer`.
fn in_the_file(error: &InvalidConfig) -> String {
    let message = error.to_string();
    if matches!(error, InvalidConfig::Name(_)) {
        return format!("load_balancer.{message}");
    }
    let Some(extension) = message.strip_prefix("extensions.") else { return message };
    match extension.strip_prefix("cookie_") {
        Some(field) => format!("cookie.{field}"),
        None => extension.into(),
    }
}

fn pools(config: &Config, pools: &[PoolConfig]) -> Result<Pools<Arc<Upstream>>, String> {
    for pool in pools {
        for origin in &pool.origins {
            address(pool, origin)?;
        }
    }
    // Each address has been read once already, so the substitute is never used.
    let target = |pool: &PoolConfig, origin: &OriginConfig| {
        Arc::new(Upstream::new(address(pool, origin).unwrap_or(Address::Ip(LOOPBACK))))
    };
    config.pools(pools, target, upstream::in_flight).map_err(|error| in_the_file(&error))
}

fn address(pool: &PoolConfig, origin: &OriginConfig) -> Result<Address, String> {
    origin.address.parse().map_err(|()| {
        let (pool, name, address) = (&pool.id, &origin.name, &origin.address);
        format!("pools[{pool}].origins[{name}].address is {address:?}; allowed: {ALLOWED}")
    })
}

#[cfg(test)]
mod tests {
    use session_affinity::{Key, LoadBalancer};

    use super::*;

    fn error(extensions: Extensions) -> InvalidConfig {
        let config = Config {
            session_affinity: SessionAffinity::Cookie,
            extensions,
            ..Config::new("shop.example.com")
        };
        let keyring = Keyring::from(Key::new(1, Secret::new([1; 32]).unwrap()));
        Affinity::from_config(&config, &keyring).unwrap_err()
    }

    #[test]
    fn each_field_of_the_crates_extensions_has_its_name_in_the_file() {
        let defaults = Extensions::default;
        for (extensions, field) in [
            (Extensions { retries: 0, ..defaults() }, "retries is 0;"),
            (Extensions { ipv6_prefix: 129, ..defaults() }, "ipv6_prefix is 129;"),
            (Extensions { clock_skew: 86_401, ..defaults() }, "clock_skew is 86401;"),
            (Extensions { cooling_off: 301, ..defaults() }, "cooling_off is 301;"),
            (Extensions { cookie_name: "a b".into(), ..defaults() }, "cookie.name is \"a b\";"),
            (
                Extensions { cookie_name: "__Host-lb".into(), ..defaults() },
                "cookie.name is \"__Host-lb\";",
            ),
            (Extensions { cookie_path: "shop".into(), ..defaults() }, "cookie.path is \"shop\";"),
            (
                Extensions { cookie_domain: Some("a b".into()), ..defaults() },
                "cookie.domain is \"a b\";",
            ),
        ] {
            let message = in_the_file(&error(extensions));
            assert!(message.starts_with(&format!("{field} allowed")), "{field} {message}");
        }
    }

    #[test]
    fn a_partitioned_cookie_that_is_never_secure_is_named_as_in_the_file() {
        let error = session_affinity::cookies::InvalidAttributes::PartitionedWithoutSecure;
        assert_eq!(
            in_the_file(&error.into()),
            "cookie.partitioned is true with secure Never; allowed: true with secure Auto or Always"
        );
    }

    /// Not reached from outside: without a `session_secret`, the last of the keys takes its place.
    #[test]
    fn a_missing_session_secret_is_named_as_in_the_file() {
        assert_eq!(
            in_the_file(&InvalidConfig::NoSessionSecret),
            "session_secret is missing; allowed for header: 32 or more secret bytes"
        );
    }

    #[test]
    fn the_name_of_the_load_balancer_is_named_as_in_the_file() {
        let error = InvalidConfig::Name(LoadBalancer::new("").unwrap_err());
        assert_eq!(
            in_the_file(&error),
            "load_balancer.name is \"\"; allowed: 1 to 255 bytes without control characters"
        );
    }

    #[test]
    fn the_names_of_cloudflares_fields_stay() {
        let config = Config {
            session_affinity: SessionAffinity::Cookie,
            session_affinity_ttl: Some(60),
            ..Config::new("extensions.cookie_name")
        };
        let keyring = Keyring::from(Key::new(1, Secret::new([1; 32]).unwrap()));
        let error = Affinity::from_config(&config, &keyring).unwrap_err();
        assert_eq!(in_the_file(&error), error.to_string());
    }
}
