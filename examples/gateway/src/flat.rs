//! An object of JSON that has the keys of two types. `#[serde(flatten)]` would do, but its errors do
//! not name the key of a wrong value. So the text is read twice, once for each type.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{Error as Stopped, StringDeserializer};
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use crate::json::object;

/// Reads an object in which each key is one of `A` or one of `B`. Any other key is an error.
pub(crate) fn flat_object<A: DeserializeOwned, B: DeserializeOwned>(
    text: &[u8],
) -> Result<(A, B), String> {
    let Part::<A, B>(first, _) = object(text)?;
    let Part::<B, A>(second, _) = object(text)?;
    Ok((first, second))
}

/// A `T` in an object that has the keys of `Other` too.
struct Part<T, Other>(T, PhantomData<Other>);

impl<'de, T: Deserialize<'de>, Other: Deserialize<'de>> Deserialize<'de> for Part<T, Other> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(PartVisitor(PhantomData))
    }
}

struct PartVisitor<T, Other>(PhantomData<(T, Other)>);

impl<'de, T: Deserialize<'de>, Other: Deserialize<'de>> Visitor<'de> for PartVisitor<T, Other> {
    type Value = Part<T, Other>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let (own, others) = (keys_of::<T>(), keys_of::<Other>());
        T::deserialize(Filtered { map, own, others }).map(|part| Part(part, PhantomData))
    }
}

/// An object, of which the keys of one type are seen.
struct Filtered<A> {
    map: A,
    own: Keys,
    others: Keys,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Filtered<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Filtered<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if self.own.contains(&key.as_str()) {
                return seed.deserialize(StringDeserializer::new(key)).map(Some);
            }
            if !self.others.contains(&key.as_str()) {
                return Err(self.unknown(&key));
            }
            self.map.next_value::<IgnoredAny>()?;
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

impl<A> Filtered<A> {
    fn unknown<E: Error>(&self, key: &str) -> E {
        let known: Vec<&str> = self.own.iter().chain(self.others).copied().collect();
        E::custom(format_args!("unknown field `{key}`, expected one of `{}`", known.join("`, `")))
    }
}

pub(crate) type Keys = &'static [&'static str];

/// Returns the keys of a struct, as its `Deserialize` tells them to a deserializer.
pub(crate) fn keys_of<'de, T: Deserialize<'de>>() -> Keys {
    let mut keys: Keys = &[];
    // Always an error: there is nothing to read.
    let _ = T::deserialize(Told(&mut keys));
    keys
}

struct Told<'a>(&'a mut Keys);

impl<'de> Deserializer<'de> for Told<'_> {
    type Error = Stopped;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stopped> {
        Err(Stopped::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: Keys,
        _: V,
    ) -> Result<V::Value, Stopped> {
        *self.0 = keys;
        Err(Stopped::custom("the keys are known"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Colours {
        red: u8,
        #[serde(default)]
        green: u8,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sizes {
        width: Vec<u8>,
    }

    fn read(text: &str) -> Result<(Colours, Sizes), String> {
        flat_object(text.as_bytes())
    }

    #[test]
    fn each_type_gets_its_keys() {
        let expected = (Colours { red: 1, green: 2 }, Sizes { width: vec![3] });
        assert_eq!(read(r#"{"red": 1, "width": [3], "green": 2}"#), Ok(expected));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        for (text, error) in [
            (r#"{"red": 1}"#, "missing field `width` at line 1 column 10"),
            (r#"{"width": []}"#, "missing field `red` at line 1 column 13"),
            (r#"{"red": "1", "width": []}"#, "red: expected u8 at line 1 column 11"),
            (r#"{"red": 1, "width": [3, -1]}"#, "width[1]: expected u8 at line 1 column 26"),
            (
                r#"{"red": 1, "width": [], "depth": 3}"#,
                "unknown field `depth`, expected one of `red`, `green`, `width` at line 1 column 31",
            ),
        ] {
            assert_eq!(read(text), Err(error.into()), "{text}");
        }
        for text in [
            r#"{"red": 1, "red": 1, "width": []}"#,
            r#"{"red": 1, "width": [], "width": []}"#,
            "[1, 2, [3]]",
            r#"{"red": 1, "width": []} {}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
