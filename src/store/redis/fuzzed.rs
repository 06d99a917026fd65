//! The check of the fuzz target `redis_answers`: any bytes of a server are cut off or read, and of
//! what is read only a store's own values are believed. Only in tests and for the fuzzer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ::redis::{ErrorKind, Parser, Value};
use tokio::io::{AsyncRead, ReadBuf};

use super::answers::{Answers, Arrived};
use super::error::RedisError;
use super::server::{Server, one_shard};
use super::{census, has_changed, layout};
use crate::endpoint::EndpointId;
use crate::store::SessionKey;
use crate::time::UnixTime;

const KEY: SessionKey = SessionKey(*b"0123456789abcdef");

/// The first byte says how many bytes arrive at once; those after it are the server's.
pub(super) fn check(input: &[u8]) {
    let Some((pieces, sent)) = input.split_first() else { return };
    let arrived = arrived(sent, usize::from(*pieces).saturating_add(1));
    assert!(sent.starts_with(&arrived), "other bytes than were sent");
    says_nothing_too_long(&arrived);

    let (mut parser, mut left) = (Parser::new(), arrived.as_slice());
    while !left.is_empty() {
        match parser.parse_value(&mut left) {
            Ok(answer) => read(&answer),
            // The rest has not come, or is not the protocol: the connection ends.
            Err(error) => {
                let kind = error.kind();
                assert!(matches!(kind, ErrorKind::Io | ErrorKind::Parse), "{error:?}");
                return;
            }
        }
    }
}

/// Returns the bytes that reach the client library before the connection is closed.
fn arrived(sent: &[u8], pieces: usize) -> Vec<u8> {
    let mut answers = Answers::new(sent, Arc::new(Arrived::default()));
    let mut arrived = Vec::new();
    let mut memory = [0; 256];
    loop {
        let end = pieces.min(memory.len());
        let mut buffer = ReadBuf::new(memory.get_mut(..end).unwrap_or_default());
        let mut context = Context::from_waker(Waker::noop());
        let read = Pin::new(&mut answers).poll_read(&mut context, &mut buffer);
        if !matches!(read, Poll::Ready(Ok(()))) || buffer.filled().is_empty() {
            assert!(buffer.filled().is_empty(), "bytes beside an error");
            return arrived;
        }
        arrived.extend_from_slice(buffer.filled());
    }
}

