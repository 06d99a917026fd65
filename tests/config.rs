//! Every parameter: its default, its range, its refusal, and Cloudflare's JSON.

use serde_json::{Value, json};
use session_affinity::config::*;
use session_affinity::cookies::{CookieName, Lifetime, SameSite, Secure};
use session_affinity::failover::{MoveWithin, OnLoss};
use session_affinity::limits::{Percent, Ttl};
use session_affinity::policy::{Life, SlidingPolicy};
use session_affinity::pools::LoadShedding;
use session_affinity::*;

mod support;
use support::keyring;

fn refused(change: impl FnOnce(&mut Config)) -> String {
    let mut config = Config::new("shop.example.com");
    change(&mut config);
    match Affinity::from_config(&config, &keyring()) {
        Ok(_) => "accepted".into(),
        Err(error) => told(&error),
    }
}

/// The message of an error, which begins with the path of the field and says all: no source repeats
/// any of it.
fn told(error: &InvalidConfig) -> String {
    let message = said_once(error);
    let rest = message.strip_prefix(&error.field()).expect(&message);
    assert!(rest.starts_with(" is ") || rest.starts_with(" has "), "{message}");
    message
}

/// The message of an error, of whose sources none has a text that was said before.
fn said_once(error: &dyn std::error::Error) -> String {
    let all: Vec<String> = std::iter::successors(Some(error), |error| error.source())
        .map(|error| error.to_string())
        .collect();
    for (place, text) in all.iter().enumerate() {
        let allowed = text.split_once("; allowed").map_or(text.as_str(), |(_, allowed)| allowed);
        let before = &all[..place];
        assert!(!before.iter().any(|said| said.contains(allowed)), "{all:?}");
    }
    all.into_iter().next().expect("the error itself")
}

fn header(config: &mut Config) {
    config.session_affinity = SessionAffinity::Header;
    config.session_affinity_attributes.headers = vec!["x-user".into()];
    config.extensions.session_secret = Some(Secret::new([5; 32]).unwrap());
}

#[test]
fn the_defaults_are_accepted_for_every_policy() {
    for policy in [SessionAffinity::None, SessionAffinity::Cookie, SessionAffinity::IpCookie] {
        assert_eq!(refused(|config| config.session_affinity = policy), "accepted");
    }
    assert_eq!(refused(header), "accepted");
}

#[test]
fn each_refusal_names_the_field_the_value_and_what_is_allowed() {
    use SessionAffinity::*;
    type Change = fn(&mut Config);
    let rows: [(Change, &str); 29] = [
        (
            |c| c.name = String::new(),
            "name is \"\"; allowed: 1 to 255 bytes without control characters",
        ),
        (
            |c| (c.session_affinity, c.session_affinity_ttl) = (Cookie, Some(1_799)),
            "session_affinity_ttl is 1799; allowed: 1800 to 604800 seconds for cookie and ip_cookie",
        ),
        (
            |c| (c.session_affinity, c.session_affinity_ttl) = (IpCookie, Some(604_801)),
            "session_affinity_ttl is 604801; allowed: 1800 to 604800 seconds for cookie and ip_cookie",
        ),
        (
            |c| {
                header(c);
                c.session_affinity_ttl = Some(29);
            },
            "session_affinity_ttl is 29; allowed: 30 to 3600 seconds for header",
        ),
        (
            |c| {
                header(c);
                c.session_affinity_ttl = Some(3_601);
            },
            "session_affinity_ttl is 3601; allowed: 30 to 3600 seconds for header",
        ),
        (|c| c.session_affinity_ttl = Some(1), "accepted"),
        (
            |c| c.session_affinity_attributes.drain_duration = 604_801,
            "session_affinity_attributes.drain_duration is 604801; allowed: 0 to 604800 seconds",
        ),
        (|c| c.extensions.retries = 0, "retries is 0; allowed: 1 to 8"),
        (|c| c.extensions.retries = 9, "retries is 9; allowed: 1 to 8"),
        (|c| c.extensions.ipv6_prefix = 0, "ipv6_prefix is 0; allowed: 1 to 128 bits"),
        (|c| c.extensions.ipv6_prefix = 129, "ipv6_prefix is 129; allowed: 1 to 128 bits"),
        (|c| c.extensions.clock_skew = 86_401, "clock_skew is 86401; allowed: 0 to 86400 seconds"),
        (|c| c.extensions.cooling_off = 301, "cooling_off is 301; allowed: 0 to 300 seconds"),
        (
            |c| c.extensions.bounded_load = Some(BoundedLoadConfig { percent: 99, at_least: 1 }),
            "bounded_load.percent is 99; allowed: 100 to 1000 percent",
        ),
        (
            |c| c.extensions.bounded_load = Some(BoundedLoadConfig { percent: 100, at_least: 0 }),
            "bounded_load.at_least is 0; allowed: 1 to 4294967295",
        ),
        (
            |c| c.extensions.cookie.name = "a b".into(),
            "cookie.name is \"a b\"; allowed: 1 to 256 letters, digits and any of !#$%&'*+-.^_`|~",
        ),
        (
            |c| c.extensions.cookie.path = "x".into(),
            "cookie.path is \"x\"; allowed: / and then visible ASCII characters other than ;, 1024 in all",
        ),
        (
            |c| c.extensions.cookie.domain = Some("a;b".into()),
            "cookie.domain is \"a;b\"; allowed: a host name of letters, digits, - and ., 253 in all",
        ),
        (
            |c| {
                c.session_affinity_attributes.samesite = SameSite::None;
                c.session_affinity_attributes.secure = Secure::Never;
            },
            "session_affinity_attributes.samesite is None with secure Never; allowed: None with secure Auto or Always",
        ),
        (
            |c| {
                c.extensions.cookie.partitioned = true;
                c.session_affinity_attributes.secure = Secure::Never;
            },
            "cookie.partitioned is true with secure Never; allowed: true with secure Auto or Always",
        ),
        (
            |c| c.extensions.cookie.name = "__Secure-a".into(),
            "cookie.name is \"__Secure-a\"; allowed with this prefix: secure Always, or always_use_https with secure Auto",
        ),
        (
            |c| {
                c.extensions.cookie = CookieConfig {
                    name: "__Host-a".into(),
                    path: "/shop".into(),
                    ..c.extensions.cookie.clone()
                };
                c.session_affinity_attributes.secure = Secure::Always;
            },
            "cookie.name is \"__Host-a\"; allowed with the prefix __Host-: path / and no domain",
        ),
        (
            |c| {
                c.session_affinity = Cookie;
                c.extensions.carrier = CarrierConfig::Header("a b".into());
            },
            "carrier.header is \"a b\"; allowed: 1 to 256 letters, digits and any of !#$%&'*+-.^_`|~",
        ),
        (
            |c| {
                c.session_affinity = IpCookie;
                c.extensions.carrier = CarrierConfig::Header("Host".into());
            },
            "carrier.header is \"Host\"; allowed: a name without a meaning in HTTP, such as x-session-affinity",
        ),
        (
            |c| {
                c.session_affinity = None;
                c.extensions.carrier = CarrierConfig::Header("x-lb".into());
            },
            "carrier is the header \"x-lb\"; allowed for none: cookie",
        ),
        (
            |c| {
                header(c);
                c.extensions.carrier = CarrierConfig::Header("x-lb".into());
            },
            "carrier is the header \"x-lb\"; allowed for header: cookie",
        ),
        (
            |c| c.session_affinity = Header,
            "session_secret is missing; allowed for header: 32 or more secret bytes",
        ),
        (
            |c| {
                header(c);
                c.session_affinity_attributes.headers.clear();
            },
            "session_affinity_attributes.headers has 0 entries; allowed: 1 to 5",
        ),
        (
            |c| {
                header(c);
                c.session_affinity_attributes.zero_downtime_failover = FailoverMode::Sticky;
            },
            "session_affinity_attributes.zero_downtime_failover is sticky; allowed for header: none or temporary",
        ),
    ];
    for (change, message) in rows {
        assert_eq!(refused(change), message);
    }
}

