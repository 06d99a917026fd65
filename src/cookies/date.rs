//! The dates of `Expires`, written and read without an allocation.

use crate::time::UnixTime;

/// The length of an IMF-fixdate, in bytes.
pub(super) const IMF_FIXDATE: usize = 29;

/// Returns a date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7), clamped to the
/// year 9999.
///
/// Arithmetic costs a tenth of a calendar type. A test compares the two.
pub(super) fn imf_fixdate(time: UnixTime) -> [u8; IMF_FIXDATE] {
    const LAST: u64 = 253_402_300_799; // 9999-12-31T23:59:59Z
    let seconds = time.as_secs().min(LAST);
    let (days, second) = ((seconds / 86_400) as u32, (seconds % 86_400) as u32);
    let (year, month, day) = civil(days);
    // 1970-01-01 was a Thursday.
    let [d0, d1, d2] = at(DAYS, days % 7);
    let [m0, m1, m2] = at(MONTHS, month);
    let [y0, y1] = at(PAIRS, year / 100);
    let [y2, y3] = at(PAIRS, year % 100);
    let [a0, a1] = at(PAIRS, day);
    let [h0, h1] = at(PAIRS, second / 3_600);
    let [i0, i1] = at(PAIRS, second / 60 % 60);
    let [s0, s1] = at(PAIRS, second % 60);
    [
        d0, d1, d2, b',', b' ', a0, a1, b' ', m0, m1, m2, b' ', y0, y1, y2, y3, b' ', h0, h1, b':',
        i0, i1, b':', s0, s1, b' ', b'G', b'M', b'T',
    ]
}

/// Returns the year, the month (0 is March) and the day of the month of a number of days since
/// 1970-01-01. A year that begins in March has its leap day at the end, so the first day of a month
/// is a linear function of the month, rounded down.
///
/// Each division by a constant is a multiplication, and that by the days of a year is the upper half
/// of one: Neri and Schneider, *Euclidean affine functions and their application to calendar
/// algorithms* (2022).
#[expect(
    clippy::arithmetic_side_effects,
    reason = "days are below 2_932_897, the first of the year 10 000"
)]
fn civil(days: u32) -> (u32, u32, u32) {
    // From 0000-03-01, in quarters of a day, and in cycles of 400 years.
    let quarters = 4 * (days + 719_468) + 3;
    let (century, quarter) = (quarters / 146_097, quarters % 146_097);
    // 2^32 / 1461, rounded up: in a century, as in 4 years, a year has 1461 quarters of a day.
    let product = 2_939_745 * u64::from(quarter | 3);
    let year = 100 * century + (product >> 32) as u32;
    let day_of_year = product as u32 / 2_939_745 / 4;
    // Five months from March on have 153 days: 2141 / 2^16 of a month for each day.
    let months = 2_141 * day_of_year + 1_305;
    let (month, day) = (months >> 16, (months & 0xffff) / 2_141 + 1);
    // January and February belong to the next year.
    (year + month / 10, month, day)
}

const DAYS: &[[u8; 3]] = &[*b"Thu", *b"Fri", *b"Sat", *b"Sun", *b"Mon", *b"Tue", *b"Wed"];

/// The months from March on.
const MONTHS: &[[u8; 3]] = &[
    *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct", *b"Nov", *b"Dec",
    *b"Jan", *b"Feb",
];

/// The numbers below 100, with two digits.
const PAIRS: &[[u8; 2]] = b"00010203040506070809101112131415161718192021222324\
    25262728293031323334353637383940414243444546474849\
    50515253545556575859606162636465666768697071727374\
    75767778798081828384858687888990919293949596979899"
    .as_chunks()
    .0;

/// Returns the letters or digits at this place of a list.
fn at<const N: usize>(list: &[[u8; N]], index: u32) -> [u8; N] {
    list.get(index as usize).copied().unwrap_or([b'?'; N])
}

/// Reads a date as RFC 6265 section 5.1.1 does, in whatever order its parts are; `None` for what
/// is no date. A time before 1970 becomes the epoch.
pub(super) fn read_date(text: &[u8]) -> Option<UnixTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b':' || !byte.is_ascii();
    for part in text.split(|byte| !is_part(byte)).filter(|part| !part.is_empty()) {
        // Each part of a date is taken by the first of these that it fits and that is missing.
        if time.is_none() && read_time(part).is_some() {
            time = read_time(part);
        } else if day.is_none() && leading_number(part, 1, 2).is_some() {
            day = leading_number(part, 1, 2);
        } else if month.is_none() && read_month(part).is_some() {
            month = read_month(part);
        } else if year.is_none() {
            year = leading_number(part, 2, 4);
        }
    }
    let year = match year? {
        year @ 70..=99 => year.saturating_add(1_900),
        year @ 0..=69 => year.saturating_add(2_000),
        year => year,
    };
    let (day, time) = (day?, time?);
    if !(1..=31).contains(&day) || year < 1_601 {
        return None;
    }
    let days = days_since_epoch(year, month?, day);
    Some(UnixTime::from_secs(days.saturating_mul(86_400)).saturating_add(time))
}

