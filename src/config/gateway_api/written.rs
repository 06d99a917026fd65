//! The structs as they are read: the fields once more, and those of earlier texts, which are refused.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::values::{CookieLifetimeType, SessionPersistenceType};
use super::{CookieConfig, HeaderConfig, SessionPersistence};
use crate::config::lenient;
use crate::config::object::ObjectOnly;

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenPersistence {
    absolute_timeout: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "persistence_type")]
    persistence_type: SessionPersistenceType,
    #[serde(default, deserialize_with = "lenient::object_or_null")]
    cookie: Option<CookieConfig>,
    #[serde(default, deserialize_with = "lenient::object_or_null")]
    header: Option<HeaderConfig>,
    #[serde(default, deserialize_with = "session_name")]
    session_name: (),
    #[serde(default, deserialize_with = "cookie_config")]
    cookie_config: (),
    #[serde(default, deserialize_with = "idle_timeout")]
    idle_timeout: (),
}

impl From<WrittenPersistence> for SessionPersistence {
    fn from(written: WrittenPersistence) -> Self {
        let WrittenPersistence {
            absolute_timeout,
            persistence_type,
            cookie,
            header,
            session_name: (),
            cookie_config: (),
            idle_timeout: (),
        } = written;
        Self { absolute_timeout, r#type: persistence_type, cookie, header }
    }
}

impl<'de> Deserialize<'de> for SessionPersistence {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        WrittenPersistence::deserialize(ObjectOnly(input)).map(Self::from)
    }
}

#[derive(serde::Deserialize)]
#[serde(remote = "CookieConfig", default, rename_all = "camelCase")]
struct WrittenCookie {
    name: Option<String>,
    #[serde(deserialize_with = "path")]
    path: String,
    #[serde(deserialize_with = "lifetime_type")]
    lifetime_type: CookieLifetimeType,
}

impl Default for WrittenCookie {
    fn default() -> Self {
        let CookieConfig { name, path, lifetime_type } = CookieConfig::default();
        Self { name, path, lifetime_type }
    }
}

impl<'de> Deserialize<'de> for CookieConfig {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        WrittenCookie::deserialize(input)
    }
}

#[derive(serde::Deserialize)]
#[serde(remote = "HeaderConfig")]
struct WrittenHeader {
    /// Empty where it is missing, which the check refuses with the path of the field.
    #[serde(default, deserialize_with = "lenient::or_default")]
    name: String,
}

impl<'de> Deserialize<'de> for HeaderConfig {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        WrittenHeader::deserialize(input)
    }
}

fn path<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_else(|| CookieConfig::default().path))
}

fn persistence_type<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<SessionPersistenceType, D::Error> {
    let all = SessionPersistenceType::ALL;
    named(input, "type", all, SessionPersistenceType::as_str, "Cookie or Header")
}

fn lifetime_type<'de, D: Deserializer<'de>>(input: D) -> Result<CookieLifetimeType, D::Error> {
    let all = CookieLifetimeType::ALL;
    named(input, "cookie.lifetimeType", all, CookieLifetimeType::as_str, "Permanent or Session")
}

/// Reads the name of one of these values; null is the default.
fn named<'de, D: Deserializer<'de>, T: Copy + Default>(
    input: D,
    field: &str,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
    allowed: &str,
) -> Result<T, D::Error> {
    let Some(text) = Option::<String>::deserialize(input)? else { return Ok(T::default()) };
    let found = all.iter().copied().find(|value| as_str(*value) == text);
    found.ok_or_else(|| D::Error::custom(format_args!("{field} is {text:?}; allowed: {allowed}")))
}

fn session_name<'de, D: Deserializer<'de>>(input: D) -> Result<(), D::Error> {
    withdrawn(input, "sessionName", "cookie.name or header.name")
}

fn cookie_config<'de, D: Deserializer<'de>>(input: D) -> Result<(), D::Error> {
    withdrawn(input, "cookieConfig", "cookie")
}

fn idle_timeout<'de, D: Deserializer<'de>>(input: D) -> Result<(), D::Error> {
    withdrawn(input, "idleTimeout", "absoluteTimeout")
}

/// Refuses a field of an earlier text; null is absent.
fn withdrawn<'de, D: Deserializer<'de>>(
    input: D,
    field: &'static str,
    instead: &'static str,
) -> Result<(), D::Error> {
    input.deserialize_option(Withdrawn { field, instead })
}

/// The value is not looked at: one that is ignored would count as an unknown key.
struct Withdrawn {
    field: &'static str,
    instead: &'static str,
}

impl<'de> Visitor<'de> for Withdrawn {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {}", self.field)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        let Self { field, instead } = self;
        Err(D::Error::custom(format_args!(
            "{field} is set, a field of earlier texts; allowed: {instead}"
        )))
    }
}