/// The cookie that is stripped from requests is the one that is set.
#[test]
fn the_affinity_knows_which_cookie_is_its_own() {
    use SessionAffinity::*;
    for (policy, own) in [
        (None, Option::None),
        (Cookie, Some("sid")),
        (IpCookie, Some("sid")),
        (Header, Some("sid")),
    ] {
        let mut config = Config { session_affinity: policy, ..Config::new("shop.example.com") };
        config.extensions.cookie.name = "sid".into();
        config.extensions.session_secret = Some(Secret::new([7; 32]).unwrap());
        config.session_affinity_attributes.headers = vec!["x-user".into()];
        let affinity = Affinity::from_config(&config, &keyring()).unwrap();
        assert_eq!(affinity.cookie_name().map(CookieName::as_str), own, "{policy:?}");
    }
}

#[test]
fn a_load_balancer_as_the_api_returns_it_is_read_unchanged() {
    let config: Config = serde_json::from_str(
        r#"{
            "id": "699d98642c564d2e855e9661899b7252", "created_on": "2014-01-01T05:20:00.12345Z", "description": null,
            "name": "shop.example.com", "enabled": true, "proxied": true, "ttl": 30, "networks": ["cloudflare"],
            "session_affinity": "ip_cookie", "session_affinity_ttl": 1800.0,
            "session_affinity_attributes": {
                "samesite": "Lax", "secure": "Always", "drain_duration": 1e2, "zero_downtime_failover": "sticky",
                "headers": null, "require_all_headers": null
            },
            "adaptive_routing": { "failover_across_pools": true },
            "random_steering": { "default_weight": 0.2, "pool_weights": { "eu": 1, "us": null } },
            "steering_policy": "random",
            "default_pools": ["eu", "us"], "fallback_pool": "us", "rules": [], "country_pools": {}
        }"#,
    )
    .unwrap();
    let expected = Config {
        session_affinity: SessionAffinity::IpCookie,
        session_affinity_ttl: Some(1_800),
        session_affinity_attributes: SessionAffinityAttributes {
            samesite: SameSite::Lax,
            secure: Secure::Always,
            drain_duration: 100,
            zero_downtime_failover: FailoverMode::Sticky,
            ..SessionAffinityAttributes::default()
        },
        adaptive_routing: AdaptiveRouting { failover_across_pools: true },
        steering_policy: PoolSteeringPolicy::Random,
        random_steering: RandomSteering {
            default_weight: Some(0.2),
            pool_weights: [("eu".into(), 1.0)].into(),
        },
        default_pools: Some(vec!["eu".into(), "us".into()]),
        fallback_pool: Some("us".into()),
        ..Config::new("shop.example.com")
    };
    assert_eq!(config, expected);
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(serde_json::from_value::<Config>(written).unwrap(), config);
}

#[test]
fn null_and_absence_and_the_empty_policy_are_the_default() {
    let default = Config::new("a");
    for text in [
        r#"{"name": "a"}"#,
        r#"{"name": "a", "session_affinity": ""}"#,
        r#"{"name": "a", "session_affinity": "none", "session_affinity_ttl": null, "session_affinity_attributes": null}"#,
        r#"{"name": "a", "session_affinity": null, "adaptive_routing": null, "default_pools": null, "fallback_pool": null}"#,
        r#"{"name": "a", "steering_policy": "", "random_steering": {"pool_weights": null}}"#,
        r#"{"name": "a", "steering_policy": null, "random_steering": {}}"#,
        r#"{"name": "a", "session_affinity_attributes": {"samesite": null, "drain_duration": null, "secure": "Auto"}}"#,
    ] {
        assert_eq!(serde_json::from_str::<Config>(text).unwrap(), default, "{text}");
    }
}

#[test]
fn values_of_another_kind_are_errors() {
    for text in [
        r#"{"session_affinity": "Cookie"}"#,
        r#"{"steering_policy": "hash"}"#,
        r#"{"steering_policy": "Random"}"#,
        r#"{"random_steering": [1]}"#,
        r#"{"random_steering": {"default_weight": "1"}}"#,
        r#"{"random_steering": {"pool_weights": {"eu": "1"}}}"#,
        r#"{"session_affinity_ttl": -1}"#,
        r#"{"session_affinity_ttl": 1800.5}"#,
        r#"{"session_affinity_ttl": 1e300}"#,
        r#"{"session_affinity_ttl": "1800"}"#,
        r#"{"session_affinity_attributes": {"samesite": "lax"}}"#,
        r#"{"session_affinity_attributes": {"zero_downtime_failover": "always"}}"#,
        r#"{"session_affinity_attributes": {"headers": ["a", 1]}}"#,
        r#"{"session_affinity_attributes": {"require_all_headers": 1}}"#,
        r#"{"session_affinity_attributes": ["Strict", "Never"]}"#,
        r#"{"adaptive_routing": [true]}"#,
    ] {
        assert!(serde_json::from_str::<Config>(text).is_err(), "{text}");
    }
    for text in [
        r#"{"origin_steering": ["hash"]}"#,
        r#"{"load_shedding": [1]}"#,
        r#"{"origins": [["a", "1.2.3.4"]]}"#,
    ] {
        let error = serde_json::from_str::<PoolConfig>(text).unwrap_err().to_string();
        assert!(
            error.starts_with("invalid type: sequence, expected an object at "),
            "{text}: {error}"
        );
    }
    let negative = serde_json::from_str::<Config>(r#"{"session_affinity_ttl": -1}"#).unwrap_err();
    let message = "invalid value: integer `-1`, expected a whole number that is not negative at line 1 column 27";
    assert_eq!(negative.to_string(), message);
}

fn pool(json: &str) -> Result<Pools<String>, InvalidConfig> {
    let pools: Vec<PoolConfig> = serde_json::from_str(json).unwrap();
    Config::new("shop").pools(&pools, Health::Healthy, |_, origin| origin.address.clone(), |_| 0)
}

#[test]
fn pools_are_read_with_their_defaults() {
    let pools = pool(
        r#"[{ "id": "eu", "name": "Europe", "minimum_origins": 2.0, "monitor": null,
              "load_shedding": { "default_percent": 10.0, "session_percent": 5, "session_policy": "hash" },
              "origins": [ { "name": "a", "address": "10.0.0.1", "weight": 0.56, "header": { "Host": ["x"] } },
                           { "name": "b", "address": "10.0.0.2", "enabled": false, "disabled_at": "2027-01-15T08:00:00Z" } ] },
            { "id": "us", "enabled": null, "origin_steering": null, "load_shedding": null, "origins": null }]"#,
    )
    .unwrap();
    let eu = pools.pool("eu").unwrap();
    assert_eq!((eu.minimum_origins(), eu.state(), eu.is_critical()), (2, State::Enabled, true));
    assert_eq!(eu.shedding().default_percent.get(), 10);
    let [a, b] = eu.endpoints().collect::<Vec<_>>()[..] else { panic!("two endpoints") };
    assert_eq!(
        (a.name(), a.target().as_str(), a.weight().get(), a.state()),
        ("a", "10.0.0.1", 56, State::Enabled)
    );
    assert_eq!(b.state(), State::Disabled { at: Some(support::NOW) });
    assert_eq!(pools.pool("us").unwrap().minimum_origins(), 1);
}

