//! Metrics as a pipeline file names them. What they compute is the business of the crate `stage`.

use serde::{Deserialize, Serialize};

use super::LlmJudge;

/// How an output is scored against the example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricSpec {
    /// The kind.
    pub kind: MetricKind,
    /// The field of the example with the gold answer, or answers; dots lead into objects. Present exactly if the kind
    /// [needs it](MetricKind::needs_gold).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gold: Option<String>,
    /// Fields with further gold answers, each as good as the first; an example may lack them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Whether words are stemmed before they are compared; only of kinds that [can](MetricKind::can_stem).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stem: bool,
    /// The metrics that it puts together; at least one of kinds that [do](MetricKind::is_combination), else none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<MetricSpec>,
    /// The model, by its name in the pipeline, that embeds the texts; present exactly if the kind
    /// [embeds](MetricKind::embeds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedder: Option<String>,
    /// The model that judges; present exactly if the kind [judges](MetricKind::judges).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Box<LlmJudge>>,
}

impl MetricSpec {
    /// The name for people: the kind, and for a combination its parts.
    pub fn name(&self) -> String {
        if !self.kind.is_combination() {
            return self.kind.name().to_owned();
        }
        let parts: Vec<String> = self.of.iter().map(MetricSpec::name).collect();
        format!("{} of {}", self.kind.name(), parts.join(", "))
    }

    /// Whether an output's code must have run before it can be scored.
    pub fn runs_code(&self) -> bool {
        self.kind == MetricKind::Executability || self.of.iter().any(MetricSpec::runs_code)
    }

    /// Whether texts must have been embedded before an output can be scored.
    pub fn embeds(&self) -> bool {
        self.parts().iter().any(|part| part.kind.embeds())
    }

    /// The model that judges outputs for it, or for a part of it; there is at most one.
    pub fn llm_judge(&self) -> Option<&LlmJudge> {
        self.parts().into_iter().find_map(|part| part.judge.as_deref())
    }

    /// The metric itself and all that it is put together of.
    pub fn parts(&self) -> Vec<&MetricSpec> {
        std::iter::once(self).chain(self.of.iter().flat_map(MetricSpec::parts)).collect()
    }
}

/// Kinds of metric; all are in `0..=1`, higher is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricKind {
    /// 1 if the output equals a gold answer after SQuAD normalisation.
    ExactMatch,
    /// Token F1 against the best gold answer (SQuAD).
    F1,
    /// Token F1 in which yes, no and noanswer count only as whole answers (HotpotQA).
    HotpotF1,
    /// 1 if a gold answer occurs in the output (cover exact match).
    Contains,
    /// 1 if the output is the same number.
    Number,
    /// F1 of the set of ids.
    SetF1,
    /// Precision of the set of ids.
    SetPrecision,
    /// Recall of the set of ids.
    SetRecall,
    /// ROUGE-1 against the best gold text.
    #[serde(rename = "rouge-1")]
    Rouge1,
    /// ROUGE-2 against the best gold text.
    #[serde(rename = "rouge-2")]
    Rouge2,
    /// ROUGE-L against the best gold text.
    RougeL,
    /// ROUGE-1 of the steps of a plan, taken as one text.
    #[serde(rename = "steps-rouge-1")]
    StepsRouge1,
    /// ROUGE-2 of the steps of a plan, taken as one text.
    #[serde(rename = "steps-rouge-2")]
    StepsRouge2,
    /// ROUGE-L of the steps of a plan, taken as one text.
    StepsRougeL,
    /// F1 of the tools of a tool graph.
    NodeF1,
    /// F1 of the links of a tool graph.
    EdgeF1,
    /// F1 of the pairs of tool and parameter name.
    ParameterNameF1,
    /// F1 of the triples of tool, parameter name and value.
    ParameterValueF1,
    /// 1 if generated code holds no placeholder.
    Completeness,
    /// 1 if generated code runs in the sandbox without a traceback.
    Executability,
    /// The cosine of the embeddings of the output and of the text that it answers.
    Consistency,
    /// What a model that judges the output says of it.
    LlmJudge,
    /// The mean of other metrics.
    Mean,
    /// The product of other metrics.
    Product,
}

