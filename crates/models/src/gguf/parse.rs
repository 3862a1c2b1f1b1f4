//! The GGUF header's wire format.

use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use super::{GgufError, Metadata};

/// More keys than any real file has.
const MAX_KEYS: u64 = 1 << 16;
/// More tensors than any real file has.
const MAX_TENSORS: u64 = 1 << 20;
/// The longest string that is kept (chat templates reach some 100 KB).
const MAX_STRING: u64 = 1 << 22;
/// All strings that are kept, together.
const MAX_STRINGS: u64 = 1 << 25;
const MAX_DIMENSIONS: u32 = 8;

/// A metadata value, as far as facts need it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(u64),
    Text(String),
    Array { len: u64, first: Option<u64> },
    Other,
}

/// A weight tensor's entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) elements: u64,
}

/// A parsed header.
#[derive(Debug)]
pub(super) struct Header {
    metadata: Metadata,
    pub(super) tensors: Vec<Tensor>,
}

impl Header {
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A number; of a per-layer array its first entry.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        match self.metadata.get(key) {
            Some(Value::Number(n)) => Some(*n),
            Some(Value::Array { first, .. }) => *first,
            _ => None,
        }
    }

    pub(super) fn array_len(&self, key: &str) -> Option<u64> {
        match self.metadata.get(key) {
            Some(Value::Array { len, .. }) => Some(*len),
            _ => None,
        }
    }
}

/// A [`GgufError`] that does not know its path yet.
#[derive(Debug)]
pub(super) enum ParseError {
    Io(io::Error),
    NotGguf(String),
    Version(u32),
    Truncated { what: String, needs: u64, has: u64 },
    Malformed { at: u64, what: String },
}

impl ParseError {
    pub(super) fn at_path(self, path: &Path) -> GgufError {
        let path = path.to_owned();
        match self {
            ParseError::Io(source) => GgufError::Io { path, source },
            ParseError::NotGguf(found) => GgufError::NotGguf { path, found },
            ParseError::Version(version) => GgufError::Version { path, version },
            ParseError::Truncated { what, needs, has } => GgufError::Truncated { path, what, needs, has },
            ParseError::Malformed { at, what } => GgufError::Malformed { path, at, what },
        }
    }
}

/// Parses the header of a file of `len` bytes.
pub(super) fn parse<R: Read + Seek>(source: BufReader<R>, len: u64) -> Result<Header, ParseError> {
    let mut r = Reader { source, len, at: 0, kept: 0 };
    let magic = r.magic()?;
    if magic != *b"GGUF" {
        let found = if magic.iter().all(u8::is_ascii_graphic) {
            format!("`{}`", String::from_utf8_lossy(&magic))
        } else {
            format!("bytes {magic:02x?}")
        };
        return Err(ParseError::NotGguf(found));
    }
    let version = r.u32("the version")?;
    if !(2..=3).contains(&version) {
        return Err(ParseError::Version(version));
    }
    let tensor_count = r.count("tensors", MAX_TENSORS)?;
    let key_count = r.count("metadata keys", MAX_KEYS)?;

    let mut metadata = Metadata::new();
    for _ in 0..key_count {
        let key = r.string("a metadata key")?;
        let value = r.value(&key)?;
        metadata.insert(key, value);
    }
    let alignment = match metadata.get("general.alignment") {
        Some(Value::Number(n)) if n.is_power_of_two() && *n <= 1 << 20 => *n,
        None => 32,
        Some(_) => return Err(r.malformed("`general.alignment` is not a power of two")),
    };

    let mut tensors = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..tensor_count {
        let (tensor, end) = r.tensor()?;
        ends.push(end);
        tensors.push(tensor);
    }
    let data = r.at.next_multiple_of(alignment);
    for (tensor, end) in tensors.iter().zip(ends) {
        let needs = data.saturating_add(end);
        if needs > len {
            return Err(ParseError::Truncated { what: format!("tensor `{}`", tensor.name), needs, has: len });
        }
    }
    Ok(Header { metadata, tensors })
}

/// A cursor that never reads, skips or allocates beyond the file's length.
struct Reader<R> {
    source: BufReader<R>,
    len: u64,
    at: u64,
    kept: u64,
}

impl<R: Read + Seek> Reader<R> {
    fn malformed(&self, what: impl Into<String>) -> ParseError {
        ParseError::Malformed { at: self.at, what: what.into() }
    }

    fn need(&self, bytes: u64, what: &str) -> Result<(), ParseError> {
        let needs = self.at.saturating_add(bytes);
        if needs > self.len {
            return Err(ParseError::Truncated { what: what.to_owned(), needs, has: self.len });
        }
        Ok(())
    }

    fn magic(&mut self) -> Result<[u8; 4], ParseError> {
        if self.len < 4 {
            return Err(ParseError::NotGguf(if self.len == 0 {
                "nothing: it is empty".into()
            } else {
                "too few bytes".into()
            }));
        }
        self.bytes("the magic number")
    }

    fn bytes<const N: usize>(&mut self, what: &str) -> Result<[u8; N], ParseError> {
        self.need(N as u64, what)?;
        let mut buffer = [0; N];
        self.source.read_exact(&mut buffer).map_err(ParseError::Io)?;
        self.at += N as u64;
        Ok(buffer)
    }

