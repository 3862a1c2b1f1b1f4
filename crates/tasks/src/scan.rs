//! A file as a stream of rows, one in memory at a time, whatever the file's size.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::bytes::{Position, watched};
use crate::error::DataError;

/// How the rows lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One JSON array.
    Array,
    /// One JSON object after another.
    Lines,
    /// An object with a list of questions, among other keys.
    Wrapped,
    /// An object with the parallel lists `names` and `tasks`.
    NamesTasks,
    /// Comma-separated values under a line of names.
    Csv,
}

/// One row, as JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// 1-based.
    pub(crate) number: usize,
    /// 1-based line and column of its beginning.
    pub(crate) place: (usize, usize),
    pub(crate) text: &'a str,
}

/// Whether to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    On,
    Stop,
}

/// What takes the rows.
pub(crate) type Each<'a> = &'a mut dyn FnMut(Row<'_>) -> Result<Flow, DataError>;

/// How the rows lie in a file that begins with `first`.
pub(crate) fn shape(path: &Path, name: &str, first: u8) -> Result<Shape, DataError> {
    match first {
        b'[' => Ok(Shape::Array),
        b'{' => {
            let (reader, position) = watched(path).map_err(|error| unreadable(name, &error))?;
            let mut found = Shape::Lines;
            let mut json = serde_json::Deserializer::from_reader(reader);
            match json.deserialize_map(Sniff(&mut found)) {
                Err(error) if found == Shape::Lines => Err(malformed(name, &error, &position, 1)),
                _ => Ok(found),
            }
        }
        _ => Ok(Shape::Csv),
    }
}

/// Gives every row of a file to `each`, in the order of the file.
pub(crate) fn scan(path: &Path, name: &str, shape: Shape, each: Each<'_>) -> Result<(), DataError> {
    if shape == Shape::Csv {
        return scan_csv(path, name, each);
    }
    let (reader, position) = watched(path).map_err(|error| unreadable(name, &error))?;
    let mut stream = Stream { position: position.clone(), each, number: 0, stop: None };
    let mut json = serde_json::Deserializer::from_reader(reader);
    let outcome = match shape {
        Shape::Array => Rows(&mut stream).deserialize(&mut json).and_then(|()| json.end()),
        Shape::Wrapped => json.deserialize_map(Wrapper(&mut stream)).and_then(|()| json.end()),
        Shape::NamesTasks => json
            .deserialize_map(Pairs(&mut stream))
            .and_then(|faulty| json.end().map(|()| faulty))
            .and_then(|fault| match fault {
                Some(fault) => Err(de::Error::custom(fault)),
                None => Ok(()),
            }),
        Shape::Lines | Shape::Csv => {
            position.expect_value();
            let mut rows = json.into_iter::<Box<RawValue>>();
            loop {
                match rows.next() {
                    Some(Ok(row)) => {
                        if !stream.give(row.get()) {
                            break Ok(());
                        }
                        position.expect_value();
                    }
                    Some(Err(error)) => break Err(error),
                    None => break Ok(()),
                }
            }
        }
    };
    match (stream.stop, outcome) {
        (Some(stop), _) => stop,
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(malformed(name, &error, &position, stream.number + 1)),
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> DataError {
    DataError::of(name, format!("cannot be read: {error}"), "name a data file, or the folder that holds it")
}

/// What a fault of the JSON text itself means. Where it is known from the reader, which counts characters.
fn malformed(name: &str, error: &serde_json::Error, position: &Position, number: usize) -> DataError {
    let (line, column) = position.now();
    let fault = if position.is_broken() {
        let hint = "convert it, for example from Latin-1: iconv -f LATIN1 -t UTF-8 OLD > NEW";
        DataError::of(name, "is not UTF-8: these bytes are no character", hint)
    } else {
        match error.classify() {
            Category::Eof => DataError::of(
                name,
                "the file ends in the middle of a value: it is truncated",
                "download it again and compare its size",
            ),
            Category::Io => DataError::of(name, format!("cannot be read: {error}"), "read it from another disk"),
            Category::Syntax | Category::Data => DataError::of(
                name,
                format!("not valid JSON: {}", reason(error)),
                "mend this place, or download the file again",
            ),
        }
    };
    fault.at(line, column).in_example(number)
}

/// What serde_json says, without its own idea of where.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or_else(|| text.clone(), |(message, _)| message.to_owned())
}

struct Stream<'a> {
    position: Position,
    each: Each<'a>,
    number: usize,
    /// Why reading ended before the file did.
    stop: Option<Result<(), DataError>>,
}

impl Stream<'_> {
    /// Passes a row on; false to stop.
    fn give(&mut self, text: &str) -> bool {
        self.give_at(text, self.position.value_start())
    }

    fn give_at(&mut self, text: &str, place: (usize, usize)) -> bool {
        self.number += 1;
        match (self.each)(Row { number: self.number, place, text }) {
            Ok(Flow::On) => return true,
            Ok(Flow::Stop) => self.stop = Some(Ok(())),
            Err(error) => self.stop = Some(Err(error)),
        }
        false
    }
}

/// A list of rows.
struct Rows<'s, 'a>(&'s mut Stream<'a>);

