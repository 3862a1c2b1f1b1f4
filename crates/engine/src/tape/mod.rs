//! Tapes: draws taken once from live models, so that plans can be replayed without a model, with their real outcome on
//! every example. The tape of a grid holds every draw that the plans of a pipeline need; the tape of a study what that
//! study drew.

mod brief;
mod export;
mod file;
mod grid;
mod heard;
mod played;
mod record;
mod remake;
mod replay;
mod studied;

use std::collections::{BTreeMap, HashMap};

use agenttts_core::pipeline::Snapshot;
use agenttts_core::{Draw, ModelIdentity, Problems, RequestKey};

use crate::fit::Fit;
use crate::load::Loaded;
use crate::steps::StepAnswer;

pub use export::{ExportOptions, export, replayed};
pub use file::TAPE_VERSION;
pub use grid::MOST_RECORDED;
pub use played::{Need, PlayedTape};
pub use record::{Recorder, record};
pub(crate) use replay::{TAPE, TapeSource, connect};
pub(crate) use studied::Earlier;
use studied::Studied;

/// A tape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tape {
    /// The pipeline that it was recorded from, with its templates and examples.
    pub snapshot: Snapshot,
    /// Which weights drew, by the model's name in the pipeline.
    pub models: BTreeMap<String, ModelIdentity>,
    /// The version of the program that recorded it.
    pub program: String,
    /// The draws of a grid, by the key of their request for the model of that identity; whatever the stream.
    pub(crate) requests: HashMap<RequestKey, Recorded>,
    /// The study whose draws it holds instead.
    pub(crate) studied: Option<Studied>,
    /// What steps gave, by the key of their input.
    pub(crate) steps: HashMap<RequestKey, StepAnswer>,
    /// Prompts that did not fit their model's context as they were.
    pub(crate) fits: HashMap<RequestKey, Fit>,
}

/// What is recorded of one request: its draws from index 0 on, in one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Recorded {
    /// The draws in order of their index.
    pub(crate) draws: Vec<Draw>,
    /// Why more could not be drawn, where more were wanted.
    pub(crate) failure: Option<String>,
    /// How many of the first draws the bank held before the study of the tape began; perhaps more than it ever took.
    pub(crate) there: u32,
}

impl Tape {
    /// The pipeline that it was recorded from, checked.
    ///
    /// # Errors
    /// What is wrong with it: a tape of an earlier program may hold what this one refuses.
    pub fn load(&self) -> Result<Loaded, Problems> {
        Loaded::new(self.snapshot.clone())
    }

    /// How many distinct requests it holds, of every stream.
    pub fn requests(&self) -> usize {
        self.recorded().count()
    }

    /// How many draws it holds.
    pub fn draws(&self) -> usize {
        self.recorded().map(|r| r.draws.len()).sum()
    }

    fn recorded(&self) -> impl Iterator<Item = &Recorded> {
        let streams = self.studied.iter().flat_map(|studied| studied.streams.values());
        self.requests.values().chain(streams.flat_map(|stream| stream.requests.values()))
    }
}
