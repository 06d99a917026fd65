//! The file and the flags: what is read, and what is refused.

use serde_json::{Value, json};

use crate::support::{Config, Endpoint, Gateway, SECRETS, run_to_its_end, shop};

/// A file that is good but for the change. No endpoint is needed: it is refused before it serves.
fn file() -> Config {
    Config(json!({
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "keys": [{ "id": 1, "secret": SECRETS[0] }],
        "load_balancer": {
            "name": "shop.example.com",
            "session_affinity": "cookie",
            "default_pools": ["eu"],
        },
        "pools": [{ "id": "eu", "origins": [{ "name": "eu-1", "address": "127.0.0.1:9" }] }],
    }))
}

#[track_caller]
fn assert_refused(file: Option<&str>, flags: &[&str], field: &str) {
    let refused = run_to_its_end(file, flags);
    let shown = format!("{flags:?} {file:?}: {refused:?}");
    assert_eq!(refused.status, Some(2), "{shown}");
    assert_eq!(refused.stdout, "", "{shown}");
    assert_eq!(refused.stderr.lines().count(), 1, "{shown}");
    assert!(refused.stderr.contains(field), "{field} is not named: {shown}");
}

fn assert_all_refused(cases: impl IntoIterator<Item = (Config, &'static str)>) {
    for (file, field) in cases {
        assert_refused(Some(&file.to_string()), &[], field);
    }
}

#[test]
fn a_bad_flag_is_refused() {
    for (flags, named) in [
        (&["--confg", "x.json"][..], "--confg"),
        (&["--config"], "--config"),
        (&["--listen"], "--listen"),
        (&["--listen", "here"], "--listen"),
        (&["--listen", "127.0.0.1:99999"], "--listen"),
        (&["--admin", "127.0.0.1"], "--admin"),
        (&["--config", "/does/not/exist.json"], "exist.json"),
        (&["shop.json"], "shop.json"),
    ] {
        assert_refused(None, flags, named);
    }
}

#[test]
fn help_tells_the_flags() {
    let help = run_to_its_end(None, &["--help"]);
    assert_eq!((help.status, help.stderr.as_str()), (Some(0), ""));
    for flag in ["--config", "--listen", "--admin", "--help"] {
        assert!(help.stdout.contains(flag), "{}", help.stdout);
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    for (text, named) in [
        ("", "gateway.json"),
        ("{", "gateway.json"),
        ("[]", "gateway.json"),
        ("{} {}", "gateway.json"),
    ] {
        assert_refused(Some(text), &[], named);
    }
    assert_refused(Some("{}"), &[], "load_balancer");
}

#[test]
fn text_behind_the_object_is_refused() {
    for more in ["}", " garbage", "{}", ", \"retries\": 4 }"] {
        assert_refused(Some(&format!("{}{more}", file())), &[], "trailing characters");
    }
}

#[test]
fn an_array_of_the_values_is_no_object() {
    let array = |value: &str| json!([value]);
    for (file, field) in [
        (file().set("load_balancer", array("shop")), "load_balancer: expected an object"),
        (file().set("pools.0", array("eu")), "pools[0]: expected an object"),
        (file().set("pools.0.origins.0", array("a")), "pools[0].origins[0]: expected an object"),
        (file().set("keys.0", json!([1, SECRETS[0]])), "keys[0]: expected an object"),
    ] {
        assert_refused(Some(&file.to_string()), &[], field);
    }
}

#[test]
fn an_unknown_key_at_the_top_is_refused() {
    assert_all_refused([
        (file().set("colour", "red"), "colour"),
        (file().set("retrys", 2), "retrys"),
        (file().set("cookie.colour", "red"), "colour"),
        (file().set("keys.0.colour", "red"), "colour"),
        (file().set("session_affinity", "cookie"), "session_affinity"),
    ]);
    // All keys are named, the gateway's and the crate's.
    let told = run_to_its_end(Some(&file().set("retrys", 2).to_string()), &[]).stderr;
    assert!(told.contains("unknown field `retrys`, expected one of `listen`, `admin`"), "{told}");
    assert!(told.contains("`pools`") && told.contains("`retries`, `ipv6_prefix`"), "{told}");
}

#[test]
fn a_value_of_ours_that_is_out_of_range_is_refused() {
    assert_all_refused([
        (file().set("listen", "somewhere"), "listen"),
        (file().set("listen", 8080), "listen"),
        (file().set("admin", "127.0.0.1"), "admin"),
        (file().set("retries", 0), "retries"),
        (file().set("retries", 9), "retries"),
        (file().set("retries", "one"), "retries"),
        (file().set("retries", -1), "retries: expected a whole number that is not negative"),
        (file().set("retries", Value::Null), "retries: expected a whole number"),
        (file().set("cookie", json!(["lb"])), "cookie: expected an object"),
        (file().set("cookie.name", 1), "cookie.name: expected a string"),
        (file().set("session_secret", Value::Null), "session_secret: expected base64"),
        (file().set("cooling_off", 301), "cooling_off"),
        (file().set("on_loss", "stay"), "on_loss: unknown variant `stay`, expected one of `move`"),
        (file().set("on_loss", Value::Null), "on_loss: "),
        (file().set("bounded_load", 125), "bounded_load: expected an object"),
        (file().set("bounded_load", json!({ "percent": 125 })), "bounded_load: missing field"),
        (file().set("bounded_load.percents", 125), "bounded_load.percents: unknown field"),
        (file().set("clock_skew", 86_401), "clock_skew"),
        (file().set("ipv6_prefix", 0), "ipv6_prefix"),
        (file().set("ipv6_prefix", 129), "ipv6_prefix"),
        (file().set("connect_timeout_ms", "soon"), "connect_timeout_ms"),
        (file().set("connect_timeout_ms", 0), "connect_timeout_ms is 0; allowed: 1 or more"),
        (file().set("max_connections", 0), "max_connections is 0; allowed: 1 or more"),
        (file().set("max_connections", -1), "max_connections"),
        (file().set("max_connections", "many"), "max_connections"),
        (file().set("max_head_bytes", 1_023), "max_head_bytes is 1023; allowed: 1024 to 16777216"),
        (file().set("max_head_bytes", 16_777_217), "max_head_bytes"),
        (file().set("head_timeout_ms", 0), "head_timeout_ms is 0; allowed: 1 or more"),
        (file().set("head_timeout_ms", Value::Null), "head_timeout_ms"),
        (file().set("answer_timeout_ms", 0), "answer_timeout_ms"),
        (file().set("body_idle_timeout_ms", 0), "body_idle_timeout_ms"),
        (file().set("tunnel_idle_timeout_ms", 0), "tunnel_idle_timeout_ms"),
        (file().set("shutdown_timeout_ms", 0), "shutdown_timeout_ms"),
        (file().set("forwarded_ports", "yes"), "forwarded_ports: expected true or false"),
        (file().set("proxy_protocol", 2), "proxy_protocol: expected true or false"),
        (file().set("explain", "yes"), "explain"),
        (file().set("cache_guard", 1), "cache_guard"),
        (file().set("store", "postgres://127.0.0.1"), "store"),
        (file().set("store", "redis://"), "store"),
        (file().set("store_deadline_ms", 20), "store_deadline_ms"),
        (file().set("store", "memory").set("store_deadline_ms", 20), "store_deadline_ms"),
        (file().set("trusted_proxies", json!(["127.0.0.1/33"])), "trusted_proxies"),
        (file().set("trusted_proxies", json!(["localhost"])), "trusted_proxies"),
        (file().set("trusted_proxies", "127.0.0.1/32"), "trusted_proxies"),
        (file().set("cookie.name", "a b"), "cookie.name"),
        (file().set("cookie.name", ""), "cookie.name"),
        (file().set("cookie.name", "__Host-lb"), "cookie.name"),
        (file().set("cookie.path", "shop"), "cookie.path"),
        (file().set("cookie.path", "/; Secure"), "cookie.path"),
        (file().set("cookie.domain", "a b"), "cookie.domain"),
        (file().set("cookie.partitioned", true).attribute("secure", "Never"), "cookie.partitioned"),
        (file().set("cookie.lifetime", "forever"), "cookie.lifetime"),
        (file().set("cookie.lifetime", Value::Null), "cookie.lifetime"),
        (file().set("carrier", "header"), "carrier"),
        (file().set("carrier", Value::Null), "carrier"),
        (file().set("carrier", json!({ "cookie": "__cflb" })), "carrier"),
        (file().set("carrier", json!({ "header": "a b" })), "carrier.header"),
        (file().set("carrier", json!({ "header": 1 })), "carrier"),
    ]);
}

#[test]
fn the_error_names_the_field_as_the_file_does_and_what_is_allowed() {
    for (file, line) in [
        (
            file().set("cookie.name", "a b"),
            r#"cookie.name is "a b"; allowed: 1 to 256 letters, digits and any of !#$%&'*+-.^_`|~"#,
        ),
        (
            file().set("cookie.name", "__Host-lb"),
            r#"cookie.name is "__Host-lb"; allowed with this prefix: secure Always, or always_use_https with secure Auto"#,
        ),
        (
            file()
                .set("cookie", json!({ "name": "__Host-lb", "path": "/shop" }))
                .attribute("secure", "Always"),
            r#"cookie.name is "__Host-lb"; allowed with the prefix __Host-: path / and no domain"#,
        ),
        (
            file().set("cookie.path", "shop"),
            r#"cookie.path is "shop"; allowed: / and then visible ASCII characters other than ;, 1024 in all"#,
        ),
        (
            file().set("cookie.domain", "a b"),
            r#"cookie.domain is "a b"; allowed: a host name of letters, digits, - and ., 253 in all"#,
        ),
        (
            file().set("cookie.partitioned", true).attribute("secure", "Never"),
            "cookie.partitioned is true with secure Never; allowed: true with secure Auto or Always",
        ),
        (
            file().set("carrier", json!({ "header": "Content-Length" })),
            r#"carrier.header is "Content-Length"; allowed: a name without a meaning in HTTP, such as x-session-affinity"#,
        ),
        (
            file()
                .set("carrier", json!({ "header": "x-lb" }))
                .set("load_balancer.session_affinity", "none"),
            r#"carrier is the header "x-lb"; allowed for none: cookie"#,
        ),
        (
            file().by_headers(&["x-user"]).set("carrier", json!({ "header": "x-lb" })),
            r#"carrier is the header "x-lb"; allowed for header: cookie"#,
        ),
        (file().set("retries", 9), "retries is 9; allowed: 1 to 8"),
        (file().set("ipv6_prefix", 0), "ipv6_prefix is 0; allowed: 1 to 128 bits"),
        (file().set("clock_skew", 86_401), "clock_skew is 86401; allowed: 0 to 86400 seconds"),
        (file().set("cooling_off", 301), "cooling_off is 301; allowed: 0 to 300 seconds"),
        (
            file().set("bounded_load", json!({ "percent": 99, "at_least": 4 })),
            "bounded_load.percent is 99; allowed: 100 to 1000 percent",
        ),
        (
            file().set("bounded_load", json!({ "percent": 125, "at_least": 0 })),
            "bounded_load.at_least is 0; allowed: 1 to 4294967295",
        ),
        (
            file().set("session_secret", "c2VjcmV0"),
            "session_secret: expected base64 (standard alphabet, padded) of 32 or more bytes, not all zero",
        ),
        (
            file().set("load_balancer.name", ""),
            r#"load_balancer.name is ""; allowed: 1 to 255 bytes without control characters"#,
        ),
        (
            file().set("load_balancer.session_affinity_ttl", 60),
            "session_affinity_ttl is 60; allowed: 1800 to 604800 seconds for cookie and ip_cookie",
        ),
        (
            file().set("load_balancer.fallback_pool", "us"),
            r#"fallback_pool is "us"; allowed: the id of a pool that exists"#,
        ),
    ] {
        let refused = run_to_its_end(Some(&file.to_string()), &[]);
        let told = refused.stderr.trim_end();
        assert!(told.contains(&format!("gateway.json: {line}")), "{line}: {told}");
        assert_eq!((refused.status, told.lines().count()), (Some(2), 1), "{told}");
    }
}

#[test]
fn bad_keys_are_refused_and_not_repeated() {
    let short = "c2VjcmV0";
    for keys in [
        json!([]),
        json!({}),
        json!([SECRETS[0]]),
        json!(SECRETS[0]),
        json!([[1, SECRETS[0]]]),
        json!({ "1": SECRETS[0] }),
        json!([{ "id": SECRETS[0], "secret": SECRETS[0] }]),
        json!([{ "id": 1 }]),
        json!([{ "secret": SECRETS[0] }]),
        json!([{ "id": 256, "secret": SECRETS[0] }]),
        json!([{ "id": 1, "secret": short }]),
        json!([{ "id": 1, "secret": SECRETS[0].trim_end_matches('=') }]),
        json!([{ "id": 1, "secret": "-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8=" }]),
        json!([{ "id": 1, "secret": SECRETS[0] }, { "id": 1, "secret": SECRETS[1] }]),
    ] {
        let text = file().set("keys", keys).to_string();
        assert_refused(Some(&text), &[], "keys");
        let told = run_to_its_end(Some(&text), &[]).stderr;
        assert!(
            !told.contains(SECRETS[0]) && !told.contains(short) && !told.contains("-_-_"),
            "{told}"
        );
    }
    let text = file().by_headers(&["x-user"]).set("session_secret", short).to_string();
    assert_refused(Some(&text), &[], "session_secret");
    assert!(!run_to_its_end(Some(&text), &[]).stderr.contains(short));
}

#[test]
fn a_value_of_cloudflares_that_is_out_of_range_is_refused() {
    let balancer = |name: &str, value: Value| file().set(&format!("load_balancer.{name}"), value);
    assert_all_refused([
        (file().without("load_balancer"), "load_balancer"),
        (file().without("pools"), "pools"),
        (balancer("name", json!("")), "name"),
        (balancer("name", json!("a\nb")), "name"),
        (balancer("session_affinity", json!("magic")), "session_affinity"),
        (balancer("session_affinity_ttl", json!(1_799)), "session_affinity_ttl"),
        (balancer("session_affinity_ttl", json!(604_801)), "session_affinity_ttl"),
        (balancer("session_affinity_ttl", json!(1_800.5)), "session_affinity_ttl"),
        (balancer("default_pools", json!(["eu", "us"])), "default_pools"),
        (balancer("default_pools", json!(["eu", "eu"])), "default_pools"),
        (balancer("default_pools", json!([])), "default_pools is []; allowed: one pool or more"),
        (file().without("load_balancer.default_pools").set("pools", json!([])), "pools is []"),
        (balancer("fallback_pool", json!("us")), "fallback_pool"),
        (file().attribute("samesite", "Some"), "samesite"),
        (file().attribute("secure", "Perhaps"), "secure"),
        (file().attribute("samesite", "None").attribute("secure", "Never"), "samesite"),
        (file().attribute("drain_duration", 604_801), "drain_duration"),
        (file().attribute("drain_duration", -1), "drain_duration"),
        (file().failover("always"), "zero_downtime_failover"),
        (file().by_headers(&["x-user"]).failover("sticky"), "zero_downtime_failover"),
        (
            file().by_headers(&["x-user"]).set("load_balancer.session_affinity_ttl", 3_601),
            "session_affinity_ttl",
        ),
        (
            file().by_headers(&["x-user"]).set("load_balancer.session_affinity_ttl", 29),
            "session_affinity_ttl",
        ),
        (file().by_headers(&[]), "headers"),
        (file().by_headers(&["a", "b", "c", "d", "e", "f"]), "headers"),
        (file().by_headers(&["x-user", "X-User"]), "headers"),
        (file().by_headers(&["cookie:"]), "headers"),
        (file().by_headers(&["x user"]), "headers"),
        (
            file().set("load_balancer.adaptive_routing.failover_across_pools", "yes"),
            "failover_across_pools",
        ),
    ]);
}

#[test]
fn a_pool_that_is_wrong_is_refused() {
    let pool = |name: &str, value: Value| file().set(&format!("pools.0.{name}"), value);
    let origin = |name: &str, value: Value| file().set(&format!("pools.0.origins.0.{name}"), value);
    let twice = |value: Value| json!([value.clone(), value]);
    assert_all_refused([
        (file().set("pools", twice(file().0["pools"][0].clone())), "pools"),
        (pool("id", json!("")), "id"),
        (pool("minimum_origins", json!(-1)), "minimum_origins"),
        (pool("minimum_origins", json!(0.5)), "minimum_origins"),
        (pool("origin_steering", json!({ "policy": "proximity" })), "policy"),
        (pool("load_shedding", json!({ "default_percent": 101 })), "default_percent"),
        (pool("load_shedding", json!({ "session_percent": 100.5 })), "session_percent"),
        (pool("load_shedding", json!({ "default_policy": "coin" })), "default_policy"),
        (pool("origins", twice(file().0["pools"][0]["origins"][0].clone())), "origins"),
        (pool("disabled_at", json!("yesterday")), "disabled_at"),
        (origin("name", json!("")), "name"),
        (origin("address", json!("no where:80")), "address"),
        (origin("address", json!("127.0.0.1:99999")), "address"),
        (origin("address", json!("127.0.0.1:0")), "address"),
        (origin("address", json!("127.0.0.256:80")), "address"),
        (origin("address", json!("http://127.0.0.1:80")), "address"),
        (origin("address", json!("")), "address"),
        (origin("address", Value::Null), "address"),
        (origin("address", json!("127.0.0.1:080")), "address"),
        (origin("address", json!("127.0.0.1:+80")), "address"),
        (origin("address", json!("127.0.0.1 ")), "address"),
        (origin("address", json!("[::1]x")), "address"),
        (
            origin("port", json!(10)),
            "pools[eu].origins[eu-1].port is 10 with the address \"127.0.0.1:9\"",
        ),
        (origin("port", json!(65_536)), "pools[0].origins[0].port"),
        (origin("port", json!("9")), "pools[0].origins[0].port"),
        (origin("weight", json!(1.01)), "weight"),
        (origin("weight", json!(-0.1)), "weight"),
        (origin("weight", json!(0.125)), "weight"),
        (origin("enabled", json!("yes")), "enabled"),
        (origin("disabled_at", json!("2026-02-30T12:00:00Z")), "disabled_at"),
        (origin("disabled_at", json!(1_790_000_000)), "disabled_at"),
    ]);
}

#[test]
fn what_is_missing_at_the_top_has_a_default() {
    let a = Endpoint::start("a");
    let mut file = shop(&[&a]);
    for name in ["listen", "admin", "keys", "explain"] {
        file = file.without(name);
    }
    // Without them the ports are the gateway's own choice, so they are given as flags.
    let gateway = Gateway::start_with(
        Some(&file.to_string()),
        &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
    );
    gateway.visit().assert_ok();
}

#[test]
fn a_load_balancer_as_cloudflare_exports_it_is_read_unchanged() {
    let a = Endpoint::start("a");
    let file = shop(&[&a])
        .set(
            "load_balancer",
            json!({
                "id": "699d98642c564d2e855e9661899b7252",
                "created_on": "2014-01-01T05:20:00.12345Z",
                "modified_on": "2014-01-01T05:20:00.12345Z",
                "description": "Load balancer for the shop",
                "enabled": true,
                "name": "shop.example.com",
                "proxied": true,
                "ttl": 30,
                "fallback_pool": "eu",
                "default_pools": ["eu"],
                "region_pools": { "WNAM": ["eu"] },
                "country_pools": {},
                "steering_policy": "least_outstanding_requests",
                "session_affinity": "cookie",
                "session_affinity_ttl": 1800.0,
                "session_affinity_attributes": {
                    "samesite": "Auto", "secure": "Auto", "drain_duration": 100.0,
                    "zero_downtime_failover": "sticky", "headers": null, "require_all_headers": null,
                },
                "adaptive_routing": { "failover_across_pools": null },
                "location_strategy": { "prefer_ecs": "always", "mode": "resolver_ip" },
                "random_steering": { "default_weight": 0.2, "pool_weights": {} },
                "rules": null,
            }),
        )
        .set(
            "pools",
            json!([{
                "id": "eu",
                "name": "primary-dc-1",
                "created_on": "2014-01-01T05:20:00.12345Z",
                "description": null,
                "enabled": true,
                "disabled_at": null,
                "minimum_origins": 1.0,
                "monitor": "f1aba936b94213e5b8dca0c0dbf1f9cc",
                "check_regions": ["WEU"],
                "latitude": null,
                "notification_filter": { "origin": { "disable": false, "healthy": null } },
                "origin_steering": { "policy": "random" },
                "load_shedding": {
                    "default_percent": 0.0, "default_policy": "random", "session_percent": 0, "session_policy": "hash",
                },
                "origins": [{
                    "name": "a", "address": a.address.to_string(), "enabled": null, "disabled_at": null,
                    "weight": 0.6, "header": { "Host": ["example.com"] }, "virtual_network_id": null, "port": 0,
                }],
            }]),
        );
    let gateway = Gateway::start(&file);
    let mut browser = gateway.browser();
    let first = browser.get("/");
    assert!(first.set_cookie().is_some_and(|line| line.contains("Max-Age=1800;")));
    assert_eq!(browser.get("/").outcome(), "kept");
}

#[test]
fn an_address_without_a_port_takes_the_port_of_its_origin() {
    let a = Endpoint::start("a");
    let port = a.address.port();
    for (address, given) in [
        (a.address.ip().to_string(), json!(port)),
        ("localhost".into(), json!(port)),
        (a.address.to_string(), json!(port)),
        (a.address.to_string(), json!(0)),
    ] {
        let file = shop(&[&a])
            .set("pools.0.origins.0.address", address)
            .set("pools.0.origins.0.port", given);
        Gateway::start(&file).visit().assert_ok();
    }
}

#[test]
fn a_fallback_pool_alone_is_enough() {
    let a = Endpoint::start("a");
    let file = shop(&[&a])
        .set("load_balancer.default_pools", json!([]))
        .set("load_balancer.fallback_pool", "eu");
    Gateway::start(&file).visit().assert_ok();
}

#[test]
fn unknown_keys_and_nulls_under_load_balancer_and_pools_are_ignored() {
    let a = Endpoint::start("a");
    let file = shop(&[&a])
        .set("load_balancer.colour", "red")
        .set("load_balancer.session_affinity_ttl", Value::Null)
        .set("load_balancer.fallback_pool", Value::Null)
        .set("load_balancer.session_affinity_attributes", Value::Null)
        .set("load_balancer.adaptive_routing", Value::Null)
        .set("pools.0.colour", "red")
        .set("pools.0.origin_steering", Value::Null)
        .set("pools.0.load_shedding", Value::Null)
        .set("pools.0.minimum_origins", Value::Null)
        .set("pools.0.origins.0.weight", Value::Null)
        .set("pools.0.origins.0.colour", json!({ "any": ["thing"] }));
    Gateway::start(&file).visit().assert_ok();
}

#[test]
fn without_default_pools_all_are_used_in_their_order() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    for file in [
        crate::support::shop_of_pools(&[("us", &[&b]), ("eu", &[&a])])
            .without("load_balancer.default_pools"),
        crate::support::shop_of_pools(&[("us", &[&b]), ("eu", &[&a])])
            .set("load_balancer.default_pools", Value::Null),
    ] {
        let gateway = Gateway::start(&file);
        assert_eq!(gateway.visit().served_by(), "b");
        gateway.patch("/pools/us", json!({ "enabled": false }));
        assert_eq!(gateway.visit().served_by(), "a");
    }
}

#[test]
fn flags_override_the_file() {
    let a = Endpoint::start("a");
    // Addresses that can't be bound: the documentation's own, of no machine.
    let file = shop(&[&a]).set("listen", "192.0.2.1:0").set("admin", "192.0.2.1:0").to_string();
    let gateway =
        Gateway::start_with(Some(&file), &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    gateway.visit().assert_ok();
    assert_eq!(gateway.admin("GET", "/state", "").0, 200);
}

#[test]
fn an_address_that_is_taken_is_an_error_that_names_it() {
    let a = Endpoint::start("a");
    let taken = a.address.to_string();
    for (field, other) in [("listen", "admin"), ("admin", "listen")] {
        let refused = run_to_its_end(
            Some(&shop(&[&a]).set(field, taken.clone()).set(other, "127.0.0.1:0").to_string()),
            &[],
        );
        assert!(refused.status.is_some_and(|status| status != 0), "{refused:?}");
        assert_eq!(
            (refused.stdout.as_str(), refused.stderr.lines().count()),
            ("", 1),
            "{refused:?}"
        );
        assert!(refused.stderr.contains(&taken) || refused.stderr.contains(field), "{refused:?}");
    }
}

#[test]
fn the_file_in_the_readme_is_accepted() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```json\n").expect("a file");
    let (file, _) = rest.split_once("```").expect("its end");
    let anywhere = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let gateway = Gateway::start_with(Some(file), &anywhere);
    assert!(gateway.errors().is_empty(), "{:?}", gateway.errors());
}