/// The JSON of a pool `eu` with one endpoint `a`, both with these fields more.
fn reloaded(before: &Pools<String>, pool: &str, origin: &str) -> Pools<String> {
    let json = format!(r#"[{{"id": "eu"{pool}, "origins": [{{"name": "a"{origin}}}]}}]"#);
    let pools: Vec<PoolConfig> = serde_json::from_str(&json).unwrap();
    let target =
        |_: &PoolConfig, _: &OriginConfig, before: Option<&String>| before.unwrap().clone();
    Config::new("shop").rebuild(before, &pools, Health::Healthy, target, |_| 0).unwrap()
}

/// manual::gateways, Reloading a configuration: "A key that the file has wins; one that it does not
/// have leaves the value as it is". manual::cloudflare, Parameters of a pool: "null states the
/// default".
#[test]
fn a_reload_takes_what_the_file_states_and_keeps_the_rest() {
    let first =
        pool(r#"[{"id": "eu", "origins": [{"name": "a", "address": "10.0.0.1"}]}]"#).unwrap();
    let id = EndpointId::new("eu", "a");
    let (early, late) = (support::NOW, support::NOW.saturating_add(60));
    let stamp = r#", "disabled_at": "2027-01-15T08:01:00Z""#;
    let disabled = |at| State::Disabled { at };
    let states = [
        ("", State::Enabled, State::Enabled),
        ("", disabled(Some(early)), disabled(Some(early))),
        (r#", "enabled": null"#, disabled(Some(early)), State::Enabled),
        (r#", "enabled": true"#, disabled(Some(early)), State::Enabled),
        (r#", "enabled": false"#, State::Enabled, disabled(None)),
        (r#", "enabled": false"#, disabled(Some(early)), disabled(Some(early))),
        (r#", "enabled": false"#, disabled(None), disabled(None)),
        // What stands beside a key of a state that is not disabled, or not stated, does not count.
        (stamp, State::Enabled, State::Enabled),
        (stamp, disabled(Some(early)), disabled(Some(early))),
    ];
    let stamped = format!(r#", "enabled": false{stamp}"#);
    let states = states.into_iter().chain([
        (stamped.as_str(), State::Enabled, disabled(Some(late))),
        (stamped.as_str(), disabled(Some(early)), disabled(Some(late))),
        (stamped.as_str(), disabled(None), disabled(Some(late))),
    ]);
    for (json, was, state) in states {
        let edited = first.edited(|edit| {
            edit.state(id, was)?;
            edit.health(id, Health::Unchecked)
        });
        let after = reloaded(&edited.unwrap(), "", json);
        let endpoint = after.endpoint(id).unwrap();
        assert_eq!(endpoint.state(), state, "{json} after {was:?}");
        assert_eq!(endpoint.health(), Health::Unchecked, "no file states health");

        let before = first.edited(|edit| edit.pool_state("eu", was)).unwrap();
        let after = reloaded(&before, json, "");
        assert_eq!(after.pool("eu").unwrap().state(), state, "{json} after {was:?}");
    }

    let weight = Weight::new(30).unwrap();
    let before = first.edited(|edit| edit.weight(id, weight)).unwrap();
    for (json, weight) in [("", 30), (r#", "weight": null"#, 100), (r#", "weight": 0.7"#, 70)] {
        let after = reloaded(&before, "", json);
        assert_eq!(after.endpoint(id).unwrap().weight().get(), weight, "{json}");
    }

    let shedding = LoadShedding { session_percent: Percent::MAX, ..LoadShedding::default() };
    let edited = first.edited(|edit| {
        edit.pool_minimum_origins("eu", 7)?;
        edit.pool_shedding("eu", shedding)
    });
    let before = edited.unwrap();
    let rows = [
        ("", 7, 0, 100),
        (r#", "minimum_origins": null, "load_shedding": null"#, 1, 0, 0),
        (r#", "minimum_origins": 2"#, 2, 0, 100),
        // An object states all of its parameters.
        (r#", "load_shedding": {"default_percent": 5}"#, 7, 5, 0),
        (r#", "load_shedding": {}"#, 7, 0, 0),
    ];
    for (json, minimum, default_percent, session_percent) in rows {
        let after = reloaded(&before, json, "");
        let eu = after.pool("eu").unwrap();
        let shedding = eu.shedding();
        assert_eq!(eu.minimum_origins(), minimum, "{json}");
        assert_eq!(shedding.default_percent.get(), default_percent, "{json}");
        assert_eq!(shedding.session_percent.get(), session_percent, "{json}");
    }
}

/// manual::gateways, Reloading a configuration: "the target of before, to be kept or replaced".
#[test]
fn a_reload_is_given_the_targets_of_before_and_keeps_marks() {
    let file = |json: &str| -> Vec<PoolConfig> { serde_json::from_str(json).unwrap() };
    let first = file(r#"[{"id": "eu", "origins": [{"name": "a"}, {"name": "b"}]}, {"id": "us"}]"#);
    let config = Config { fallback_pool: Some("us".into()), ..Config::new("shop") };
    let before =
        config.pools(&first, Health::Healthy, |_, origin| origin.name.clone(), |_| 0).unwrap();
    let affinity = Affinity::new(support::cookie_policy());
    let headers = http::HeaderMap::new();
    for drawn in 0..8 {
        let visit = affinity.recall(&support::request(&headers), support::NOW);
        let (attempt, _) = affinity.route(visit, Record::Absent, &before, || drawn).unwrap();
        let _ = affinity.settle(attempt, &before);
    }

    let next = file(
        r#"[{"id": "us", "origins": [{"name": "a"}]}, {"id": "eu", "origins": [{"name": "c"}, {"name": "b"}]}]"#,
    );
    let mut asked = Vec::new();
    let target = |pool: &PoolConfig, origin: &OriginConfig, before: Option<&String>| {
        asked.push((pool.id.clone(), origin.name.clone(), before.cloned()));
        format!("{}, again", origin.name)
    };
    let after = config.rebuild(&before, &next, Health::Healthy, target, |_| 0).unwrap();
    let asked: Vec<_> = asked
        .iter()
        .map(|(pool, origin, before)| (pool.as_str(), origin.as_str(), before.as_deref()))
        .collect();
    assert_eq!(asked, [("us", "a", None), ("eu", "c", None), ("eu", "b", Some("b"))]);

    let b = EndpointId::new("eu", "b");
    assert_eq!(after.target(b).unwrap(), "b, again");
    assert!(before.endpoint(b).unwrap().census().latest_end.is_some());
    assert_eq!(after.endpoint(b).unwrap().census(), before.endpoint(b).unwrap().census());
    assert!(after.endpoint(EndpointId::new("eu", "a")).is_none());
    assert_eq!(after.iter().map(|pool| pool.name()).collect::<Vec<_>>(), ["us", "eu"]);

    let twice = file(r#"[{"id": "eu"}, {"id": "eu"}]"#);
    let refused = config
        .rebuild(&before, &twice, Health::Healthy, |_, _, _| String::new(), |_| 0)
        .unwrap_err();
    assert_eq!(refused.to_string(), r#"pools is "eu" twice; allowed: each id once"#);
}

/// manual::gateways, Reloading a configuration: "Which health a new endpoint has is yours to say".
#[test]
fn the_caller_states_the_health_of_new_endpoints() {
    let file = |names: &[&str]| PoolConfig {
        origins: names.iter().map(|name| OriginConfig::new(*name, "")).collect(),
        ..PoolConfig::new("eu")
    };
    let config = Config::new("shop");
    let health = |pools: &Pools<()>, name| {
        pools.endpoint(EndpointId::new("eu", name)).map(|endpoint| endpoint.health())
    };
    for initial in [Health::Healthy, Health::Unhealthy, Health::Unchecked] {
        let first = config.pools(&[file(&["a"])], initial, |_, _| (), |()| 0).unwrap();
        assert_eq!(health(&first, "a"), Some(initial));
        for known in [Health::Healthy, Health::Unhealthy, Health::Unchecked] {
            let a = EndpointId::new("eu", "a");
            let before = first.edited(|edit| edit.health(a, known)).unwrap();
            let next = [file(&["a", "b"])];
            let after = config.rebuild(&before, &next, initial, |_, _, _| (), |()| 0).unwrap();
            assert_eq!((health(&after, "a"), health(&after, "b")), (Some(known), Some(initial)));
        }
    }
}

#[test]
fn what_a_file_does_not_state_is_not_written() {
    for json in [
        r#"[{"id":"eu","origin_steering":{"policy":"random"},"origins":[{"name":"a","address":"x"}]}]"#,
        r#"[{"id":"eu","enabled":true,"minimum_origins":1,"origin_steering":{"policy":"random"},"origins":[{"name":"a","address":"x","weight":1.0,"enabled":false}]}]"#,
    ] {
        let pools: Vec<PoolConfig> = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&pools).unwrap(), json);
    }
}

#[test]
fn pools_that_cannot_be_are_refused_with_the_path_to_the_field() {
    let rows = [
        (r#"[]"#, "pools is []; allowed: one pool or more, or a fallback_pool"),
        (
            r#"[{"id": ""}]"#,
            r#"pools.id is ""; allowed: 1 to 255 bytes without control characters"#,
        ),
        (r#"[{"id": "eu"}, {"id": "eu"}]"#, r#"pools is "eu" twice; allowed: each id once"#),
        (
            r#"[{"id": "eu", "origins": [{"name": "a"}, {"name": "a"}]}]"#,
            r#"pools[eu].origins is "a" twice; allowed: each name once in a pool"#,
        ),
        (
            r#"[{"id": "tenant1", "origins": [{"name": "coagehkojjmcoeac", "address": "a"}]},
                {"id": "tenant2", "origins": [{"name": "nbioeccdpngdgkne", "address": "b"}]}]"#,
            r#"pools[tenant2].origins.name is "nbioeccdpngdgkne", whose id b70b0fc67ce462b4 is that of "coagehkojjmcoeac" in pools[tenant1]; allowed: names with different ids"#,
        ),
        (
            r#"[{"id": "hddmgeplcomficgn"}, {"id": "gnnpbgphmidoacej"}]"#,
            r#"pools.id is "gnnpbgphmidoacej", whose hash is that of "hddmgeplcomficgn"; allowed: ids with different hashes"#,
        ),
        (
            r#"[{"id": "eu", "origins": [{"address": "x"}]}]"#,
            r#"pools[eu].origins.name is ""; allowed: 1 to 255 bytes without control characters"#,
        ),
        (
            r#"[{"id": "eu", "origins": [{"name": "a", "weight": 0.125}]}]"#,
            "pools[eu].origins[a].weight is 0.125; allowed: 0 to 1 in steps of 0.01",
        ),
        (
            r#"[{"id": "eu", "origins": [{"name": "a", "weight": 1.01}]}]"#,
            "pools[eu].origins[a].weight is 1.01; allowed: 0 to 1 in steps of 0.01",
        ),
        (
            r#"[{"id": "eu", "origins": [{"name": "a", "address": "10.0.0.1:80", "port": 8080}]}]"#,
            "pools[eu].origins[a].port is 8080 with the address \"10.0.0.1:80\"; allowed: an address without a port, or with this one",
        ),
        (
            r#"[{"id": "eu", "origins": [{"name": "a", "address": "10.0.0.1:080", "port": 80}]}]"#,
            "pools[eu].origins[a].address is \"10.0.0.1:080\"; allowed: an IP address or a host name, perhaps with :port, IPv6 then in brackets",
        ),
        (
            r#"[{"id": "eu", "origins": [{"name": "a", "port": 80}]}]"#,
            "pools[eu].origins[a].address is \"\"; allowed: an IP address or a host name, perhaps with :port, IPv6 then in brackets",
        ),
        (
            r#"[{"id": "eu", "load_shedding": {"default_percent": 101}}]"#,
            "pools[eu].load_shedding.default_percent is 101; allowed: 0 to 100 percent",
        ),
        (
            r#"[{"id": "eu", "minimum_origins": 4294967296}]"#,
            "pools[eu].minimum_origins is 4294967296; allowed: 0 to 4294967295 endpoints",
        ),
    ];
    for (json, message) in rows {
        assert_eq!(told(&pool(json).unwrap_err()), message);
    }
    let origins: Vec<_> = (0..32_769)
        .map(|number| json!({"name": number.to_string(), "address": "10.0.0.1:80"}))
        .collect();
    let crowd = json!([{"id": "eu", "origins": origins}]).to_string();
    let message = "pools[eu].origins has 32769 entries; allowed: at most 32768";
    assert_eq!(told(&pool(&crowd).unwrap_err()), message);
    for json in [
        r#"[{"id": "eu", "origins": [{"name": "a", "disabled_at": "yesterday"}]}]"#,
        r#"[{"id": "eu", "load_shedding": {"session_policy": "random"}}]"#,
        r#"[{"id": "eu", "load_shedding": {"default_percent": 1.5}}]"#,
        r#"[{"id": "eu", "origin_steering": {"policy": "fastest"}}]"#,
        r#"[{"id": "eu", "origins": [{"name": "a", "port": 65536}]}]"#,
        r#"[{"id": "eu", "origins": [{"name": "a", "port": -1}]}]"#,
        r#"[{"id": "eu", "origins": [{"name": "a", "port": "80"}]}]"#,
    ] {
        assert!(serde_json::from_str::<Vec<PoolConfig>>(json).is_err(), "{json}");
    }
}

#[test]
fn pools_stand_in_the_order_of_default_pools_and_the_fallback_comes_last() {
    let pools: Vec<PoolConfig> = ["a", "b", "c", "d"].map(PoolConfig::new).into();
    let config = |order: &[&str], fallback: Option<&str>| Config {
        default_pools: Some(order.iter().map(|id| (*id).into()).collect()),
        fallback_pool: fallback.map(Into::into),
        ..Config::new("shop")
    };
    let names = |config: Config| {
        let pools = config.pools(&pools, Health::Healthy, |_, _| (), |_| 0);
        pools
            .map(|pools| pools.iter().map(|pool| pool.name().to_owned()).collect::<Vec<_>>())
            .map_err(|error| told(&error))
    };
    assert_eq!(names(config(&["c", "a"], Some("d"))).unwrap(), ["c", "a", "d"]);
    assert_eq!(names(config(&["c", "a"], Some("c"))).unwrap(), ["c", "a"]);
    assert_eq!(names(Config::new("shop")).unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(
        names(config(&["x"], None)).unwrap_err(),
        r#"default_pools is "x"; allowed: the id of a pool that exists"#
    );
    assert_eq!(names(config(&[], Some("d"))).unwrap(), ["d"]);
    assert_eq!(
        names(config(&[], None)).unwrap_err(),
        "default_pools is []; allowed: one pool or more, or a fallback_pool"
    );
    assert_eq!(
        names(config(&["a", "a"], None)).unwrap_err(),
        r#"default_pools is "a" twice; allowed: each id once"#
    );
    assert_eq!(
        names(config(&["a"], Some("x"))).unwrap_err(),
        r#"fallback_pool is "x"; allowed: the id of a pool that exists"#
    );
}

#[test]
fn secrets_are_in_no_debug_output() {
    let mut config = Config::new("shop");
    config.extensions.session_secret = Some(Secret::new([65; 32]).unwrap());
    let shown = format!("{config:?} {:?}", keyring());
    assert!(shown.contains("Secret(..)") && !shown.contains("65, 65"), "{shown}");
}

/// manual::cloudflare, Parameters of a pool: "0 is the scheme's, as absence is".
#[test]
fn the_port_of_an_origin_completes_an_address_without_one() {
    let pool: PoolConfig = serde_json::from_str(
        r#"{"id": "eu", "origins": [
            {"name": "a", "address": "10.0.0.1", "port": 8080.0},
            {"name": "b", "address": "2001:db8::1", "port": 8080},
            {"name": "c", "address": "[2001:db8::1]:8080", "port": 8080},
            {"name": "d", "address": "10.0.0.1", "port": 0},
            {"name": "e", "address": "10.0.0.1", "port": null},
            {"name": "f", "address": "10.0.0.1:80", "port": 0}
        ]}"#,
    )
    .unwrap();
    let ports: Vec<_> = pool.origins.iter().map(|origin| origin.port).collect();
    assert_eq!(ports, [Some(8080), Some(8080), Some(8080), Some(0), None, Some(0)]);
    let written = serde_json::to_value(&pool).unwrap();
    assert_eq!(serde_json::from_value::<PoolConfig>(written).unwrap(), pool);
    let pools = Config::new("shop")
        .pools(&[pool], Health::Healthy, |_, origin| origin.authority(), |_| 0)
        .unwrap();
    let authorities: Vec<_> =
        pools.pool("eu").unwrap().endpoints().map(|endpoint| endpoint.target().clone()).collect();
    assert_eq!(
        authorities,
        [
            "10.0.0.1:8080",
            "[2001:db8::1]:8080",
            "[2001:db8::1]:8080",
            "10.0.0.1",
            "10.0.0.1",
            "10.0.0.1:80"
        ]
    );
}

/// 32 bytes, 5 each, in base64.
const SECRET: &str = "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=";

#[test]
fn extensions_are_read_by_the_names_of_their_fields() {
    let text = r#"{
        "retries": 2, "ipv6_prefix": 48.0, "clock_skew": 60, "cooling_off": 30,
        "on_loss": "lend", "move_within": "own_pool",
        "bounded_load": { "percent": 125, "at_least": 4.0 },
        "always_use_https": true, "cache_guard": false, "session_secret": "SECRET",
        "carrier": { "header": "x-lb" },
        "cookie": {
            "name": "lb", "path": "/shop", "domain": "example.com", "partitioned": true, "lifetime": "session"
        }
    }"#
    .replace("SECRET", SECRET);
    let expected = Extensions {
        retries: 2,
        ipv6_prefix: 48,
        clock_skew: 60,
        cooling_off: 30,
        on_loss: OnLoss::Lend,
        move_within: Some(MoveWithin::OwnPool),
        bounded_load: Some(BoundedLoadConfig { percent: 125, at_least: 4 }),
        always_use_https: true,
        cache_guard: false,
        session_secret: Some(Secret::new([5; 32]).unwrap()),
        carrier: CarrierConfig::Header("x-lb".into()),
        cookie: CookieConfig {
            name: "lb".into(),
            path: "/shop".into(),
            domain: Some("example.com".into()),
            partitioned: true,
            lifetime: Lifetime::Session,
        },
    };
    assert_eq!(serde_json::from_str::<Extensions>(&text).unwrap(), expected);
    // From text that is not borrowed, too.
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::from_value::<Extensions>(value).unwrap(), expected);

    let written = serde_json::to_value(&expected).unwrap();
    assert!(written.get("session_secret").is_none(), "{written}");
    let without_secret = Extensions { session_secret: None, ..expected };
    assert_eq!(serde_json::from_value::<Extensions>(written).unwrap(), without_secret);
}

#[test]
fn the_effect_of_a_lost_endpoint_is_that_of_the_extensions() {
    for on_loss in [OnLoss::Move, OnLoss::Lend, OnLoss::Refuse] {
        let extensions = Extensions { on_loss, ..Extensions::default() };
        let config = Config { extensions, ..Config::new("shop.example.com") };
        let affinity = Affinity::from_config(&config, &keyring()).unwrap();
        let set = Affinity::new(NoAffinity::new(affinity.load_balancer())).with_on_loss(on_loss);
        assert_eq!(format!("{affinity:?}"), format!("{set:?}"));
        assert!(format!("{affinity:?}").contains(&format!("on_loss: {on_loss:?}")));
    }
}

/// An affinity around a policy of a configuration has the parameters that `from_config` sets, and
/// refuses what that refuses.
#[test]
fn a_policy_around_that_of_a_configuration_has_the_parameters_of_the_configuration() {
    let wrapped = |config: &Config| {
        let sliding = SlidingPolicy::new(config.policy(&keyring())?).unwrap();
        Affinity::new(sliding).with_config(config)
    };
    let mut config = Config {
        session_affinity: SessionAffinity::Cookie,
        session_affinity_ttl: Some(1_800),
        session_affinity_attributes: SessionAffinityAttributes {
            zero_downtime_failover: FailoverMode::Sticky,
            drain_duration: 600,
            ..SessionAffinityAttributes::default()
        },
        adaptive_routing: AdaptiveRouting { failover_across_pools: true },
        extensions: Extensions {
            retries: 3,
            cooling_off: 30,
            on_loss: OnLoss::Refuse,
            ipv6_prefix: 56,
            cache_guard: false,
            move_within: Some(MoveWithin::OwnPool),
            ..Extensions::default()
        },
        ..Config::new("shop.example.com")
    };
    let sliding = wrapped(&config).unwrap();
    let given = Affinity::from_config(&config, &keyring()).unwrap();
    assert_eq!(format!("{sliding:?}"), format!("{given:?}"));
    let defaults = Affinity::new(NoAffinity::new(given.load_balancer()));
    assert_ne!(format!("{sliding:?}"), format!("{defaults:?}"));
    let life = config.policy(&keyring()).unwrap().life();
    assert_eq!(life, Life::Absolute(Ttl::new(1_800).unwrap()));

    config.session_affinity_attributes.drain_duration = u64::MAX;
    let error = wrapped(&config).unwrap_err();
    assert_eq!(error, Affinity::from_config(&config, &keyring()).unwrap_err());
    assert_eq!(error.field(), "session_affinity_attributes.drain_duration");
    config.session_affinity_ttl = Some(60);
    assert_eq!(wrapped(&config).unwrap_err().field(), "session_affinity_ttl");
}

/// Each pool has the bound, over the load that `in_flight` returns. A reload brings the new one.
#[test]
fn a_bounded_load_is_the_room_of_each_pool() {
    let with = |bounded_load| {
        let extensions = Extensions { bounded_load, ..Extensions::default() };
        Config { extensions, ..Config::new("shop.example.com") }
    };
    let of = |id: &str| {
        let origin = |n| OriginConfig::new(format!("{id}-{n}"), "10.0.0.1:80");
        PoolConfig { origins: (1..=2).map(origin).collect(), ..PoolConfig::new(id) }
    };
    let file = [of("eu"), of("us")];
    // The first endpoint of each pool carries six requests, and the other one two.
    let load = |_: &PoolConfig, origin: &OriginConfig| -> u32 {
        if origin.name.ends_with('1') { 6 } else { 2 }
    };
    let full = |pools: &Pools<u32>| -> Vec<String> {
        let endpoints = pools.iter().flat_map(|pool| pool.endpoints().collect::<Vec<_>>());
        endpoints.filter(|it| it.is_full()).map(|it| it.name().to_owned()).collect()
    };
    let bound = |percent, at_least| with(Some(BoundedLoadConfig { percent, at_least }));
    // The share of each endpoint is 4.5 of 9.
    let pools = bound(150, 1).pools(&file, Health::Healthy, load, |load| *load).unwrap();
    assert_eq!(full(&pools), [""; 0], "7 of 7");
    for (config, expected) in [
        (bound(133, 1), vec!["eu-1", "us-1"]),
        (bound(133, 7), vec![]),
        (bound(100, 6), vec!["eu-1", "us-1"]),
        (with(None), vec![]),
    ] {
        let again = |pool: &PoolConfig, origin: &OriginConfig, _: Option<&u32>| load(pool, origin);
        assert_eq!(
            full(&config.pools(&file, Health::Healthy, load, |load| *load).unwrap()),
            expected
        );
        assert_eq!(
            full(&config.rebuild(&pools, &file, Health::Healthy, again, |load| *load).unwrap()),
            expected
        );
    }
    let error = bound(1_001, 1).pools(&file, Health::Healthy, load, |load| *load).unwrap_err();
    assert_eq!(told(&error), "bounded_load.percent is 1001; allowed: 100 to 1000 percent");
}

#[test]
fn the_pool_in_which_a_session_looks_first_is_that_of_the_extensions() {
    for move_within in [MoveWithin::Order, MoveWithin::OwnPool].map(Some).into_iter().chain([None])
    {
        let extensions = Extensions { move_within, ..Extensions::default() };
        let config = Config { extensions, ..Config::new("shop.example.com") };
        let affinity = Affinity::from_config(&config, &keyring()).unwrap();
        let set = Affinity::new(NoAffinity::new(affinity.load_balancer()));
        let set = match move_within {
            Some(move_within) => set.with_move_within(move_within),
            None => set,
        };
        assert_eq!(format!("{affinity:?}"), format!("{set:?}"));
        assert!(format!("{affinity:?}").contains(&format!("move_within: {move_within:?}")));
    }
}

/// Three pools of one origin each, `eu`, `us` and `ap`.
fn three_pools() -> Vec<PoolConfig> {
    let pool = |id: &str| PoolConfig {
        origins: vec![OriginConfig::new("1", "10.0.0.1")],
        ..PoolConfig::new(id)
    };
    ["eu", "us", "ap"].map(pool).into()
}

fn weights(steering: &RandomSteering, before: Option<&Pools<()>>) -> Pools<()> {
    let config = Config {
        steering_policy: PoolSteeringPolicy::Random,
        random_steering: steering.clone(),
        ..Config::new("shop")
    };
    match before {
        None => config.pools(&three_pools(), Health::Healthy, |_, _| (), |()| 0).unwrap(),
        Some(before) => {
            config.rebuild(before, &three_pools(), Health::Healthy, |_, _, _| (), |()| 0).unwrap()
        }
    }
}

fn weights_of(pools: &Pools<()>) -> [u8; 3] {
    ["eu", "us", "ap"].map(|name| pools.pool(name).unwrap().weight().get())
}

#[test]
fn pools_weigh_what_random_steering_says_and_a_reload_keeps_what_it_leaves_open() {
    let read = |text: &str| {
        let text = format!(r#"{{"name": "a", "random_steering": {text}}}"#);
        serde_json::from_str::<Config>(&text).unwrap().random_steering
    };
    let first =
        weights(&read(r#"{"default_weight": 0.2, "pool_weights": {"us": 0, "zz": 1}}"#), None);
    assert_eq!(weights_of(&first), [20, 0, 20]);
    let second = weights(&read(r#"{"pool_weights": {"eu": 0.29}}"#), Some(&first));
    assert_eq!(weights_of(&second), [29, 0, 20]);
    // Null states the default.
    assert_eq!(weights_of(&weights(&read(r#"{"default_weight": null}"#), Some(&first))), [100; 3]);
    assert_eq!(weights_of(&weights(&read("null"), Some(&first))), [100; 3]);
    assert_eq!(weights_of(&weights(&RandomSteering::default(), None)), [100; 3]);
}

#[test]
fn steering_that_cannot_be_is_refused_with_the_path_to_the_field() {
    let refused = |steering_policy, default_weight, pool_weights: &[(&str, f64)]| {
        let weights = pool_weights.iter().map(|(id, weight)| ((*id).into(), *weight));
        let random_steering = RandomSteering { default_weight, pool_weights: weights.collect() };
        let config = Config { steering_policy, random_steering, ..Config::new("shop") };
        told(&config.pools(&three_pools(), Health::Healthy, |_, _| (), |()| 0).unwrap_err())
    };
    use PoolSteeringPolicy::*;
    for policy in [Geo, Proximity, DynamicLatency] {
        assert_eq!(
            refused(policy, None, &[]),
            format!(
                "steering_policy is {policy}; \
                 allowed: off, random, least_outstanding_requests or least_connections"
            )
        );
    }
    for (default, pools, message) in [
        (Some(1.01), &[][..], "random_steering.default_weight is 1.01"),
        (Some(-0.1), &[], "random_steering.default_weight is -0.1"),
        (None, &[("eu", 0.125)], "random_steering.pool_weights[eu] is 0.125"),
        // Of a pool that the load balancer does not have, too.
        (None, &[("zz", 2.0)], "random_steering.pool_weights[zz] is 2"),
    ] {
        let message = format!("{message}; allowed: 0 to 1 in steps of 0.01");
        // What is not used is checked, so that a change of the policy does not fail.
        for policy in [Off, Random, LeastConnections] {
            assert_eq!(refused(policy, default, pools), message);
        }
    }
}

#[test]
fn the_policies_are_written_as_cloudflare_does() {
    use PoolSteeringPolicy::*;
    let all =
        [Off, Random, LeastOutstandingRequests, LeastConnections, Geo, Proximity, DynamicLatency];
    for policy in all {
        let written = serde_json::to_value(policy).unwrap();
        assert_eq!(written, policy.to_string());
        assert_eq!(serde_json::from_value::<PoolSteeringPolicy>(written).unwrap(), policy);
    }
}

#[test]
fn an_absent_extension_is_the_default() {
    for text in [
        "{}",
        r#"{"bounded_load": null}"#,
        r#"{"carrier": "cookie"}"#,
        r#"{"cookie": {}}"#,
        r#"{"move_within": null}"#,
        r#"{"cookie": {"domain": null, "lifetime": "permanent"}}"#,
    ] {
        assert_eq!(serde_json::from_str::<Extensions>(text).unwrap(), Extensions::default());
    }
}

/// Nothing of an export is in them, so what is not understood is a mistake.
#[test]
fn unknown_keys_and_nulls_and_other_kinds_are_errors_in_extensions() {
    for (text, named) in [
        (r#"{"retrys": 2}"#, "unknown field `retrys`, expected one of `retries`"),
        (r#"{"cookie_name": "a"}"#, "unknown field `cookie_name`"),
        (r#"{"cookie": {"samesite": "Lax"}}"#, "unknown field `samesite`"),
        (r#"{"retries": null}"#, "expected a whole number that is not negative"),
        (r#"{"retries": -1}"#, "expected a whole number that is not negative"),
        (r#"{"clock_skew": 1.5}"#, "expected a whole number that is not negative"),
        (r#"{"cooling_off": "1"}"#, "expected a whole number that is not negative"),
        (
            r#"{"on_loss": "stay"}"#,
            "unknown variant `stay`, expected one of `move`, `lend`, `refuse`",
        ),
        (r#"{"on_loss": "Move"}"#, "unknown variant `Move`"),
        (r#"{"on_loss": ""}"#, "unknown variant ``"),
        (r#"{"on_loss": null}"#, "expected `move`, `lend` or `refuse`"),
        (r#"{"move_within": 1}"#, "expected `order` or `own_pool`"),
        (r#"{"move_within": "pool"}"#, "unknown variant `pool`, expected `order` or `own_pool`"),
        (r#"{"bounded_load": 125}"#, "expected an object"),
        (r#"{"bounded_load": [125, 4]}"#, "expected an object"),
        (r#"{"bounded_load": {}}"#, "missing field `percent`"),
        (r#"{"bounded_load": {"percent": 125}}"#, "missing field `at_least`"),
        (r#"{"bounded_load": {"percent": 1.25, "at_least": 1}}"#, "expected a whole number"),
        (r#"{"bounded_load": {"percent": 125, "at_least": null}}"#, "expected a whole number"),
        (r#"{"bounded_load": {"percent": 125, "at_least": 1, "max": 2}}"#, "unknown field `max`"),
        (r#"{"cache_guard": null}"#, "expected a boolean"),
        (r#"{"carrier": "header"}"#, r#"expected "cookie" or {"header": "a name"}"#),
        (r#"{"carrier": "set-cookie"}"#, r#"expected "cookie" or {"header": "a name"}"#),
        (r#"{"carrier": {"header": null}}"#, r#"expected "cookie" or {"header": "a name"}"#),
        (
            r#"{"carrier": {"header": "a", "name": "b"}}"#,
            r#"expected "cookie" or {"header": "a name"}"#,
        ),
        (r#"{"carrier": {}}"#, r#"expected "cookie" or {"header": "a name"}"#),
        (r#"{"carrier": null}"#, r#"expected "cookie" or {"header": "a name"}"#),
        (r#"{"cookie": {"lifetime": "Session"}}"#, "expected `permanent` or `session`"),
        (r#"{"cookie": {"lifetime": null}}"#, "expected `permanent` or `session`"),
        (r#"{"cookie": null}"#, "expected an object"),
        (r#"{"cookie": ["lb"]}"#, "expected an object"),
        (r#"{"cookie": {"name": null}}"#, "expected a string"),
        (r#"{"retries": 1, "retries": 2}"#, "duplicate field `retries`"),
    ] {
        let error = serde_json::from_str::<Extensions>(text).unwrap_err().to_string();
        assert!(error.contains(named), "{text}: {error}");
    }
}

#[test]
fn a_secret_that_is_refused_is_not_shown() {
    let unpadded = SECRET.trim_end_matches('=');
    let url_safe = SECRET.replace('Q', "-");
    for secret in [
        r#""c2VjcmV0""#.into(),
        format!(r#""{unpadded}""#),
        format!(r#""{url_safe}""#),
        format!(r#"" {SECRET}""#),
        format!(r#""{SECRET}\n""#),
        // Bits that no byte has.
        format!(r#""{}""#, SECRET.replace("U=", "V=")),
        // 32 zero bytes.
        format!(r#""{}=""#, "A".repeat(43)),
        format!(r#"["{SECRET}"]"#),
        "1234567890123456".into(),
        r#""""#.into(),
        "null".into(),
    ] {
        let text = format!(r#"{{"session_secret": {secret}}}"#);
        let told = |error: &dyn std::error::Error| format!("{error} {error:?}");
        let error = serde_json::from_str::<Extensions>(&text).unwrap_err();
        let input = &mut serde_json::Deserializer::from_str(&text);
        let strict = read_strict::<Extensions, _>(input).unwrap_err();
        for told in [told(&error), told(&strict)] {
            let expected =
                "expected base64 (standard alphabet, padded) of 32 or more bytes, not all zero";
            assert!(told.contains(expected), "{told}");
            assert!(!told.contains("c2Vj") && !told.contains("BQ") && !told.contains("1234"));
        }
        assert!(strict.to_string().starts_with("session_secret: expected base64"), "{strict}");
    }
}

/// A key of a file of one's own.
#[derive(Debug, PartialEq, serde::Deserialize)]
struct Entry {
    id: u8,
    secret: Secret,
    previous: Option<Secret>,
}

#[test]
fn a_secret_is_read_as_the_extensions_read_it() {
    let read = |secret: &str, previous: &str| {
        let text = format!(r#"{{"id": 1, "secret": {secret}, "previous": {previous}}}"#);
        let owned = serde_json::from_str(&text).and_then(serde_json::from_value::<Entry>);
        let read = serde_json::from_str::<Entry>(&text);
        assert_eq!(owned.as_ref().ok(), read.as_ref().ok());
        read
    };
    let (good, secret) = (format!("{SECRET:?}"), Secret::new([5; 32]).unwrap());
    let entry = |previous| Entry { id: 1, secret: secret.clone(), previous };
    assert_eq!(read(&good, "null").unwrap(), entry(None));
    assert_eq!(read(&good, &good).unwrap(), entry(Some(secret.clone())));
    for (first, second) in [(r#""c2VjcmV0""#, "null"), (good.as_str(), r#""c2VjcmV0""#)] {
        let told = said_once(&read(first, second).unwrap_err());
        let expected = "expected base64 (standard alphabet, padded) of 32 or more bytes, not all \
                        zero at line 1";
        assert!(told.starts_with(expected), "{told}");
    }
    for refused in ["null".into(), "7".into(), format!(r#"" {SECRET}""#), format!("[{good}]")] {
        let told = said_once(&read(&refused, "null").unwrap_err());
        assert!(told.starts_with("expected base64") && !told.contains("BQ"), "{told}");
    }
}

/// A file of one's own, of the crate's types.
#[derive(Debug, serde::Deserialize)]
struct File {
    #[serde(default)]
    extensions: Extensions,
    load_balancer: Config,
    pools: Vec<PoolConfig>,
}

fn strict(text: &str) -> Result<File, InvalidDocument<serde_json::Error>> {
    read_strict(&mut serde_json::Deserializer::from_str(text))
}

#[test]
fn the_strict_reader_accepts_every_key_that_is_written() {
    let config = Config {
        session_affinity_ttl: Some(1_800),
        default_pools: Some(vec!["eu".into()]),
        fallback_pool: Some("eu".into()),
        ..Config::new("shop")
    };
    let origin = OriginConfig {
        port: Some(80),
        disabled_at: Some(support::NOW),
        ..OriginConfig::new("a", "10.0.0.1")
    };
    let pool = PoolConfig {
        disabled_at: Some(support::NOW),
        origins: vec![origin],
        ..PoolConfig::new("eu")
    };
    let extensions = Extensions::default();
    let text = json!({ "load_balancer": config, "extensions": extensions, "pools": [pool] });
    let file = strict(&text.to_string()).unwrap();
    assert_eq!((file.load_balancer, file.extensions, file.pools), (config, extensions, vec![pool]));
}

#[test]
fn the_strict_reader_names_every_unknown_key_with_its_path() {
    for (text, message) in [
        (
            r#"{ "load_balancer": { "name": "shop", "sesion_affinity": "cookie" }, "pools": [] }"#,
            "unknown key: load_balancer.sesion_affinity",
        ),
        (
            r#"{ "load_balancer": {
                   "session_affinity_attributes": { "same_site": "Lax" },
                   "adaptive_routing": { "failover_accross_pools": true },
                   "extensions": {} },
                 "pools": [ {}, { "orgins": [], "origin_steering": { "polcy": "hash" },
                   "load_shedding": { "percent": 1 }, "origins": [ {}, { "wieght": 1 } ] } ],
                 "colour": { "any": ["thing"] } }"#,
            "unknown keys: load_balancer.session_affinity_attributes.same_site, \
             load_balancer.adaptive_routing.failover_accross_pools, load_balancer.extensions, \
             pools[1].orgins, pools[1].origin_steering.polcy, pools[1].load_shedding.percent, \
             pools[1].origins[1].wieght, colour",
        ),
        // Here the misspelled key is the reason why another one is missing.
        (r#"{ "load_balancr": { "name": "shop" }, "pools": [] }"#, "unknown key: load_balancr"),
        (r#"{ "load_balancer": {}, "pools": [], "a\nb\u001b": 1 }"#, r"unknown key: a\nb\u{1b}"),
    ] {
        assert_eq!(said_once(&strict(text).unwrap_err()), message);
    }
}

/// The document of a file ends with its object; a bracket too many ends it before the extensions.
#[test]
fn the_end_of_a_document_is_the_deserializers_to_check() {
    let text = r#"{ "load_balancer": { "name": "shop" }, "pools": [] }"#;
    let behind = format!(r#"{text}, "extensions": {{ "retries": 4 }} }} garbage"#);
    for (text, accepted) in [(text, true), (behind.as_str(), false)] {
        let mut json = serde_json::Deserializer::from_str(text);
        let file: File = read_strict(&mut json).unwrap();
        assert_eq!(file.extensions, Extensions::default());
        assert_eq!(json.end().is_ok(), accepted, "{text}");
    }
}

/// In a document an array of a struct's fields is a mistake, and its order is stated nowhere.
#[test]
fn an_array_is_refused_where_an_object_is_expected() {
    for (text, path) in [
        (r#"{ "load_balancer": ["shop", "cookie"], "pools": [] }"#, "load_balancer"),
        (r#"{ "load_balancer": [], "pools": [] }"#, "load_balancer"),
        (r#"{ "load_balancer": {}, "pools": [["eu"]] }"#, "pools[0]"),
        (r#"{ "load_balancer": {}, "pools": [{}, []] }"#, "pools[1]"),
        (r#"{ "extensions": [4], "load_balancer": {}, "pools": [] }"#, "extensions"),
        (r#"{ "extensions": [], "load_balancer": {}, "pools": [] }"#, "extensions"),
        (r#"{ "load_balancer": {}, "pools": [{ "origins": [["a"]] }] }"#, "pools[0].origins[0]"),
    ] {
        let message = said_once(&strict(text).unwrap_err());
        let expected = format!("{path}: invalid type: sequence, expected an object at line 1");
        assert!(message.starts_with(&expected), "{message}");
        let plain = serde_json::from_str::<File>(text).unwrap_err().to_string();
        assert!(plain.starts_with("invalid type: sequence, expected an object"), "{plain}");
    }
    for text in ["[]", r#"["shop"]"#, "[4]", r#""shop""#, "4", "null"] {
        let value: Value = serde_json::from_str(text).unwrap();
        assert!(serde_json::from_str::<Config>(text).is_err(), "{text}");
        assert!(serde_json::from_str::<PoolConfig>(text).is_err(), "{text}");
        assert!(serde_json::from_str::<Extensions>(text).is_err(), "{text}");
        assert!(serde_json::from_value::<Config>(value.clone()).is_err(), "{text}");
        assert!(serde_json::from_value::<PoolConfig>(value.clone()).is_err(), "{text}");
        assert!(serde_json::from_value::<Extensions>(value).is_err(), "{text}");
    }
}

/// The extensions refuse an unknown key, with the strict reader and without it, so the reading ends
/// there: unknown keys behind it are not named yet.
#[test]
fn unknown_keys_are_named_up_to_the_first_value_that_cannot_be_read() {
    for (text, message) in [
        (
            r#"{ "load_balancer": { "nme": "shop" }, "extensions": { "retrys": 2 }, "colour": 1 }"#,
            "unknown key: load_balancer.nme",
        ),
        (
            r#"{ "load_balancer": { "nme": "shop", "name": 1 }, "colour": 1 }"#,
            "unknown key: load_balancer.nme",
        ),
    ] {
        assert_eq!(said_once(&strict(text).unwrap_err()), message);
    }
    let first = r#"{ "extensions": { "retrys": 2 }, "load_balancer": { "nme": "shop" } }"#;
    let message = said_once(&strict(first).unwrap_err());
    assert!(
        message.starts_with("extensions.retrys: unknown field `retrys`, expected "),
        "{message}"
    );
}

#[test]
fn the_strict_reader_names_the_path_of_a_value_that_cannot_be_read() {
    for (text, message) in [
        (r#"{ "load_balancer": {} }"#, "missing field `pools` at line 1 column 23"),
        (r#"{ "load_balancer": "#, "load_balancer: EOF while parsing a value at line 1 column 19"),
        (
            r#"{ "load_balancer": { "session_affinity_ttl": "1800" } }"#,
            "load_balancer.session_affinity_ttl: invalid type: string \"1800\", expected a whole number that is not negative at line 1 column 51",
        ),
        (
            r#"{ "pools": [ {}, { "origins": [ { "port": 65536 } ] } ] }"#,
            "pools[1].origins[0].port: invalid value: integer `65536`, expected a port up to 65535 at line 1 column 49",
        ),
        (
            r#"{ "load_balancer": { "session_affinity_attributes": [] } }"#,
            "load_balancer.session_affinity_attributes: invalid type: sequence, expected an object at line 1 column 54",
        ),
        (
            r#"{ "extensions": { "cookie": { "nam": "lb" } } }"#,
            "extensions.cookie.nam: unknown field `nam`, expected one of `name`, `path`, `domain`, `partitioned`, `lifetime` at line 1 column 35",
        ),
    ] {
        assert_eq!(said_once(&strict(text).unwrap_err()), message);
    }
}

/// manual::cloudflare, Reading an export: "unknown keys are ignored".
#[test]
fn an_export_is_not_for_the_strict_reader() {
    let text =
        r#"{ "load_balancer": { "name": "shop", "proxied": true, "ttl": null }, "pools": [] }"#;
    assert!(serde_json::from_str::<File>(text).is_ok());
    let error = strict(text).unwrap_err();
    assert_eq!(error.to_string(), "unknown keys: load_balancer.proxied, load_balancer.ttl");
}
