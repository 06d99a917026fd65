//! Values on the wire, with the feature `serde`: their JSON to the letter, and back.

use std::fmt::Debug;

use serde_json::{from_str, to_string};
use session_affinity::config::gateway_api::{GatewayDuration, SessionPersistence};
use session_affinity::drain::{Census, Drain};
use session_affinity::failover::{MoveWithin, OnLoss};
use session_affinity::limits::DrainDuration;
use session_affinity::store::SessionKey;
use session_affinity::*;

mod support;
use support::{NOW, PinnedTo, at, shop};

/// Asserts that a value is written as this JSON, and read from it.
#[track_caller]
fn is_written<T>(value: &T, json: &str)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    assert_eq!(to_string(value).unwrap(), json);
    assert_eq!(&from_str::<T>(json).unwrap(), value);
}

/// The message of the error of reading this JSON, without its place.
fn refused<T: serde::de::DeserializeOwned + Debug>(json: &str) -> String {
    let message = from_str::<T>(json).unwrap_err().to_string();
    message.split(" at line").next().unwrap().into()
}

#[test]
fn ids_keys_and_names_are_written_as_text() {
    is_written(&EndpointId::new("eu", "eu-1"), r#""bf54fd3b4b4ea9db""#);
    is_written(&SessionKey([0xab; 16]), r#""abababababababababababababababab""#);
    is_written(&shop(), r#""shop.example.com""#);
    assert_eq!(
        refused::<EndpointId>(r#""eu-1""#),
        r#"the id of an endpoint is "eu-1"; allowed: 16 hexadecimal digits"#
    );
    assert_eq!(
        refused::<LoadBalancer>(r#""""#),
        r#""" is not a valid name; allowed: 1 to 255 bytes without control characters"#
    );
}

#[test]
fn durations_of_the_gateway_api_are_written_in_their_standard_form() {
    let duration = |text: &str| text.parse::<GatewayDuration>().unwrap();
    is_written(&duration("90m"), r#""1h30m""#);
    is_written(&GatewayDuration::ZERO, r#""0s""#);
    assert_eq!(from_str::<GatewayDuration>(r#""30m1800s""#).unwrap(), duration("1h"));
    assert_eq!(
        refused::<GatewayDuration>(r#""99999h60m""#),
        r#"the duration is "99999h60m"; allowed: up to 99999h59m59s999ms"#
    );
    assert!(from_str::<GatewayDuration>("5").is_err());
}

#[test]
fn a_session_persistence_is_written_under_the_names_of_the_gateway_api() {
    is_written(
        &SessionPersistence::in_cookie(),
        r#"{"type":"Cookie","cookie":{"path":"/","lifetimeType":"Session"}}"#,
    );
    is_written(
        &SessionPersistence::in_header("x-session"),
        r#"{"type":"Header","header":{"name":"x-session"}}"#,
    );
}

#[test]
fn times_are_written_as_seconds_and_clamped_when_they_are_read() {
    is_written(&NOW, "1800000000");
    assert_eq!(from_str::<UnixTime>(&u64::MAX.to_string()).unwrap(), UnixTime::MAX);
    assert!(from_str::<UnixTime>("-1").is_err());
}

#[test]
fn every_outcome_is_written_as_its_label_and_read_from_it() {
    for outcome in Outcome::ALL {
        is_written(outcome, &format!("{:?}", outcome.label()));
        assert_eq!(outcome.label().parse(), Ok(*outcome));
    }
    assert_eq!(
        refused::<Outcome>(r#""moved:away""#),
        r#"the label is "moved:away"; allowed: the label of an outcome, such as kept"#
    );
}

#[test]
fn the_effect_of_a_lost_endpoint_is_written_as_its_name() {
    for on_loss in [OnLoss::Move, OnLoss::Lend, OnLoss::Refuse] {
        is_written(&on_loss, &format!("{:?}", on_loss.as_str()));
        assert_eq!(on_loss.to_string(), on_loss.as_str());
    }
    is_written(&OnLoss::default(), r#""move""#);
    for move_within in [MoveWithin::Order, MoveWithin::OwnPool] {
        is_written(&move_within, &format!("{:?}", move_within.as_str()));
        assert_eq!(move_within.to_string(), move_within.as_str());
    }
}

#[test]
fn a_census_and_a_drain_are_written_by_their_fields() {
    let census = Census { began: Some(at(5)), latest_end: Some(at(90)), ..Census::default() };
    is_written(&census, r#"{"began":5,"last_seen":null,"latest_issued":null,"latest_end":90}"#);

    let state = State::Disabled { at: Some(NOW) };
    let endpoint = Endpoint::new("eu-1", ()).with_state(state);
    let pools = Pools::builder().pool(Pool::new("eu").with_endpoint(endpoint)).build().unwrap();
    let id = EndpointId::new("eu", "eu-1");
    let affinity =
        Affinity::new(PinnedTo::new(id)).with_drain_duration(DrainDuration::new(60).unwrap());
    let drain: Drain = affinity.drain(pools.endpoint(id).unwrap(), Census::default(), NOW);
    is_written(&drain, r#"{"phase":"draining","sessions":{"end_by":1800000060},"last_seen":null}"#);
}