impl MetricKind {
    /// All of them, in the order of the documentation.
    pub const ALL: [MetricKind; 24] = [
        MetricKind::ExactMatch,
        MetricKind::F1,
        MetricKind::HotpotF1,
        MetricKind::Contains,
        MetricKind::Number,
        MetricKind::SetF1,
        MetricKind::SetPrecision,
        MetricKind::SetRecall,
        MetricKind::Rouge1,
        MetricKind::Rouge2,
        MetricKind::RougeL,
        MetricKind::StepsRouge1,
        MetricKind::StepsRouge2,
        MetricKind::StepsRougeL,
        MetricKind::NodeF1,
        MetricKind::EdgeF1,
        MetricKind::ParameterNameF1,
        MetricKind::ParameterValueF1,
        MetricKind::Completeness,
        MetricKind::Executability,
        MetricKind::Consistency,
        MetricKind::LlmJudge,
        MetricKind::Mean,
        MetricKind::Product,
    ];

    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            MetricKind::ExactMatch => "exact-match",
            MetricKind::F1 => "f1",
            MetricKind::HotpotF1 => "hotpot-f1",
            MetricKind::Contains => "contains",
            MetricKind::Number => "number",
            MetricKind::SetF1 => "set-f1",
            MetricKind::SetPrecision => "set-precision",
            MetricKind::SetRecall => "set-recall",
            MetricKind::Rouge1 => "rouge-1",
            MetricKind::Rouge2 => "rouge-2",
            MetricKind::RougeL => "rouge-l",
            MetricKind::StepsRouge1 => "steps-rouge-1",
            MetricKind::StepsRouge2 => "steps-rouge-2",
            MetricKind::StepsRougeL => "steps-rouge-l",
            MetricKind::NodeF1 => "node-f1",
            MetricKind::EdgeF1 => "edge-f1",
            MetricKind::ParameterNameF1 => "parameter-name-f1",
            MetricKind::ParameterValueF1 => "parameter-value-f1",
            MetricKind::Completeness => "completeness",
            MetricKind::Executability => "executability",
            MetricKind::Consistency => "consistency",
            MetricKind::LlmJudge => "llm-judge",
            MetricKind::Mean => "mean",
            MetricKind::Product => "product",
        }
    }

    /// Whether it compares the output with something of the example.
    pub fn needs_gold(self) -> bool {
        let of_the_output_alone = [MetricKind::Completeness, MetricKind::Executability, MetricKind::LlmJudge];
        !of_the_output_alone.contains(&self) && !self.is_combination()
    }

    /// Whether it compares embeddings, which a model gives.
    pub fn embeds(self) -> bool {
        self == MetricKind::Consistency
    }

    /// Whether a model judges the output.
    pub fn judges(self) -> bool {
        self == MetricKind::LlmJudge
    }

    /// Whether it puts other metrics together.
    pub fn is_combination(self) -> bool {
        matches!(self, MetricKind::Mean | MetricKind::Product)
    }

    /// Whether further fields may hold other gold answers.
    pub fn can_alias(self) -> bool {
        use MetricKind::{Contains, ExactMatch, F1, HotpotF1, Rouge1, Rouge2, RougeL};
        matches!(self, ExactMatch | F1 | HotpotF1 | Contains | Rouge1 | Rouge2 | RougeL)
    }

    /// Whether words can be stemmed.
    pub fn can_stem(self) -> bool {
        use MetricKind::{Rouge1, Rouge2, RougeL, StepsRouge1, StepsRouge2, StepsRougeL};
        matches!(self, Rouge1 | Rouge2 | RougeL | StepsRouge1 | StepsRouge2 | StepsRougeL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_stored_under_its_name() {
        for kind in MetricKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
