//! Output parsers: how the text of a sample becomes an output.

pub(crate) mod json;
mod names;
pub(crate) mod number;

use agenttts_core::Problem;
use agenttts_core::pipeline::ParserSpec;
use regex::Regex;
use serde_json::{Map, Value};

use crate::code::{NoCode, code_files};
use crate::field::{id_of, kind_of, lookup};
pub(crate) use json::documents;
use names::NameMatcher;

/// A parser that is ready to use.
///
/// Outputs are canonical: texts trimmed, numbers in one form (`1,234.50` is `1234.5`, `2.0` is `2`), ids sorted and
/// without repeats, JSON with sorted keys, choices spelled as in the list of options.
#[derive(Clone, Debug)]
pub struct Parser(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Text,
    LastLine,
    After { marker: Regex, shown: String },
    Number { marker: Option<Regex> },
    Regex(Regex),
    Json { pointer: String },
    Ids { among: String },
    Choice { options: Vec<String>, matcher: NameMatcher },
    Code,
}

/// Why the text of a sample gives no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseFailure {
    /// There is no text, or none where the answer should be.
    #[error("the text is empty")]
    Empty,
    /// The marker does not occur.
    #[error("the marker {0:?} does not occur")]
    NoMarker(String),
    /// The marker is the end of the text.
    #[error("nothing follows the marker {0:?}")]
    NothingAfterMarker(String),
    /// There is no number.
    #[error("there is no number")]
    NoNumber,
    /// The regular expression does not match, or its groups took no part.
    #[error("the pattern does not match")]
    NoMatch,
    /// There is no JSON.
    #[error("there is no complete JSON document")]
    NoJson,
    /// There is JSON, but nothing at the pointer.
    #[error("no JSON document has a value at {0:?}")]
    NothingAtPointer(String),
    /// No candidate is named.
    #[error("none of the {0} candidates is named")]
    NoCandidate(usize),
    /// There is no program.
    #[error("{0}")]
    NoCode(#[from] NoCode),
    /// No option is named.
    #[error("none of the options is named")]
    NoChoice,
    /// The example has no usable list of candidates; no sample of it can be parsed.
    #[error("the example's field {field:?} is {found}, not a list of strings or of objects with an `id`")]
    BadCandidates {
        /// The field.
        field: String,
        /// What is there instead.
        found: String,
    },
}

impl Parser {
    /// Prepares a parser. A pattern that is no regular expression, an empty marker or option and a malformed pointer
    /// are problems.
    pub fn compile(spec: &ParserSpec) -> Result<Self, Problem> {
        let kind = match spec {
            ParserSpec::Text => Kind::Text,
            ParserSpec::LastLine => Kind::LastLine,
            ParserSpec::After { after } => Kind::After { marker: marker(after)?, shown: after.clone() },
            ParserSpec::Number { after } => Kind::Number { marker: after.as_deref().map(marker).transpose()? },
            ParserSpec::Regex { pattern } => Kind::Regex(Regex::new(pattern).map_err(|error| {
                Problem::new(format!("the pattern {pattern:?} is not a regular expression: {}", regex_reason(&error)))
                    .hint(
                        "look-around and back-references are not supported; in TOML write patterns in 'single quotes'",
                    )
            })?),
            ParserSpec::Json { pointer } => {
                let pointer = pointer.clone().unwrap_or_default();
                if !pointer.is_empty() && !pointer.starts_with('/') {
                    return Err(Problem::new(format!("the JSON pointer {pointer:?} does not begin with a slash"))
                        .hint(format!("write \"/{}\"", pointer.replace('.', "/"))));
                }
                Kind::Json { pointer }
            }
            ParserSpec::Code => Kind::Code,
            ParserSpec::Ids { among } => Kind::Ids { among: among.clone() },
            ParserSpec::Choice { options } => {
                if options.is_empty() || options.iter().any(|o| o.trim().is_empty()) {
                    return Err(Problem::new("a choice needs options, none of them empty")
                        .hint("for example options = [\"yes\", \"no\"]"));
                }
                let matcher = NameMatcher::new(options.iter().enumerate().map(|(i, o)| (o.as_str(), i)));
                Kind::Choice { options: options.clone(), matcher }
            }
        };
        Ok(Parser(kind))
    }

    /// Whether the output is the text itself, but for white space around it.
    pub(crate) fn is_verbatim(&self) -> bool {
        matches!(self.0, Kind::Text)
    }

    /// The output that a sample's text holds. `fields` are those of the example that the sample answers.
    pub fn parse(&self, text: &str, fields: &Map<String, Value>) -> Result<Value, ParseFailure> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ParseFailure::Empty);
        }
        match &self.0 {
            Kind::Text => Ok(text.into()),
            Kind::LastLine => last_line(text).map(Value::from).ok_or(ParseFailure::Empty),
            Kind::After { marker, shown } => after(marker, shown, text).map(Value::from),
            Kind::Number { marker } => last_number(marker.as_ref(), text),
            Kind::Regex(regex) => last_match(regex, text),
            Kind::Json { pointer } => last_document(pointer, text),
            Kind::Ids { among } => ids(among, text, fields),
            Kind::Code => Ok(code_files(&text.into())?.to_value()),
            Kind::Choice { options, matcher } => {
                let last = matcher.find(text).pop().ok_or(ParseFailure::NoChoice)?;
                Ok(options[last].trim().into())
            }
        }
    }
}

