//! The summary of a study: everything that `show`, `--json` and the report say about it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::{Archive, CurvePoint};
use crate::cost::CostModel;
use crate::enforced::Enforced;
use crate::estimate::Estimate;
use crate::explanation::Explanation;
use crate::fitting::Fitting;
use crate::judged::Judged;
use crate::plan::Plan;
use crate::request::{ModelIdentity, Usage};
use crate::seal::Seal;

/// The version of [`StudySummary`]'s JSON. Fields are only added; readers ignore what they do not know.
pub const SUMMARY_VERSION: u32 = 1;

/// A study, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StudySummary {
    /// [`SUMMARY_VERSION`] when it was written.
    pub version: u32,
    /// The study's name.
    pub study: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// What the pipeline is for.
    pub description: String,
    /// The search method.
    pub method: String,
    /// The agent's model, where the method has one.
    pub agent: Option<String>,
    /// The earlier study that the method learned from, where it did.
    #[serde(default)]
    pub history: Option<String>,
    /// Examples of a trial, where they were set; absent = all, or as the method chose.
    #[serde(default)]
    pub examples_per_trial: Option<u32>,
    /// The seed.
    pub seed: u32,
    /// The version of the program that began the study.
    #[serde(default)]
    pub program: String,
    /// Which weights every model had, by its name.
    #[serde(default)]
    pub models: BTreeMap<String, ModelIdentity>,
    /// What held the code that models wrote while it ran, where any ran: once, or for each kind of machine that the study
    /// ran on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sandbox: Vec<Enforced>,
    /// Where the study stands.
    pub state: StudyState,
    /// Why it stopped, in words.
    pub stop_reason: Option<String>,
    /// How plans are priced.
    pub cost_model: CostModel,
    /// The plan budget, in units of the cost model.
    pub plan_budget: f64,
    /// The stages, in running order.
    pub stages: Vec<StageSummary>,
    /// The name of the objective: stage and metric.
    pub objective: String,
    /// Plans in the space, and those within the budget.
    pub space: [f64; 2],
    /// Examples in the search split.
    pub search_examples: u32,
    /// Examples in the test split.
    pub test_examples: u32,
    /// Trials, guidelines and exchanges.
    pub archive: Archive,
    /// The measured plans that no other beats in both cost and estimate, cheapest first, each by its first trial.
    pub pareto: Vec<u32>,
    /// The measured plans with all their trials pooled, in order of their first trial. Summaries of older programs have
    /// none: [`Archive::plans`] tells all but the estimates.
    #[serde(default)]
    pub plans: Vec<PlanSummary>,
    /// Scaling curves: for every stage and model the metric against samples.
    pub curves: Vec<ScalingCurve>,
    /// What was spent.
    pub spend: Spend,
    /// What the bank saved.
    pub reuse: Reuse,
    /// The plan that the search recommends.
    pub recommended: Option<Recommended>,
    /// How it did on the untouched test split, beside the baselines.
    pub confirmation: Option<Confirmation>,
    /// When the final test opened the test examples, and whether another had before; absent before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
    /// Examples that failed again and again: nothing is spent on them any more, and they count as failed in every plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<Quarantined>,
    /// Why that plan won; absent where nothing was measured, and in summaries of older programs.
    #[serde(default)]
    pub explanation: Option<Explanation>,
}

impl StudySummary {
    /// How much better the recommended plan looked on the search examples than on the test examples: what choosing the
    /// best of many noisy scores adds to a score, and what the two splits differ by. `None` before the final test.
    pub fn optimism(&self) -> Option<Estimate> {
        let recommended = self.recommended.as_ref()?;
        let searched = self.plans.iter().find(|p| p.plan == recommended.plan)?.objective;
        let tested = self.confirmation.as_ref()?.plans.first()?.objective;
        Some(searched.minus_independent(&tested))
    }
}

/// A search example on which nothing is spent any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quarantined {
    /// Its id.
    pub example: String,
    /// The trial after which it was left out.
    pub trial: u32,
    /// Trials in a row in which a model could not be had for it.
    pub failures: u32,
    /// Why, the last time.
    pub reason: String,
}

impl Quarantined {
    /// That it is left out, in words.
    pub fn words(&self) -> String {
        format!(
            "example {} is quarantined after trial {}: it failed in {} trials in a row, the last time: {}",
            self.example, self.trial, self.failures, self.reason
        )
    }
}

/// A measured plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanSummary {
    /// Its first trial.
    pub trial: u32,
    /// All its measured trials, in order.
    pub trials: Vec<u32>,
    /// The plan.
    pub plan: Plan,
    /// The objective over all examples that it ran on; an example with several draws counts once.
    pub objective: Estimate,
    /// What one query costs, in units of the cost model.
    pub cost: Estimate,
    /// What is believed of its true objective, related plans included: mean and standard deviation.
    pub estimate: Option<[f64; 2]>,
}

/// Where a study stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StudyState {
    /// Under way, or killed: no process wrote how it ended.
    Running,
    /// Ended with a confirmed result.
    Done,
    /// Stopped by a person; can be resumed.
    Interrupted,
    /// Stopped at a limit of the search budget; can be resumed with a larger one.
    Limit,
    /// Stopped by an error; can be resumed when it is mended.
    Failed,
}

