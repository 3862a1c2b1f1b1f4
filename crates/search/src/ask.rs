//! What a search method is asked and what it answers: the one interface of this crate.

use agenttts_core::{Archive, Guideline, Message, Origin, Plan, Purpose, Space, Span, StageSpace, Trial, TrialState};

use serde::{Deserialize, Serialize};

use crate::recommend::{Recommendation, recommend};

/// A search method: a pure function of the ask. The archive is its only memory, so a study resumes from the archive
/// alone, and the same ask always gives the same step.
pub trait Searcher: Send + Sync {
    /// The name that users choose it by.
    fn name(&self) -> &str;

    /// The next step of the study. Asked when no trial is pending; trials that are pending nevertheless count as
    /// proposed.
    fn ask(&self, ask: &Ask<'_>) -> Step;

    /// Whether its trials may be raced (see [`Race`](crate::Race)). Not those of a method that is a race itself, and
    /// compares plans on equally many examples.
    fn races(&self) -> bool {
        true
    }

    /// The plan that the method would have used after this archive; `None` when nothing was measured. Unless a method
    /// says otherwise, the one with the highest shrunken estimate (see [`recommend`]).
    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        recommend(ask.space, ask.archive)
    }
}

/// Everything that a method may look at.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Ask<'a> {
    /// All plans, with costs and the budget.
    pub space: &'a Space,
    /// What was learned so far.
    pub archive: &'a Archive,
    /// Settings of the search.
    pub settings: &'a Settings,
    /// The task in words, for an agent's prompt.
    pub task: &'a TaskText,
    /// Examples of the search split, the same for every plan, so that scores are paired by example. Absent where
    /// examples never run out and are never shared between plans (landscapes).
    pub pool: Option<u32>,
    /// What trials cost; absent where unknown.
    pub prices: Option<&'a dyn Prices>,
    /// What is left of the search budget, in the unit of `prices`.
    pub remaining: Option<f64>,
    /// An earlier study of a similar task, for methods that learn from one.
    pub history: Option<&'a History>,
}

impl<'a> Ask<'a> {
    /// An ask without prices.
    pub fn new(space: &'a Space, archive: &'a Archive, settings: &'a Settings, task: &'a TaskText) -> Self {
        Ask { space, archive, settings, task, pool: None, prices: None, remaining: None, history: None }
    }

    /// With a search split of so many examples, which all plans share.
    #[must_use]
    pub fn with_pool(mut self, examples: u32) -> Self {
        self.pool = Some(examples);
        self
    }

    /// With what trials cost and what is left to spend, both in one unit.
    #[must_use]
    pub fn with_prices(mut self, prices: &'a dyn Prices, remaining: Option<f64>) -> Self {
        self.prices = Some(prices);
        self.remaining = remaining;
        self
    }

    /// With an earlier study to learn from.
    #[must_use]
    pub fn with_history(mut self, history: &'a History) -> Self {
        self.history = Some(history);
        self
    }

    /// The round that is asked for: 0 for the initial trials, then one more than the archive's last.
    pub fn round(&self) -> u32 {
        self.archive.trials.iter().map(|t| t.round + 1).max().unwrap_or(0)
    }

    /// How many trials the limit still allows; `None` without a limit. A trial on a part of the search split counts as
    /// that part of a trial, so a limit of 30 trials pays for 300 on a tenth of the split.
    pub fn trials_left(&self) -> Option<usize> {
        let limit = f64::from(self.settings.trials?);
        // The sum of parts such as 1/3 may miss a whole number by a rounding error.
        Some((limit - self.trials_made() - 1e-9).ceil().max(0.0) as usize)
    }

    /// How many examples of trials the limit of trials still allows; `None` without a limit or a search split.
    pub(crate) fn examples_left(&self) -> Option<u32> {
        let left = f64::from(self.settings.trials?) - self.trials_made();
        Some((left * f64::from(self.pool?) + 1e-6).max(0.0) as u32)
    }

    /// Trials made, in wholes of the search split.
    fn trials_made(&self) -> f64 {
        let part = |t: &Trial| match (t.span, self.pool) {
            (Some(span), Some(pool)) if pool > 0 => f64::from(span.count) / f64::from(pool),
            _ => 1.0,
        };
        self.archive.trials.iter().map(part).sum()
    }

