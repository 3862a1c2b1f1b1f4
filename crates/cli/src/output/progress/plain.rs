//! One line for each thing that happened: for logs, pipes and terminals that cannot redraw.

use std::sync::{Arc, Mutex};

use agenttts_engine::{Event, Observer};

use super::state::State;
use crate::output::Screen;

/// Writes lines.
pub(super) struct Plain {
    screen: Screen,
    state: Arc<Mutex<State>>,
}

impl Plain {
    pub(super) fn new(screen: Screen, state: Arc<Mutex<State>>) -> Self {
        Plain { screen, state }
    }
}

impl Observer for Plain {
    fn on(&self, event: &Event) {
        let mut state = super::lock(&self.state);
        state.see(event);
        if let Some(line) = super::line::of(event, state.cost_model, &|paint, text| self.screen.paint_err(paint, text))
        {
            self.screen.say(&line);
        }
    }
}