impl<'de> DeserializeSeed<'de> for Rows<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of examples")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.position.expect_value();
        while let Some(row) = list.next_element::<Box<RawValue>>()? {
            if !self.0.give(row.get()) {
                return Err(de::Error::custom("stopped"));
            }
            self.0.position.expect_value();
        }
        Ok(())
    }
}

/// `{"Version": ..., "Questions": [rows]}`.
struct Wrapper<'s, 'a>(&'s mut Stream<'a>);

impl<'de> Visitor<'de> for Wrapper<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list of questions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == QUESTIONS {
                map.next_value_seed(Rows(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

const QUESTIONS: &str = "Questions";

/// `{"names": [...], "tasks": [...]}`, which must be read whole; a fault of the whole is returned.
struct Pairs<'s, 'a>(&'s mut Stream<'a>);

impl<'de> Visitor<'de> for Pairs<'_, '_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the lists names and tasks")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
        let (mut names, mut tasks) = (Vec::new(), Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "names" => names = map.next_value_seed(Placed(&self.0.position))?,
                "tasks" => tasks = map.next_value_seed(Placed(&self.0.position))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if names.len() != tasks.len() {
            return Ok(Some(format!("there are {} names, but {} tasks", names.len(), tasks.len())));
        }
        for ((name, _), (task, place)) in names.iter().zip(&tasks) {
            if !self.0.give_at(&format!("{{\"Name\":{name},\"Description\":{task}}}"), *place) {
                return Ok(None);
            }
        }
        Ok(None)
    }
}

/// A list of values with their places.
struct Placed<'p>(&'p Position);

impl<'de> DeserializeSeed<'de> for Placed<'_> {
    type Value = Vec<(Box<RawValue>, (usize, usize))>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Placed<'_> {
    type Value = Vec<(Box<RawValue>, (usize, usize))>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        self.0.expect_value();
        while let Some(value) = list.next_element()? {
            all.push((value, self.0.value_start()));
            self.0.expect_value();
        }
        Ok(all)
    }
}

/// Looks at the keys of the first object until they tell how the rows lie; stays at lines where they do not.
struct Sniff<'s>(&'s mut Shape);

impl<'de> Visitor<'de> for Sniff<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            *self.0 = match key.as_str() {
                QUESTIONS => Shape::Wrapped,
                "names" | "tasks" => Shape::NamesTasks,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            return Err(de::Error::custom("known"));
        }
        Ok(())
    }
}

fn scan_csv(path: &Path, name: &str, each: Each<'_>) -> Result<(), DataError> {
    let (reader, position) = watched(path).map_err(|error| unreadable(name, &error))?;
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(reader);
    let fault = |error: &csv::Error| {
        let (message, hint) = match error.kind() {
            _ if position.is_broken() => (
                "is not UTF-8: these bytes are no character".to_owned(),
                "convert it, for example from Latin-1: iconv -f LATIN1 -t UTF-8 OLD > NEW",
            ),
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => (
                format!("this row has {len} fields, the line of names has {expected_len}"),
                "quote fields that hold commas or line breaks, and double the quotes in them",
            ),
            _ => (format!("cannot be read: {error}"), "download it again"),
        };
        let line = error.position().map_or_else(|| position.now().0, |p| p.line() as usize);
        DataError::of(name, message, hint).at(line, 1)
    };
    let names: Vec<String> = csv.headers().map_err(|e| fault(&e))?.iter().map(str::to_owned).collect();
    let mut record = csv::StringRecord::new();
    let mut number = 0;
    while csv.read_record(&mut record).map_err(|e| fault(&e).in_example(number + 1))? {
        number += 1;
        let line = record.position().map_or(1, |p| p.line() as usize);
        let fields: Map<String, Value> = names
            .iter()
            .zip(record.iter())
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| (name.clone(), value.into()))
            .collect();
        if each(Row { number, place: (line, 1), text: &Value::Object(fields).to_string() })? == Flow::Stop {
            break;
        }
    }
    Ok(())
}

/// Reads a row into `T`.
///
/// # Errors
/// Which field holds what, with its place in the file.
pub(crate) fn read_row<'a, T: Deserialize<'a>>(name: &str, row: Row<'a>) -> Result<T, DataError> {
    let mut json = serde_json::Deserializer::from_str(row.text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner();
        let what = reason(inner);
        let message = if path == "." || path == "?" { what } else { format!("the field {path}: {what}") };
        let (line, column) = place_in(row, inner.line(), inner.column());
        let hint = "compare it with the published format in docs/data.md; --skip-bad, or skip_bad = true below [data] of a pipeline, leaves such examples out";
        DataError::of(name, message, hint).at(line, column).in_example(row.number)
    })
}

/// The place in the file of a 1-based line and column (in bytes) of a row's text.
fn place_in(row: Row<'_>, line: usize, column: usize) -> (usize, usize) {
    let text = row.text.lines().nth(line.saturating_sub(1)).unwrap_or("");
    let column = text.bytes().take(column).filter(|b| b & 0xC0 != 0x80).count().max(1);
    match line {
        0 | 1 => (row.place.0, row.place.1 + column - 1),
        _ => (row.place.0 + line - 1, column),
    }
}
