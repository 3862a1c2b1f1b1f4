//! The sources in an output: texts with fenced blocks, JSON objects of files, lists of files, bare code.

use serde_json::{Map, Value};

/// Keys of the text of a file, in a list of files.
const CONTENT: [&str; 4] = ["content", "code", "source", "text"];

/// Keys of its name.
const NAME: [&str; 4] = ["path", "name", "file", "filename"];

/// Languages of fenced blocks that are Python.
const PYTHON: [&str; 4] = ["python", "py", "python3", "py3"];

/// A piece of an output that is, or could be, a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    /// The file's name, where it is told.
    pub(super) name: Option<String>,
    /// Whether it says that it is Python, or does not say what it is.
    pub(super) may_be_python: bool,
    /// Whether it is all of a text that has neither fences nor JSON, which may as well be prose.
    pub(super) is_bare: bool,
    /// What it holds.
    pub(super) text: String,
}

impl Source {
    fn named(name: &str, text: &str) -> Self {
        let text = text.to_owned();
        Source { name: Some(name.to_owned()), may_be_python: is_python(name), is_bare: false, text }
    }

    /// Whether it is to be read as Python.
    pub(super) fn is_python(&self) -> bool {
        self.name.as_deref().map_or(self.may_be_python, is_python)
    }
}

/// The sources of an output in order.
///
/// An object holds texts under file names, or one file as a name and a `content`; a list holds such files; a text holds
/// what [`of_text`] finds in it.
pub(super) fn sources(output: &Value) -> Vec<Source> {
    match output {
        Value::String(text) => of_text(text),
        Value::Array(items) => items.iter().flat_map(sources).collect(),
        Value::Object(object) => of_object(object),
        _ => vec![],
    }
}

fn of_object(object: &Map<String, Value>) -> Vec<Source> {
    let content = CONTENT.iter().find_map(|k| object.get(*k)?.as_str());
    match (content, NAME.iter().find_map(|k| object.get(*k)?.as_str())) {
        (Some(text), Some(name)) => vec![in_file(name, text)],
        (Some(text), None) => of_text(text),
        (None, _) => object
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(text) => vec![in_file(name, text)],
                // Objects of objects: {"files": {"main.py": "..."}}.
                other => sources(other),
            })
            .collect(),
    }
}

/// A named file; models put its text into a fence there too.
fn in_file(name: &str, text: &str) -> Source {
    match blocks(text).as_deref() {
        Some([only]) if text.trim_start().starts_with("```") => Source::named(name, &only.text),
        _ => Source::named(name, text),
    }
}

/// The sources of a text: a JSON object of Python files, its fenced blocks, or all of it.
fn of_text(text: &str) -> Vec<Source> {
    if let Some(files) = json_files(text) {
        return files;
    }
    match blocks(text) {
        Some(blocks) => {
            blocks.into_iter().flat_map(|block| json_files(&block.text).unwrap_or_else(|| vec![block])).collect()
        }
        None => vec![Source { name: None, may_be_python: true, is_bare: true, text: text.to_owned() }],
    }
}

/// The files of a text that is a JSON object or list of files, one of them Python. Code can look like JSON, such as a
/// dictionary; without a name that ends in `.py` it is no object of files.
fn json_files(text: &str) -> Option<Vec<Source>> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let files = match &value {
        Value::Object(_) | Value::Array(_) => sources(&value),
        _ => return None,
    };
    let is_file = |s: &Source| s.name.as_deref().is_some_and(|name| name.ends_with(".py"));
    files.iter().any(is_file).then_some(files)
}

/// Whether a file's name says that it is Python, or nothing.
fn is_python(name: &str) -> bool {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.rsplit_once('.').is_none_or(|(_, ending)| matches!(ending, "py" | "pyw" | "pyi"))
}

/// The fenced blocks of a text, each with its name where there is one: in the fence's own line (`python main.py`,
/// `python:main.py`, `title="main.py"`), alone on the line before it (`main.py`, `### main.py`, `**File: main.py**`), or in
/// a comment that is the block's first line (`# main.py`). A block of another language is no Python file. `None` where the
/// text has no fence. A block that is never closed, for want of tokens, goes to the end.
fn blocks(text: &str) -> Option<Vec<Source>> {
    let mut found = Vec::new();
    let mut has_fence = false;
    let mut open: Option<(usize, Source)> = None;
    let mut before = "";
    for line in text.lines() {
        let fence = line.trim_start();
        let ticks = fence.len() - fence.trim_start_matches('`').len();
        match &mut open {
            None if ticks >= 3 => {
                has_fence = true;
                open = Some((ticks, opened(&fence[ticks..], before)));
            }
            Some((opening, _)) if ticks >= *opening && fence[ticks..].trim().is_empty() => {
                found.extend(open.take().map(|(_, block)| block));
                before = "";
            }
            Some((_, block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            None if !line.trim().is_empty() => before = line,
            None => {}
        }
    }
    found.extend(open.map(|(_, block)| block));
    for block in &mut found {
        let commented = || block.text.lines().next().and_then(commented_name);
        // "Run `python main.py`:" before a block of shell does not make it main.py.
        block.name = block.name.take().or_else(commented).filter(|name| block.may_be_python || !name.ends_with(".py"));
    }
    has_fence.then_some(found)
}

/// A block that begins: what its fence's line says, and the line before it.
fn opened(info: &str, before: &str) -> Source {
    let mut words = info.split([' ', '\t', ':', ',', '{', '}', '=', '"', '\'']).filter(|w| !w.is_empty());
    let language = words.clone().next().unwrap_or("").to_lowercase();
    let name = words.find(|w| is_file_name(w)).map(str::to_owned).or_else(|| announced_name(before));
    let says_nothing = language.is_empty() || is_file_name(&language);
    let may_be_python = says_nothing || PYTHON.contains(&language.as_str());
    Source { name, may_be_python, is_bare: false, text: String::new() }
}

/// The name that a line of its own announces.
fn announced_name(line: &str) -> Option<String> {
    let plain = line.trim().trim_matches(['#', '*', '`', ':', ' ', '_', '-', '=', '(', ')', '[', ']', '.']);
    let name = plain.rsplit([' ', '`', '*', ':']).next().unwrap_or(plain);
    let words = plain.split_whitespace().count();
    (is_file_name(name) && words <= 3).then(|| name.to_owned())
}

/// The name in a comment such as `# main.py` or `# file: game/board.py`.
fn commented_name(line: &str) -> Option<String> {
    line.trim().starts_with('#').then(|| announced_name(line)).flatten()
}

/// Whether a word is the name of a file, perhaps with folders: letters, digits, `_`, `-`, `.`, `/`, and an ending.
fn is_file_name(word: &str) -> bool {
    let (stem, ending) = word.rsplit_once('.').unwrap_or((word, ""));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    !stem.is_empty()
        && (1..=5).contains(&ending.len())
        && ending.chars().all(|c| c.is_ascii_alphanumeric())
        && ending.chars().any(|c| c.is_ascii_alphabetic())
        && word.chars().all(is_plain)
        && stem.chars().any(|c| c.is_ascii_alphabetic())
}
