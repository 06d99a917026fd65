//! The rules that make a `sessionPersistence` invalid, its defaults, and its JSON.

use serde_json::{Value, from_value, json, to_value};
use session_affinity::config::gateway_api::*;
use session_affinity::config::read_strict;
use session_affinity::cookies::{CookieAttributes, SameSite, Secure};
use session_affinity::limits::Ttl;
use session_affinity::policy::Life;
use session_affinity::{AffinityPolicy, CookiePolicy};

use crate::site::{name, read};
use crate::support::{keyring, ttl};

fn policy(persistence: Value) -> Result<CookiePolicy, InvalidSessionPersistence> {
    read(persistence).policy(&name("/"), &keyring())
}

/// The message of a refusal, which begins with its field.
#[track_caller]
fn refused(persistence: Value) -> String {
    let error = policy(persistence).expect_err("an error");
    let message = error.to_string();
    assert!(message.starts_with(&format!("{} is ", error.field())), "{message}");
    assert!(std::error::Error::source(&error).is_none(), "the message says all");
    message
}

/// The rules of the types (`apis/v1/shared_types.go`), and of a cookie or a header that works.
#[test]
fn each_rule_that_makes_one_invalid_is_an_error_that_names_its_field() {
    let token = "allowed: 1 to 256 letters, digits and any of !#$%&'*+-.^_`|~";
    let path = "allowed: / and then visible ASCII characters other than ;, 1024 in all";
    let long = "n".repeat(257);
    let header = |name: &str| json!({ "type": "Header", "header": { "name": name } });
    let timeout = |text: &str| json!({ "absoluteTimeout": text, "cookie": {} });
    let duration = "allowed: 1 to 4 times up to 5 digits and h, m, s or ms, such as 1h30m";
    let rows = [
        (
            json!({ "cookie": { "lifetimeType": "Permanent" } }),
            "absoluteTimeout is missing; allowed with cookie.lifetimeType Permanent: 1s to 87600h",
        ),
        (json!({}), "cookie is missing; allowed with type Cookie: an object, {} for the defaults"),
        (
            json!({ "type": "Cookie", "cookie": null }),
            "cookie is missing; allowed with type Cookie: an object, {} for the defaults",
        ),
        (
            json!({ "cookie": {}, "header": { "name": "x-s" } }),
            "header is set; allowed with type Cookie: cookie alone",
        ),
        (
            json!({ "type": "Cookie", "header": { "name": "x-s" } }),
            "header is set; allowed with type Cookie: cookie alone",
        ),
        (
            json!({ "type": "Header" }),
            "header is missing; allowed with type Header: an object with a name",
        ),
        (
            json!({ "type": "Header", "cookie": {} }),
            "cookie is set; allowed with type Header: header alone",
        ),
        (
            json!({ "type": "Header", "cookie": {}, "header": { "name": "x-s" } }),
            "cookie is set; allowed with type Header: header alone",
        ),
        (
            json!({ "cookie": { "name": "invalid cookie=name" } }),
            &format!("cookie.name is \"invalid cookie=name\"; {token}"),
        ),
        (json!({ "cookie": { "name": "" } }), &format!("cookie.name is \"\"; {token}")),
        (json!({ "cookie": { "name": long } }), &format!("cookie.name is {long:?}; {token}")),
        (json!({ "cookie": { "path": "" } }), &format!("cookie.path is \"\"; {path}")),
        (json!({ "cookie": { "path": "a;b" } }), &format!("cookie.path is \"a;b\"; {path}")),
        (
            json!({ "cookie": { "name": "__Host-s", "path": "/shop" } }),
            "cookie.name is \"__Host-s\"; allowed with the prefix __Host-: path / and no domain",
        ),
        (
            header("invalid header:name"),
            &format!("header.name is \"invalid header:name\"; {token}"),
        ),
        (header(&long), &format!("header.name is {long:?}; {token}")),
        (json!({ "type": "Header", "header": {} }), &format!("header.name is \"\"; {token}")),
        (
            header("Host"),
            "header.name is \"Host\"; allowed: a name without a meaning in HTTP, such as x-session-affinity",
        ),
        (timeout("1d"), &format!("absoluteTimeout is \"1d\"; {duration}")),
        (timeout(""), &format!("absoluteTimeout is \"\"; {duration}")),
        (timeout("0s"), "absoluteTimeout is \"0s\"; allowed: 1s to 87600h"),
        (timeout("87600h1ms"), "absoluteTimeout is \"87600h1ms\"; allowed: 1s to 87600h"),
        (timeout("99999h1h"), "absoluteTimeout is \"99999h1h\"; allowed: up to 99999h59m59s999ms"),
    ];
    for (persistence, message) in rows {
        assert_eq!(refused(persistence), message);
    }
}

#[test]
fn what_the_rules_allow_is_accepted() {
    let accepted = [
        json!({ "absoluteTimeout": "1h", "type": "Cookie", "cookie": { "name": "foo" } }),
        json!({ "type": "Cookie", "cookie": { "name": "foo", "lifetimeType": "Session" } }),
        json!({ "absoluteTimeout": "1h", "cookie": { "name": "foo", "lifetimeType": "Permanent" } }),
        json!({ "absoluteTimeout": "87600h", "cookie": { "lifetimeType": "Permanent" } }),
        json!({ "type": "Header", "header": { "name": "x-session-id" } }),
        json!({ "cookie": { "name": "foo" } }),
        json!({ "cookie": { "name": "n".repeat(256), "path": format!("/{}", "p".repeat(1_023)) } }),
    ];
    for persistence in accepted {
        assert!(policy(persistence.clone()).is_ok(), "{persistence}");
    }
}

