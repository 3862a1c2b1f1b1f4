//! A file read byte by byte, with the position in characters and a check that it is UTF-8.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use crate::error::DataError;

/// Where reading stands, shared with whoever reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position(Rc<Cell<Point>>);

#[derive(Clone, Copy, Debug, Default)]
struct Point {
    lines: usize,
    columns: usize,
    /// Continuation bytes that the character under way still needs.
    open: u8,
    /// Waiting for the first byte of a value.
    waiting: bool,
    start: (usize, usize),
    broken: bool,
}

impl Position {
    /// 1-based line and column of the byte read last.
    pub(crate) fn now(&self) -> (usize, usize) {
        let point = self.0.get();
        (point.lines + 1, point.columns.max(1))
    }

    /// The next byte that is neither blank nor a separator begins a value.
    pub(crate) fn expect_value(&self) {
        self.0.set(Point { waiting: true, ..self.0.get() });
    }

    /// Where the value began that was expected last.
    pub(crate) fn value_start(&self) -> (usize, usize) {
        self.0.get().start
    }

    /// Whether reading stopped at bytes that are not UTF-8.
    pub(crate) fn is_broken(&self) -> bool {
        self.0.get().broken
    }

    fn push(&self, byte: u8) -> io::Result<()> {
        let mut point = self.0.get();
        let continues = byte & 0xC0 == 0x80;
        if continues != (point.open > 0) || byte >= 0xF8 {
            point.columns += 1;
            point.broken = true;
            self.0.set(point);
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"));
        }
        if continues {
            point.open -= 1;
        } else {
            point.open = match byte {
                0..0xC0 => 0,
                0xC0..0xE0 => 1,
                0xE0..0xF0 => 2,
                _ => 3,
            };
            point.columns += 1;
        }
        if point.waiting && !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',') {
            point.waiting = false;
            point.start = (point.lines + 1, point.columns);
        }
        if byte == b'\n' {
            point.lines += 1;
            point.columns = 0;
        }
        self.0.set(point);
        Ok(())
    }
}

/// A reader that keeps a [`Position`].
pub(crate) struct Watched<R> {
    inner: R,
    position: Position,
}

impl<R: BufRead> Read for Watched<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(target)?;
        target.iter().take(read).try_for_each(|byte| self.position.push(*byte))?;
        Ok(read)
    }
}

/// Opens a file for reading from its start, behind a byte order mark.
pub(crate) fn watched(path: &Path) -> io::Result<(Watched<BufReader<File>>, Position)> {
    let mut inner = BufReader::with_capacity(1 << 16, File::open(path)?);
    if inner.fill_buf()?.starts_with(b"\xEF\xBB\xBF") {
        inner.consume(3);
    }
    let position = Position::default();
    Ok((Watched { inner, position: position.clone() }, position))
}

/// Refuses what cannot be read as text, by the file's first bytes, and returns the first byte that is not blank.
pub(crate) fn first_byte(path: &Path, name: &str) -> Result<u8, DataError> {
    let unreadable = |error: io::Error| {
        DataError::of(name, format!("cannot be read: {error}"), "name a data file, or the folder that holds it")
    };
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(8192).read_to_end(&mut start)).map_err(unreadable)?;
    let refuse = |what: &str, hint: &str| Err(DataError::of(name, what, hint));
    let utf16 = start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF");
    if utf16 || start.iter().take(64).filter(|b| **b == 0).count() > start.len().min(64) / 4 {
        return refuse("is UTF-16, not UTF-8", "convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW");
    }
    for (magic, what, hint) in [
        (&b"\x1F\x8B"[..], "is compressed with gzip", "unpack it first: gzip -dk FILE"),
        (b"PK\x03\x04", "is a zip archive", "unpack it first and name the file inside"),
        (b"BZh", "is compressed with bzip2", "unpack it first: bzip2 -dk FILE"),
        (
            b"PAR1",
            "is a Parquet file",
            "write it as JSON lines first, with to_json(orient=\"records\", lines=True) of pandas",
        ),
        (b"version https://git-lfs", "is a pointer of Git LFS, not the file itself", "fetch the file: git lfs pull"),
        (b"<", "is a web page or XML", "download the file itself, not the page that shows it"),
    ] {
        if start.starts_with(magic) {
            return refuse(what, hint);
        }
    }
    let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&start);
    match text.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(byte) => Ok(*byte),
        None if start.len() < 8192 => refuse("is empty", "download it again"),
        None => refuse("begins with thousands of blanks", "download it again"),
    }
}
