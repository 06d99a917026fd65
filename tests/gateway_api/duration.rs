//! GEP-2257: its test vectors, and its grammar against a plain reading.

use std::time::Duration;

use proptest::prelude::*;
use session_affinity::config::gateway_api::{GatewayDuration, InvalidGatewayDuration};

fn parse(text: &str) -> Result<GatewayDuration, InvalidGatewayDuration> {
    text.parse()
}

fn of(hours: u64, minutes: u64, seconds: u64, milliseconds: u64) -> Duration {
    Duration::from_secs(hours * 3_600 + minutes * 60 + seconds)
        + Duration::from_millis(milliseconds)
}

/// GEP-2257, "Test Vectors", "Parsing".
#[test]
fn the_vectors_of_parsing() {
    let vectors = [
        ("0h", "0s", of(0, 0, 0, 0)),
        ("0s", "0s", of(0, 0, 0, 0)),
        ("0h0m0s", "0s", of(0, 0, 0, 0)),
        ("1h", "1h", of(1, 0, 0, 0)),
        ("30m", "30m", of(0, 30, 0, 0)),
        ("10s", "10s", of(0, 0, 10, 0)),
        ("500ms", "500ms", of(0, 0, 0, 500)),
        ("2h30m", "2h30m", of(2, 30, 0, 0)),
        ("150m", "2h30m", of(2, 30, 0, 0)),
        ("7230s", "2h30s", of(2, 0, 30, 0)),
        ("1h30m10s", "1h30m10s", of(1, 30, 10, 0)),
        ("10s30m1h", "1h30m10s", of(1, 30, 10, 0)),
        ("100ms200ms300ms", "600ms", of(0, 0, 0, 600)),
        // From the text of the format.
        ("00060m", "1h", of(1, 0, 0, 0)),
        ("1h2h20m10m", "3h30m", of(3, 30, 0, 0)),
        ("1h30m30s500ms", "1h30m30s500ms", of(1, 30, 30, 500)),
    ];
    for (text, standard, duration) in vectors {
        let read = parse(text).unwrap();
        assert_eq!((read.to_string().as_str(), Duration::from(read)), (standard, duration));
        assert_eq!(GatewayDuration::try_from(duration), Ok(read));
        assert_eq!(u128::from(read.as_millis()), duration.as_millis());
    }
}

#[test]
fn the_vectors_that_are_invalid() {
    let invalid = ["1", "1m1", "1d", "1h30m10s20ms50h", "999999h", "1.5h", "-15m"];
    let more =
        ["", "h", "+1h", "1H", "1 h", " 1h", "1h ", "1mss", "1msm", "１h", "1µs", "0", "1h\n"];
    for text in invalid.into_iter().chain(more) {
        assert_eq!(parse(text), Err(InvalidGatewayDuration::Format(text.into())));
    }
    assert_eq!(
        parse("1d").unwrap_err().to_string(),
        "the duration is \"1d\"; allowed: 1 to 4 times up to 5 digits and h, m, s or ms, such as 1h30m"
    );
}

/// GEP-2257, "Test Vectors", "Formatting".
#[test]
fn the_vectors_of_formatting() {
    let vectors = [
        (of(0, 0, 0, 0), "0s"),
        (of(1, 0, 0, 0), "1h"),
        (of(0, 30, 0, 0), "30m"),
        (of(0, 0, 10, 0), "10s"),
        (of(0, 0, 0, 500), "500ms"),
        (of(2, 30, 0, 0), "2h30m"),
        (of(1, 30, 10, 0), "1h30m10s"),
        (of(0, 0, 0, 600), "600ms"),
        (of(2, 0, 0, 600), "2h600ms"),
        (of(2, 30, 0, 600), "2h30m600ms"),
        (of(2, 30, 10, 600), "2h30m10s600ms"),
        (of(0, 0, 30, 0), "30s"),
        (of(240, 0, 0, 0), "240h"),
        (of(99_999, 59, 59, 999), "99999h59m59s999ms"),
    ];
    for (duration, text) in vectors {
        assert_eq!(GatewayDuration::try_from(duration).unwrap().to_string(), text);
    }
    let refused = [
        (Duration::from_micros(100), "the duration is \"100µs\"; allowed: whole milliseconds"),
        (Duration::from_micros(500), "the duration is \"500µs\"; allowed: whole milliseconds"),
        (of(240_000, 0, 0, 0), "the duration is \"864000000s\"; allowed: up to 99999h59m59s999ms"),
    ];
    for (duration, message) in refused {
        assert_eq!(GatewayDuration::try_from(duration).unwrap_err().to_string(), message);
    }
    assert!(GatewayDuration::try_from(Duration::MAX).is_err());
    assert!(GatewayDuration::try_from(Duration::from_millis(u64::MAX)).is_err());
}

