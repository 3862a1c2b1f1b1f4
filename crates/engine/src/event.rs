//! The one event stream of a study: progress bar, store, report, dashboard and traces all observe it.

use std::sync::Arc;

use agenttts_core::{Archive, Estimate, Plan, Purpose, RacedOut, Span, Usage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that happened in a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The study began, or goes on after a stop.
    Started {
        /// Its name.
        study: String,
        /// Whether it existed before.
        resumed: bool,
        /// The search method.
        method: String,
        /// Plans in the space within the budget.
        feasible: f64,
        /// The most trials.
        trials: u32,
        /// Examples of the search split.
        examples: u32,
        /// Examples of a trial, where the method leaves it to the settings and they say.
        #[serde(default)]
        examples_per_trial: Option<u32>,
        /// The earlier study that the method learns from.
        #[serde(default)]
        history: Option<String>,
    },
    /// Plans were proposed.
    Proposed {
        /// Their round; 0 holds the initial trials.
        round: u32,
        /// The first trial's number and how many there are.
        trials: (u32, u32),
        /// What had to be repaired, by trial number.
        repairs: Vec<(u32, String)>,
    },
    /// A guideline was written.
    Guideline {
        /// The round.
        round: u32,
        /// Its author.
        author: String,
        /// Its text.
        text: String,
    },
    /// The agent is being asked.
    AgentAsked {
        /// The round.
        round: u32,
        /// For what.
        purpose: Purpose,
        /// 0 for the first try.
        attempt: u32,
    },
    /// The agent answered, or could not.
    AgentAnswered {
        /// Why not, where it could not.
        error: Option<String>,
    },
    /// A trial began.
    TrialStarted {
        /// Its number.
        trial: u32,
        /// Its plan.
        plan: Plan,
    },
    /// Another example of the running trial or confirmation is done.
    Progress {
        /// Examples done.
        done: u32,
        /// Examples in all.
        total: u32,
        /// What was spent so far.
        spent: Spent,
    },
    /// A trial was measured.
    TrialMeasured {
        /// Its number.
        trial: u32,
        /// Its plan.
        plan: Plan,
        /// Its objective.
        objective: Estimate,
        /// Mean cost of a query, in units of the cost model.
        cost: f64,
        /// The examples that it ran on; absent = the whole search split.
        #[serde(default)]
        span: Option<Span>,
        /// The objective over all trials of the plan, where this was not the first.
        #[serde(default)]
        pooled: Option<Estimate>,
        /// Whether its plan leads now.
        best: bool,
        /// The plan that leads now.
        #[serde(default)]
        leader: Option<Leader>,
        /// Failed examples.
        failures: u32,
        /// Why it ended before its last example, where it did.
        #[serde(default)]
        raced_out: Option<Box<RacedOut>>,
        /// What was spent so far.
        spent: Spent,
    },
    /// A plan is being run on the test split.
    Confirming {
        /// `recommended`, `largest once`, `smallest once`.
        label: String,
        /// The plan.
        plan: Plan,
    },
    /// A provider has failed so often in a row that it is not called for now; plans without it go on.
    ProviderDown {
        /// Its name.
        provider: String,
        /// The last failure.
        error: String,
    },
    /// The provider answers again.
    ProviderBack {
        /// Its name.
        provider: String,
        /// Seconds for which it did not.
        seconds: f64,
    },
    /// Something that a person should know.
    Warning {
        /// What.
        message: String,
    },
    /// The study stopped.
    Stopped {
        /// Why, in words.
        reason: String,
    },
}

/// The measured plan that leads by its own scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Leader {
    /// Its first trial.
    pub trial: u32,
    /// The plan.
    pub plan: Plan,
    /// Its objective, all its trials pooled.
    pub objective: Estimate,
    /// Mean cost of a query, in units of the cost model.
    pub cost: f64,
}

impl Leader {
    /// The leading plan of an archive; `None` when nothing was measured.
    pub fn of(archive: &Archive) -> Option<Self> {
        let best = archive.best()?;
        let (trial, objective, cost) = (best.first_trial(), best.objective, best.cost.mean);
        Some(Leader { trial, plan: best.plan.clone(), objective, cost })
    }
}

/// Running totals of a study.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// Tokens and calls.
    pub usage: Usage,
    /// Seconds over all sessions.
    pub seconds: f64,
    /// The largest used share of any limit, in `0..=1`; 0 without limits.
    pub share: f64,
    /// That limit's name.
    pub limit: Option<Limit>,
}

/// A limit of the search budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Prompt and decoded tokens.
    Tokens,
    /// Dollars.
    Usd,
    /// Floating-point operations.
    Flops,
    /// Calls.
    Calls,
    /// Wall-clock minutes.
    Minutes,
}

impl Limit {
    /// The name used in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Tokens => "tokens",
            Limit::Usd => "usd",
            Limit::Flops => "flops",
            Limit::Calls => "calls",
            Limit::Minutes => "minutes",
        }
    }
}

/// Sees every event, in order. Must return quickly and never fail.
pub trait Observer: Send + Sync {
    /// Called for each event.
    fn on(&self, event: &Event);
}

/// Passes each event to several observers.
#[derive(Clone, Default)]
pub struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    /// Observers in the order in which they see events.
    pub fn new(observers: Vec<Arc<dyn Observer>>) -> Self {
        Observers(observers)
    }

    /// These observers and one more.
    #[must_use]
    pub fn and(mut self, observer: Arc<dyn Observer>) -> Self {
        self.0.push(observer);
        self
    }

    /// Sends an event to all.
    pub fn send(&self, event: Event) {
        self.0.iter().for_each(|o| o.on(&event));
    }
}
