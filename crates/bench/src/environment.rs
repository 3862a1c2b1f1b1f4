//! Where plans are tried without a model, and the truth by which recommendations are judged.

use std::collections::BTreeMap;

use agenttts_core::{Measurement, Plan, Space, Span};
use serde::{Deserialize, Serialize};

/// A place where plans can be tried: a landscape (a table of true scores) or a tape (recorded draws).
pub trait Environment: Send + Sync {
    /// All plans, their costs and the plan budget.
    fn space(&self) -> &Space;

    /// Examples that all plans share, so that scores are paired; `None` where every trial draws new ones (landscapes).
    fn pool(&self) -> Option<u32>;

    /// What a search budget counts.
    fn unit(&self) -> Unit;

    /// The search budget where the user names none, in [`Environment::unit`].
    fn usual_budget(&self) -> f64;

    /// Examples of a trial for a method that names no number.
    fn usual_examples(&self) -> u32;

    /// A fresh start: nothing is drawn yet. Everything random derives from the seed.
    fn session(&self, seed: u64) -> Box<dyn Session + '_>;
}

/// One run in an environment: it remembers what was drawn, because draws are paid for once.
pub trait Session {
    /// The price, in the environment's unit, of what a trial of the plan on its next `examples` examples still lacks.
    /// Next means: where [`measure`](Session::measure) left off for this plan, as
    /// [`place`](agenttts_search::place) goes on. Infinite for a plan that cannot be tried.
    fn price(&self, plan: &Plan, examples: u32) -> f64;

    /// Tries the plan on the examples of the span in the stream, as [`place`](agenttts_search::place) chose them, and
    /// counts what is drawn as paid. `None` where the environment does not hold the plan or the draws.
    fn measure(&mut self, plan: &Plan, stream: u32, span: Span) -> Option<Measurement>;
}

/// What a search budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Examples evaluated.
    Evaluations,
    /// Tokens drawn.
    Tokens,
}

impl Unit {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Evaluations => "evaluations",
            Unit::Tokens => "tokens",
        }
    }
}

/// The true score of every plan within the budget. Only this crate's harness reads it, so a method cannot.
///
/// ```compile_fail,E0624
/// fn cheat(truth: &agenttts_bench::Truth, plan: &agenttts_core::Plan) -> f64 {
///     truth.score(plan)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Truth {
    scores: BTreeMap<Plan, f64>,
    /// Outcomes on examples that no trial uses, where there are any.
    test: BTreeMap<Plan, Vec<f64>>,
    best: f64,
    mean: f64,
}

impl Truth {
    /// The true scores of the plans that the space's table lists. Those above the space's budget are left out: they
    /// count as 0.
    pub fn new(space: &Space, scores: impl IntoIterator<Item = (Plan, f64)>) -> Self {
        let scores: BTreeMap<Plan, f64> = scores.into_iter().filter(|(plan, _)| space.is_feasible(plan)).collect();
        let best = scores.values().copied().fold(0.0, f64::max);
        let mean = scores.values().sum::<f64>() / (scores.len().max(1)) as f64;
        Truth { scores, test: BTreeMap::new(), best, mean }
    }

    /// With the plans' outcomes on examples that no trial uses: the same examples in the same order for every plan.
    pub fn with_test(mut self, test: impl IntoIterator<Item = (Plan, Vec<f64>)>) -> Self {
        self.test = test.into_iter().filter(|(plan, _)| self.scores.contains_key(plan)).collect();
        self
    }

    /// A plan's outcomes on examples that no trial uses.
    pub(crate) fn test(&self, plan: &Plan) -> Option<&[f64]> {
        self.test.get(plan).map(Vec::as_slice)
    }

    /// The best plan; of equals the first.
    pub(crate) fn best_plan(&self) -> Option<&Plan> {
        self.scores.iter().find(|(_, score)| **score >= self.best).map(|(plan, _)| plan)
    }

    /// The true score of a recommended plan; 0 for a plan outside the space or its budget.
    pub(crate) fn score(&self, plan: &Plan) -> f64 {
        self.scores.get(plan).copied().unwrap_or(0.0)
    }

    /// All plans within the budget with their true scores.
    pub(crate) fn scores(&self) -> impl Iterator<Item = (&Plan, f64)> {
        self.scores.iter().map(|(plan, score)| (plan, *score))
    }

    /// The true score over that of the best plan within the budget; 1 where even the best scores 0.
    pub(crate) fn ratio(&self, score: f64) -> f64 {
        if self.best > 0.0 { score / self.best } else { 1.0 }
    }

    /// How far a score is from the best, in units of how far the mean of the feasible plans is: 0 for the best plan, 1
    /// for what a blind draw expects, more for worse. 0 where all plans score alike.
    pub(crate) fn normalised_regret(&self, score: f64) -> f64 {
        let (regret, blind) = (self.best - score, self.best - self.mean);
        if blind > 1e-12 {
            regret / blind
        } else if regret > 1e-12 {
            1.0
        } else {
            0.0
        }
    }
}

/// An environment with its name and its truth: what a method is run in and judged by.
pub struct Arena {
    /// The name in tables and results.
    pub name: String,
    /// Where plans are tried.
    pub environment: Box<dyn Environment>,
    /// What recommendations are judged by.
    pub truth: Truth,
}
