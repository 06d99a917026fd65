//! Dates and numbers in ASCII, without an allocation.

use crate::time::UnixTime;

/// `Sun, 06 Nov 1994 08:49:37 GMT`: RFC 9110 section 5.6.7.
pub(super) fn imf_fixdate(time: UnixTime) -> [u8; 29] {
    const LAST: u64 = 253_402_300_799; // 9999-12-31T23:59:59Z
    let clamped = i64::try_from(time.as_secs().min(LAST)).unwrap_or(0);
    let date = time::UtcDateTime::from_unix_timestamp(clamped).unwrap_or(time::UtcDateTime::UNIX_EPOCH);
    let [d0, d1, d2] = *match date.weekday() {
        time::Weekday::Monday => b"Mon",
        time::Weekday::Tuesday => b"Tue",
        time::Weekday::Wednesday => b"Wed",
        time::Weekday::Thursday => b"Thu",
        time::Weekday::Friday => b"Fri",
        time::Weekday::Saturday => b"Sat",
        time::Weekday::Sunday => b"Sun",
    };
    let [m0, m1, m2] = *match date.month() {
        time::Month::January => b"Jan",
        time::Month::February => b"Feb",
        time::Month::March => b"Mar",
        time::Month::April => b"Apr",
        time::Month::May => b"May",
        time::Month::June => b"Jun",
        time::Month::July => b"Jul",
        time::Month::August => b"Aug",
        time::Month::September => b"Sep",
        time::Month::October => b"Oct",
        time::Month::November => b"Nov",
        time::Month::December => b"Dec",
    };
    let year = date.year().unsigned_abs();
    let [y0, y1] = two_digits(year / 100);
    let [y2, y3] = two_digits(year % 100);
    let [a0, a1] = two_digits(date.day().into());
    let [h0, h1] = two_digits(date.hour().into());
    let [i0, i1] = two_digits(date.minute().into());
    let [s0, s1] = two_digits(date.second().into());
    [
        d0, d1, d2, b',', b' ', a0, a1, b' ', m0, m1, m2, b' ', y0, y1, y2, y3, b' ', h0, h1, b':', i0, i1, b':', s0, s1,
        b' ', b'G', b'M', b'T',
    ]
}

/// The last two decimal digits of a number.
fn two_digits(number: u32) -> [u8; 2] {
    [digit(u64::from(number) / 10), digit(u64::from(number))]
}

/// The last decimal digit of a number.
fn digit(number: u64) -> u8 {
    b'0'.saturating_add((number % 10) as u8)
}

/// A number in decimal, right-aligned in `buffer`: 20 digits hold any.
pub(super) fn decimal(mut number: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    for (position, place) in buffer.iter_mut().enumerate().rev() {
        *place = digit(number);
        start = position;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    buffer.get(start..).unwrap_or_default()
}
