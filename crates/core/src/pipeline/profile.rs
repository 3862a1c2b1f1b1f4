//! Profiles: a second file that is laid over a pipeline file, such that problems still point to where things are written.
//!
//! The two are merged as text: every key and value is copied as it stands, and a map from the merged text back to the
//! two files is kept. What is stored and run is the merged text alone.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::resolve::{KEYS_HINT, check_name, did_you_mean};
use crate::problem::{Place, Problem, Problems};

/// Keys that tell which pipeline it is, and so cannot differ between its profiles.
const ONLY_IN_PIPELINE: [&str; 3] = ["version", "name", DEFAULT_PROFILE];
/// The key that names the profile that counts where none is asked for.
const DEFAULT_PROFILE: &str = "default_profile";
/// Tables of named tables, which are merged name by name and then key by key.
const NAMED: [&str; 2] = ["models", "providers"];
/// Lists of tables with a `name`, which a profile changes as `[stages.NAME]`.
const LISTED: [&str; 2] = ["stages", "steps"];

/// A file's name in messages, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// The name.
    pub file: &'a str,
    /// The text.
    pub text: &'a str,
}

/// A pipeline file with a profile laid over it.
#[derive(Debug)]
pub struct Merged {
    text: String,
    sources: [(String, Arc<str>); 2],
    copies: Vec<Copy>,
}

/// A part of the merged text and where it came from.
#[derive(Debug)]
struct Copy {
    at: Range<usize>,
    source: usize,
    from: Range<usize>,
}

/// The profile that a pipeline file names for when nobody asks for one.
///
/// # Errors
/// The text is not TOML, or the name is none.
pub fn default_profile(pipeline: Written<'_>) -> Result<Option<String>, Problems> {
    let table = parse(pipeline)?;
    let Some((_, value)) = table.iter().find(|(k, _)| k.get_ref() == DEFAULT_PROFILE) else {
        return Ok(None);
    };
    let problem = |message: String| {
        Problem::new(message)
            .at(pipeline.file, &pipeline.text.into(), value.span())
            .hint("write default_profile = \"NAME\" for profiles/NAME.toml")
    };
    let name = value.get_ref().as_str().ok_or_else(|| problem("default_profile must be a name".into()))?;
    check_name(name).map_err(problem)?;
    Ok(Some(name.to_owned()))
}