/// Returns the seconds since midnight of `8:49:37`.
fn read_time(part: &[u8]) -> Option<u64> {
    let mut fields = part.splitn(3, |byte| *byte == b':');
    let mut field = |most: u64| -> Option<u64> {
        leading_number(fields.next()?, 1, 2).filter(|number| *number <= most)
    };
    let (hour, minute, second) = (field(23)?, field(59)?, field(59)?);
    Some(
        hour.saturating_mul(3_600).saturating_add(minute.saturating_mul(60)).saturating_add(second),
    )
}

/// Returns the number that a part begins with, if it has that many digits.
fn leading_number(part: &[u8], least: usize, most: usize) -> Option<u64> {
    let count = part.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = part.get(..count).filter(|_| (least..=most).contains(&count))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Returns the month of the year: 0 is March.
fn read_month(part: &[u8]) -> Option<u64> {
    let name = part.get(..3)?;
    (0..).zip(MONTHS).find(|(_, month)| name.eq_ignore_ascii_case(*month)).map(|(at, _)| at)
}

/// Returns the days from 1970-01-01 to a date, 0 for one before it: [`civil`] the other way.
#[expect(clippy::arithmetic_side_effects, reason = "years are 1 601 to 9 999, days 1 to 31")]
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let year = year - month / 10;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year;
    days.saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the date according to the calendar of the `time` crate.
    fn plain(seconds: u64) -> String {
        let date = ::time::UtcDateTime::from_unix_timestamp(seconds as i64).unwrap();
        let (weekday, month) = (date.weekday().to_string(), date.month().to_string());
        format!(
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
            &weekday[..3],
            date.day(),
            &month[..3],
            date.year(),
            date.hour(),
            date.minute(),
            date.second()
        )
    }

    proptest! {
        #[test]
        fn dates_are_those_of_a_calendar(seconds in 0_u64..253_402_300_800) {
            let date = imf_fixdate(UnixTime::from_secs(seconds));
            prop_assert_eq!(String::from_utf8(date.to_vec()).unwrap(), plain(seconds));
        }

        #[test]
        fn a_date_that_was_written_is_read_again(seconds in 0_u64..253_402_300_800) {
            let time = UnixTime::from_secs(seconds);
            prop_assert_eq!(read_date(&imf_fixdate(time)), Some(time));
        }

        #[test]
        fn any_text_is_a_date_or_none(text in "[ -~]{0,40}|[0-9: JanFebMar,-]{0,30}") {
            read_date(text.as_bytes());
        }
    }

    #[test]
    fn dates_are_read_in_every_form_that_servers_write() {
        let date = UnixTime::from_secs(784_111_777);
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "6 nov 1994 8:49:37",
            "1994 06 NOVEMBER 08:49:37 GMT+1",
        ] {
            assert_eq!(read_date(text.as_bytes()), Some(date), "{text}");
        }
        assert_eq!(read_date(b"Thu, 01-Jan-1970 00:00:01 GMT"), Some(UnixTime::from_secs(1)));
        assert_eq!(read_date(b"Fri, 01 Jan 1960 00:00:00 GMT"), Some(UnixTime::EPOCH));
        for text in ["", "0", "Thu, 00 Jan 1970 00:00:00 GMT", "1 Jan 1970", "1 Jan 1970 24:00:00"]
        {
            assert_eq!(read_date(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn every_day_until_the_year_9999() {
        // Miri would take hours for all days.
        for day in (0..2_932_897).step_by(if cfg!(miri) { 30_011 } else { 1 }) {
            let date = imf_fixdate(UnixTime::from_secs(day * 86_400));
            // The calendar is slow: only the days around the ends of months are compared.
            if date[5..7] == *b"01" || date[5] >= b'2' && date[6] >= b'8' || date[5] == b'3' {
                assert_eq!(std::str::from_utf8(&date).unwrap(), plain(day * 86_400));
            }
        }
    }
}