/// Follows the bytes as the client library does, which is looser than the protocol, and finds no
/// length beyond 64 KiB and no list of more than 1,024.
fn says_nothing_too_long(mut bytes: &[u8]) {
    while let Some((kind, rest)) = bytes.split_first() {
        let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return assert!(rest.len() <= 64 * 1024, "a line without an end");
        };
        let (line, rest) = rest.split_at_checked(end).unwrap_or_default();
        bytes = rest.get(2..).unwrap_or_default();
        let number =
            std::str::from_utf8(line).ok().and_then(|text| text.trim().parse::<i64>().ok());
        match (kind, number) {
            (b'$' | b'=' | b'!', Some(length @ 0..)) => {
                assert!(length <= 64 * 1024, "a text of {length} bytes");
                // Its line end follows, or it has not come, or the library refuses it.
                let text = usize::try_from(length).ok().and_then(|length| bytes.get(length..));
                let Some(rest) = text.and_then(|rest| rest.strip_prefix(b"\r\n")) else { return };
                bytes = rest;
            }
            // No text, but no text of a negative length is complete.
            (b'$', Some(_)) => {}
            (b'*' | b'%' | b'~' | b'>' | b'|', Some(count)) => {
                assert!(count <= 1_024, "a list of {count} elements");
            }
            (b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(', _) => {}
            _ => return,
        }
    }
}

/// Takes an answer for one to each command of a store.
fn read(answer: &Value) {
    let record = layout::answered(KEY, answer);
    let text = match answer {
        Value::BulkString(text) => Some(text.as_slice()),
        _ => None,
    };
    let expected = match (answer, text) {
        (Value::Nil, _) => layout::Value::Absent,
        (_, Some([2, rest @ ..])) if rest.len() == 19 => believed(rest),
        _ => layout::Value::Unreadable,
    };
    assert_eq!(record, expected, "{answer:?}");
    if let layout::Value::Record { endpoint, issued } = record {
        assert_eq!(text, Some(&layout::value(KEY, endpoint, issued)[..]));
    }

    let report = text.and_then(census::read);
    assert_eq!(
        report.is_some(),
        text.is_some_and(|text| text.len() == 26 && text.first() == Some(&1))
    );
    if let (Some((census, as_of)), Some(text)) = (report, text) {
        let published = census::value(census, as_of.saturating_add(1));
        // A report of the time 0 cannot be told from one of the time 1.
        assert!(published == text || as_of == UnixTime::EPOCH, "{text:?}");
    }

    if has_changed(answer) {
        assert!(matches!(answer, Value::Okay | Value::Int(1)), "{answer:?}");
    }
    if !matches!(answer, Value::Map(_) | Value::Array(_)) {
        assert_eq!(Server::of(answer), Server::Primary);
    }
    // A cluster that does not say that it is one shard in order is refused.
    assert!(one_shard(Some(answer)).is_err() || says(answer, "cluster_size:1"));
    if let Value::ServerError(error) = answer {
        let RedisError::Refused(code) = RedisError::refused(error.code()) else { unreachable!() };
        let is_code = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(code == "(no code)" || (code.len() <= 32 && code.bytes().all(is_code)), "{code}");
    }
}

/// The fields of a value after its version, read as plainly as the layout is written.
fn believed(fields: &[u8]) -> layout::Value {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
    let (Some(endpoint), Some(issued), Some(name)) =
        (fields.get(..8), fields.get(8..13), fields.get(13..))
    else {
        return layout::Value::Unreadable;
    };
    if name != b"abcdef" {
        return layout::Value::Foreign;
    }
    layout::Value::Record {
        endpoint: EndpointId::from_u64(number(endpoint)),
        issued: UnixTime::from_secs(number(issued)),
    }
}

fn says(answer: &Value, line: &str) -> bool {
    match answer {
        Value::BulkString(text) => String::from_utf8_lossy(text).contains(line),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.contains(line),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// The corpus is only in the repository, not in the published package.
    #[test]
    fn the_corpus_of_the_fuzz_target_passes() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/redis_answers");
        for file in fs::read_dir(corpus).into_iter().flatten() {
            check(&fs::read(file.unwrap().path()).unwrap());
        }
    }

    #[test]
    fn a_record_and_a_census_are_believed() {
        let record = layout::value(KEY, EndpointId::from_u64(7), UnixTime::from_secs(9));
        let census = census::value(Default::default(), UnixTime::from_secs(9));
        for text in [&record[..], &census] {
            let head = format!("${}\r\n", text.len());
            check(&[b"\x03", head.as_bytes(), text, b"\r\n"].concat());
        }
    }

    proptest! {
        #[test]
        fn random_bytes_pass(input in proptest::collection::vec(any::<u8>(), 0..400)) {
            check(&input);
        }

        #[test]
        fn answers_with_odd_parts_pass(pieces: u8, parts in proptest::collection::vec(part(), 0..12)) {
            check(&[&[pieces], &parts.concat()[..]].concat());
        }
    }

    /// A part of an answer, or of what may be taken for one.
    fn part() -> impl Strategy<Value = Vec<u8>> {
        let number = prop_oneof![
            3 => (0..30_i64).prop_map(|it| it.to_string()),
            1 => prop_oneof![Just(-1), Just(1_024), Just(1_025), Just(65_536), Just(70_000)]
                .prop_map(|it: i64| it.to_string()),
            1 => "[+ \\t\\n-]?[0-9]{1,20}[ \\r\\n]?",
        ];
        let length = ("[$*%~>|=!:]", number, prop_oneof![9 => Just("\r\n"), 1 => Just("\n")])
            .prop_map(|(kind, number, end)| format!("{kind}{number}{end}").into_bytes());
        let text = prop_oneof![
            Just(b"\r\n".to_vec()),
            Just(b"+OK\r\n".to_vec()),
            Just(b"-LOADING x\r\n".to_vec()),
            Just(b"cluster_state:ok\r\ncluster_size:1\r\n".to_vec()),
            Just(b"$20\r\n\x0212345678\0\x01\x02\x03\x04abcdef\r\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..30),
        ];
        prop_oneof![length, text]
    }
}
