//! Pipelines: models, stages, objective, budgets and splits, read from a pipeline file and always valid.
//!
//! Three types in one direction: the file as written (`raw`), the validated [`Pipeline`], and the [`Snapshot`] that a
//! study stores so that it can be resumed without the folder it came from.

mod flow;
mod judge;
mod metric;
mod profile;
mod raw;
mod resolve;
mod snapshot;
mod step;

use serde::{Deserialize, Serialize};

use crate::cost::{Cost, CostModel};
use crate::data::Split;
use crate::model::{ModelSpec, ProviderSpec};
use crate::plan::Aggregator;
use crate::request::{Constraint, Temperature};
use crate::space::{Space, SpaceError, StageSpace};

pub use flow::{Condition, FlowSpec, MAX_ITEMS};
pub use judge::{LlmJudge, Scale};
pub use metric::{MetricKind, MetricSpec};
pub use profile::{Merged, Written, default_profile};
pub use resolve::{DataSource, Facts, PipelineFile};
pub use snapshot::{LeftOut, Overrides, SNAPSHOT_VERSION, Snapshot, Workplace};
pub use step::{CommandSpec, Inputs, Node, StepKind, StepSpec};

/// The version of the pipeline file's format.
pub const PIPELINE_VERSION: u32 = 1;

/// A valid pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Its name, used in study names.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Where models run.
    pub providers: Vec<ProviderSpec>,
    /// All models, by name.
    pub models: Vec<ModelSpec>,
    /// The stages in an order in which every stage comes after those it reads.
    pub stages: Vec<StageSpec>,
    /// The steps between them, in an order in which every step comes after those it reads.
    pub steps: Vec<StepSpec>,
    /// All stages and steps in an order in which each comes after what it reads.
    pub order: Vec<Node>,
    /// The index of the stage whose metric is the objective.
    pub objective: usize,
    /// A loss of the objective that does not matter: in 0..1. Fixed with the pipeline, before any test score is seen.
    pub margin: f64,
    /// How plans are priced.
    pub cost_model: CostModel,
    /// The most that one answer may cost.
    pub plan_budget: Cost,
    /// The most that the whole search may spend.
    pub search_budget: SearchBudget,
    /// How to search.
    pub search: SearchSettings,
    /// The field by which examples share a source, where they do.
    pub group: Option<String>,
    /// Examples that the search may use.
    pub search_split: Split,
    /// Examples that only the final report uses.
    pub test_split: Split,
}

/// A stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSpec {
    /// Its name.
    pub name: String,
    /// The stages and steps whose outputs it reads directly.
    pub from: Inputs,
    /// When it runs.
    pub flow: FlowSpec,
    /// Indices of its candidate models.
    pub models: Vec<usize>,
    /// Permitted sample counts, ascending.
    pub samples: Vec<u32>,
    /// Temperatures to choose among, the default first.
    pub temperatures: Vec<Temperature>,
    /// Aggregators to choose among, the default first.
    pub aggregators: Vec<Aggregator>,
    /// The user message, perhaps after worked examples as turns of a conversation, which lines of `<<user>>` and
    /// `<<assistant>>` divide.
    pub prompt: Template,
    /// The system message.
    pub system: Option<Template>,
    /// The most tokens of one sample.
    pub max_tokens: u32,
    /// What becomes of a prompt that is too long for its model.
    pub too_long: TooLong,
    /// Nucleus sampling mass.
    pub top_p: Option<f64>,
    /// Stop strings.
    pub stop: Vec<String>,
    /// The form that samples must have.
    pub constraint: Option<Constraint>,
    /// How a sample's text becomes an output.
    pub parser: ParserSpec,
    /// How an output is scored.
    pub metric: Option<MetricSpec>,
    /// Expected prompt tokens.
    pub prompt_tokens: u64,
    /// Expected tokens of one sample.
    pub decode_tokens: u64,
    /// How samples are fused by the stage's model.
    pub fuse: FuseSpec,
    /// How one sample is picked by a judge, where `judge` is among the aggregators.
    pub judge: Option<JudgeSpec>,
}

/// A template and where it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// The file, or `pipeline.toml` for an inline one.
    pub file: String,
    /// The text.
    pub text: String,
}

/// What becomes of a prompt that, with the tokens that are to be decoded, is longer than the context of its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TooLong {
    /// Its example fails.
    Fail,
    /// What it is rendered from is shortened until it fits.
    Shorten {
        /// The variable of the templates that is shortened: a list loses items from its end, a text loses its end.
        variable: String,
    },
}

/// LLM fusion.
#[derive(Clone, Debug, PartialEq)]
pub struct FuseSpec {
    /// The prompt; sees the stage's variables, `prompt` (the stage's own prompt, of turns the last) and `candidates`.
    /// The built-in one where absent.
    pub prompt: Option<Template>,
    /// Its temperature.
    pub temperature: Temperature,
    /// The most tokens of the fused answer; the stage's where absent.
    pub max_tokens: Option<u32>,
}

