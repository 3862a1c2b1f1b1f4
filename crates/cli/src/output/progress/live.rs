//! A display that redraws itself: trials, the best so far, spend against the limits, and what is running now.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agenttts_engine::{Event, Observer};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::state::State;
use crate::output::Screen;

const TRIALS: &str = "{prefix} [{bar:24}] {pos}/{len}  {wide_msg}";
const TEXT: &str = "{prefix} {wide_msg}";
const NOW: &str = "{prefix} [{bar:24}] {pos}/{len} {spinner} {wide_msg}";

/// Draws a study on the terminal.
pub(super) struct Live {
    screen: Screen,
    all: MultiProgress,
    bars: Bars,
    state: Arc<Mutex<State>>,
}

struct Bars {
    trials: ProgressBar,
    best: ProgressBar,
    spent: ProgressBar,
    now: ProgressBar,
}

impl Live {
    pub(super) fn new(screen: Screen, state: Arc<Mutex<State>>) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let bar = |prefix: &'static str, template: &str| {
            let bar = all.add(ProgressBar::new(0));
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> ").tick_chars("|/-\\ "));
            }
            bar.set_prefix(prefix);
            bar
        };
        let bars = Bars {
            trials: bar("trials", TRIALS),
            best: bar("best  ", TEXT),
            spent: bar("spent ", TEXT),
            now: bar("now   ", NOW),
        };
        // A long call says nothing for a while: the spinner shows that the program is alive.
        bars.now.enable_steady_tick(Duration::from_millis(200));
        let known = super::lock(&state);
        bars.trials.set_position(u64::from(known.made()));
        bars.best.set_message(known.best_line());
        drop(known);
        Live { screen, all, bars, state }
    }

    /// A line above the display.
    pub(super) fn line(&self, line: &str) {
        if self.all.println(line).is_err() {
            self.screen.say(line);
        }
    }

    pub(super) fn clear(&self) {
        self.bars.now.disable_steady_tick();
        // Where the terminal is gone there is nothing to clear.
        let _ = self.all.clear();
    }

    fn draw(&self, event: &Event, state: &State) {
        let bars = &self.bars;
        match event {
            Event::Started { trials, .. } => bars.trials.set_length(u64::from(*trials)),
            Event::AgentAsked { .. } => self.now(0, 0, "asking the agent"),
            Event::TrialStarted { trial, plan } => self.now(0, 0, &format!("trial {trial}: {plan}")),
            Event::Confirming { label, plan } => self.now(0, 0, &format!("test split, {label}: {plan}")),
            Event::Progress { done, total, .. } => {
                bars.now.set_length(u64::from(*total));
                bars.now.set_position(u64::from(*done));
            }
            Event::TrialMeasured { objective, .. } => {
                bars.now.set_position(u64::from(objective.n));
                bars.best.set_message(state.best_line());
            }
            _ => {}
        }
        bars.trials.set_position(u64::from(state.made()));
        bars.trials.set_message(state.left_line());
        bars.spent.set_message(state.spend_line());
    }

    fn now(&self, done: u64, total: u64, what: &str) {
        self.bars.now.set_length(total);
        self.bars.now.set_position(done);
        self.bars.now.set_message(what.to_owned());
    }
}

impl Observer for Live {
    fn on(&self, event: &Event) {
        let mut state = super::lock(&self.state);
        state.see(event);
        self.draw(event, &state);
        // The display shows what the agent is asked and what runs on the test split; the rest stays on screen.
        if !matches!(event, Event::AgentAsked { .. } | Event::Confirming { .. })
            && let Some(line) =
                super::line::of(event, state.cost_model, &|paint, text| self.screen.paint_err(paint, text))
        {
            self.line(&line);
        }
    }
}
