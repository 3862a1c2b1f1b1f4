//! The pipeline file and the profile that is laid over it.

use std::io;
use std::path::{Path, PathBuf};

use agenttts_core::pipeline::{Merged, Written, default_profile};
use agenttts_core::text::nearest;
use agenttts_core::{Problem, Problems};

use super::{PIPELINE_FILE, read};

/// The folder of profiles, within a pipeline's folder.
const PROFILES: &str = "profiles";

/// What a pipeline is read from.
pub(super) struct Composed {
    /// The name of the text in messages.
    pub(super) file: String,
    /// The folder that its files are relative to.
    pub(super) root: PathBuf,
    /// The pipeline file, or that with a profile laid over it.
    pub(super) toml: String,
    merged: Option<Merged>,
    /// The profiles that could have been chosen, where none was.
    unused: Vec<String>,
}

impl Composed {
    /// Reads the pipeline file of a folder, or the file itself, with the profile that is asked for or else the file's
    /// default.
    pub(super) fn read(path: &Path, profile: Option<&str>) -> Result<Composed, Problems> {
        let file = if path.is_dir() { path.join(PIPELINE_FILE) } else { path.to_owned() };
        let root = file.parent().map(Path::to_owned).unwrap_or_default();
        let toml = read(&file).map_err(|error| {
            let hint = if path.is_dir() || error.kind() == io::ErrorKind::NotFound {
                "a pipeline is a folder with a pipeline.toml; `agenttts init DIR` makes one to start from"
            } else {
                "name a pipeline's folder or its pipeline.toml"
            };
            Problem::new(format!("{} cannot be read: {error}", file.display())).hint(hint)
        })?;
        let shown = file.display().to_string();
        let written = Written { file: &shown, text: &toml };
        let chosen = match profile {
            Some(name) => Some(name.to_owned()),
            None => default_profile(written)?,
        };
        let Some(name) = chosen else {
            let unused = profiles(&root.join(PROFILES));
            return Ok(Composed { file: shown, root, toml, merged: None, unused });
        };
        let path = root.join(PROFILES).join(format!("{name}.toml"));
        let text = read(&path).map_err(|error| unreadable(&root.join(PROFILES), &path, &name, &error))?;
        let merged = Merged::new(written, Written { file: &path.display().to_string(), text: &text })?;
        Ok(Composed {
            file: format!("{shown} (profile {name})"),
            root,
            toml: merged.text().to_owned(),
            merged: Some(merged),
            unused: Vec::new(),
        })
    }

    /// The same problems, placed in the files that were read.
    pub(super) fn trace(&self, problems: Problems) -> Problems {
        match &self.merged {
            Some(merged) => merged.trace(problems),
            None => problems,
        }
    }

    /// Problems of a file that lacks keys: perhaps a profile has them.
    pub(super) fn incomplete(&self, mut problems: Problems) -> Problems {
        if !self.unused.is_empty() {
            let lacks = problems.0.iter_mut().filter(|p| p.message.starts_with("missing field"));
            let hint = format!("name a profile of the pipeline with --profile: {}", self.unused.join(", "));
            lacks.for_each(|p| p.hint = Some(hint.clone()));
        }
        problems
    }
}

fn unreadable(folder: &Path, path: &Path, name: &str, error: &io::Error) -> Problem {
    if error.kind() != io::ErrorKind::NotFound {
        return Problem::new(format!("{} cannot be read: {error}", path.display()))
            .hint("a profile is a TOML file beside the pipeline, profiles/NAME.toml");
    }
    let known = profiles(folder);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let hint = match nearest(name, &known) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => {
            format!("{} has none; docs/pipeline-file.md tells how to write one", folder.display())
        }
        None => format!("there are: {}", known.join(", ")),
    };
    Problem::new(format!("the pipeline has no profile {name:?}")).hint(hint)
}

/// The names of a folder's profiles, sorted; none if the folder cannot be read.
fn profiles(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = entries.filter(|path| path.extension().is_some_and(|e| e == "toml"));
    let mut names: Vec<String> =
        files.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    names
}
