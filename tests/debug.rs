//! The `Debug` output of types that hide something, to the letter.

use session_affinity::config::gateway_api::{GatewayDuration, SessionPersistence};
use session_affinity::cookies::CookieName;
use session_affinity::policy::{Served, Transition};
use session_affinity::store::SessionKey;
use session_affinity::token::{Pin, Rejected, TokenCodec};
use session_affinity::*;

mod support;
use support::{NOW, key, keyring, shop};

#[test]
fn debug_names_what_helps_and_hides_the_rest() {
    let codec =
        TokenCodec::new(&shop(), CookieName::default(), &Keyring::new([key(2), key(1)]).unwrap());
    let secret = Secret::new([5; 32]).unwrap();
    let header = HeaderPolicy::new(&shop(), &secret, &["x-user"]).unwrap();
    let pin = Pin {
        endpoint: EndpointId::new("eu", "eu-1"),
        issued: NOW,
        expires: NOW.saturating_add(60),
    };
    let token = TokenCodec::new(&shop(), CookieName::default(), &keyring()).seal(&pin);
    let mut response = http::Response::new(());
    response.headers_mut().insert("set-cookie", "SID=secret".parse().unwrap());
    let created = Transition::Created { endpoint: EndpointId::from_u64(0xab) };
    let served = Served::new(created, Scheme::Https, NOW).with_foreign_session();
    let served = served.with_response(&response);
    let shown = [
        format!("{secret:?}"),
        format!("{:?}", key(2)),
        format!("{codec:?}"),
        format!("{token:?}"),
        format!("{header:?}"),
        format!("{:?}", EndpointId::from_u64(0xab)),
        format!("{:?}", SessionKey([0xcd; 16])),
        format!("{:?}", MemoryStore::new(10).unwrap()),
        format!("{:?}", Affinity::new(NoAffinity::new(&shop()))),
        format!("{:?}", Pools::builder().pool(Pool::<()>::new("eu"))),
        format!("{:?}", callbacks::Flow::<()>::default()),
        format!("{served:?}"),
    ];
    let expected = [
        "Secret(..)",
        "Key { id: 2, secret: Secret(..) }",
        "TokenCodec { signing: 2, verifying: [1], ttl: Ttl(82800), clock_skew: ClockSkew(300) }",
        &format!("Token({})", token.as_str()),
        "HeaderPolicy { load_balancer: LoadBalancer(\"shop.example.com\"), entries: [Field(\"x-user\")], \
         require: Any, ttl: Ttl(1800), .. }",
        "EndpointId(00000000000000ab)",
        "SessionKey(cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd)",
        "MemoryStore { capacity: 10, .. }",
        "Affinity { load_balancer: LoadBalancer(\"shop.example.com\"), rules: Rules { failover_mode: None, \
         failover_scope: OwnPool, retries: Retries(1), drain_duration: DrainDuration(0), cooling_off: CoolingOff(0), \
         on_loss: Move, move_within: None, cache_guard: MakePrivate }, .. }",
        "PoolsBuilder { in_order: [Pool { name: \"eu\", endpoints: [], state: None, weight: None, minimum_origins: None, \
         shedding: None, room: None, .. }], fallback: None, order: AsGiven, initial_health: Healthy, before: None }",
        "Flow { stage: \"unrouted\", outcome: None }",
        "Served { transition: Created { endpoint: EndpointId(00000000000000ab) }, session_key: None, \
         record: Absent, is_foreign: true, response: Some(200), scheme: Https, now: UnixTime(1800000000) }",
    ];
    assert_eq!(shown.each_ref().map(String::as_str), expected);
    assert_eq!(token.to_string(), token.as_str());
    assert_eq!(EndpointId::from_u64(0xab).to_string(), "00000000000000ab");
    assert_eq!(CookieName::default().to_string(), "__cflb");
    let pools = Pools::builder()
        .pool(Pool::new("eu").with_endpoint(Endpoint::new("eu-1", ())))
        .build()
        .unwrap();
    assert!(
        format!("{pools:?}").contains(r#"PoolTopology { name: "eu", endpoints: 0..1, .. }"#),
        "{pools:?}"
    );
}

#[test]
fn debug_of_a_session_persistence_shows_all_of_it_and_its_policy_no_secret() {
    let persistence = SessionPersistence::in_header("x-session");
    assert_eq!(
        format!("{persistence:?}"),
        "SessionPersistence { absolute_timeout: None, type: Header, cookie: None, header: Some(HeaderConfig { \
         name: \"x-session\" }) }"
    );
    let duration: GatewayDuration = "90m".parse().unwrap();
    assert_eq!(format!("{duration:?}"), "GatewayDuration(1h30m)");
    assert_eq!(
        format!("{:?}", persistence.policy(&shop(), &keyring()).unwrap()),
        "CookiePolicy { load_balancer: LoadBalancer(\"shop.example.com\"), codec: TokenCodec { signing: 1, \
         verifying: [], ttl: Ttl(315360000), clock_skew: ClockSkew(300) }, carrier: \
         Header(IssuedHeader(\"x-session\")), cookie: None }"
    );
}

#[test]
fn debug_of_a_view_shows_its_own_part_of_the_snapshot() {
    /// A target that cannot be shown.
    struct Peer;
    let names = ["eu-1", "eu-2"];
    let pool = Pool::new("eu").with_endpoints(names.map(|name| Endpoint::new(name, Peer)));
    let pools = Pools::builder().pool(pool).build().unwrap();
    let shown = "PoolView { name: \"eu\", state: Enabled, weight: Weight(100), minimum_origins: 1, shedding: LoadShedding { \
                 default_percent: Percent(0), shed_by: Random, session_percent: Percent(0) }, endpoints: 2 }";
    assert_eq!(format!("{:?}", pools.pool("eu").unwrap()), shown);
    assert_eq!(format!("{:?}", pools.iter()), format!("[{shown}]"));
    assert_eq!(
        format!("{:?}", pools.endpoint(EndpointId::new("eu", "eu-1")).unwrap()),
        "EndpointView { id: EndpointId(bf54fd3b4b4ea9db), name: \"eu-1\", pool: \"eu\", \
         weight: Weight(100), health: Healthy, state: Enabled, .. }"
    );
}

#[test]
fn why_a_token_was_rejected_can_be_read() {
    let codec = TokenCodec::new(&shop(), CookieName::default(), &keyring());
    let messages = [
        (Rejected::Malformed, "the token is malformed; allowed: 48 characters of base64url"),
        (Rejected::UnknownVersion, "the token has an unknown version; allowed: 1"),
        (Rejected::UnknownKey, "the token's key id is not on the keyring"),
        (Rejected::Forged, "the token's tag does not fit this key, load balancer and carrier"),
        (
            Rejected::Premature,
            "the token was issued further in the future than the clock skew allows",
        ),
        (Rejected::Expired, "the token has expired"),
    ];
    for (rejected, message) in messages {
        assert_eq!(rejected.to_string(), message);
    }
    let error: Box<dyn std::error::Error> = codec.open(b"short", NOW).unwrap_err().into();
    assert_eq!(error.to_string(), messages[0].1);
}