    /// How many plans a round may propose: the batch, or what the trial limit leaves.
    pub(crate) fn room(&self) -> usize {
        let batch = self.settings.batch.max(1) as usize;
        self.trials_left().map_or(batch, |left| left.min(batch))
    }

    /// Why nothing more may be proposed, if the trial limit says so.
    pub(crate) fn limit_reached(&self) -> Option<Step> {
        (self.trials_left() == Some(0))
            .then(|| Step::Finished(format!("the limit of {} trials is reached", self.settings.trials.unwrap_or(0))))
    }

    /// Whether a trial of the plan can be paid with what is left; true where prices are unknown.
    pub(crate) fn affordable(&self, plan: &Plan) -> bool {
        match (self.prices, self.remaining) {
            (Some(prices), Some(left)) => prices.price(plan, self.settings.examples.or(self.pool).unwrap_or(1)) <= left,
            _ => true,
        }
    }
}

/// A study of another task that a method may learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// That study's task in words.
    pub task: TaskText,
    /// That study's space.
    pub space: Space,
    /// What it has tried.
    pub archive: Archive,
}

/// What trials cost.
pub trait Prices {
    /// The price of the draws that a trial of the plan on its next `examples` examples (see [`place`]) still lacks.
    fn price(&self, plan: &Plan, examples: u32) -> f64;
}

impl<F: Fn(&Plan, u32) -> f64> Prices for F {
    fn price(&self, plan: &Plan, examples: u32) -> f64 {
        self(plan, examples)
    }
}

/// Where the next trial of a plan takes its draws from: a stream, and the examples within it.
///
/// A plan that was never tried begins at the first example of the shared stream 0. One that was tried goes on where it
/// stopped; when it has seen all `pool` examples, it begins again on fresh draws, in a stream that it has not used.
/// Without a pool examples never run out. `examples` is how many are wanted; `None` = as many as are left.
pub fn place(archive: &Archive, plan: &Plan, examples: Option<u32>, pool: Option<u32>) -> (u32, Option<Span>) {
    let mine = archive.trials.iter().filter(|t| &t.plan == plan);
    after(mine.filter_map(|t| reached(t, pool)).max(), examples, pool)
}

/// A trial's stream and one past its last example; `None` for trials that were given up.
pub(crate) fn reached(trial: &Trial, pool: Option<u32>) -> Option<(u32, u32)> {
    let end = || trial.span.map_or(pool.unwrap_or(0), Span::end);
    (!matches!(trial.state, TrialState::Abandoned(_))).then(|| (trial.stream, end()))
}

/// As [`place`], after what was reached last.
pub(crate) fn after(last: Option<(u32, u32)>, examples: Option<u32>, pool: Option<u32>) -> (u32, Option<Span>) {
    match pool {
        None => {
            let (stream, first) = last.unwrap_or((0, 0));
            (stream, Some(Span { first, count: examples.unwrap_or(1).max(1) }))
        }
        Some(pool) => {
            let (stream, first) = match last {
                None => (0, 0),
                Some((stream, end)) if end >= pool => (stream + 1, 0),
                Some(unfinished) => unfinished,
            };
            let count = examples.unwrap_or(pool).clamp(1, (pool - first).max(1));
            let all = first == 0 && count == pool;
            (stream, (!all).then_some(Span { first, count }))
        }
    }
}

/// Settings of a search; stored with the study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Everything random derives from it.
    pub seed: u64,
    /// Plans that a round proposes.
    pub batch: u32,
    /// The most trials, initial ones included; absent = only other limits end the search.
    pub trials: Option<u32>,
    /// Examples of a trial, for methods that do not choose it themselves; absent = the whole search split.
    pub examples: Option<u32>,
    /// Which of the paper's insights the methods `rules` and `agent` use.
    pub insights: Insights,
    /// How initial trials are chosen.
    pub initial: InitialRule,
    /// The order in which `grid` goes through the plans.
    pub order: GridOrder,
    /// How much the method `agent` is left to its language model.
    pub agent: AgentStyle,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 0,
            batch: 5,
            trials: None,
            examples: None,
            insights: Insights::ALL,
            initial: InitialRule::Paper,
            order: GridOrder::Seeded,
            agent: AgentStyle::Portfolio,
        }
    }
}

