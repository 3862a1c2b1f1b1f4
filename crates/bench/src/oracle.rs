//! A contestant that knows more than any method may: the yardstick of what could be reached.

use agenttts_core::Plan;
use agenttts_search::{Ask, Oracle, Question, Searcher, Settings, Step};

use crate::contestant::{Contestant, Entry, Fault, Player, Sizes};

/// Its name in comparisons.
pub(crate) const NAME: &str = "oracle";

/// The planner that is told, from the true scores, how much plans tell of each other ([`Oracle`]).
pub(crate) struct Yardstick;

impl Contestant for Yardstick {
    fn name(&self) -> &str {
        NAME
    }

    fn is_outside(&self) -> bool {
        false
    }

    fn sizes(&self) -> Sizes {
        Sizes::Own
    }

    fn enter<'a>(&'a self, entry: &Entry<'_>) -> Result<Box<dyn Player + 'a>, Fault> {
        let oracle = Oracle::new(entry.space, entry.truth.scores().map(|(plan, score)| (plan.clone(), score)));
        let settings = Settings { seed: entry.seed, examples: entry.examples, ..Settings::default() };
        Ok(Box::new(YardstickPlayer { oracle, settings }))
    }
}

struct YardstickPlayer {
    oracle: Oracle,
    settings: Settings,
}

impl Player for YardstickPlayer {
    fn ask(&mut self, ask: &Ask<'_>) -> Result<Step, Fault> {
        let mut ask = *ask;
        ask.settings = &self.settings;
        Ok(self.oracle.ask(&ask))
    }

    fn answer(&mut self, _: &Question) -> Result<String, Fault> {
        Err(Fault::new("the oracle asks no questions"))
    }

    fn recommend(&mut self, ask: &Ask<'_>) -> Result<Option<Plan>, Fault> {
        let mut ask = *ask;
        ask.settings = &self.settings;
        Ok(self.oracle.recommend(&ask).map(|r| r.plan))
    }
}
