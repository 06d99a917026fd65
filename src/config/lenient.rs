//! The values as Cloudflare's API writes them: null for absent, floats for whole numbers.

use std::fmt;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde::de::{Deserialize, Deserializer, Error as _, Unexpected, Visitor};
use serde::ser::{Error as _, Serializer};

use super::object::Object;
use crate::time::UnixTime;

/// Reads null as the default.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// Reads a value that may be absent, and refuses null.
pub(super) fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(input).map(Some)
}

/// Reads an object; null is the default.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.map(|Object(value)| value).unwrap_or_default())
}

/// Reads an object, and refuses null.
pub(super) fn some_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
) -> Result<T, D::Error> {
    Object::deserialize(input).map(|Object(value)| value)
}

/// Reads an object; null is absent.
pub(super) fn object_or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::deserialize(input)?.map(|Object(value)| value))
}

/// Reads an object that may be absent; null states the default.
pub(super) fn object_option<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    input: D,
) -> Result<Option<T>, D::Error> {
    object(input).map(Some)
}

/// Reads an array of objects; null is an empty one.
pub(super) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
) -> Result<Vec<T>, D::Error> {
    let objects: Vec<Object<T>> = Option::deserialize(input)?.unwrap_or_default();
    Ok(objects.into_iter().map(|Object(value)| value).collect())
}

/// Reads a value that may be absent; null states `true`.
pub(super) fn or_true<'de, D: Deserializer<'de>>(input: D) -> Result<Option<bool>, D::Error> {
    Ok(Option::deserialize(input)?.or(Some(true)))
}

/// Reads null as 0.
pub(super) fn whole<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    Ok(whole_option(input)?.unwrap_or(0))
}

/// Reads a value that may be absent; null states 1.
pub(super) fn whole_or_one<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    Ok(whole_option(input)?.or(Some(1)))
}

/// Reads a value that may be absent; null states 1.
pub(super) fn fraction_or_one<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<f64>, D::Error> {
    Ok(Option::deserialize(input)?.or(Some(1.0)))
}

/// Reads a port; null is absent.
pub(super) fn port<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u16>, D::Error> {
    let port = whole_option(input)?;
    let fits = |port| {
        let refused =
            |_| D::Error::invalid_value(Unexpected::Unsigned(port), &"a port up to 65535");
        u16::try_from(port).map_err(refused)
    };
    port.map(fits).transpose()
}

/// Reads a whole number that is not negative, possibly written as a float, and refuses null.
pub(super) fn whole_number<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    Whole::deserialize(input).map(|Whole(number)| number)
}

/// Reads a whole number that is not negative, possibly written as a float; null is absent.
pub(super) fn whole_option<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<Whole>::deserialize(input)?.map(|Whole(number)| number))
}

struct Whole(u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number that is not negative")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Whole, E> {
        Ok(Whole(number))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Whole, E> {
        u64::try_from(number)
            .map(Whole)
            .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Whole, E> {
        // Up to 2^53 a float is a whole number exactly; no parameter comes near.
        if number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number) {
            return Ok(Whole(number as u64));
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }
}

/// Reads a date of RFC 3339 section 5.6, such as `2026-01-31T12:00:00Z`; null is absent. Fractions
/// of a second are cut off. A leap second is read where one can be: before midnight, UTC, at the end
/// of a month.
pub(super) fn date<'de, D: Deserializer<'de>>(input: D) -> Result<Option<UnixTime>, D::Error> {
    let Some(text) = Option::<String>::deserialize(input)? else { return Ok(None) };
    // The parser takes any character between date and time.
    let is_parted = matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' '));
    match OffsetDateTime::parse(&text, &Rfc3339) {
        Ok(date) if is_parted => Ok(Some(UnixTime::from_signed(date.unix_timestamp()))),
        _ => Err(D::Error::invalid_value(Unexpected::Str(&text), &"a date of RFC 3339")),
    }
}

/// Writes a date of RFC 3339, in UTC, clamped to the year 9999.
pub(super) fn write_date<S: Serializer>(
    time: &Option<UnixTime>,
    output: S,
) -> Result<S::Ok, S::Error> {
    const LAST: u64 = 253_402_300_799; // 9999-12-31T23:59:59Z
    let Some(time) = time else { return output.serialize_none() };
    let seconds = i64::try_from(time.as_secs().min(LAST)).unwrap_or_default();
    let date = OffsetDateTime::from_unix_timestamp(seconds).map_err(S::Error::custom)?;
    output.serialize_str(&date.format(&Rfc3339).map_err(S::Error::custom)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::value::{Error, StrDeserializer};

    /// A date after any text that is not null.
    struct Text(&'static str);

    impl<'de> Deserializer<'de> for Text {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_some(StrDeserializer::new(self.0))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct newtype_struct seq tuple tuple_struct map struct enum
            identifier ignored_any
        }
    }

    fn parse(text: &'static str) -> Option<UnixTime> {
        date(Text(text)).ok().flatten()
    }

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
            ("2026-01-31 12:00:00Z", 1_769_860_800),
            ("1990-12-31T23:59:60Z", 662_687_999),
            ("1991-01-01T00:59:60+01:00", 662_687_999),
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
            "2026-01-31T12:00:60Z",
            "2026-01-30T23:59:60Z",
            "2026-01-31x12:00:00Z",
            "2026-01-31\u{0}12:00:00Z",
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
}
