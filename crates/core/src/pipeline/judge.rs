//! A model that judges outputs, as a pipeline file describes it.

use serde::{Deserialize, Serialize};

use super::{MetricSpec, Template};
use crate::request::Temperature;

/// A model that scores outputs: the metric `llm-judge`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LlmJudge {
    /// The model, by its name in the pipeline.
    pub model: String,
    /// What is to be judged; sees what the stage's prompt sees, and `output`, and where the stage runs once for every
    /// example also `prompt`. Absent: the stage's prompt is shown, and the question is how well the output answers it.
    pub rubric: Option<Template>,
    /// What the judge may say.
    pub scale: Scale,
    /// Verdicts drawn for each question; their mean counts.
    pub samples: u32,
    /// The temperature at which they are drawn.
    pub temperature: Temperature,
    /// The most tokens of a verdict.
    pub max_tokens: u32,
    /// The metric that labels those outputs whose examples have its gold answer.
    pub calibrate_with: Option<Box<MetricSpec>>,
}

/// What a judge may say, and what that is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// A whole number from the first, worth 0, to the second, worth 1.
    Points(u32, u32),
    /// One of these words, each with its worth in `0..=1`; the best first.
    Words(Vec<(String, f64)>),
    /// Which is better, the output (1) or the text in this field of the example (0); a tie is worth one half. Asked in both
    /// orders.
    Against(String),
}

impl LlmJudge {
    /// Questions for each output: a pairwise judge is asked in both orders.
    pub fn questions(&self) -> u32 {
        if matches!(self.scale, Scale::Against(_)) { 2 } else { 1 }
    }

    /// The field of the example that outputs are compared with, where they are.
    pub fn against(&self) -> Option<&String> {
        match &self.scale {
            Scale::Against(field) => Some(field),
            Scale::Points(..) | Scale::Words(_) => None,
        }
    }
}
