//! Who hears what answering an input does, while it is done.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use agenttts_core::{Choice, ModelSpec, Request};
use agenttts_models::{Reply, TraceContext};
use agenttts_stage::Trimmed;

/// Hears what answering an input does, while it is done. It is told where the work is done, and must not wait.
pub trait Listener: fmt::Debug + Send + Sync {
    /// The next part of the answer. All parts together are a beginning of the output, which is a text then; what is still
    /// missing is in the answer.
    ///
    /// Only answers that are the text of one call are told part by part, see [`Runner::tells`](crate::Runner::tells).
    fn text(&self, part: &str);

    /// Whether it wants to be told parts at all: calls are made otherwise where somebody hears their text.
    fn hears_text(&self) -> bool {
        true
    }

    /// A stage begins. What is returned hears how it goes on; it is dropped without an end where the stage is given up.
    fn stage(&self, name: &str, choice: &Choice) -> Option<Box<dyn StageListener>> {
        let _ = (name, choice);
        None
    }
}

/// Hears what a stage does.
pub trait StageListener: Send + Sync {
    /// A model is called. What is returned hears how that goes on; it is dropped without an end where the call is given up.
    fn call(&self, call: &CallBegins<'_>) -> Option<Box<dyn CallListener>>;

    /// The stage is at its end.
    fn end(&self, end: StageEnds);
}

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageEnds {
    /// With an output.
    Output,
    /// Its condition kept it from running.
    Skipped,
    /// Without an output.
    Failed,
}

/// A call that begins.
#[derive(Clone, Copy, Debug)]
pub struct CallBegins<'a> {
    /// The model.
    pub model: &'a ModelSpec,
    /// What for: `sample`, `fusion` or `judge`.
    pub purpose: &'static str,
    /// What is asked.
    pub request: &'a Request,
    /// How many samples.
    pub samples: u32,
    /// The seed of the first.
    pub first_seed: u32,
    /// Whether the text is heard while it is decoded.
    pub is_heard: bool,
}

/// Hears what a call does.
pub trait CallListener: Send + Sync {
    /// Where the call stands in a trace, for the model's server.
    fn trace(&self) -> Option<&TraceContext>;

    /// A part of the text came.
    fn text(&self);

    /// The reply is there, whatever it says.
    fn end(&self, reply: &Reply);
}

/// Tells a listener the text of the call that is the answer, as its parser will read it.
pub(crate) struct Teller<'a> {
    listener: &'a dyn Listener,
    trimmed: Mutex<Trimmed>,
}

impl<'a> Teller<'a> {
    pub(crate) fn new(listener: &'a dyn Listener) -> Self {
        Teller { listener, trimmed: Mutex::default() }
    }

    pub(crate) fn tell(&self, part: &str) {
        let certain = self.trimmed.lock().unwrap_or_else(PoisonError::into_inner).push(part);
        if !certain.is_empty() {
            self.listener.text(&certain);
        }
    }
}
