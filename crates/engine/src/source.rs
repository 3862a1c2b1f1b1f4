//! Where samples come from. Two sources: the bank with its ledger, for studies, and the models alone, for `run`.

use agenttts_core::{Draw, Request, Usage};
use agenttts_models::{ModelError, OnText};
use async_trait::async_trait;

use crate::error::EngineError;
use crate::event::Limit;
use crate::listener::StageListener;

/// Gives samples of requests.
#[async_trait]
pub(crate) trait Source: Send + Sync {
    /// The samples `first..first + n` of the request in a stream.
    async fn samples(&self, want: Want<'_>) -> Result<Got, DrawError>;
}

/// Samples that someone wants.
#[derive(Clone, Copy)]
pub(crate) struct Want<'a> {
    /// The model's name in the pipeline.
    pub(crate) model: &'a str,
    /// The request.
    pub(crate) request: &'a Request,
    /// From which on: sources that keep what they drew are asked from 0 only.
    pub(crate) first: u32,
    /// How many.
    pub(crate) n: u32,
    /// Of which stream.
    pub(crate) stream: u64,
    /// What for.
    pub(crate) kind: CallKind,
    /// Who hears the text of the one sample, where the source can tell it.
    pub(crate) on_text: Option<&'a OnText<'a>>,
    /// Who hears of the call, where the source makes one for an answer.
    pub(crate) listener: Option<&'a dyn StageListener>,
}

/// What a call is for; the ledger books by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// Samples of a stage.
    Sample,
    /// Fusing them.
    Fusion,
    /// Judging them.
    Judge,
    /// Embedding a text to score an output.
    Embedding,
    /// Having a judge score an output.
    Verdict,
    /// A question of the search method to its agent.
    Agent,
}

impl CallKind {
    /// As the ledger books it, and listeners are told.
    pub(crate) fn name(self) -> &'static str {
        match self {
            CallKind::Sample => "sample",
            CallKind::Fusion => "fusion",
            CallKind::Judge => "judge",
            CallKind::Embedding => "embedding",
            CallKind::Verdict => "verdict",
            CallKind::Agent => "agent",
        }
    }
}

/// Samples in order of their index.
#[derive(Debug, Default)]
pub(crate) struct Got {
    /// The samples.
    pub(crate) samples: Vec<GotSample>,
    /// What had to be drawn for them: nothing where the bank had them all.
    pub(crate) drawn: Usage,
}

/// One sample.
#[derive(Clone, Debug)]
pub(crate) struct GotSample {
    /// Its id in the bank, where it is kept there.
    pub(crate) id: Option<i64>,
    /// The draw.
    pub(crate) draw: Draw,
}

/// Why samples could not be had.
#[derive(Debug)]
pub(crate) enum DrawError {
    /// These samples cannot be had; others can. The example fails.
    Failed(ModelError),
    /// Nothing more can be drawn.
    Halt(Halt),
}

/// Why a study must stop.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Somebody asked for it.
    Stopped,
    /// The next call could pass a limit of the search budget.
    Limit {
        /// The limit.
        limit: Limit,
        /// The limit, what is spent, and what the call would reserve, in words.
        detail: String,
    },
    /// An error that every further call would share.
    Fatal(EngineError),
}

impl Halt {
    /// Puts the halt of one of several runs beside those before it: the first is kept, but an error is told rather than
    /// that others were stopped by it.
    pub(crate) fn note(self, first: &mut Option<Halt>) {
        match (&first, &self) {
            (None, _) | (Some(Halt::Stopped), Halt::Fatal(_)) => *first = Some(self),
            _ => {}
        }
    }
}

impl From<EngineError> for DrawError {
    fn from(error: EngineError) -> Self {
        DrawError::Halt(Halt::Fatal(error))
    }
}

impl DrawError {
    /// A model's failure: of these samples only, or of every further call.
    pub(crate) fn of_model(error: ModelError) -> Self {
        use agenttts_models::ModelErrorKind::Unreachable;
        if error.kind.is_fatal() || error.kind == Unreachable {
            DrawError::Halt(Halt::Fatal(EngineError::Model(error)))
        } else {
            DrawError::Failed(error)
        }
    }
}
