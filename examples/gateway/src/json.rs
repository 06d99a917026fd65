//! Strict reading of JSON. Errors have one line, name the field and show no value, because a value
//! may be a secret.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use serde_json::error::Category;

/// Reads an object of JSON.
pub(crate) fn object<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut input = serde_json::Deserializer::from_slice(text);
    let Object(value) = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let path = error.path().to_string();
        let message = without_value(&error.into_inner().to_string());
        if path == "." || path == "?" { message } else { format!("{path}: {message}") }
    })?;
    input.end().map_err(|error| without_value(&error.to_string()))?;
    Ok(value)
}

/// Reads an object of JSON in which a name may be a secret too. An error says what was expected of the
/// whole, or where the text is no JSON.
pub(crate) fn secret_object<T: DeserializeOwned>(text: &[u8], expected: &str) -> Result<T, String> {
    let read = serde_json::from_slice::<Object<T>>(text);
    read.map(|Object(value)| value).map_err(|error| match error.classify() {
        Category::Data => expected.into(),
        _ => error.to_string(),
    })
}

/// Takes the value out of a message: `invalid type: string "…", expected a sequence` becomes
/// `expected an array`.
fn without_value(message: &str) -> String {
    let message = match message.rfind(", expected ") {
        Some(comma) if message.starts_with("invalid ") => {
            message.split_at(comma).1.trim_start_matches(", ")
        }
        _ => message,
    };
    // A reader of the file knows the words of JSON, not those of Rust.
    WORDS
        .iter()
        .fold(message.into(), |message: String, (rust, json)| message.replacen(rust, json, 1))
}

const WORDS: [(&str, &str); 3] = [
    ("expected a sequence", "expected an array"),
    ("expected a boolean", "expected true or false"),
    ("expected f64", "expected a number"),
];

/// Returns a message on one line: control characters in the names that it quotes are escaped.
pub(crate) fn one_line(message: &str) -> String {
    message
        .chars()
        .map(|character| {
            if character.is_control() {
                character.escape_default().to_string()
            } else {
                character.into()
            }
        })
        .collect()
}

/// A `T` written as an object. A derived `Deserialize` would accept an array of its fields too.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

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

/// For `deserialize_with`: reads a value, and refuses null.
pub(crate) fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(input).map(Some)
}

/// For `deserialize_with`: reads an object, and refuses null.
pub(crate) fn some_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
) -> Result<Option<T>, D::Error> {
    Object::deserialize(input).map(|Object(value)| Some(value))
}

/// A whole number, possibly written with a fraction of zero. A number beyond 64 bits becomes the
/// greatest or the least.
#[derive(Clone, Copy)]
pub(crate) struct Whole(pub(crate) i64);

impl Whole {
    pub(crate) fn not_negative(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
        Ok(Whole(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
        Ok(Whole(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
        // The cast saturates.
        if number.fract() == 0.0 {
            Ok(Whole(number as i64))
        } else {
            Err(E::custom("expected a whole number"))
        }
    }
}

/// For `deserialize_with`: reads a whole number that is not negative, and refuses null.
pub(crate) fn some_count<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    let count = Whole::deserialize(input)?.not_negative();
    count.map(Some).ok_or_else(|| D::Error::custom("expected a whole number that is not negative"))
}
