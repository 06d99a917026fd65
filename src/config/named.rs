//! Values that are written as names, with errors that say which names there are.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::CarrierConfig;
use crate::cookies::Lifetime;
use crate::failover::{MoveWithin, OnLoss};

pub(super) fn on_loss<'de, D: Deserializer<'de>>(input: D) -> Result<OnLoss, D::Error> {
    named(input, "`move`, `lend` or `refuse`")
}

/// Reads null as absent.
pub(super) fn move_within<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<MoveWithin>, D::Error> {
    Option::<Within>::deserialize(input).map(|within| within.map(|Within(within)| within))
}

pub(super) fn lifetime<'de, D: Deserializer<'de>>(input: D) -> Result<Lifetime, D::Error> {
    named(input, "`permanent` or `session`")
}

pub(super) fn carrier<'de, D: Deserializer<'de>>(input: D) -> Result<CarrierConfig, D::Error> {
    const EXPECTED: &str = r#""cookie" or {"header": "a name"}"#;
    named(input, EXPECTED).map_err(|_| D::Error::custom(format_args!("expected {EXPECTED}")))
}

struct Within(MoveWithin);

impl<'de> Deserialize<'de> for Within {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        named(input, "`order` or `own_pool`").map(Self)
    }
}

/// Reads a name, or an object of one, as `T` reads it. The error for anything else says what is
/// expected.
fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
    expected: &'static str,
) -> Result<T, D::Error> {
    input.deserialize_any(Named(expected, PhantomData))
}

struct Named<T>(&'static str, PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Named<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::deserialize(StrDeserializer::new(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
