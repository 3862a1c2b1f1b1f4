//! One line for each thing that happened: for logs, pipes and terminals that cannot redraw.

use std::sync::{Mutex, PoisonError};

use agenttts_engine::{Event, Observer};

use super::state::State;
use crate::output::Screen;

/// Writes lines.
pub(super) struct Plain {
    screen: Screen,
    state: Mutex<State>,
}

impl Plain {
    pub(super) fn new(screen: Screen, state: State) -> Self {
        Plain { screen, state: Mutex::new(state) }
    }
}

impl Observer for Plain {
    fn on(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.see(event);
        if let Some(line) = super::line::of(event, &state, &self.screen) {
            self.screen.say(&line);
        }
    }
}