fn marker(text: &str) -> Result<Regex, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::new("the marker of a parser is empty").hint("for example after = \"Answer:\""));
    }
    Regex::new(&format!("(?i){}", regex::escape(text)))
        .map_err(|error| Problem::new(format!("the marker {text:?} cannot be used: {}", regex_reason(&error))))
}

/// The last line of a regex error says what is wrong; those before it draw the pattern.
fn regex_reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error:").trim().to_owned()
}

/// The last line with text, without fences of code blocks and marks of bold type.
fn last_line(text: &str) -> Option<&str> {
    text.lines().rev().map(without_bold).find(|line| !line.is_empty() && !line.starts_with("```"))
}

/// What follows the last marker on its line, or on the next line that is not empty if the marker ends its own.
fn after<'t>(marker: &Regex, shown: &str, text: &'t str) -> Result<&'t str, ParseFailure> {
    let place = marker.find_iter(text).last().ok_or_else(|| ParseFailure::NoMarker(shown.to_owned()))?;
    let rest = text[place.end()..].lines().map(without_bold).find(|line| !line.is_empty());
    rest.ok_or_else(|| ParseFailure::NothingAfterMarker(shown.to_owned()))
}

/// Models like to set answers in bold: `**Answer:** **Paris**`.
fn without_bold(line: &str) -> &str {
    let mut line = line.trim();
    while let Some(rest) = line.strip_prefix("**").or_else(|| line.strip_suffix("**")) {
        line = rest.trim();
    }
    line
}

fn last_number(marker: Option<&Regex>, text: &str) -> Result<Value, ParseFailure> {
    let numbers = number::numbers(text);
    let end = marker.and_then(|m| m.find_iter(text).last()).map(|m| m.end());
    let marked = end.and_then(|end| numbers.iter().find(|(offset, _)| *offset >= end));
    let (_, number) = marked.or(numbers.last()).ok_or(ParseFailure::NoNumber)?;
    Ok(Value::Number(number.clone()))
}

/// Matches of nothing, as of `\d*` at the end of any text, do not count.
fn last_match(regex: &Regex, text: &str) -> Result<Value, ParseFailure> {
    let groups = regex.captures_iter(text).filter_map(|captures| match captures.len() {
        1 => captures.get(0),
        _ => captures.iter().skip(1).flatten().next(),
    });
    let last = groups.map(|group| group.as_str().trim()).filter(|found| !found.is_empty()).last();
    last.map(Value::from).ok_or(ParseFailure::NoMatch)
}

/// The value at the pointer in the last object that has one there, else in the last such list or scalar: prose after an
/// object often holds bracketed numbers that are no answer.
fn last_document(pointer: &str, text: &str) -> Result<Value, ParseFailure> {
    let documents = documents(text);
    if documents.is_empty() {
        return Err(ParseFailure::NoJson);
    }
    let (objects, others): (Vec<&Value>, Vec<&Value>) = documents.iter().partition(|d| d.is_object());
    let found = objects.iter().rev().chain(others.iter().rev()).find_map(|d| match d.pointer(pointer) {
        Some(Value::Null) | None => None,
        Some(value) => Some(value),
    });
    match found {
        Some(Value::String(s)) if s.trim().is_empty() => Err(ParseFailure::Empty),
        Some(Value::String(s)) => Ok(s.trim().into()),
        Some(value) => Ok(json::canonical(value)),
        None => Err(ParseFailure::NothingAtPointer(pointer.to_owned())),
    }
}

/// Whether a text says that there is nothing to name, and nothing else.
fn says_none(text: &str) -> bool {
    let said = text.trim().trim_end_matches('.');
    said.eq_ignore_ascii_case("none") || said == "[]"
}

fn ids(among: &str, text: &str, fields: &Map<String, Value>) -> Result<Value, ParseFailure> {
    let bad = |found: &str| ParseFailure::BadCandidates { field: among.to_owned(), found: found.to_owned() };
    let candidates = match lookup(fields, among) {
        Some(Value::Array(items)) if !items.is_empty() => items,
        Some(other) => return Err(bad(kind_of(other))),
        None => return Err(bad("missing")),
    };
    let known: Option<Vec<String>> = candidates.iter().map(id_of).collect();
    let known = known.ok_or_else(|| bad("a list with other items"))?;
    let titles = candidates.iter().enumerate().filter_map(|(i, c)| Some((c.get("title")?.as_str()?, i)));
    let matcher = NameMatcher::new(known.iter().map(String::as_str).zip(0..).chain(titles));
    let mut named: Vec<&str> = matcher.find(text).into_iter().map(|i| known[i].as_str()).collect();
    named.sort_unstable();
    named.dedup();
    if named.is_empty() && !says_none(text) { Err(ParseFailure::NoCandidate(known.len())) } else { Ok(named.into()) }
}

#[cfg(test)]
mod tests;
