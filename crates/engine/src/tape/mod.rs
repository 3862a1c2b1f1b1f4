//! Tapes: every draw that the plans of a pipeline need, taken once from live models, so that any plan can be replayed
//! without a model, with its real outcome on every example.

mod file;
mod grid;
mod played;
mod record;
mod replay;

use std::collections::{BTreeMap, HashMap};

use agenttts_core::pipeline::Snapshot;
use agenttts_core::{Draw, ModelIdentity, Problems, RequestKey};

use crate::load::Loaded;
use crate::steps::StepAnswer;

pub use file::TAPE_VERSION;
pub use grid::MOST_RECORDED;
pub use played::{Need, PlayedTape};
pub use record::{Recorder, record};
pub(crate) use replay::{TAPE, TapeSource, connect};

/// A tape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tape {
    /// The pipeline that it was recorded from, with its templates and examples.
    pub snapshot: Snapshot,
    /// Which weights drew, by the model's name in the pipeline.
    pub models: BTreeMap<String, ModelIdentity>,
    /// The version of the program that recorded it.
    pub program: String,
    /// The draws, by the key of their request for the model of that identity.
    pub(crate) requests: HashMap<RequestKey, Recorded>,
    /// What steps gave, by the key of their input.
    pub(crate) steps: HashMap<RequestKey, StepAnswer>,
}

/// What is recorded of one request: its draws from index 0 on, in one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Recorded {
    /// The draws in order of their index.
    pub(crate) draws: Vec<Draw>,
    /// Why more could not be drawn, where more were wanted.
    pub(crate) failure: Option<String>,
}

impl Tape {
    /// The pipeline that it was recorded from, checked.
    ///
    /// # Errors
    /// What is wrong with it: a tape of an earlier program may hold what this one refuses.
    pub fn load(&self) -> Result<Loaded, Problems> {
        Loaded::new(self.snapshot.clone())
    }

    /// How many distinct requests it holds.
    pub fn requests(&self) -> usize {
        self.requests.len()
    }

    /// How many draws it holds.
    pub fn draws(&self) -> usize {
        self.requests.values().map(|r| r.draws.len()).sum()
    }
}