#[test]
fn an_attribute_that_contradicts_is_refused_under_its_name() {
    let persistence = SessionPersistence::in_cookie();
    let refused = |samesite, partitioned| {
        let attributes = CookieAttributes {
            samesite,
            partitioned,
            secure: Secure::Never,
            ..CookieAttributes::default()
        };
        let error = persistence.policy_with(&name("/"), &keyring(), attributes).unwrap_err();
        assert!(error.to_string().starts_with(error.field()));
        error.to_string()
    };
    assert_eq!(
        [refused(SameSite::None, false), refused(SameSite::Lax, true)],
        [
            "samesite is None with secure Never; allowed: None with secure Auto or Always",
            "partitioned is true with secure Never; allowed: true with secure Auto or Always",
        ]
    );
}

#[test]
fn the_defaults_are_a_session_cookie_for_all_paths_with_a_name_of_its_own() {
    let read = read(json!({ "cookie": {} }));
    assert_eq!(read, SessionPersistence::in_cookie());
    assert_eq!(read.r#type, SessionPersistenceType::default());
    let cookie =
        CookieConfig { name: None, path: "/".into(), lifetime_type: CookieLifetimeType::Session };
    assert_eq!(read.cookie, Some(cookie));
    assert_eq!((read.absolute_timeout, read.header), (None, None));

    let names = ["/a", "/b"].map(|rule| {
        let policy = SessionPersistence::in_cookie().policy(&name(rule), &keyring()).unwrap();
        policy.carrier().unwrap().as_str().to_owned()
    });
    assert!(names.iter().all(|name| name.starts_with("__cflb-")), "{names:?}");
    assert_ne!(names[0], names[1]);
}

#[test]
fn the_absolute_timeout_is_the_life_of_the_session_for_both_types() {
    for (text, life) in [("5m", ttl(300)), ("1500ms", ttl(2)), ("1ms", ttl(1))] {
        for persistence in [
            json!({ "absoluteTimeout": text, "cookie": {} }),
            json!({ "absoluteTimeout": text, "cookie": { "lifetimeType": "Permanent" } }),
            json!({ "absoluteTimeout": text, "type": "Header", "header": { "name": "x-s" } }),
        ] {
            assert_eq!(policy(persistence).unwrap().life(), Life::Absolute(life), "{text}");
        }
    }
    assert_eq!(policy(json!({ "cookie": {} })).unwrap().life(), Life::Absolute(Ttl::MAX));
    let longest = GatewayDuration::try_from(std::time::Duration::from(Ttl::MAX)).unwrap();
    assert_eq!(longest.to_string(), "87600h", "the messages say so");
}

#[test]
fn values_are_written_and_read_under_the_names_of_the_api() {
    let cookie = SessionPersistence {
        absolute_timeout: Some("30m1800s".into()),
        cookie: Some(CookieConfig {
            name: Some("JSESSIONID".into()),
            path: "/shop".into(),
            lifetime_type: CookieLifetimeType::Permanent,
        }),
        ..SessionPersistence::in_cookie()
    };
    // What a user has written is not changed, though the standard form of the timeout is 1h.
    let written = json!({
        "absoluteTimeout": "30m1800s",
        "type": "Cookie",
        "cookie": { "name": "JSESSIONID", "path": "/shop", "lifetimeType": "Permanent" },
    });
    assert_eq!(to_value(&cookie).unwrap(), written);
    assert_eq!(read(written), cookie);

    let written = json!({ "type": "Header", "header": { "name": "x-session" } });
    let header = SessionPersistence::in_header("x-session");
    assert_eq!(to_value(&header).unwrap(), written);
    assert_eq!(read(written), header);

    let nulls = json!({
        "absoluteTimeout": null, "type": null, "header": null, "sessionName": null,
        "cookie": { "name": null, "path": null, "lifetimeType": null },
    });
    assert_eq!(read(nulls), SessionPersistence::in_cookie());
}

#[test]
fn fields_of_earlier_texts_and_unknown_values_are_refused_by_name() {
    let refused = |json: Value| from_value::<SessionPersistence>(json).unwrap_err().to_string();
    let rows = [
        (
            json!({ "sessionName": "s", "cookie": {} }),
            "sessionName is set, a field of earlier texts; allowed: cookie.name or header.name",
        ),
        (
            json!({ "cookieConfig": { "lifetimeType": "Session" } }),
            "cookieConfig is set, a field of earlier texts; allowed: cookie",
        ),
        (
            json!({ "idleTimeout": "5m", "cookie": {} }),
            "idleTimeout is set, a field of earlier texts; allowed: absoluteTimeout",
        ),
        (json!({ "type": "Query" }), "type is \"Query\"; allowed: Cookie or Header"),
        (
            json!({ "cookie": { "lifetimeType": "session" } }),
            "cookie.lifetimeType is \"session\"; allowed: Permanent or Session",
        ),
        (json!([]), "invalid type: sequence, expected an object"),
        (json!({ "cookie": [] }), "invalid type: sequence, expected an object"),
    ];
    for (written, message) in rows {
        assert_eq!(refused(written), message);
    }
}

#[test]
fn unknown_keys_are_ignored_and_read_strict_names_them() {
    let written = json!({ "cookie": { "nmae": "a" }, "retries": 1 });
    assert_eq!(read(written.clone()), SessionPersistence::in_cookie());
    assert_eq!(
        read_strict::<SessionPersistence, _>(written).unwrap_err().to_string(),
        "unknown keys: cookie.nmae, retries"
    );
    assert_eq!(
        read_strict::<SessionPersistence, _>(json!({ "cookie": {}, "idleTimeout": "1s" }))
            .unwrap_err()
            .to_string(),
        "idleTimeout: idleTimeout is set, a field of earlier texts; allowed: absoluteTimeout"
    );
}
