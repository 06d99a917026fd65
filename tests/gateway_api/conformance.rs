//! The ten conformance rows of GEP-1619 ("Conformance Details"), each under its name. The row's
//! `Accepted=True` is that the rule is made. N is 50 or more, as the rows ask.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use session_affinity::UnixTime;

use crate::site::{Backend, Client, Gateway, Rule};
use crate::support::NOW;

const PODS: [&str; 5] = ["pod-1", "pod-2", "pod-3", "pod-4", "pod-5"];
const OTHERS: [&str; 3] = ["other-1", "other-2", "other-3"];
const N: usize = 60;

/// A route of one rule, to one backend or to two with weights.
fn one_rule(path: &'static str, persistence: Value) -> Gateway {
    Gateway::new([Rule::new(path, persistence, &[("infra/web", 1, &PODS)])])
}

fn simple(path: &'static str, persistence: Value, mut client: Client) {
    let mut gateway = one_rule(path, persistence);
    let first = gateway.visit(path, &mut client, NOW);
    assert!(first.label.starts_with("created:"), "{}", first.label);
    gateway.stays(N, path, &client, first.pod, NOW);
    // The pod is one of several: others begin elsewhere.
    let begun = (0..N).map(|_| gateway.send(path, &Client::default(), NOW).pod);
    assert!(begun.collect::<BTreeSet<_>>().len() > 1);
}

fn session_lifetime(path: &'static str) {
    for persistence in [
        json!({ "cookie": {} }),
        json!({ "cookie": { "lifetimeType": "Session" } }),
        json!({ "absoluteTimeout": "5m", "cookie": { "lifetimeType": "Session" } }),
    ] {
        let mut gateway = one_rule(path, persistence);
        let first = gateway.visit(path, &mut Client::default(), NOW);
        assert_eq!(first.attributes(), ["Path", "HttpOnly", "SameSite"]);
    }
}

fn weighted(path: &'static str) {
    let backends: [Backend<'_>; 2] = [("infra/v1", 70, &PODS), ("infra/v2", 30, &OTHERS)];
    let mut gateway = Gateway::new([Rule::new(path, json!({ "cookie": {} }), &backends)]);
    let mut clients = Vec::new();
    for _ in 0..20_000 {
        let mut client = Client::default();
        let pod = gateway.visit(path, &mut client, NOW).pod;
        clients.push((client, pod));
    }
    let of_v1 = clients.iter().filter(|(_, pod)| PODS.contains(pod)).count();
    // Four standard deviations of 20 000 draws are 260.
    assert!((13_740..=14_260).contains(&of_v1), "{of_v1}");
    for weights in [[70, 30], [30, 70], [0, 100], [100, 0]] {
        let [v1, v2] = weights;
        gateway.rules[0].reweigh(&[("infra/v1", v1), ("infra/v2", v2)]);
        for (client, pod) in &clients[..40] {
            gateway.stays(N, path, client, pod, NOW);
        }
    }
}

fn scoped(one: &'static str, other: &'static str) {
    let rule = |path| Rule::new(path, json!({ "cookie": {} }), &[("infra/web", 1, &PODS)]);
    let mut differ = 0;
    for _ in 0..20 {
        let mut gateway = Gateway::new([rule(one), rule(other)]);
        // Each client sends all that it has to both rules.
        for _ in 0..5 {
            let mut client = Client::default();
            let a = gateway.visit(one, &mut client, NOW);
            assert_eq!(a.label, "created:no_cookie");
            let b = gateway.visit(other, &mut client, NOW);
            assert_eq!(b.label, "created:no_cookie");
            assert_eq!(client.cookies.len(), 2);
            gateway.stays(N, one, &client, a.pod, NOW);
            gateway.stays(N, other, &client, b.pod, NOW);
            differ += usize::from(a.pod != b.pod);
        }
    }
    // Sessions that were shared would be on one pod always.
    assert!(differ > 50, "{differ}");
}

mod httproute {
    use super::*;

    /// "Simple Cookie Session Persistence": `type: Cookie`, which is the default, a single backend.
    #[test]
    fn simple_cookie_session_persistence() {
        for persistence in [json!({ "type": "Cookie", "cookie": {} }), json!({ "cookie": {} })] {
            let first = one_rule("/", persistence.clone()).send("/", &Client::default(), NOW);
            assert!(!first.set_cookie().is_empty());
            simple("/", persistence, Client::default());
        }
    }

    /// "Session Cookie Lifetime (Default)": the cookie has neither `Expires` nor `Max-Age`.
    #[test]
    fn session_cookie_lifetime_default() {
        session_lifetime("/");
    }

    /// "Multiple Weighted Backends - Initial Distribution Honored".
    #[test]
    fn multiple_weighted_backends_initial_distribution_honored() {
        weighted("/");
    }

    /// "Session Persistence Scoped to Route Rule": two rules, one Service.
    #[test]
    fn session_persistence_scoped_to_route_rule() {
        scoped("/a", "/b");
    }

    /// "Session Persistence with cookie.lifetimeType: Permanent and absoluteTimeout: 5min".
    #[test]
    fn session_persistence_with_cookie_lifetime_type_permanent_and_absolute_timeout_5min() {
        let permanent = json!({
            "type": "Cookie",
            "absoluteTimeout": "5m",
            "cookie": { "lifetimeType": "Permanent" },
        });
        let mut gateway = one_rule("/", permanent);
        let mut client = Client::default();
        let first = gateway.visit("/", &mut client, NOW);
        let after = |seconds| UnixTime::from_secs(NOW.as_secs() + seconds);
        assert!(first.set_cookie().contains(
            "; Path=/; Expires=Fri, 15 Jan 2027 08:05:00 GMT; Max-Age=300; HttpOnly; SameSite=Strict"
        ));
        for second in [0, 1, 150, 299] {
            gateway.stays(N, "/", &client, first.pod, after(second));
        }
        assert_eq!(gateway.send("/", &client, after(300)).label, "created:expired");
    }
}

mod grpcroute {
    use super::*;

    const A: &str = "/service.Foo/MethodA";
    const B: &str = "/service.Foo/MethodB";

    /// "Simple Cookie-based Session Persistence (GRPCRoute)": the client takes the cookie out of the
    /// response's metadata and sends it as a `Cookie`.
    #[test]
    fn simple_cookie_based_session_persistence() {
        let first = one_rule(A, json!({ "cookie": {} })).send(A, &Client::default(), NOW);
        assert!(!first.set_cookie().is_empty());
        simple(A, json!({ "cookie": {} }), Client::default());
    }

    /// "Header-based Session Persistence (GRPCRoute)": the response's metadata have the header.
    #[test]
    fn header_based_session_persistence() {
        let persistence = json!({ "type": "Header", "header": { "name": "x-session" } });
        let first = one_rule(A, persistence.clone()).send(A, &Client::default(), NOW);
        assert_eq!(first.headers["x-session"].len(), 48);
        assert!(!first.headers.contains_key("set-cookie"));
        simple(A, persistence, Client::repeating("x-session"));
    }

    /// "Session Cookie Lifetime (Default) (GRPCRoute)".
    #[test]
    fn session_cookie_lifetime_default() {
        session_lifetime(A);
    }

    /// "Multiple Weighted Backends - Initial Distribution Honored (GRPCRoute)".
    #[test]
    fn multiple_weighted_backends_initial_distribution_honored() {
        weighted(A);
    }

    /// "Session Persistence Scoped to Route Rule (GRPCRoute)": two rules that match two methods.
    #[test]
    fn session_persistence_scoped_to_route_rule() {
        scoped(A, B);
    }
}
