//! Arenas by what was typed: files, folders of files, and simulated families.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agenttts_core::{Problem, Problems};
use agenttts_engine::Tape;

use crate::environment::Arena;
use crate::landscape::{Table, read_landscape};
use crate::simulate::{SIMULATED, simulate};
use crate::tape;

/// All arenas that the names stand for, in their order: a landscape's CSV file, a tape, a folder of them, or a simulated one.
///
/// # Errors
/// Names that stand for nothing, files that are no landscapes, two arenas of one name.
pub fn open(names: &[String]) -> Result<Vec<Arena>, Problems> {
    let mut arenas: Vec<Arena> = Vec::new();
    let mut problems = Vec::new();
    for name in names {
        let opened = sources(name).and_then(|sources| sources.iter().map(Source::arena).collect::<Result<Vec<_>, _>>());
        match opened {
            Ok(opened) => arenas.extend(opened),
            Err(Problems(more)) => problems.extend(more),
        }
    }
    problems.extend(twice(arenas.iter().map(|a| a.name.as_str())));
    if problems.is_empty() { Ok(arenas) } else { Err(Problems(problems)) }
}

/// What arenas are made of: as it was read, so that it can be changed before.
pub(crate) enum Source {
    /// A landscape, and how it was named.
    Table(String, Table),
    /// A tape, and its file.
    Tape(PathBuf, Arc<Tape>),
}

impl Source {
    /// As an arena.
    ///
    /// # Errors
    /// A landscape without a plan within its budget, a tape that is not whole.
    pub(crate) fn arena(&self) -> Result<Arena, Problems> {
        match self {
            Source::Table(origin, table) => table.arena().map_err(|e| Problem::new(format!("{origin}: {e}")).into()),
            Source::Tape(path, tape) => tape::arena(tape).map_err(|problems| tape::at(path, problems)),
        }
    }
}

/// What one name stands for: more than one source where it is a folder.
///
/// # Errors
/// A name that stands for nothing, files that are no landscapes.
pub(crate) fn sources(name: &str) -> Result<Vec<Source>, Problems> {
    if name.starts_with(SIMULATED) {
        return Ok(vec![Source::Table(name.to_owned(), simulate(name)?)]);
    }
    let path = Path::new(name);
    if path.is_dir() {
        return files(path)?.iter().map(|file| source(file)).collect();
    }
    Ok(vec![source(path)?])
}

/// A problem for every name that an earlier one has already.
pub(crate) fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Problem> {
    let names: Vec<&str> = names.collect();
    let again = names.iter().enumerate().filter(|(i, name)| names[..*i].contains(name));
    let problem = |name: &str| {
        Problem::new(format!("two landscapes are named {name:?}"))
            .hint("name a file once, and give every landscape its own `name` in its TOML file")
    };
    again.map(|(_, name)| problem(name)).collect()
}

fn source(path: &Path) -> Result<Source, Problems> {
    if path.extension().is_some_and(|e| e == tape::EXTENSION) {
        return Ok(Source::Tape(path.to_owned(), Arc::new(Tape::open(path)?)));
    }
    Ok(Source::Table(path.display().to_string(), read_landscape(path)?))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Problems> {
    let unreadable = |e: std::io::Error| {
        Problem::new(format!("{} cannot be read: {e}", folder.display())).hint("name a folder of landscapes")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|e| e == "csv" || e == tape::EXTENSION) {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        let problem = Problem::new(format!("{} holds no landscape", folder.display()));
        return Err(problem.hint("a landscape is a CSV file with a TOML file beside it; see docs/bench.md").into());
    }
    Ok(files)
}