/// A stage and what it offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageSummary {
    /// Its name.
    pub name: String,
    /// Its models, smallest first.
    pub models: Vec<String>,
    /// Permitted sample counts.
    pub samples: Vec<u32>,
    /// Its metric, where it has one.
    pub metric: Option<String>,
    /// What it shortens of prompts that are too long for a model, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortens: Option<String>,
    /// How often it runs, where that is not once for every example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<StageRuns>,
}

/// How often a stage runs for an example, on average.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageRuns {
    /// As the pipeline expects.
    pub expected: f64,
    /// As counted with the recommended plan, over the examples that reached the stage.
    pub counted: Option<f64>,
}

/// A scaling curve of one stage and model, from the trial that drew most samples there with the best upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScalingCurve {
    /// The stage's name.
    pub stage: String,
    /// The model's name.
    pub model: String,
    /// The trial that it comes from.
    pub trial: u32,
    /// Its points by number of samples; all from the same draws, so they are correlated.
    pub points: Vec<CurvePoint>,
}

/// What a search spent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spend {
    /// All of it.
    pub total: Usage,
    /// By what it was spent on: `sample`, `fusion`, `judge`, `embedding`, `verdict`, `agent`, `confirmation`, `probe`.
    pub by_kind: BTreeMap<String, KindSpend>,
    /// Dollars, where all models have prices.
    pub usd: Option<f64>,
    /// GFLOP, where all models have parameters.
    pub gflop: Option<f64>,
    /// Tokens of reservations that were open at a crash: counted as spent.
    pub lost_tokens: u64,
    /// Wall-clock seconds over all sessions.
    pub seconds: f64,
    /// The limits, and how much of each is used.
    pub limits: Vec<LimitUse>,
}

/// Spending of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KindSpend {
    /// Tokens and calls.
    pub usage: Usage,
    /// Samples stored.
    pub samples: u64,
}

/// A limit of the search budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LimitUse {
    /// `tokens`, `usd`, `flops`, `calls` or `minutes`.
    pub what: String,
    /// The limit.
    pub limit: f64,
    /// How much of it is used.
    pub used: f64,
}

/// What the bank saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reuse {
    /// Tokens that the trials drew.
    pub drawn: u64,
    /// Tokens that the same trials (unique plans, same examples) would have drawn, each from nothing.
    pub fresh: u64,
}

impl Reuse {
    /// How many times fewer tokens were drawn.
    pub fn ratio(&self) -> Option<f64> {
        (self.drawn > 0).then(|| self.fresh as f64 / self.drawn as f64)
    }
}

/// How far what a running study is at has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnderWay {
    /// The trial; absent in the final test.
    pub trial: Option<u32>,
    /// Examples that it has run.
    pub done: u32,
    /// Examples that it runs in all, of the plan under test.
    pub total: u32,
}

/// The plan that a search recommends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recommended {
    /// Its trial.
    pub trial: u32,
    /// The plan.
    pub plan: Plan,
    /// Why this one, in words.
    pub why: String,
}

/// The recommended plan, the baselines and the plans that came near it on the test split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmation {
    /// Test examples.
    pub examples: u32,
    /// The recommended plan first, then the baselines, then the runner-up and a cheaper plan where there are any.
    pub plans: Vec<Confirmed>,
    /// Which of them are not there and why, where a limit kept them out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untested: Option<String>,
    /// Whether a cheaper plan is as good for all that matters; absent where the search thought none that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cheaper: Option<Cheaper>,
}

/// What the test says of plans that the search took for cheaper than the recommended one, and worse by less than the margin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cheaper {
    /// The loss of the objective that does not matter, fixed before the test.
    pub margin: f64,
    /// Such plans in the test.
    pub plans: u32,
    /// The cheapest of them that is not worse by the margin or more: to be preferred where cost counts.
    pub recommended: Option<Plan>,
    /// Its first trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<u32>,
    /// The finding in words.
    pub words: String,
}

/// One plan on the test split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmed {
    /// `recommended`, `largest once`, `smallest once`, `runner-up`, `cheaper`.
    pub label: String,
    /// The plan.
    pub plan: Plan,
    /// The objective.
    pub objective: Estimate,
    /// The metric of each stage.
    pub stages: Vec<Option<Estimate>>,
    /// The cost of one query, in units of the cost model.
    pub cost: Estimate,
    /// Examples of which a stage failed.
    pub failures: u32,
    /// How the prompts of each stage fitted the context of its model: empty where all did as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fitting: Vec<Fitting>,
    /// The objective of each example, in the order of the split.
    pub scores: Vec<f64>,
    /// The recommended plan's objective minus this one's, paired by example; absent for the recommended plan.
    pub difference: Option<Estimate>,
    /// The p-value of no difference, adjusted for the number of plans that it is compared with (Holm).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// The one-sided p-value of this plan being worse than the recommended one by the margin or more, adjusted for the
    /// number of plans of which that is asked (Holm): only of those that the search took for cheaper and nearly as good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_worse_p: Option<f64>,
    /// Examples with which a true difference of this size would be found four times in five.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples_needed: Option<u64>,
    /// The comparison in words: better, worse, or not distinguishable.
    pub verdict: Option<String>,
    /// What judges said of the outputs, for each stage that a model judges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
}

impl Confirmed {
    /// How sentences name it.
    pub fn name(&self) -> &str {
        match self.label.as_str() {
            "runner-up" => "the runner-up",
            "cheaper" => "the cheaper plan",
            label => label,
        }
    }
}
