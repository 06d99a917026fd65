//! The part of the file that needs a restart: addresses, connections and the store.

use crate::file::File;

/// The values that hold until the process ends, each by its field. They may contain the password of a
/// store, and are only compared.
#[derive(Clone)]
pub(crate) struct Fixed(Vec<(&'static str, String)>);

impl Fixed {
    pub(crate) fn of(file: &File) -> Self {
        let count = |count: Option<u64>| format!("{count:?}");
        Self(vec![
            ("listen", format!("{:?}", file.listen)),
            ("admin", format!("{:?}", file.admin)),
            ("proxy_protocol", file.proxy_protocol.to_string()),
            ("max_connections", count(file.max_connections)),
            ("max_head_bytes", count(file.max_head_bytes)),
            ("head_timeout_ms", count(file.head_timeout_ms)),
            ("body_idle_timeout_ms", count(file.body_idle_timeout_ms)),
            ("tunnel_idle_timeout_ms", count(file.tunnel_idle_timeout_ms)),
            ("shutdown_timeout_ms", count(file.shutdown_timeout_ms)),
            ("store", file.store.clone().unwrap_or_else(|| "memory".into())),
            ("store_deadline_ms", count(file.store_deadline_ms)),
            ("store_write_deadline_ms", count(file.store_write_deadline_ms)),
            ("store_outage_sessions", count(file.store_outage_sessions)),
            ("store_tls", format!("{:?}", file.store_tls)),
            ("store_file", format!("{:?}", file.store_file)),
            ("fleet", format!("{:?}", file.fleet)),
            ("load_balancer.name", file.load_balancer.name.clone()),
        ])
    }

    /// Returns the fields whose values are others in a file that was read later.
    pub(crate) fn changed(&self, later: &Self) -> Vec<&'static str> {
        let pairs = self.0.iter().zip(&later.0);
        pairs.filter(|(now, later)| now != later).map(|((field, _), _)| *field).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;
    use crate::flat::keys_of;

    /// The keys that a reload takes over: see `reload.rs` and `terms.rs`.
    const CHANGEABLE: [&str; 8] = [
        "keys",
        "trusted_proxies",
        "forwarded_ports",
        "connect_timeout_ms",
        "answer_timeout_ms",
        "explain",
        "load_balancer",
        "pools",
    ];

    #[test]
    fn each_key_of_the_file_takes_effect_at_a_reload_or_needs_a_restart() {
        let file = r#"{"load_balancer": {"name": "shop"}, "pools": []}"#;
        let Ok(file) = file::parse(file.as_bytes()) else { panic!("a file") };
        let fixed = Fixed::of(&file);
        let mut known: Vec<&str> = fixed.0.iter().map(|(field, _)| *field).collect();
        known.retain(|field| *field != "load_balancer.name");
        known.extend(CHANGEABLE);
        known.sort_unstable();
        let mut keys = keys_of::<File>().to_vec();
        keys.sort_unstable();
        assert_eq!(known, keys);
    }
}
