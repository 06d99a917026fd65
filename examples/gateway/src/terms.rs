//! The part of the file that can be changed while the gateway runs.

use session_affinity::config::{Config, PoolConfig, SessionAffinity};
use session_affinity::cookies::CookieName;
use session_affinity::{Affinity, Keyring, Secret};

use crate::file::File;
use crate::forwarded::{Ports, TrustedProxies};
use crate::json::Object;
use crate::keys;
use crate::limits::Limits;
use crate::settings::in_the_file;

/// The values of the file by which affinity and pools are made.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) config: Config,
    /// The keys in use: those of the file, and what the administrator has changed of them.
    pub(crate) keyring: Keyring,
    pub(crate) pools: Vec<PoolConfig>,
    /// The secret of the header sessions, if there was one so far, under whichever policy: the last
    /// `session_secret` of a file, or what took its place.
    secret: Option<Secret>,
    /// The last of the keys of the start, whatever the keys are by now.
    substitute: Secret,
    /// The keys that the file has.
    written_keys: Option<Keyring>,
}

/// The values of the file that a request reads beside the affinity and the pools.
pub(crate) struct Live {
    pub(crate) trusted: TrustedProxies,
    pub(crate) cookie: CookieName,
    pub(crate) explain: bool,
    pub(crate) limits: Limits,
}

impl Terms {
    /// Checks a file, at the start or, after the terms `before`, in a gateway that runs. A secret that
    /// the file leaves out stays as it was.
    pub(crate) fn new(
        file: &mut File,
        before: Option<&Self>,
        warnings: &mut Vec<String>,
    ) -> Result<(Self, Affinity, Live), String> {
        let (keyring, written_keys) = keyring(file, before, warnings)?;
        let limits = Limits::new(file, warnings)?;
        let mut config = file.load_balancer.clone();
        let substitute = before.map_or_else(|| last(&keyring), |before| before.substitute.clone());
        let known = || before.and_then(|before| before.secret.clone());
        let mut secret = config.extensions.session_secret.clone().or_else(known);
        if config.session_affinity == SessionAffinity::Header {
            if secret.is_none() {
                warnings.push(
                    "session_secret is not set: the last of the keys at the start takes its place \
                     until the end"
                        .into(),
                );
            }
            secret = secret.or_else(|| Some(substitute.clone()));
            config.extensions.session_secret.clone_from(&secret);
        }
        let cookie = CookieName::new(config.extensions.cookie.name.clone())
            .map_err(|error| in_the_file(error.into()))?;
        let affinity = Affinity::from_config(&config, &keyring).map_err(in_the_file)?;
        let ports = if file.forwarded_ports { Ports::Ignored } else { Ports::Refused };
        let trusted = TrustedProxies::new(std::mem::take(&mut file.trusted_proxies), ports);
        let pools = std::mem::take(&mut file.pools);
        let live = Live { trusted, cookie, explain: file.explain, limits };
        let terms = Self { config, keyring, pools, secret, substitute, written_keys };
        Ok((terms, affinity, live))
    }
}

/// Returns the keys to use, and those that the file has. Keys that the file has as before are not read
/// again: the administrator may have added to them.
fn keyring(
    file: &mut File,
    before: Option<&Terms>,
    warnings: &mut Vec<String>,
) -> Result<(Keyring, Option<Keyring>), String> {
    let Some(keys) = file.keys.take() else {
        return match before {
            Some(before) => Ok((before.keyring.clone(), None)),
            None => {
                warnings.push(
                    "keys is not set: a random key is used, and sessions end with this process"
                        .into(),
                );
                Ok((keys::random().map(Keyring::from)?, None))
            }
        };
    };
    let written = Keyring::new(keys.into_iter().map(|Object(key)| key.into()))
        .map_err(|error| error.to_string())?;
    let known = before.filter(|before| before.written_keys.as_ref() == Some(&written));
    let used = known.map_or_else(|| written.clone(), |before| before.keyring.clone());
    Ok((used, Some(written)))
}

fn last(keyring: &Keyring) -> Secret {
    keyring.keys().last().unwrap_or(keyring.signing()).secret().clone()
}
