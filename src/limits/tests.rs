use super::*;

#[test]
fn a_range_includes_both_ends_and_nothing_beyond() {
    assert_eq!(Ttl::new(1).map(Ttl::get), Ok(1));
    assert_eq!(Ttl::new(315_360_000).map(Ttl::get), Ok(10 * 365 * 86_400));
    assert_eq!(Retries::new(8).map(Retries::get), Ok(8));
    assert_eq!(Ipv6Prefix::new(128).map(Ipv6Prefix::get), Ok(128));
    let messages = [
        (Ttl::new(0).unwrap_err(), "session_affinity_ttl is 0; allowed: 1 to 315360000 seconds"),
        (
            Ttl::new(315_360_001).unwrap_err(),
            "session_affinity_ttl is 315360001; allowed: 1 to 315360000 seconds",
        ),
        (
            DrainDuration::new(604_801).unwrap_err(),
            "session_affinity_attributes.drain_duration is 604801; allowed: 0 to 604800 seconds",
        ),
        (Retries::new(0).unwrap_err(), "retries is 0; allowed: 1 to 8"),
        (Retries::new(257).unwrap_err(), "retries is 257; allowed: 1 to 8"),
        (Ipv6Prefix::new(129).unwrap_err(), "ipv6_prefix is 129; allowed: 1 to 128 bits"),
        (ClockSkew::new(86_401).unwrap_err(), "clock_skew is 86401; allowed: 0 to 86400 seconds"),
        (CoolingOff::new(301).unwrap_err(), "cooling_off is 301; allowed: 0 to 300 seconds"),
        (
            TouchInterval::new(3_601).unwrap_err(),
            "touch_interval is 3601; allowed: 0 to 3600 seconds",
        ),
        (
            OutageSessions::new(10_000_001).unwrap_err(),
            "outage_sessions is 10000001; allowed: 0 to 10000000 sessions",
        ),
        (Percent::new(101).unwrap_err(), "load_shedding is 101; allowed: 0 to 100 percent"),
        (Weight::new(101).unwrap_err(), "weight is 101; allowed: 0 to 100 hundredths"),
    ];
    for (error, message) in messages {
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_narrower_range_has_its_own_message() {
    let check = |value| {
        let unit = " seconds for cookie and ip_cookie";
        OutOfRange::check("session_affinity_ttl", value, 1_800..=604_800, unit)
    };
    assert_eq!((check(1_800), check(604_800)), (Ok(1_800), Ok(604_800)));
    for (value, error) in [60, 604_801].map(|value| (value, check(value).unwrap_err())) {
        assert_eq!(
            error.to_string(),
            format!(
                "session_affinity_ttl is {value}; allowed: 1800 to 604800 seconds for cookie and ip_cookie"
            )
        );
        assert_eq!((error.value, error.min, error.max), (value, 1_800, 604_800));
    }
}

#[test]
fn defaults_are_those_of_the_parameter_table() {
    assert_eq!(DrainDuration::default().get(), 0);
    assert_eq!(Retries::default().get(), 1);
    assert_eq!(Ipv6Prefix::default().get(), 64);
    assert_eq!(ClockSkew::default().get(), 300);
    assert_eq!(CoolingOff::default().get(), 0);
    assert_eq!(TouchInterval::default().get(), 0);
    assert_eq!((OutageSessions::default().get(), OutageSessions::OFF.get()), (20_000, 0));
    assert_eq!(Percent::default().get(), 0);
    assert_eq!(Weight::default().get(), 100);
    assert_eq!(Retries::DEFAULT, Retries::default());
    assert_eq!(
        (DrainDuration::NONE, CoolingOff::OFF, TouchInterval::OFF, Percent::ZERO),
        (DrainDuration::DEFAULT, CoolingOff::DEFAULT, TouchInterval::DEFAULT, Percent::DEFAULT)
    );
    assert_eq!(Weight::ZERO.get(), 0);
}

#[test]
fn a_clamped_ttl_is_the_nearest_that_is_allowed() {
    let rows = [(0, Ttl::MIN), (1, Ttl::MIN), (u64::MAX, Ttl::MAX), (315_360_001, Ttl::MAX)];
    for (seconds, ttl) in rows {
        assert_eq!(Ttl::clamped(seconds), ttl);
    }
    assert_eq!(Ok(Ttl::clamped(82_800)), Ttl::new(82_800));
}

#[test]
fn a_bound_is_shown_as_its_number_and_read_from_one() {
    assert_eq!(Ttl::clamped(82_800).to_string(), "82800");
    assert_eq!(format!("{:>4}", Weight::DEFAULT), " 100");
    assert_eq!(Weight::try_from(29).map(Weight::get), Ok(29));
    assert_eq!(Weight::try_from(300), Weight::new(300));
}

#[test]
fn durations_are_rounded_up_to_whole_units() {
    let nanosecond = Duration::from_nanos(1);
    assert_eq!(Ttl::try_from(nanosecond), Ok(Ttl::MIN));
    assert_eq!(Ttl::try_from(Duration::from_millis(1_500)), Ttl::new(2));
    assert_eq!(DrainDuration::try_from(Duration::new(1, 1)), DrainDuration::new(2));
    assert_eq!(ClockSkew::try_from(Duration::from_secs(2)), ClockSkew::new(2));
    assert_eq!(CoolingOff::try_from(Duration::from_millis(999)), CoolingOff::new(1));
    assert_eq!(CoolingOff::try_from(Duration::ZERO), Ok(CoolingOff::OFF));
    assert_eq!(TouchInterval::try_from(Duration::from_millis(59_001)), TouchInterval::new(60));
    assert_eq!(Ttl::try_from(Duration::ZERO), Ttl::new(0));
    assert_eq!(Ttl::try_from(Duration::MAX), Ttl::new(u64::MAX));
    let longest = Duration::from(Ttl::MAX);
    assert_eq!(Ttl::try_from(longest), Ok(Ttl::MAX));
    assert_eq!(Ttl::try_from(longest + nanosecond), Ttl::new(315_360_001));
    assert!(CoolingOff::try_from(Duration::from(CoolingOff::MAX) + nanosecond).is_err());
    assert_eq!(Duration::from(Ttl::clamped(82_800)), Duration::from_secs(82_800));
    assert_eq!(Duration::from(DrainDuration::MAX), Duration::from_secs(604_800));
}

#[test]
fn a_store_has_1_to_1000_milliseconds() {
    assert_eq!(StoreDeadline::default().get(), 20);
    assert_eq!(StoreDeadline::new(1_000), Ok(StoreDeadline::MAX));
    assert_eq!(
        StoreDeadline::new(0).unwrap_err().to_string(),
        "store_deadline_ms is 0; allowed: 1 to 1000 milliseconds"
    );
    assert!(StoreDeadline::new(1_001).is_err());
    assert_eq!(StoreDeadline::try_from(Duration::from_micros(19_001)), Ok(StoreDeadline::DEFAULT));
    assert_eq!(StoreDeadline::try_from(Duration::from_micros(999)), StoreDeadline::new(1));
    assert_eq!(StoreDeadline::try_from(Duration::new(1, 1)), StoreDeadline::new(1_001));
    assert_eq!(StoreDeadline::try_from(Duration::MAX), StoreDeadline::new(u64::MAX));
    assert_eq!(Duration::from(StoreDeadline::MAX), Duration::from_secs(1));
}
