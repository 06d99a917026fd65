//! Documents written by hand, in which an unknown key is a mistake.

use std::fmt::Write;

use serde::de::{Deserialize, Deserializer};
use serde_ignored::Path;
use serde_path_to_error::{Segment, Track};

/// Reads a document and refuses keys that `T` ignores. [`Config`](super::Config) and
/// [`PoolConfig`](super::PoolConfig) ignore unknown keys, because Cloudflare's exports have many; in
/// a file that is written by hand an unknown key is a misspelled one.
///
/// `T` is any type; a whole file is one struct with a field of each part. Keys that reach the struct
/// through `#[serde(flatten)]` are not seen.
///
/// The end of the input is not checked: call the `end` of your deserializer. Without it a bracket too
/// many ends the document, and what follows is ignored.
///
/// ```
/// use session_affinity::config::{Config, Extensions, PoolConfig, read_strict};
///
/// #[derive(serde::Deserialize)]
/// struct File {
///     load_balancer: Config,
///     extensions: Extensions,
///     pools: Vec<PoolConfig>,
/// }
///
/// let text = r#"{
///     "load_balancer": { "name": "shop.example.com", "session_afinity": "cookie" },
///     "extensions": { "retries": 2 },
///     "pools": [{ "id": "eu", "origins": [{ "name": "eu-1", "adress": "10.0.0.1" }] }]
/// }"#;
/// let read = |text: &str| -> Result<File, Box<dyn std::error::Error>> {
///     let mut json = serde_json::Deserializer::from_str(text);
///     let file = read_strict(&mut json)?;
///     json.end()?;
///     Ok(file)
/// };
/// assert_eq!(
///     read(text).err().map(|error| error.to_string()).as_deref(),
///     Some("unknown keys: load_balancer.session_afinity, pools[0].origins[0].adress")
/// );
/// let text = text.replace("session_afinity", "session_affinity").replace("adress", "address");
/// assert!(read(&text).is_ok());
/// assert!(read(&format!("{text} }}")).is_err());
/// ```
///
/// # Errors
/// [`InvalidDocument`] names the unknown keys up to the first value that cannot be read, or, without
/// unknown keys, that value. An unknown key of a type that refuses unknown keys by itself, such as
/// [`Extensions`](super::Extensions), is such a value: the reading ends there.
pub fn read_strict<'de, T, D>(input: D) -> Result<T, InvalidDocument<D::Error>>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let mut unknown = Vec::new();
    let mut note = |path: Path<'_>| unknown.push(of_ignored(&path));
    let mut track = Track::new();
    let input = serde_ignored::Deserializer::new(input, &mut note);
    let read = T::deserialize(serde_path_to_error::Deserializer::new(input, &mut track));
    // A misspelled key often is the reason why another one is missing, so it is named first.
    if !unknown.is_empty() {
        return Err(InvalidDocument::UnknownKeys(unknown));
    }
    read.map_err(|error| InvalidDocument::Value { path: of_error(&track.path()), error })
}

/// The error for a document that is refused. A path begins at the top of the document:
/// `pools[0].origins[1].weight`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDocument<E> {
    /// Keys of the document are not those of a field. The list has their paths, up to the first value
    /// that cannot be read.
    #[error("unknown key{}: {}", if .0.len() == 1 { "" } else { "s" }, .0.join(", "))]
    UnknownKeys(Vec<String>),
    /// A value is missing or cannot be read.
    #[error("{path}{}{error}", if .path.is_empty() { "" } else { ": " })]
    Value {
        /// The path of the field; empty for the document as a whole.
        path: String,
        /// The error of the deserializer, whose message is the end of this one. It may show the value.
        error: E,
    },
}

fn of_ignored(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => at(of_ignored(parent), *index),
        Path::Map { parent, key } => below(of_ignored(parent), key),
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => of_ignored(parent),
    }
}

fn of_error(path: &serde_path_to_error::Path) -> String {
    path.iter().fold(String::new(), |path, segment| match segment {
        Segment::Seq { index } => at(path, *index),
        Segment::Map { key } => below(path, key),
        Segment::Enum { variant } => below(path, variant),
        Segment::Unknown => path,
    })
}

fn at(mut path: String, index: usize) -> String {
    // Writing to a `String` does not fail.
    let _ = write!(path, "[{index}]");
    path
}

/// Adds a key, its control characters escaped: the path is printed, perhaps to a log of lines.
fn below(mut path: String, key: &str) -> String {
    if !path.is_empty() {
        path.push('.');
    }
    for character in key.chars() {
        match character.is_control() {
            true => path.extend(character.escape_default()),
            false => path.push(character),
        }
    }
    path
}
