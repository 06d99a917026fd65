//! The texts that name a store, and those that do not.

use super::*;

fn open(text: &str) -> Result<AnyStore, InvalidStore> {
    AnyStore::open(text, LoadBalancer::new("shop").unwrap())
}

#[test]
fn a_text_names_a_store() {
    assert_eq!(format!("{:?}", open("none").unwrap()), "AnyStore(none)");
    for (text, capacity) in [("memory", 100_000), ("memory:7", 7)] {
        let Backend::Memory(store) = open(text).unwrap().backend else { panic!("{text}") };
        assert_eq!(store.capacity(), capacity);
    }
}

#[test]
fn any_other_text_is_refused_without_being_shown() {
    for text in
        ["", "Memory", "memory:", "memory:-1", "memory:+1", "memory:1 ", "redis", "file:p4ss"]
    {
        assert_eq!(open(text).unwrap_err(), InvalidStore::UnknownKind, "{text}");
    }
    for text in ["memory:0", "memory:99999999999999999999999"] {
        let error = open(text).unwrap_err();
        assert!(matches!(error, InvalidStore::Capacity(_)), "{text}: {error}");
    }
}

#[cfg(not(feature = "redis"))]
#[test]
fn a_redis_url_without_the_feature_says_so() {
    assert_eq!(open("redis://u:p4ss@10.0.0.5").unwrap_err(), InvalidStore::WithoutRedis);
}

#[cfg(feature = "redis")]
#[test]
fn a_redis_url_is_one_and_its_password_is_not_shown() {
    for url in ["redis://u:p4ss@10.0.0.5", "valkey://u:p4ss@10.0.0.5", "unix:///p4th?pass=p4ss"] {
        let store = open(url).unwrap();
        assert!(store.redis().is_some() && !format!("{store:?}").contains("p4ss"), "{url}");
    }
    assert!(open("memory").unwrap().redis().is_none());
    let error = open("redis://u:p4ss@[").unwrap_err();
    assert!(matches!(error, InvalidStore::Redis(_)) && !error.to_string().contains("p4ss"));
}
