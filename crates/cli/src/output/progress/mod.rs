//! How a study goes on: a live display on a terminal, plain lines everywhere else.

mod line;
mod live;
mod plain;
mod state;

use std::sync::Arc;

use agenttts_core::StudySummary;
use agenttts_core::pipeline::SearchBudget;
use agenttts_engine::{Observer, Observers};

use super::Screen;
use live::Live;
use plain::Plain;
use state::State;

/// A display of a study under way.
pub(crate) struct Progress {
    live: Option<Arc<Live>>,
    observers: Observers,
}

impl Progress {
    /// A display for a study with these limits. `before` is what a resumed study had measured.
    pub(crate) fn new(
        screen: &Screen,
        budget: &SearchBudget,
        cost_model: agenttts_core::CostModel,
        before: Option<&StudySummary>,
    ) -> Self {
        let state = State::new(budget, cost_model, before);
        if screen.is_live() {
            let live = Arc::new(Live::new(*screen, state));
            let observer: Arc<dyn Observer> = live.clone();
            return Progress { live: Some(live), observers: Observers::new(vec![observer]) };
        }
        Progress { live: None, observers: Observers::new(vec![Arc::new(Plain::new(*screen, state))]) }
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

    /// Takes the live display away.
    pub(crate) fn finish(&self) {
        if let Some(live) = &self.live {
            live.clear();
        }
    }
}
