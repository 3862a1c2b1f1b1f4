//! Who hears what answering an input does, while it is done.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use agenttts_stage::Trimmed;

/// Hears what answering an input does, while it is done. It is told where the work is done, and must not wait.
pub trait Listener: fmt::Debug + Send + Sync {
    /// The next part of the answer. All parts together are a beginning of the output, which is a text then; what is still
    /// missing is in the answer.
    ///
    /// Only answers that are the text of one call are told part by part, see [`Runner::tells`](crate::Runner::tells).
    fn text(&self, part: &str);
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
