//! The store of header sessions that the file names.

use std::path::PathBuf;

use session_affinity::LoadBalancer;
use session_affinity::limits::{OutageSessions, StoreDeadline};
use session_affinity::store::{AnyStore, InvalidStore, StoreHealth};

use crate::warning::Warnings;

/// The keys of the file that describe the store.
#[derive(Debug, Default)]
pub(crate) struct StoreKeys {
    pub(crate) store: Option<String>,
    pub(crate) deadline: Option<u64>,
    pub(crate) write_deadline: Option<u64>,
    pub(crate) outage_sessions: Option<u64>,
    pub(crate) tls: Option<StoreTls>,
    /// There is a file for the sessions of a store in memory.
    pub(crate) file: bool,
}

/// The files of certificates for a `rediss://` store, as PEM.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "redis-tls"), expect(dead_code, reason = "read to say what is wrong"))]
pub(crate) struct StoreTls {
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// Opens the store that the file describes.
pub(crate) fn open(keys: StoreKeys, load_balancer: &LoadBalancer) -> Result<AnyStore, String> {
    let text = keys.store.as_deref().unwrap_or("memory");
    if text != "memory" && !is_redis(text) {
        return Err("store: expected \"memory\" or \"redis://host:port/database\"".into());
    }
    let of_redis = [
        ("store_deadline_ms", "no deadline", keys.deadline.is_some()),
        ("store_write_deadline_ms", "no deadline", keys.write_deadline.is_some()),
        ("store_outage_sessions", "no outage", keys.outage_sessions.is_some()),
        ("store_tls", "no connection", keys.tls.is_some()),
    ];
    if text == "memory"
        && let Some((key, nothing, _)) = of_redis.into_iter().find(|(.., is_set)| *is_set)
    {
        return Err(format!(
            "{key} is set, and a store in memory has {nothing}; expected a Redis store"
        ));
    }
    if text != "memory" && keys.file {
        return Err(
            "store_file is set, and Redis keeps its sessions; expected a store in memory".into()
        );
    }
    let deadline = |key: &str, milliseconds: Option<u64>| {
        let checked = milliseconds.map(StoreDeadline::new).transpose();
        checked.map_err(|error| error.to_string().replace("store_deadline_ms", key))
    };
    let read = deadline("store_deadline_ms", keys.deadline)?;
    let write = deadline("store_write_deadline_ms", keys.write_deadline)?;
    let outage = keys.outage_sessions.map(OutageSessions::new).transpose();
    let outage = outage.map_err(|error| format!("store_{error}"))?;
    let store = AnyStore::open(text, load_balancer).map_err(|error| match error {
        InvalidStore::WithoutRedis => {
            "store: Redis is not built into this gateway (feature redis); expected \"memory\""
                .into()
        }
        error => format!("store: {error}"),
    })?;
    let store = match keys.tls {
        None => store,
        Some(tls) => with_tls(text, load_balancer, &tls)?,
    };
    let warnings = Warnings::about("the session store");
    Ok(store
        .with_deadline(read.unwrap_or_default())
        .with_write_deadline(write.unwrap_or(StoreDeadline::MAX))
        // With Redis out of reach a session lands where its key points, unless the file asks for more.
        .with_outage_sessions(outage.unwrap_or(OutageSessions::OFF))
        .with_report(move |error| warnings.warn(error)))
}

#[cfg(feature = "redis-tls")]
fn with_tls(text: &str, load_balancer: &LoadBalancer, tls: &StoreTls) -> Result<AnyStore, String> {
    use session_affinity::store::{RedisStore, RedisTls};

    let read = |key: &str, path: &PathBuf| {
        std::fs::read(path).map_err(|error| format!("store_tls.{key}: {}: {error}", path.display()))
    };
    let invalid = |error| format!("store_tls: {error}");
    let mut certificates = RedisTls::new();
    if let Some(path) = &tls.authorities {
        let authorities = read("authorities", path)?;
        certificates = certificates.with_authorities(&authorities).map_err(invalid)?;
    }
    certificates = match (&tls.certificate, &tls.key) {
        (None, None) => certificates,
        (Some(certificate), Some(key)) => {
            let (certificate, key) = (read("certificate", certificate)?, read("key", key)?);
            certificates.with_client_certificate(&certificate, &key).map_err(invalid)?
        }
        _ => return Err("store_tls: one of certificate and key is set; expected both".into()),
    };
    let store = RedisStore::new(load_balancer, text).map_err(|error| format!("store: {error}"))?;
    Ok(store.with_tls(certificates).map_err(invalid)?.into())
}

#[cfg(not(feature = "redis-tls"))]
fn with_tls(_: &str, _: &LoadBalancer, _: &StoreTls) -> Result<AnyStore, String> {
    Err("store_tls: TLS is not built into this gateway (feature redis-tls)".into())
}

/// Connects, and warns where the store is out of reach: it may come later.
///
/// # Errors
/// One line, if the server is of a kind that cannot keep the sessions.
pub(crate) async fn connect(store: &AnyStore) -> Result<(), String> {
    let Err(error) = store.connect().await else { return Ok(()) };
    #[cfg(feature = "redis")]
    if let Some(error) = error.downcast_ref::<session_affinity::store::RedisError>()
        // A replica may become the primary: the name of a store can lead to it during a failover.
        && error.is_wrong_server()
        && !matches!(error, session_affinity::store::RedisError::Replica)
    {
        return Err(format!("store: {error}"));
    }
    Warnings::about("the session store").warn(&*error);
    Ok(())
}

/// The health of the store as JSON, if it is one across the network.
pub(crate) fn health(store: &AnyStore) -> Option<serde_json::Value> {
    let StoreHealth {
        connection,
        last_error,
        answered,
        answer_time,
        errors,
        writes_failed,
        writes_retried,
        remembered,
        ..
    } = store.health()?;
    Some(serde_json::json!({
        "connection": connection.label(),
        "last_error": last_error,
        "answered": answered,
        "answer_time_us": u64::try_from(answer_time.as_micros()).unwrap_or(u64::MAX),
        "errors": errors.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "writes_failed": writes_failed,
        "writes_retried": writes_retried,
        "remembered": remembered,
    }))
}

fn is_redis(store: &str) -> bool {
    ["redis:", "rediss:", "redis+unix:"].iter().any(|scheme| store.starts_with(scheme))
}