impl Merged {
    /// Lays a profile over a pipeline file.
    ///
    /// Tables are merged key by key, `models` and `providers` by name first. `[stages.NAME]` and `[steps.NAME]` of the
    /// profile change keys of that stage or step. Deeper values are replaced whole.
    ///
    /// # Errors
    /// One of them is not TOML; the profile names a stage that is not there, or has keys that belong to the pipeline.
    pub fn new(pipeline: Written<'_>, profile: Written<'_>) -> Result<Merged, Problems> {
        let texts = [pipeline.text, profile.text];
        let sources = [pipeline, profile].map(|w| (w.file.to_owned(), Arc::<str>::from(w.text)));
        let mut whole = Tree::of(0, &parse(pipeline)?, texts);
        let mut problems = Vec::new();
        for (key, value) in in_order(&parse(profile)?) {
            let name: &str = key.get_ref();
            let at = |span, message: String| Problem::new(message).at(&sources[1].0, &sources[1].1, span);
            if ONLY_IN_PIPELINE.contains(&name) {
                let hint = "a profile says how a pipeline is run and searched, not which pipeline it is";
                problems.push(at(key.span(), format!("`{name}` belongs in the pipeline file")).hint(hint));
            } else if LISTED.contains(&name) {
                match value.get_ref() {
                    DeValue::Table(table) => whole.change_listed(name, table, texts, &at, &mut problems),
                    _ => problems.push(
                        at(key.span(), format!("a profile cannot add to the `{name}` of its pipeline"))
                            .hint(format!("change one of them with a table [{name}.NAME]")),
                    ),
                }
            } else {
                whole.put(1, name, levels(name), key, value, texts);
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let mut merged = Merged { text: String::new(), sources, copies: Vec::new() };
        merged.write(&whole, texts);
        Ok(merged)
    }

    /// The merged text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same problems, placed where the two files say what the merged text says.
    pub fn trace(&self, mut problems: Problems) -> Problems {
        for place in problems.0.iter_mut().filter_map(|p| p.place.as_mut()) {
            if *place.source == *self.text {
                *place = self.origin(&place.span);
            }
        }
        problems
    }

    fn origin(&self, span: &Range<usize>) -> Place {
        let after = self.copies.partition_point(|c| c.at.start <= span.start);
        let Some(copy) = self.copies.get(after.saturating_sub(1)) else {
            let (file, source) = &self.sources[0];
            return Place { file: file.clone(), source: source.clone(), span: 0..0 };
        };
        let within = |offset: usize| (copy.from.start + offset.saturating_sub(copy.at.start)).min(copy.from.end);
        // What reaches beyond a copied part, such as a whole table, is shown by its beginning.
        let end = if span.end <= copy.at.end { within(span.end) } else { copy.from.end };
        let (file, source) = &self.sources[copy.source];
        Place { file: file.clone(), source: source.clone(), span: within(span.start)..end }
    }

    fn write(&mut self, whole: &Tree, texts: [&str; 2]) {
        self.text.push_str("# A pipeline with a profile laid over it.\n");
        self.values(whole, texts);
        for entry in &whole.entries {
            match &entry.what {
                What::Value(_) => {}
                What::Table(table) if NAMED.contains(&entry.name.as_str()) => {
                    if table.entries.is_empty() || table.entries.iter().any(|e| matches!(e.what, What::Value(_))) {
                        self.header("[", &[&entry.key], "]", &table.at, texts);
                        self.values(table, texts);
                    }
                    for inner in &table.entries {
                        if let What::Table(one) = &inner.what {
                            self.header("[", &[&entry.key, &inner.key], "]", &one.at, texts);
                            self.values(one, texts);
                        }
                    }
                }
                What::Table(table) => {
                    self.header("[", &[&entry.key], "]", &table.at, texts);
                    self.values(table, texts);
                }
                What::List(list) => {
                    for one in list {
                        self.header("[[", &[&entry.key], "]]", &one.at, texts);
                        self.values(one, texts);
                    }
                }
            }
        }
    }

    fn header(&mut self, open: &str, keys: &[&Part], close: &str, at: &Part, texts: [&str; 2]) {
        self.text.push('\n');
        let start = self.text.len();
        self.text.push_str(open);
        for (index, key) in keys.iter().enumerate() {
            self.text.push_str(if index > 0 { "." } else { "" });
            self.text.push_str(key.of(texts));
        }
        self.text.push_str(close);
        self.copies.push(Copy { at: start..self.text.len(), source: at.source, from: at.span.clone() });
        self.text.push('\n');
    }

    fn values(&mut self, table: &Tree, texts: [&str; 2]) {
        for entry in &table.entries {
            if let What::Value(value) = &entry.what {
                self.copy(&entry.key, texts);
                self.text.push_str(" = ");
                self.value(value, texts);
                self.text.push('\n');
            }
        }
    }

    fn copy(&mut self, part: &Part, texts: [&str; 2]) {
        let start = self.text.len();
        self.text.push_str(part.of(texts));
        self.copies.push(Copy { at: start..self.text.len(), source: part.source, from: part.span.clone() });
    }

    fn value(&mut self, value: &Value, texts: [&str; 2]) {
        match value {
            Value::Literal(part) => self.copy(part, texts),
            Value::Fields(fields) => {
                self.text.push_str("{ ");
                for (index, (key, value)) in fields.iter().enumerate() {
                    self.text.push_str(if index > 0 { ", " } else { "" });
                    self.copy(key, texts);
                    self.text.push_str(" = ");
                    self.value(value, texts);
                }
                self.text.push_str(" }");
            }
            Value::Items(items) => {
                self.text.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.text.push_str(if index > 0 { ", " } else { "" });
                    self.value(item, texts);
                }
                self.text.push(']');
            }
        }
    }
}

/// A part of one of the two texts.
#[derive(Clone, Debug)]
struct Part {
    source: usize,
    span: Range<usize>,
}

impl Part {
    fn of<'a>(&self, texts: [&'a str; 2]) -> &'a str {
        texts[self.source].get(self.span.clone()).unwrap_or_default()
    }
}

/// A table whose keys can be replaced.
#[derive(Debug)]
struct Tree {
    at: Part,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    key: Part,
    what: What,
}

#[derive(Debug)]
enum What {
    Value(Value),
    Table(Tree),
    List(Vec<Tree>),
}

/// A value that is replaced whole.
#[derive(Debug)]
enum Value {
    /// Copied as it is written.
    Literal(Part),
    /// A table that is written under a header or with dotted keys.
    Fields(Vec<(Part, Value)>),
    /// A list that is written under headers.
    Items(Vec<Value>),
}

