//! What came of a run.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::enforcement::Enforcement;
use crate::limits::Limit;

/// What came of a run, and what held it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub exit: Exit,
    pub stdout: Output,
    pub stderr: Output,
    /// From the start of the program to its end.
    pub wall: Duration,
    /// Processor time of all processes of the run, user and system.
    pub cpu: Duration,
    /// Peak of the resident memory of all processes together, as far as it was seen: sampled every few milliseconds, and
    /// at least the peak of the largest process. Pages that processes share count once for each.
    pub peak_memory_bytes: u64,
    /// The limit for which the run was ended, if it was.
    pub killed_by: Option<Limit>,
    pub enforced: Enforcement,
}

impl Outcome {
    /// Whether the program ended by itself with status 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.exit == Exit::Code(0) && self.killed_by.is_none()
    }
}

/// How the program ended. Processes that it left behind are ended with it and do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// It ended itself, with this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// What the program wrote to one stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Output {
    /// At most [`Limits::output_bytes`](crate::Limits::output_bytes) of it, from the beginning.
    pub bytes: Vec<u8>,
    /// Whether it wrote more than is kept here.
    pub truncated: bool,
}

impl Output {
    /// The output as text; bytes that are not UTF-8 become replacement characters.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}