#[test]
fn a_sum_without_a_standard_form_is_refused() {
    assert_eq!(parse("99999h59m59s999ms"), Ok(GatewayDuration::MAX));
    for text in ["99999h59m59s1000ms", "99999h1h", "99999h99999h99999h99999h", "99999h60m"] {
        assert_eq!(parse(text), Err(InvalidGatewayDuration::TooLong(text.into())));
    }
    assert_eq!(parse("99999m").unwrap().to_string(), "1666h39m");
    assert_eq!(GatewayDuration::default(), GatewayDuration::ZERO);
    assert_eq!(
        format!("{:>6}|{:?}", GatewayDuration::ZERO, GatewayDuration::MAX),
        "    0s|GatewayDuration(99999h59m59s999ms)"
    );
}

/// The grammar `^([0-9]{1,5}(h|m|s|ms)){1,4}$`, tried way by way, and the sum in milliseconds.
fn plainly(text: &[char], components: usize) -> Option<u64> {
    if text.is_empty() {
        return (components > 0).then_some(0);
    }
    if components == 4 {
        return None;
    }
    for digits in 1..=5.min(text.len()) {
        if !text[..digits].iter().all(char::is_ascii_digit) {
            break;
        }
        let value: u64 = text[..digits].iter().collect::<String>().parse().unwrap();
        for (unit, milliseconds) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            let unit: Vec<char> = unit.chars().collect();
            let Some(rest) = text[digits..].strip_prefix(&unit[..]) else { continue };
            if let Some(sum) = plainly(rest, components + 1) {
                return Some(sum + value * milliseconds);
            }
        }
    }
    None
}

proptest! {
    #[test]
    fn a_text_is_read_as_the_grammar_says(
        text in prop_oneof!["([0-9]{1,5}(h|m|s|ms)){1,4}", "([0-9]{0,6}[hms]{0,2}){0,5}", ".{0,8}"],
    ) {
        let expected = plainly(&text.chars().collect::<Vec<_>>(), 0);
        match parse(&text) {
            Ok(read) => prop_assert_eq!(Some(read.as_millis()), expected),
            Err(InvalidGatewayDuration::TooLong(_)) => {
                prop_assert!(expected > Some(GatewayDuration::MAX.as_millis()));
            }
            Err(_) => prop_assert_eq!(expected, None),
        }
    }

    #[test]
    fn the_standard_form_has_the_largest_units_once_each_and_reads_as_the_same_duration(
        milliseconds in prop_oneof![0..=GatewayDuration::MAX.as_millis(), 0..10_000_000_u64],
    ) {
        let duration = GatewayDuration::try_from(Duration::from_millis(milliseconds)).unwrap();
        let text = duration.to_string();
        prop_assert_eq!(parse(&text), Ok(duration));
        prop_assert_eq!(plainly(&text.chars().collect::<Vec<_>>(), 0), Some(milliseconds));
        let (seconds, left) = (milliseconds / 1_000, milliseconds % 1_000);
        let counts = [seconds / 3_600, seconds / 60 % 60, seconds % 60, left];
        let parts = counts.iter().zip(["h", "m", "s", "ms"]).filter(|(count, _)| **count > 0);
        let plain: String = parts.map(|(count, unit)| format!("{count}{unit}")).collect();
        prop_assert_eq!(text, if plain.is_empty() { "0s".to_owned() } else { plain });
    }
}
