//! Plans: one choice of model, samples, aggregator and temperature for every stage.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::request::Temperature;

/// How the samples of a stage become one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregator {
    /// The first sample that parses.
    First,
    /// The most frequent output after normalisation; ties go to the earliest.
    Vote,
    /// For outputs that are sets of ids: the ids that most samples name, as many as the samples name on average
    /// (the retrieval merge of the AgentTTS code).
    VoteSet,
    /// For outputs that are programs: every sample's code runs in the sandbox, and those that run without a traceback
    /// vote by what they print. No call.
    Execution,
    /// The same model reads all samples and writes one answer (the paper's fusion): one more call.
    Fuse,
    /// A judge model reads all samples and picks one: one more call.
    Judge,
}

impl Aggregator {
    /// All of them, in the order of the documentation.
    pub const ALL: [Aggregator; 6] = [
        Aggregator::First,
        Aggregator::Vote,
        Aggregator::VoteSet,
        Aggregator::Execution,
        Aggregator::Fuse,
        Aggregator::Judge,
    ];

    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            Aggregator::First => "first",
            Aggregator::Vote => "vote",
            Aggregator::VoteSet => "vote-set",
            Aggregator::Execution => "execution",
            Aggregator::Fuse => "fuse",
            Aggregator::Judge => "judge",
        }
    }

    /// The aggregator of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Aggregator::ALL.into_iter().find(|a| a.name() == name)
    }

    /// Whether it makes a model call of its own (when there is more than one sample).
    pub fn calls_model(self) -> bool {
        matches!(self, Aggregator::Fuse | Aggregator::Judge)
    }

    /// Whether it runs the samples' code (when there is more than one sample).
    pub fn runs_code(self) -> bool {
        self == Aggregator::Execution
    }
}

impl fmt::Display for Aggregator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one stage does in a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The model's name in the pipeline file.
    pub model: String,
    /// Samples drawn.
    pub samples: u32,
    /// How they become one output.
    pub aggregator: Aggregator,
    /// The sampling temperature.
    pub temperature: Temperature,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x{}", self.model, self.samples)?;
        if self.samples > 1 {
            write!(f, " {}", self.aggregator)?;
        }
        write!(f, " T={}", self.temperature)
    }
}

/// One choice for every stage, in the order of the pipeline's stages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Plan {
    /// The choices, one per stage.
    pub choices: Vec<Choice>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, choice) in self.choices.iter().enumerate() {
            if i > 0 {
                f.write_str(" + ")?;
            }
            write!(f, "{choice}")?;
        }
        Ok(())
    }
}