impl Tree {
    /// A whole file.
    fn of(source: usize, table: &DeTable<'_>, texts: [&str; 2]) -> Tree {
        let mut tree = Tree { at: Part { source, span: 0..0 }, entries: Vec::new() };
        for (key, value) in in_order(table) {
            let name: &str = key.get_ref();
            match value.get_ref() {
                DeValue::Array(list) if LISTED.contains(&name) => {
                    let one = |item: &Spanned<DeValue<'_>>| {
                        let mut one = Tree { at: Part { source, span: item.span() }, entries: Vec::new() };
                        match item.get_ref() {
                            DeValue::Table(table) => one.put_all(table, 0, source, texts),
                            _ => return None,
                        }
                        Some(one)
                    };
                    // A list of anything else than tables is left for the reader of the whole to refuse.
                    match list.iter().map(one).collect::<Option<Vec<_>>>() {
                        Some(list) => tree.entries.push(Entry {
                            name: name.to_owned(),
                            key: Part { source, span: key.span() },
                            what: What::List(list),
                        }),
                        None => tree.put(source, name, 0, key, value, texts),
                    }
                }
                _ => tree.put(source, name, levels(name), key, value, texts),
            }
        }
        tree
    }

    /// Puts a key: tables down to `depth` are merged, anything else replaces what was there.
    fn put(
        &mut self,
        source: usize,
        name: &str,
        depth: usize,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        texts: [&str; 2],
    ) {
        let place = self.entries.iter().position(|e| e.name == name);
        let key = Part { source, span: key.span() };
        let what = match value.get_ref() {
            DeValue::Table(table) if depth > 0 => {
                if let Some(Entry { what: What::Table(there), .. }) = place.map(|p| &mut self.entries[p]) {
                    there.put_all(table, depth - 1, source, texts);
                    return;
                }
                let mut tree = Tree { at: Part { source, span: value.span() }, entries: Vec::new() };
                tree.put_all(table, depth - 1, source, texts);
                What::Table(tree)
            }
            _ => What::Value(literal(value, source, texts)),
        };
        let entry = Entry { name: name.to_owned(), key, what };
        match place {
            Some(place) => self.entries[place] = entry,
            None => self.entries.push(entry),
        }
    }

    fn put_all(&mut self, table: &DeTable<'_>, depth: usize, source: usize, texts: [&str; 2]) {
        for (key, value) in in_order(table) {
            self.put(source, key.get_ref(), depth, key, value, texts);
        }
    }

    /// Changes stages or steps by their names.
    fn change_listed(
        &mut self,
        list: &str,
        changes: &DeTable<'_>,
        texts: [&str; 2],
        at: &dyn Fn(Range<usize>, String) -> Problem,
        problems: &mut Vec<Problem>,
    ) {
        let one = list.trim_end_matches('s');
        let mut there: Vec<&mut Tree> = match self.entries.iter_mut().find(|e| e.name == list).map(|e| &mut e.what) {
            Some(What::List(trees)) => trees.iter_mut().collect(),
            _ => Vec::new(),
        };
        let names: Vec<String> = there.iter().map(|t| t.name(texts)).collect();
        for (key, value) in in_order(changes) {
            let wanted: &str = key.get_ref();
            let Some(place) = names.iter().position(|n| n == wanted) else {
                let known: Vec<&str> = names.iter().map(String::as_str).collect();
                problems.push(
                    at(key.span(), format!("the pipeline has no {one} {wanted:?}")).hint(did_you_mean(wanted, &known)),
                );
                continue;
            };
            let DeValue::Table(table) = value.get_ref() else {
                let hint = format!("change it with a table [{list}.{wanted}]");
                problems.push(at(value.span(), format!("a {one} is a table of keys")).hint(hint));
                continue;
            };
            if let Some((key, _)) = table.iter().find(|(k, _)| k.get_ref() == "name") {
                let hint = format!("leave it out: the table's name says which {one} is meant");
                problems.push(at(key.span(), format!("a profile cannot rename a {one}")).hint(hint));
            }
            there[place].put_all(table, 0, 1, texts);
        }
    }

    /// The value of the key `name`, if it is a plain text.
    fn name(&self, texts: [&str; 2]) -> String {
        let entry = self.entries.iter().find(|e| e.name == "name");
        match entry.map(|e| &e.what) {
            Some(What::Value(Value::Literal(part))) => part.of(texts).trim_matches(['"', '\'']).to_owned(),
            _ => String::new(),
        }
    }
}

/// A value as it is to be copied.
fn literal(value: &Spanned<DeValue<'_>>, source: usize, texts: [&str; 2]) -> Value {
    let part = Part { source, span: value.span() };
    let written = part.of(texts);
    match value.get_ref() {
        DeValue::Table(table) if !written.starts_with('{') => Value::Fields(
            in_order(table)
                .into_iter()
                .map(|(key, value)| (Part { source, span: key.span() }, literal(value, source, texts)))
                .collect(),
        ),
        // Headers of lists of tables begin with brackets as well.
        DeValue::Array(list) if list.iter().any(|item| is_under_header(item, source, texts)) => {
            Value::Items(list.iter().map(|item| literal(item, source, texts)).collect())
        }
        _ => Value::Literal(part),
    }
}

fn is_under_header(item: &Spanned<DeValue<'_>>, source: usize, texts: [&str; 2]) -> bool {
    let written = Part { source, span: item.span() };
    matches!(item.get_ref(), DeValue::Table(_)) && !written.of(texts).starts_with('{')
}

/// How many levels of tables are merged below a key of a whole file.
fn levels(name: &str) -> usize {
    if NAMED.contains(&name) { 2 } else { 1 }
}

fn parse(written: Written<'_>) -> Result<DeTable<'_>, Problems> {
    DeTable::parse(written.text).map(Spanned::into_inner).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        Problem::new(error.message().trim().to_owned())
            .at(written.file, &written.text.into(), span)
            .hint(KEYS_HINT)
            .into()
    })
}

/// Entries in the order of the file; a parsed table is sorted by name.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t Spanned<DeString<'i>>, &'t Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

#[cfg(test)]
mod tests;
