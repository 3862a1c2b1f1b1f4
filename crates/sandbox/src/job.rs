//! What to run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::limits::Limits;

/// A command, the files that it finds in its folder, and its limits.
///
/// The program gets a copy of the files and works on that: nothing it does reaches the folder that they came from, and
/// what it writes is gone after the run.
#[derive(Debug, Clone)]
pub struct Job {
    pub(crate) command: Vec<String>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) stdin: Vec<u8>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) limits: Limits,
}

impl Job {
    /// Runs `command`: a program, by name or by absolute path, and its arguments. It starts in the folder of its files.
    #[must_use]
    pub fn new<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            folder: None,
            files: BTreeMap::new(),
            stdin: Vec::new(),
            env: BTreeMap::new(),
            limits: Limits::default(),
        }
    }

    /// Copies everything below `folder` into the program's folder. Symbolic links are copied as they are; in the sandbox
    /// they lead only to what is there. Sockets, pipes and devices are an error.
    #[must_use]
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_path_buf());
        self
    }

    /// Adds a file, with folders as needed. `path` is relative and stays in the folder, or the run is not started.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, contents: impl Into<String>) -> Self {
        self.files.insert(path.into(), contents.into());
        self
    }

    /// What the program reads from its standard input; nothing by default.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Adds an environment variable. The program gets none of the caller's, only these and a few plain ones.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}
