//! What the library and its launcher say to each other: one JSON document a line, over a socket pair. Both ends are of one
//! build, so there is no version.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::enforcement::Enforcement;
use crate::limits::{Limit, Limits};
use crate::outcome::Exit;

/// Library to launcher, after the spec: the program wrote too much, end it. A closed socket means: end everything.
pub(crate) const TOO_MUCH_OUTPUT: u8 = b'o';

/// All that the launcher must know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// Absolute path inside the sandbox.
    pub(crate) program: PathBuf,
    /// What the program is told as its arguments, its own name first.
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) stdin: Vec<u8>,
    /// What the program may read, all absolute.
    pub(crate) read_only: Vec<PathBuf>,
    pub(crate) limits: Limits,
    pub(crate) layers: Layers,
    pub(crate) allow_weaker: bool,
}

/// Which layers to try.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Layers {
    pub(crate) namespaces: bool,
    pub(crate) landlock: bool,
    pub(crate) seccomp: bool,
}

/// Launcher to library: the one and last answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Finished(Finished),
    TooWeak(Enforcement),
    Failed(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) exit: Exit,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) peak_memory_bytes: u64,
    pub(crate) killed_by: Option<Limit>,
    pub(crate) enforced: Enforcement,
}
