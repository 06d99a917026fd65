//! Dates of RFC 3339 section 5.6, as Cloudflare's API writes them.

use std::fmt;

use time::{Date, Month, PrimitiveDateTime, Time, UtcDateTime, UtcOffset};

use crate::time::UnixTime;

/// Reads `2026-01-31T12:00:00Z`, with any fraction of a second and any offset. A leap
/// second counts as the last second of its minute.
pub(super) fn parse(text: &str) -> Option<UnixTime> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    literal(&mut rest, b"-")?;
    let month = Month::try_from(u8::try_from(digits(&mut rest, 2)?).ok()?).ok()?;
    literal(&mut rest, b"-")?;
    let day = u8::try_from(digits(&mut rest, 2)?).ok()?;
    literal(&mut rest, b"Tt ")?;
    let hour = u8::try_from(digits(&mut rest, 2)?).ok()?;
    literal(&mut rest, b":")?;
    let minute = u8::try_from(digits(&mut rest, 2)?).ok()?;
    literal(&mut rest, b":")?;
    let second = u8::try_from(digits(&mut rest, 2)?).ok()?;
    if second > 60 {
        return None;
    }
    if literal(&mut rest, b".").is_some() {
        digits(&mut rest, 1)?;
        while digits(&mut rest, 1).is_some() {}
    }
    let offset = offset(&mut rest)?;
    if !rest.is_empty() {
        return None;
    }
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, day).ok()?;
    let time = Time::from_hms(hour, minute, second.min(59)).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_offset(offset).into())
}

/// Writes a time as `2026-01-31T12:00:00Z`, clamped to the year 9999.
pub(super) struct Rfc3339(pub(super) UnixTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LAST: u64 = 253_402_300_799; // 9999-12-31T23:59:59Z
        let seconds = i64::try_from(self.0.as_secs().min(LAST)).unwrap_or(0);
        let date = UtcDateTime::from_unix_timestamp(seconds).unwrap_or(UtcDateTime::UNIX_EPOCH);
        let (hour, minute, second) = date.time().as_hms();
        write!(f, "{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())?;
        write!(f, "T{hour:02}:{minute:02}:{second:02}Z")
    }
}

fn offset(rest: &mut &[u8]) -> Option<UtcOffset> {
    let sign = literal(rest, b"Zz+-")?;
    if sign.eq_ignore_ascii_case(&b'Z') {
        return Some(UtcOffset::UTC);
    }
    let hours = i8::try_from(digits(rest, 2)?).ok()?;
    literal(rest, b":")?;
    let minutes = i8::try_from(digits(rest, 2)?).ok()?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    match sign {
        b'-' => UtcOffset::from_hms(hours.checked_neg()?, minutes.checked_neg()?, 0).ok(),
        _ => UtcOffset::from_hms(hours, minutes, 0).ok(),
    }
}

/// The next byte, if it is one of these.
fn literal(rest: &mut &[u8], allowed: &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    allowed.contains(first).then(|| *rest = after)?;
    Some(*first)
}

/// The next digits, exactly this many.
fn digits(rest: &mut &[u8], count: usize) -> Option<u32> {
    let (digits, after) = rest.split_at_checked(count)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    *rest = after;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_rfc_3339_are_read() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-01-31T12:00:00Z", 1_769_860_800),
            ("2026-01-31T12:00:00.123456789Z", 1_769_860_800),
            ("2026-01-31T14:30:00+02:30", 1_769_860_800),
            ("2026-01-31t04:00:00-08:00", 1_769_860_800),
            ("2026-02-01T11:59:00+23:59", 1_769_860_800),
            ("2026-01-30T12:01:00-23:59", 1_769_860_800),
            ("1985-04-12T23:20:50.52Z", 482_196_050),
            ("1990-12-31T23:59:60Z", 662_687_999),
            ("1960-01-01T00:00:00Z", 0),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text), Some(UnixTime::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_date() {
        for text in [
            "",
            "now",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-02-30T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T12:00:61Z",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00+24:00",
            "2026-01-31T12:00:00+00:60",
            "2026-01-31T12:00:00Zz",
            "26-01-31T12:00:00Z",
            "2026-01-31T12:00:00+2:30",
            "+026-01-31T12:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for seconds in [0, 1, 1_769_860_800, 253_402_300_799] {
            let time = UnixTime::from_secs(seconds);
            assert_eq!(parse(&Rfc3339(time).to_string()), Some(time));
        }
        assert_eq!(Rfc3339(UnixTime::MAX).to_string(), "9999-12-31T23:59:59Z");
    }
}
