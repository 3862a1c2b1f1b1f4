//! The files of a program, ready to run.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::placeholder;
use super::source::{Source, sources};

/// The name of the file that a program begins with.
const MAIN: &str = "main.py";

/// The most files of one program.
const MOST_FILES: usize = 100;

/// The most bytes of all its files together.
const MOST_BYTES: usize = 4 << 20;

/// The most bytes of a file's name, folders included, and of one part of it: what file systems allow is more.
const LONGEST_NAME: usize = 200;

/// The files of a program, at least one of them Python, under names that stay in the program's folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeFiles {
    files: BTreeMap<String, String>,
    main: String,
}

/// Why an output holds no program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCode {
    /// There is no Python at all.
    #[error("there is no Python code")]
    None,
    /// A file has a name that is none, or that leads out of the program's folder.
    #[error("a file of a program cannot be called {0:?}")]
    BadName(String),
    /// One file's name is another one's folder.
    #[error("{0:?} is both a file and a folder")]
    FileAndFolder(String),
    /// Nothing says where to begin.
    #[error("there are several files ({0}), and none of them is main.py")]
    NoMain(String),
    /// More than any honest answer.
    #[error("the files are too many or too large: at most {MOST_FILES} files and {MOST_BYTES} bytes are run")]
    TooMuch,
}

impl CodeFiles {
    /// The texts by name.
    pub fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// The file to start: `main.py`, or the only Python file, or the only one that asks whether it is `__main__`.
    pub fn main(&self) -> &str {
        &self.main
    }

    /// As an output: an object of texts under names.
    pub fn to_value(&self) -> Value {
        let files: Map<String, Value> = self.files.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
        Value::Object(files)
    }
}

/// The program that an output holds.
///
/// * An object of texts under file names, a list of objects with a name and a `content`, or JSON of either in a text.
/// * A text with fenced blocks. A block's file is named in its fence's line (`python main.py`), on the line before it, or in
///   a comment that is its first line. If none is named, the longest Python block is `main.py`, and the others are taken
///   for examples of its use. Of two blocks of one name the later counts, unless only the earlier is code.
/// * A text without fences that is Python code, as `main.py`. A sentence is none.
///
/// Whether the code is valid is not looked at.
///
/// # Errors
/// Where there is no Python code, or files could not be written under their names.
pub fn code_files(output: &Value) -> Result<CodeFiles, NoCode> {
    let found = sources(output);
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for source in &found {
        if let Some(name) = &source.name {
            let name = clean(name)?;
            // What a program prints may stand below its name, too.
            let holds_code = |text: &String| !is_script(&name) || placeholder::inspect(text).has_code;
            if holds_code(&source.text) || !files.get(&name).is_some_and(holds_code) {
                files.insert(name, source.text.clone());
            }
        }
    }
    if !files.keys().any(|name| is_script(name)) {
        let longest = found.iter().filter(|s| s.name.is_none() && is_code(s)).rev().max_by_key(|s| s.text.len());
        files.insert(MAIN.into(), longest.ok_or(NoCode::None)?.text.clone());
    }
    check(&files)?;
    let main = main_of(&files)?;
    Ok(CodeFiles { files, main })
}

fn is_script(name: &str) -> bool {
    name.ends_with(".py")
}

fn is_code(source: &Source) -> bool {
    source.is_python()
        && !source.text.trim().is_empty()
        && (!source.is_bare || placeholder::inspect(&source.text).has_code)
}

/// A relative name in one spelling.
fn clean(name: &str) -> Result<String, NoCode> {
    let bad = || NoCode::BadName(name.chars().take(80).collect());
    let spelled = name.trim().replace('\\', "/");
    let parts: Vec<&str> = spelled.split('/').filter(|part| *part != ".").collect();
    let is_part = |part: &&str| !part.is_empty() && *part != ".." && !part.chars().any(char::is_control);
    if parts.is_empty() || !parts.iter().all(is_part) || spelled.len() > LONGEST_NAME {
        return Err(bad());
    }
    Ok(parts.join("/"))
}

fn check(files: &BTreeMap<String, String>) -> Result<(), NoCode> {
    if files.len() > MOST_FILES || files.values().map(String::len).sum::<usize>() > MOST_BYTES {
        return Err(NoCode::TooMuch);
    }
    for name in files.keys() {
        let folders = name.match_indices('/').map(|(slash, _)| &name[..slash]);
        if let Some(folder) = folders.into_iter().find(|folder| files.contains_key(*folder)) {
            return Err(NoCode::FileAndFolder(folder.to_owned()));
        }
    }
    Ok(())
}

fn main_of(files: &BTreeMap<String, String>) -> Result<String, NoCode> {
    if files.contains_key(MAIN) {
        return Ok(MAIN.into());
    }
    let scripts: Vec<&String> = files.keys().filter(|name| is_script(name)).collect();
    let starts = |name: &&&String| files[**name].contains("__main__");
    let only = |found: &[&String]| match found {
        [only] => Some((*only).clone()),
        _ => None,
    };
    let starting: Vec<&String> = scripts.iter().filter(starts).copied().collect();
    only(&scripts).or_else(|| only(&starting)).ok_or_else(|| {
        let names: Vec<&str> = scripts.iter().take(5).map(|name| name.as_str()).collect();
        NoCode::NoMain(names.join(", "))
    })
}

#[cfg(test)]
mod tests;
