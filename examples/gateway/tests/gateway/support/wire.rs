//! HTTP/1.1 as bytes: heads and bodies, read alike by the client and by the endpoints.

use std::io::{self, BufRead, Error, ErrorKind, Read};

/// A start line and its fields, in order, with names in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// The next head; `None` when the stream ends before it.
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(start) = line(reader)? else { return Ok(None) };
        let mut head = Self { start: text(&start), fields: Vec::new() };
        loop {
            let field = line(reader)?.ok_or(ErrorKind::UnexpectedEof)?;
            if field.is_empty() {
                return Ok(Some(head));
            }
            let colon =
                field.iter().position(|byte| *byte == b':').ok_or(ErrorKind::InvalidData)?;
            let (name, value) = field.split_at(colon);
            head.fields.push((text(name).to_lowercase(), value[1..].trim_ascii().to_vec()));
        }
    }

    /// The values of all fields of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.fields
            .iter()
            .filter(|(field, _)| field == name)
            .map(|(_, value)| text(value))
            .collect()
    }

    /// The values of all fields of this name as one list; `None` without such a field.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let all = self.all(name);
        (!all.is_empty()).then(|| all.join(", "))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// How a message's body ends.
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Framing {
    pub(crate) fn of_request(head: &Head) -> Self {
        Self::said_by(head).unwrap_or(Self::None)
    }

    pub(crate) fn of_response(head: &Head, status: u16, to_head: bool) -> Self {
        if to_head || status < 200 || status == 204 || status == 304 {
            return Self::None;
        }
        Self::said_by(head).unwrap_or(Self::UntilClose)
    }

    fn said_by(head: &Head) -> Option<Self> {
        if head.get("transfer-encoding").is_some_and(|codings| codings.ends_with("chunked")) {
            return Some(Self::Chunked);
        }
        head.get("content-length").and_then(|length| length.parse().ok()).map(Self::Length)
    }

    /// Reads the body, piece by piece as it comes.
    pub(crate) fn read(
        self,
        reader: &mut impl BufRead,
        mut sink: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Length(length) => exactly(reader, length, &mut sink),
            Self::UntilClose => pieces(reader, &mut sink).map(|_| ()),
            Self::Chunked => loop {
                let size = line(reader)?.ok_or(ErrorKind::UnexpectedEof)?;
                let size = u64::from_str_radix(
                    text(&size).split(';').next().unwrap_or_default().trim(),
                    16,
                )
                .map_err(|_| Error::new(ErrorKind::InvalidData, "no chunk size"))?;
                if size == 0 {
                    while !line(reader)?.ok_or(ErrorKind::UnexpectedEof)?.is_empty() {}
                    return Ok(());
                }
                exactly(reader, size, &mut sink)?;
                line(reader)?.ok_or(ErrorKind::UnexpectedEof)?;
            },
        }
    }
}

fn exactly(reader: &mut impl BufRead, length: u64, sink: &mut impl FnMut(&[u8])) -> io::Result<()> {
    match pieces(&mut reader.take(length), sink)? {
        read if read == length => Ok(()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn pieces(reader: &mut impl BufRead, sink: &mut impl FnMut(&[u8])) -> io::Result<u64> {
    let mut read = 0;
    loop {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            return Ok(read);
        }
        sink(piece);
        let length = piece.len();
        read += length as u64;
        reader.consume(length);
    }
}

/// A line without its end; `None` when the stream ends before it.
fn line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    line.pop_if(|byte| *byte == b'\r');
    Ok(Some(line))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
