//! The file in which a gateway hands the sessions of its store in memory over to the next process.
//!
//! ```text
//! "session-affinity gateway sessions 1\n"   36 bytes
//! number of sessions                         8, little-endian, as all numbers
//! sessions                                  35 each: key 16, endpoint 8, issued 5, end 5, uses 1
//! CRC-32 of all that is before it            4
//! ```
//! It names sessions by keyed hashes of the clients' headers, so it is for the gateway's user alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use session_affinity::policy::Life;
use session_affinity::store::{AnyStore, SessionKey, StoredSession};
use session_affinity::{EndpointId, UnixTime};

const HEAD: &[u8] = b"session-affinity gateway sessions 1\n";
/// The number of bytes of a session.
const SESSION: usize = 35;
/// The number of bytes of the count and of the checksum.
const COUNT: usize = 8;
const SUM: usize = 4;

/// Returns the text of a file.
fn written(sessions: impl Iterator<Item = StoredSession>) -> Vec<u8> {
    let mut bytes = [HEAD, &[0; COUNT]].concat();
    let mut count = 0_u64;
    for StoredSession { key, endpoint, issued, end, uses } in sessions {
        bytes.extend(key.0);
        bytes.extend(endpoint.as_u64().to_le_bytes());
        for time in [issued, end] {
            // Times have 40 bits.
            let [a, b, c, d, e, ..] = time.as_secs().to_le_bytes();
            bytes.extend([a, b, c, d, e]);
        }
        bytes.push(uses);
        count = count.saturating_add(1);
    }
    if let Some(place) = bytes.get_mut(HEAD.len()..HEAD.len() + COUNT) {
        place.copy_from_slice(&count.to_le_bytes());
    }
    let sum = checksum(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// Reads the text of a file: all of it, or nothing.
fn read(bytes: &[u8]) -> Result<Vec<StoredSession>, &'static str> {
    let rest =
        bytes.strip_prefix(HEAD).ok_or("it is no file of sessions, or of another version")?;
    let (rest, sum) = rest.split_last_chunk::<SUM>().ok_or(SHORT)?;
    let checked = bytes.get(..bytes.len().saturating_sub(SUM)).unwrap_or_default();
    let (count, rest) = rest.split_first_chunk::<COUNT>().ok_or(SHORT)?;
    if checksum(checked) != u32::from_le_bytes(*sum) {
        return Err("its checksum is another one");
    }
    let (sessions, []) = rest.as_chunks::<SESSION>() else { return Err(SHORT) };
    if u64::try_from(sessions.len()) != Ok(u64::from_le_bytes(*count)) {
        return Err(SHORT);
    }
    Ok(sessions.iter().filter_map(session).collect())
}

const SHORT: &str = "its length is another one";

fn session(bytes: &[u8; SESSION]) -> Option<StoredSession> {
    let (key, rest) = bytes.split_first_chunk()?;
    let (endpoint, rest) = rest.split_first_chunk()?;
    let (issued, rest) = rest.split_first_chunk()?;
    let (end, rest) = rest.split_first_chunk()?;
    let time = |[a, b, c, d, e]: [u8; 5]| {
        UnixTime::from_secs(u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]))
    };
    Some(StoredSession {
        key: SessionKey(*key),
        endpoint: EndpointId::from_u64(u64::from_le_bytes(*endpoint)),
        issued: time(*issued),
        end: time(*end),
        uses: *rest.first()?,
    })
}

/// The CRC-32 of IEEE 802.3.
fn checksum(bytes: &[u8]) -> u32 {
    let divided = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    };
    !bytes.iter().fold(u32::MAX, divided)
}

/// Writes the live sessions of a store in memory to a file: whole, or not at all.
pub(crate) fn write(path: &Path, store: &AnyStore, now: UnixTime) -> Result<(), String> {
    let Some(memory) = store.memory() else { return Ok(()) };
    let bytes = written(memory.sessions(now));
    replace(path, &bytes).map_err(|error| at(path, &error))
}

/// Takes over the sessions of a file, and removes it: also where the policy keeps none in the store, so
/// that a later policy does not find them. Without a file there is nothing to do.
///
/// # Errors
/// One line, and nothing is taken over. A damaged file is left there until the next one replaces it.
pub(crate) fn restore(
    path: &Path,
    store: &AnyStore,
    life: Life,
    now: UnixTime,
) -> Result<(), String> {
    let Some(memory) = store.memory() else { return Ok(()) };
    // A full store has a quarter more places than sessions, and a file no more than that.
    let most = memory.capacity().saturating_mul(2).saturating_mul(SESSION).saturating_add(1_024);
    let bytes = match bounded(path, most) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        bytes => bytes.map_err(|error| at(path, &error))?,
    };
    let sessions = read(&bytes).map_err(|why| format!("{}: {why}", path.display()))?;
    // A crash must not bring back what has been moved or ended since: the file serves once.
    fs::remove_file(path).map_err(|error| at(path, &error))?;
    if let Life::Idle(ttl) = life {
        let _ = memory.restore(sessions, ttl, now);
    }
    Ok(())
}

/// Reads a file of at most this many bytes.
fn bounded(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for its other end, and a link may lead to a file of someone else.
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no regular file"));
    }
    let (mut bytes, most) = (Vec::new(), u64::try_from(most).unwrap_or(u64::MAX));
    let read = File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than the store"));
    }
    Ok(bytes)
}

/// Puts a file in the place of another one, for this user alone.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn at(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests;
