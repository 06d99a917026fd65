//! What `Debug` shows of types that hide something, to the letter.

use session_affinity::*;

mod support;
use support::{NOW, key, keyring, shop};

#[test]
fn debug_names_what_helps_and_hides_the_rest() {
    let codec = TokenCodec::new(&shop(), &CookieName::default(), &Keyring::new([key(2), key(1)]).unwrap());
    let secret = Secret::new([5; 32]).unwrap();
    let header = HeaderPolicy::new(&shop(), &secret, &["x-user"], Require::Any, CookieName::default()).unwrap();
    let pin = Pin { endpoint: EndpointId::new("eu", "eu-1"), issued: NOW, expires: NOW.saturating_add(60) };
    let token = TokenCodec::new(&shop(), &CookieName::default(), &keyring()).seal(&pin);
    let shown = [
        format!("{secret:?}"),
        format!("{:?}", key(2)),
        format!("{codec:?}"),
        format!("{token:?}"),
        format!("{header:?}"),
        format!("{:?}", EndpointId::from_u64(0xab)),
        format!("{:?}", SessionKey([0xcd; 16])),
        format!("{:?}", MemoryStore::new(10).unwrap()),
        format!("{:?}", Affinity::new(&shop(), NoAffinity)),
    ];
    let expected = [
        "Secret(..)",
        "Key { id: 2, secret: Secret(..) }",
        "TokenCodec { signing: 2, verifying: [1], ttl: CookieTtl(82800), clock_skew: ClockSkew(300) }",
        &format!("Token({})", token.as_str()),
        "HeaderPolicy { entries: [Field(\"x-user\")], require: Any, ttl: IdleTtl(1800), .. }",
        "EndpointId(00000000000000ab)",
        "SessionKey(cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd)",
        "MemoryStore { capacity: 10, .. }",
        "Affinity { load_balancer: Name(\"shop.example.com\"), mode: None, retries: Retries(1), across_pools: No, \
         drain_duration: DrainDuration(0), cooling_off: CoolingOff(0), cache_guard: On, .. }",
    ];
    assert_eq!(shown.each_ref().map(String::as_str), expected);
    assert_eq!(token.to_string(), token.as_str());
    assert_eq!(EndpointId::from_u64(0xab).to_string(), "00000000000000ab");
    assert_eq!(CookieName::default().to_string(), "__cflb");
    let pools = Pools::builder().pool(Pool::new("eu").endpoint(Endpoint::new("eu-1", ()))).build().unwrap();
    assert!(format!("{pools:?}").contains(r#"PoolTopology { name: Name("eu"), endpoints: 0..1, .. }"#), "{pools:?}");
}