    fn u32(&mut self, what: &str) -> Result<u32, ParseError> {
        Ok(u32::from_le_bytes(self.bytes(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64, ParseError> {
        Ok(u64::from_le_bytes(self.bytes(what)?))
    }

    fn count(&mut self, what: &str, most: u64) -> Result<u64, ParseError> {
        let n = self.u64(what)?;
        if n > most {
            return Err(self.malformed(format!("{n} {what}, more than {most}")));
        }
        Ok(n)
    }

    fn skip(&mut self, bytes: u64, what: &str) -> Result<(), ParseError> {
        self.need(bytes, what)?;
        let step = i64::try_from(bytes).map_err(|_| self.malformed(format!("{what} is too long")))?;
        self.source.seek_relative(step).map_err(ParseError::Io)?;
        self.at += bytes;
        Ok(())
    }

    /// A string that is kept. Invalid UTF-8 is replaced: names are for people.
    fn string(&mut self, what: &str) -> Result<String, ParseError> {
        let len = self.u64(what)?;
        self.need(len, what)?;
        self.kept = self.kept.saturating_add(len);
        if len > MAX_STRING || self.kept > MAX_STRINGS {
            return Err(self.malformed(format!("{what} has {len} bytes")));
        }
        let mut buffer = Vec::new();
        (&mut self.source).take(len).read_to_end(&mut buffer).map_err(ParseError::Io)?;
        if buffer.len() as u64 != len {
            return Err(ParseError::Truncated { what: what.to_owned(), needs: self.at + len, has: self.len });
        }
        self.at += len;
        Ok(String::from_utf8(buffer).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    fn value(&mut self, key: &str) -> Result<Value, ParseError> {
        match self.u32(key)? {
            STRING => self.string(key).map(Value::Text),
            ARRAY => self.array(key),
            kind => self.scalar(kind, key),
        }
    }

    fn scalar(&mut self, kind: u32, key: &str) -> Result<Value, ParseError> {
        let signed = |n: i64| u64::try_from(n).map_or(Value::Other, Value::Number);
        Ok(match kind {
            0 | 7 => Value::Number(u64::from(self.bytes::<1>(key)?[0])),
            1 => signed(i64::from(i8::from_le_bytes(self.bytes(key)?))),
            2 => Value::Number(u64::from(u16::from_le_bytes(self.bytes(key)?))),
            3 => signed(i64::from(i16::from_le_bytes(self.bytes(key)?))),
            4 => Value::Number(u64::from(self.u32(key)?)),
            5 => signed(i64::from(i32::from_le_bytes(self.bytes(key)?))),
            6 => self.skip(4, key).map(|()| Value::Other)?,
            10 => Value::Number(self.u64(key)?),
            11 => signed(i64::from_le_bytes(self.bytes(key)?)),
            12 => self.skip(8, key).map(|()| Value::Other)?,
            other => return Err(self.malformed(format!("`{key}` has the unknown type {other}"))),
        })
    }

    fn array(&mut self, key: &str) -> Result<Value, ParseError> {
        let kind = self.u32(key)?;
        let len = self.u64(key)?;
        if kind == STRING {
            // Eight bytes each at least, so a claim beyond the file ends the loop early.
            self.need(len.saturating_mul(8), key)?;
            for _ in 0..len {
                let bytes = self.u64(key)?;
                self.skip(bytes, key)?;
            }
            return Ok(Value::Array { len, first: None });
        }
        let Some(size) = scalar_size(kind) else {
            return Err(self.malformed(format!("`{key}` is an array of the unsupported type {kind}")));
        };
        self.need(len.saturating_mul(size), key)?;
        if len == 0 {
            return Ok(Value::Array { len, first: None });
        }
        let first = match self.scalar(kind, key)? {
            Value::Number(n) => Some(n),
            _ => None,
        };
        self.skip((len - 1).saturating_mul(size), key)?;
        Ok(Value::Array { len, first })
    }

    /// A tensor's entry and where its data ends, from the start of the data section.
    fn tensor(&mut self) -> Result<(Tensor, u64), ParseError> {
        let name = self.string("a tensor's name")?;
        let dimensions = self.u32(&name)?;
        if dimensions == 0 || dimensions > MAX_DIMENSIONS {
            return Err(self.malformed(format!("tensor `{name}` has {dimensions} dimensions")));
        }
        let mut elements: u64 = 1;
        let mut row = 0;
        for d in 0..dimensions {
            let size = self.u64(&name)?;
            row = if d == 0 { size } else { row };
            elements = elements
                .checked_mul(size)
                .filter(|n| *n > 0)
                .ok_or_else(|| self.malformed(format!("tensor `{name}` has an impossible size")))?;
        }
        let kind = self.u32(&name)?;
        let offset = self.u64(&name)?;
        // A type that is newer than this table still counts: its data is then only known to begin within the file.
        let bytes = match block(kind) {
            Some((block, _)) if row % block != 0 => {
                return Err(self.malformed(format!("the rows of tensor `{name}` are no multiple of {block}")));
            }
            Some((block, size)) => (elements / block).saturating_mul(size),
            None => 0,
        };
        Ok((Tensor { name, elements }, offset.saturating_add(bytes)))
    }
}

const STRING: u32 = 8;
const ARRAY: u32 = 9;

fn scalar_size(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// Elements and bytes of one block of a ggml tensor type.
fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        24 => (1, 1),
        27 | 28 => (1, 8),
        2 | 20 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 | 35 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        29 => (256, 56),
        34 => (256, 54),
        39 => (32, 17),
        _ => return None,
    })
}
