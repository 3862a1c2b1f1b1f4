//! How a recording or a pilot goes on: a bar on a terminal, lines at some percents everywhere else.

use std::sync::{Arc, Mutex, PoisonError};

use agenttts_engine::{Event, Observer, Observers, Spent};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Screen;
use super::number::{duration, of_limit};

/// A display of draws under way.
#[derive(Clone)]
pub(crate) struct Recording(Arc<Display>);

struct Display {
    screen: Screen,
    /// What is counted.
    what: &'static str,
    step: u32,
    bar: Option<ProgressBar>,
    /// The percent that was told last.
    told: Mutex<Option<u32>>,
}

impl Recording {
    /// `what` is counted: `examples of plans`. Lines are written at every new `step` percent.
    pub(crate) fn new(screen: &Screen, what: &'static str, step: u32) -> Self {
        let bar = screen.is_live().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
            if let Ok(style) = ProgressStyle::with_template("drawn [{bar:24}] {pos}/{len}  {wide_msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Recording(Arc::new(Display { screen: *screen, what, step, bar, told: Mutex::default() }))
    }

    /// What the engine sends its events to.
    pub(crate) fn observers(&self) -> Observers {
        Observers::new(vec![self.0.clone()])
    }

    /// A line for the person that does not tear the display.
    pub(crate) fn speaker(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let display = self.0.clone();
        move |line| display.line(line)
    }

    /// Takes the display away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.0.bar {
            bar.finish_and_clear();
        }
    }
}

impl Display {
    fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.screen.say(line)),
            None => self.screen.say(line),
        }
    }

    fn progress(&self, done: u32, total: u32, spent: &Spent) {
        let usage = spent.usage;
        let took = format!(
            "{}, {}, {}",
            of_limit("tokens", usage.tokens() as f64),
            of_limit("calls", usage.calls as f64),
            duration(spent.seconds)
        );
        if let Some(bar) = &self.bar {
            bar.set_length(u64::from(total));
            bar.set_position(u64::from(done));
            bar.set_message(took);
            return;
        }
        let percent = (u64::from(done) * 100 / u64::from(total.max(1))) as u32 / self.step * self.step;
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).replace(percent);
        if told != Some(percent) {
            self.screen.say(&format!("{percent}%: {done} of {total} {}, {took}", self.what));
        }
    }
}

impl Observer for Display {
    fn on(&self, event: &Event) {
        match event {
            Event::Progress { done, total, spent } => self.progress(*done, *total, spent),
            Event::Warning { message } => self.line(&format!("warning: {message}")),
            _ => {}
        }
    }
}
