//! How Cloudflare's API writes values: null for absent, floats for whole numbers.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::time::UnixTime;

/// Null is the default.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// An object; null is the default.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.map(|Object(value)| value).unwrap_or_default())
}

/// An array of objects; null is an empty one.
pub(super) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
) -> Result<Vec<T>, D::Error> {
    let objects: Vec<Object<T>> = Option::deserialize(input)?.unwrap_or_default();
    Ok(objects.into_iter().map(|Object(value)| value).collect())
}

/// A `T` written as an object: what serde derives would take an array of its fields too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Null is `true`, as absence is.
pub(super) fn or_true<'de, D: Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or(true))
}

/// Null is 0.
pub(super) fn whole<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    Ok(whole_option(input)?.unwrap_or(0))
}

/// Null is 1.
pub(super) fn whole_or_one<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    Ok(whole_option(input)?.unwrap_or(1))
}

/// Null is 1.
pub(super) fn fraction_or_one<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or(1.0))
}

/// A whole number that is not negative, perhaps written as a float.
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

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
        Ok(Whole(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
        u64::try_from(number)
            .map(Whole)
            .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
        // Up to 2^53 a float is a whole number exactly; no parameter comes near.
        if number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number) {
            return Ok(Whole(number as u64));
        }
        Err(E::invalid_value(serde::de::Unexpected::Float(number), &self))
    }
}

/// A date of RFC 3339, such as `2026-01-31T12:00:00Z`; null for none.
pub(super) fn date<'de, D: Deserializer<'de>>(input: D) -> Result<Option<UnixTime>, D::Error> {
    let Some(text) = Option::<String>::deserialize(input)? else { return Ok(None) };
    super::date::parse(&text).map(Some).ok_or_else(|| {
        D::Error::invalid_value(serde::de::Unexpected::Str(&text), &"a date of RFC 3339")
    })
}

/// A date of RFC 3339, in UTC.
pub(super) fn write_date<S: serde::Serializer>(
    time: &Option<UnixTime>,
    output: S,
) -> Result<S::Ok, S::Error> {
    match time {
        None => output.serialize_none(),
        Some(time) => output.collect_str(&super::date::Rfc3339(*time)),
    }
}
