//! How a study goes on: a live display on a terminal, plain lines everywhere else.

pub(crate) mod line;
mod live;
mod plain;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agenttts_core::pipeline::SearchBudget;
use agenttts_core::{CostModel, StudySummary};
use agenttts_engine::{Observer, Observers};

use super::Screen;
use live::Live;
use plain::Plain;
use state::State;

/// A display of a study under way.
pub(crate) struct Progress {
    live: Option<Arc<Live>>,
    observers: Observers,
    state: Arc<Mutex<State>>,
}

impl Progress {
    /// A display for a study with these limits. `before` is what a resumed study had measured.
    pub(crate) fn new(
        screen: &Screen,
        budget: &SearchBudget,
        cost_model: CostModel,
        before: Option<&StudySummary>,
    ) -> Self {
        let state = Arc::new(Mutex::new(State::new(budget, cost_model, before)));
        let live = screen.is_live().then(|| Arc::new(Live::new(*screen, Arc::clone(&state))));
        let observer: Arc<dyn Observer> = match &live {
            Some(live) => live.clone(),
            None => Arc::new(Plain::new(*screen, Arc::clone(&state))),
        };
        Progress { live, observers: Observers::new(vec![observer]), state }
    }

    /// What the engine sends its events to.
    pub(crate) fn observers(&self) -> Observers {
        self.observers.clone()
    }

    /// A line for the person that does not tear the display.
    pub(crate) fn speaker(&self, screen: &Screen) -> impl Fn(&str) + Send + Sync + 'static {
        let (live, screen) = (self.live.clone(), *screen);
        move |line| match &live {
            Some(live) => live.line(line),
            None => screen.say(line),
        }
    }

    /// Takes the live display away. Returns the study's name, if it has begun.
    pub(crate) fn finish(&self) -> Option<String> {
        if let Some(live) = &self.live {
            live.clear();
        }
        lock(&self.state).study.clone()
    }
}

/// What is known. A display that panicked elsewhere leaves counts that can still be shown.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