/// Best of n by a judge.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeSpec {
    /// Index of the judge's model.
    pub model: usize,
    /// The prompt, as for fusion. The built-in one where absent.
    pub prompt: Option<Template>,
}

/// How the text of a sample becomes an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ParserSpec {
    /// The whole text, trimmed.
    Text,
    /// The last line that is not empty.
    LastLine,
    /// What follows the last occurrence of a marker on its line, or the next line with text if the marker ends its own.
    After {
        /// The marker, compared without case.
        after: String,
    },
    /// A number: the first after the last marker, or else the last in the text.
    Number {
        /// The marker, compared without case.
        after: Option<String>,
    },
    /// The first group of a regular expression (the whole match if it has none), at its last match.
    Regex {
        /// The expression.
        pattern: String,
    },
    /// JSON, or the part of it at a pointer (RFC 6901).
    Json {
        /// The pointer.
        pointer: Option<String>,
    },
    /// The set of candidates named in the text, as a sorted list of ids.
    Ids {
        /// The example's field with the candidates: strings, or objects with `id` and perhaps `title`.
        among: String,
    },
    /// One of a fixed list of options: the one named last, compared without case, at word boundaries.
    Choice {
        /// The options.
        options: Vec<String>,
    },
    /// The files of a program, as an object of texts under file names: fenced blocks, JSON, or bare code.
    Code,
}

/// What a whole search may spend; any limits together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchBudget {
    /// Prompt and decoded tokens.
    pub tokens: Option<u64>,
    /// Dollars.
    pub usd: Option<Cost>,
    /// Floating-point operations.
    pub flops: Option<Cost>,
    /// Calls to models.
    pub calls: Option<u64>,
    /// Minutes of wall-clock time, over all sessions of the study.
    pub minutes: Option<f64>,
}

/// What a study does when a provider fails again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnOutage {
    /// Goes on with plans that do not need it, then waits for it, for an hour at most.
    #[default]
    Wait,
    /// Stops, to be resumed later.
    Stop,
}

impl OnOutage {
    /// Whether it is what is done where nobody says otherwise.
    pub fn is_usual(&self) -> bool {
        *self == OnOutage::default()
    }
}

/// How to search; every setting can be overridden on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchSettings {
    /// The method's name; where absent, one that asks the agent if one is named, and else one that asks nobody.
    pub method: Option<String>,
    /// The most trials.
    pub trials: u32,
    /// Trials proposed at once.
    pub batch: u32,
    /// Examples of a trial, for methods that do not choose it themselves; absent = the whole search split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples_per_trial: Option<u32>,
    /// Whether trials end early once their plan has fallen behind the leading one beyond doubt; absent = they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub racing: Option<bool>,
    /// What a study does while a provider is down.
    #[serde(default, skip_serializing_if = "OnOutage::is_usual")]
    pub on_outage: OnOutage,
    /// The seed of all choices.
    pub seed: u32,
    /// The agent's model, by name.
    pub agent: Option<String>,
    /// What the pipeline does, in words for the agent.
    pub task: String,
}

impl StageSpec {
    /// Whether aggregating its samples or scoring its output runs code that models write.
    pub fn runs_code(&self) -> bool {
        self.aggregators.iter().any(|a| a.runs_code()) || self.metric.as_ref().is_some_and(MetricSpec::runs_code)
    }
}

impl Pipeline {
    /// The space of plans of this pipeline within its plan budget.
    pub fn space(&self) -> Result<Space, SpaceError> {
        self.space_under(self.cost_model, self.plan_budget)
    }

    /// The space of plans under another cost model and budget.
    pub fn space_under(&self, cost_model: CostModel, budget: Cost) -> Result<Space, SpaceError> {
        let stages = self.stages.iter().map(|s| StageSpace {
            name: s.name.clone(),
            models: s.models.iter().map(|&m| self.models[m].clone()).collect(),
            samples: s.samples.clone(),
            aggregators: s.aggregators.clone(),
            temperatures: s.temperatures.clone(),
            runs: s.flow.runs,
            prompt_tokens: s.prompt_tokens,
            decode_tokens: s.decode_tokens,
            judge: s.judge.as_ref().map(|j| self.models[j.model].clone()),
            fusion_decode_tokens: s.fuse.max_tokens.map(|m| u64::from(m).min(s.decode_tokens)),
        });
        Space::new(stages.collect(), cost_model, budget)
    }

    /// Whether answering or scoring runs code that models write.
    pub fn runs_code(&self) -> bool {
        let runs = |step: &StepSpec| matches!(step.kind, StepKind::Python(_));
        self.stages.iter().any(StageSpec::runs_code) || self.steps.iter().any(runs)
    }

    /// The names of the models that embed texts for metrics.
    pub fn embedders(&self) -> impl Iterator<Item = &str> {
        let parts = self.stages.iter().filter_map(|s| s.metric.as_ref()).flat_map(MetricSpec::parts);
        parts.filter_map(|part| part.embedder.as_deref())
    }

    /// The model of that name.
    pub fn model(&self, name: &str) -> Option<&ModelSpec> {
        self.models.iter().find(|m| m.name == name)
    }
}
