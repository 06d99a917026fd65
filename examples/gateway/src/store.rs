//! The store of header sessions that the file names.

use session_affinity::LoadBalancer;
use session_affinity::limits::StoreDeadline;
use session_affinity::store::{AnyStore, InvalidStore};

use crate::warning::Warnings;

/// Opens the store that `store` and `store_deadline_ms` of the file describe.
pub(crate) fn open(
    store: Option<&str>,
    deadline: Option<u64>,
    load_balancer: &LoadBalancer,
) -> Result<AnyStore, String> {
    let text = store.unwrap_or("memory");
    if text != "memory" && !is_redis(text) {
        return Err("store: expected \"memory\" or \"redis://host:port/database\"".into());
    }
    if text == "memory" && deadline.is_some() {
        return Err("store_deadline_ms is set, and a store in memory has no deadline; expected a Redis store".into());
    }
    let deadline = deadline.map(StoreDeadline::new).transpose().map_err(|it| it.to_string())?;
    let store = AnyStore::open(text, load_balancer).map_err(|error| match error {
        InvalidStore::WithoutRedis => {
            "store: Redis is not built into this gateway (feature redis); expected \"memory\""
                .into()
        }
        error => format!("store: {error}"),
    })?;
    let warnings = Warnings::about("the session store");
    Ok(store
        .with_deadline(deadline.unwrap_or_default())
        .with_report(move |error| warnings.warn(error)))
}

fn is_redis(store: &str) -> bool {
    ["redis:", "rediss:", "redis+unix:"].iter().any(|scheme| store.starts_with(scheme))
}