/// The three insights of AgentTTS (arXiv 2508.00890), each on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insights {
    /// 1: stages prefer different models: small ones with many samples or large ones with few.
    pub models: bool,
    /// 2: gains from samples peak, then flatten or fall.
    pub samples: bool,
    /// 3: what earlier stages do moves the optimum of later ones, and all share one budget.
    pub interplay: bool,
}

impl Insights {
    /// All on.
    pub const ALL: Insights = Insights { models: true, samples: true, interplay: true };

    /// These without insight `number`, 1 to 3; other numbers change nothing.
    #[must_use]
    pub fn without(mut self, number: u8) -> Self {
        match number {
            1 => self.models = false,
            2 => self.samples = false,
            3 => self.interplay = false,
            _ => {}
        }
        self
    }
}

impl Default for Insights {
    fn default() -> Self {
        Insights::ALL
    }
}

/// How the initial trials of insight 1 are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialRule {
    /// The paper's rule: other stages step down one model at a time until they fit.
    #[default]
    Paper,
    /// The rule of the released code: at most 60 samples, and other stages jump to their smallest model.
    Released,
}

/// How much the method `agent` is left to its language model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentStyle {
    /// Its plans compete with those of the method without a model: they are tried where they promise as much.
    #[default]
    Portfolio,
    /// The loop of the paper, unaided: its plans are tried as they are, and the best score wins.
    Faithful,
    /// The loop as the released code runs it, with its faults.
    Released,
}

/// The order in which `grid` proposes plans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GridOrder {
    /// Shuffled by the seed.
    #[default]
    Seeded,
    /// By model, temperature, aggregator and samples of the first stage, then of the next.
    Lexicographic,
}

/// A task in words, as far as an agent needs it to propose plans.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskText {
    /// What the whole pipeline does.
    pub description: String,
    /// What the objective measures, such as `exact match of the final answer`.
    pub objective: String,
    /// One entry per stage, in order; missing ones count as empty.
    pub stages: Vec<StageText>,
}

/// A stage in words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageText {
    /// What the stage does.
    pub description: String,
    /// Its own metric's name, where it has one.
    pub metric: Option<String>,
}

impl TaskText {
    pub(crate) fn stage(&self, index: usize, stage: &StageSpace) -> (String, Option<&str>) {
        let text = self.stages.get(index);
        let description = text.map(|t| t.description.trim()).filter(|d| !d.is_empty()).unwrap_or(&stage.name);
        (description.to_owned(), text.and_then(|t| t.metric.as_deref()))
    }
}

/// What a method wants next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Trials to run, and guidelines to put into the archive with them. Never without proposals.
    Propose {
        /// Written in this round, in order.
        guidelines: Vec<Guideline>,
        /// The plans to try.
        proposals: Vec<Proposal>,
    },
    /// A prompt that the agent's model must answer; the exchange goes into the archive and the method is asked again.
    Question(Question),
    /// Nothing is left to try, with the reason in words.
    Finished(String),
}

/// A plan to try.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Proposal {
    /// The plan: of the space, and within its budget.
    pub plan: Plan,
    /// Who proposes it, why, and what was repaired.
    pub origin: Origin,
    /// On how many examples; absent = on [`Settings::examples`]. A plan that was tried before goes on to further
    /// examples, or to fresh draws of the same (see [`place`]).
    pub examples: Option<u32>,
}

impl Proposal {
    /// A plan to try on the usual number of examples.
    pub fn new(plan: Plan, method: &str, reason: impl Into<String>) -> Self {
        Proposal {
            plan,
            origin: Origin { method: method.to_owned(), reason: reason.into(), repairs: Vec::new() },
            examples: None,
        }
    }

    /// The same plan on so many examples.
    #[must_use]
    pub fn on(mut self, examples: u32) -> Self {
        self.examples = Some(examples);
        self
    }
}

/// A prompt for the agent's model.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The round that it belongs to; goes into the exchange.
    pub round: u32,
    /// 0, or 1 when asked again; goes into the exchange.
    pub attempt: u32,
    /// What is asked for; goes into the exchange.
    pub purpose: Purpose,
    /// The prompt.
    pub messages: Vec<Message>,
    /// The JSON Schema that the reply must satisfy; a constraint for models that can decode under one.
    pub schema: serde_json::Value,
}
