//! The archive of a study: its trials, guidelines and the agent's exchanges. The searcher's only memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cost::Cost;
use crate::estimate::Estimate;
use crate::fitting::Fitting;
use crate::plan::Plan;
use crate::request::{Message, Usage};

/// Everything that a search has learned so far, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Archive {
    /// All trials by number, those still pending included.
    pub trials: Vec<Trial>,
    /// Guidelines in the order they were written.
    pub guidelines: Vec<Guideline>,
    /// Every prompt that a method asked an agent, with its reply.
    pub exchanges: Vec<Exchange>,
}

impl Archive {
    /// Trials that were measured.
    pub fn measured(&self) -> impl Iterator<Item = (&Trial, &Measurement)> {
        self.trials.iter().filter_map(|t| Some((t, t.measurement()?)))
    }

    /// Whether the plan was proposed before, measured or not.
    pub fn contains(&self, plan: &Plan) -> bool {
        self.trials.iter().any(|t| &t.plan == plan)
    }
}

/// One measurement of one plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trial {
    /// 1-based, in the order of proposal.
    pub number: u32,
    /// The round of proposals that it belongs to; 0 holds the initial trials.
    pub round: u32,
    /// The plan.
    pub plan: Plan,
    /// Its nominal cost under the study's cost model.
    pub nominal_cost: Cost,
    /// Who proposed it and what was changed.
    pub origin: Origin,
    /// The stream that its samples are taken from: 0 is the study's shared stream, others are fresh draws.
    pub stream: u32,
    /// The examples that it runs on, in the study's order of examples; absent = all of the search split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// What became of it.
    pub state: TrialState,
}

/// Consecutive examples of a study's order of examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// The first example, from 0.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl Span {
    /// One past the last example.
    pub fn end(self) -> u32 {
        self.first.saturating_add(self.count)
    }
}

impl Trial {
    /// The measurement, once there is one.
    pub fn measurement(&self) -> Option<&Measurement> {
        match &self.state {
            TrialState::Measured(m) => Some(m),
            _ => None,
        }
    }
}

/// What became of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrialState {
    /// Proposed, and perhaps running.
    Pending,
    /// Run on every example asked for.
    Measured(Box<Measurement>),
    /// Given up, with the reason (a limit was reached, or a model is gone). Its samples stay in the bank.
    Abandoned(String),
}

/// Who proposed a plan, and what had to be changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// The method: `agent`, `rules`, `random`, `grid`, ...
    pub method: String,
    /// Why this plan, in words for the archive: the rule, insight or agent's reason.
    pub reason: String,
    /// What was wrong with the proposal and what was done about it; empty if nothing was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<String>,
}

/// What running a plan gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// The objective over the examples; a failed example scores 0.
    pub objective: Estimate,
    /// The metric of each stage, in the order of the stages; `None` for a stage without one.
    pub stages: Vec<Option<Estimate>>,
    /// What one fresh query costs, in units of the study's cost model: the whole upstream, fusion included.
    pub cost: Estimate,
    /// The objective of each example, in the study's order of examples (see [`Trial::span`]).
    pub scores: Vec<f64>,
    /// Examples of which a stage failed.
    pub failures: u32,
    /// The first few distinct reasons of failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_reasons: Vec<String>,
    /// For each stage, the metric with the first 1, 2, 4, ... samples of the same draws: empty where the aggregator is
    /// not deterministic or the stage has no metric. Points of one curve are correlated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<Vec<CurvePoint>>,
    /// How the prompts of each stage fitted the context of its model: empty where all did as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fitting: Vec<Fitting>,
    /// Tokens that this trial would have drawn from nothing.
    pub fresh: Usage,
    /// Tokens that it did draw: what the bank did not have.
    pub drawn: Usage,
    /// Wall-clock seconds that it took.
    pub seconds: f64,
    /// Why the trial ended before its last example; absent where it ran on all that it was meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raced_out: Option<RacedOut>,
}

/// A trial that ended early because its plan had fallen behind the leading one beyond doubt. Its scores are a censored
/// observation: the first examples of more that would have followed, stopped because they were low.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RacedOut {
    /// One past the last example that it was meant to run on, in the study's order of examples.
    pub planned_end: u32,
    /// The first trial of the plan that it was compared with.
    pub leader: u32,
    /// How far it was behind the leader per example, on the examples that both ran on.
    pub behind: f64,
    /// The score that this lets expect on all planned examples: the leader's there, less what the plan was behind.
    pub expected: f64,
}

impl Measurement {
    /// Scores and the cost of a query, and nothing else: what is known of a plan whose draws nobody made, as in a
    /// landscape.
    pub fn of_scores(scores: Vec<f64>, cost: Estimate) -> Self {
        Measurement {
            objective: Estimate::of_scores(&scores),
            stages: Vec::new(),
            cost,
            scores,
            failures: 0,
            failure_reasons: Vec::new(),
            curves: Vec::new(),
            fitting: Vec::new(),
            fresh: Usage::default(),
            drawn: Usage::default(),
            seconds: 0.0,
            raced_out: None,
        }
    }
}

/// A point of a scaling curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CurvePoint {
    /// Samples.
    pub samples: u32,
    /// The stage's metric.
    pub score: Estimate,
}

/// A guideline that steers later proposals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Guideline {
    /// The round after which it was written.
    pub round: u32,
    /// Who wrote it: the agent's model, or `rules`.
    pub author: String,
    /// The text, one sentence or more per stage.
    pub text: String,
}

/// One prompt to the agent and its reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    /// The round that it was asked in.
    pub round: u32,
    /// 0 for the first try, 1 for asking again after a bad reply.
    pub attempt: u32,
    /// What was asked for.
    pub purpose: Purpose,
    /// The prompt.
    pub messages: Vec<Message>,
    /// The reply; `None` if the call failed.
    pub reply: Option<String>,
    /// Why the call failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What the agent is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Guidelines from the trials so far.
    Summarise,
    /// Plans to try next.
    Propose,
}
