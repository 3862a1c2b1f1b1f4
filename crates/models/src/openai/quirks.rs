//! What has been found out about how a provider serves a model, remembered for the life of the process.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::usage::Coverage;
use super::wire::Dialect;

/// Findings about one model of a provider. All of them only ever go one way, so relaxed atomics do.
#[derive(Debug)]
pub(super) struct Quirks {
    /// The most choices that one call returns; `u32::MAX` = no limit known.
    most_choices: AtomicU32,
    /// 0 = unknown, 1 = all choices, 2 = one choice.
    coverage: AtomicU8,
    max_completion_tokens: AtomicBool,
    no_seed: AtomicBool,
    no_stream: AtomicBool,
    no_stream_options: AtomicBool,
    no_tokenizer: AtomicBool,
    warned: [AtomicBool; Warning::COUNT],
    not_before: Mutex<Option<Instant>>,
}

/// Things that are said once per model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warning {
    FewerChoices,
    MoreChoices,
    NoUsage,
    UsageOfOne,
    NoSeed,
}

impl Warning {
    const COUNT: usize = 5;
}

impl Quirks {
    pub(super) fn new(max_n: Option<u32>) -> Self {
        Quirks {
            most_choices: AtomicU32::new(max_n.unwrap_or(u32::MAX)),
            coverage: AtomicU8::new(0),
            max_completion_tokens: AtomicBool::new(false),
            no_seed: AtomicBool::new(false),
            no_stream: AtomicBool::new(false),
            no_stream_options: AtomicBool::new(false),
            no_tokenizer: AtomicBool::new(false),
            warned: Default::default(),
            not_before: Mutex::new(None),
        }
    }

    /// The most choices that one call returns, where a limit is known.
    pub(super) fn most_choices(&self) -> Option<u32> {
        Some(self.most_choices.load(Relaxed)).filter(|most| *most < u32::MAX)
    }

    /// Lowers the most choices of a call.
    pub(super) fn at_most(&self, choices: u32) {
        self.most_choices.fetch_min(choices.max(1), Relaxed);
    }

    pub(super) fn coverage(&self) -> Option<Coverage> {
        match self.coverage.load(Relaxed) {
            1 => Some(Coverage::All),
            2 => Some(Coverage::One),
            _ => None,
        }
    }

    pub(super) fn covers(&self, coverage: Coverage) {
        self.coverage.store(if coverage == Coverage::All { 1 } else { 2 }, Relaxed);
    }

    pub(super) fn dialect(&self) -> Dialect {
        Dialect {
            max_completion_tokens: self.max_completion_tokens.load(Relaxed),
            no_seed: self.no_seed.load(Relaxed),
            no_stream: self.no_stream.load(Relaxed),
            no_stream_options: self.no_stream_options.load(Relaxed),
        }
    }

    pub(super) fn say_max_completion_tokens(&self) {
        self.max_completion_tokens.store(true, Relaxed);
    }

    pub(super) fn leave_seed_out(&self) {
        self.no_seed.store(true, Relaxed);
    }

    pub(super) fn ask_for_no_stream(&self) {
        self.no_stream.store(true, Relaxed);
    }

    pub(super) fn leave_stream_options_out(&self) {
        self.no_stream_options.store(true, Relaxed);
    }

    pub(super) fn has_tokenizer(&self) -> bool {
        !self.no_tokenizer.load(Relaxed)
    }

    pub(super) fn lacks_tokenizer(&self) {
        self.no_tokenizer.store(true, Relaxed);
    }

    /// Whether a warning is due: true once.
    pub(super) fn first_time(&self, warning: Warning) -> bool {
        !self.warned[warning as usize].swap(true, Relaxed)
    }

    /// Holds back all calls of this model for as long as the server asked: the limit that one call met holds for
    /// the others too.
    pub(super) fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut not_before = self.not_before.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *not_before = Some(not_before.map_or(until, |earlier| earlier.max(until)));
    }

    /// Waits until a pause is over.
    pub(super) async fn pause_over(&self) {
        let until = *self.not_before.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }
}
