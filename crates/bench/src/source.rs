//! Arenas by what was typed: files, folders of files, and simulated families.

use std::path::{Path, PathBuf};

use agenttts_core::{Problem, Problems};

use crate::environment::Arena;
use crate::landscape::read_landscape;
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
        match open_one(name) {
            Ok(opened) => arenas.extend(opened),
            Err(Problems(more)) => problems.extend(more),
        }
    }
    for (i, arena) in arenas.iter().enumerate() {
        if arenas[..i].iter().any(|a| a.name == arena.name) {
            let problem = Problem::new(format!("two landscapes are named {:?}", arena.name));
            problems.push(problem.hint("name a file once, and give every landscape its own `name` in its TOML file"));
        }
    }
    if problems.is_empty() { Ok(arenas) } else { Err(Problems(problems)) }
}

fn open_one(name: &str) -> Result<Vec<Arena>, Problems> {
    if name.starts_with(SIMULATED) {
        let arena = simulate(name)?.arena().map_err(|e| Problem::new(format!("{name}: {e}")))?;
        return Ok(vec![arena]);
    }
    let path = Path::new(name);
    if path.is_dir() {
        let files = files(path)?;
        let mut arenas = Vec::new();
        for file in &files {
            arenas.push(open_file(file)?);
        }
        return Ok(arenas);
    }
    Ok(vec![open_file(path)?])
}

fn open_file(path: &Path) -> Result<Arena, Problems> {
    if path.extension().is_some_and(|e| e == tape::EXTENSION) {
        return tape::read_tape(path);
    }
    let table = read_landscape(path)?;
    table.arena().map_err(|e| Problem::new(format!("{}: {e}", path.display())).into())
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
