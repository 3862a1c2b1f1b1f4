//! The pipeline file as it is written: a serde mirror of the TOML that keeps the places of names.
//!
//! Nothing here is validated beyond types and keys; `resolve` turns it into a [`super::Pipeline`].

use super::OnOutage;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor, value};
use toml::Spanned;

/// A whole pipeline file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPipeline {
    pub version: Spanned<u32>,
    pub name: Spanned<String>,
    #[serde(default)]
    pub description: String,
    pub default_profile: Option<Spanned<String>>,
    pub plan_budget: RawPlanBudget,
    #[serde(default)]
    pub search_budget: RawSearchBudget,
    #[serde(default)]
    pub search: RawSearch,
    pub data: Spanned<RawData>,
    #[serde(default)]
    pub providers: BTreeMap<String, Spanned<RawProvider>>,
    pub models: BTreeMap<String, Spanned<RawModel>>,
    pub stages: Vec<Spanned<RawStage>>,
    #[serde(default)]
    pub steps: Vec<Spanned<RawStep>>,
    pub objective: Option<RawObjective>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPlanBudget {
    pub cost_model: Spanned<String>,
    pub limit: Spanned<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSearchBudget {
    pub tokens: Option<Spanned<f64>>,
    pub usd: Option<Spanned<f64>>,
    pub flops: Option<Spanned<f64>>,
    pub calls: Option<Spanned<f64>>,
    pub minutes: Option<Spanned<f64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSearch {
    pub method: Option<Spanned<String>>,
    pub trials: Option<Spanned<u32>>,
    pub batch: Option<Spanned<u32>>,
    pub examples_per_trial: Option<Spanned<u32>>,
    pub racing: Option<bool>,
    #[serde(default)]
    pub on_outage: OnOutage,
    pub seed: Option<u32>,
    pub agent: Option<Spanned<String>>,
    #[serde(default)]
    pub task: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawData {
    pub search: Option<Spanned<String>>,
    pub test: Option<Spanned<String>>,
    pub id: Option<String>,
    pub group: Option<Spanned<String>>,
    pub search_examples: Option<Spanned<u32>>,
    pub test_examples: Option<Spanned<u32>>,
    pub task: Option<Spanned<String>>,
    pub seed: Option<u32>,
    pub candidates: Option<Spanned<u32>>,
    #[serde(default)]
    pub complete_graph: bool,
    #[serde(default)]
    pub skip_bad: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawProvider {
    pub kind: Spanned<String>,
    pub base_url: Option<Spanned<String>>,
    pub api_key_env: Option<String>,
    pub requests_per_minute: Option<Spanned<u32>>,
    pub tokens_per_minute: Option<Spanned<u32>>,
    pub timeout_seconds: Option<u32>,
    pub retries: Option<u32>,
    pub max_n: Option<Spanned<u32>>,
    pub adaptive: Option<bool>,
    pub hedge: Option<Spanned<f64>>,
    pub memory_mb: Option<Spanned<u32>>,
    pub concurrency: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawModel {
    pub provider: Spanned<String>,
    pub id: Option<String>,
    pub revision: Option<String>,
    pub params_b: Option<Spanned<f64>>,
    pub layers: Option<u32>,
    pub width: Option<u32>,
    pub price: Option<RawPrice>,
    pub speed: Option<RawSpeed>,
    pub context: Option<Spanned<u32>>,
    pub top_p: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPrice {
    pub prompt: Spanned<f64>,
    pub cached_prompt: Option<Spanned<f64>>,
    pub decode: Spanned<f64>,
    pub batch: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSpeed {
    pub prompt: Spanned<f64>,
    pub decode: Spanned<f64>,
    pub parallel: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawStage {
    pub name: Spanned<String>,
    pub from: Option<Vec<Spanned<String>>>,
    pub when: Option<Spanned<String>>,
    pub otherwise: Option<Spanned<String>>,
    pub each: Option<Spanned<String>>,
    pub models: Spanned<Vec<Spanned<String>>>,
    pub samples: Spanned<RawSamples>,
    pub temperature: Option<Spanned<OneOrMany<f64>>>,
    pub aggregator: Option<Spanned<OneOrMany<String>>>,
    pub prompt: Spanned<String>,
    pub system: Option<Spanned<String>>,
    pub max_tokens: Spanned<u32>,
    pub too_long: Option<Spanned<RawTooLong>>,
    pub top_p: Option<Spanned<f64>>,
    #[serde(default)]
    pub stop: Vec<String>,
    pub constraint: Option<RawConstraint>,
    pub parser: Option<Spanned<RawParser>>,
    pub metric: Option<Spanned<RawMetric>>,
    pub expected: RawExpected,
    pub fuse: Option<RawFuse>,
    pub judge: Option<RawJudge>,
}

impl RawStage {
    /// The files that it names: templates, schema and grammar.
    pub(super) fn files(&self) -> impl Iterator<Item = &Spanned<String>> {
        let constraint = self.constraint.iter().flat_map(|c| [&c.json_schema, &c.grammar]).flatten();
        let fuse = self.fuse.iter().filter_map(|f| f.prompt.as_ref());
        let judge = self.judge.iter().filter_map(|j| j.prompt.as_ref());
        let metric = self.metric.iter().flat_map(|m| m.get_ref().files());
        std::iter::once(&self.prompt).chain(constraint).chain(fuse).chain(judge).chain(metric)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawStep {
    pub name: Spanned<String>,
    pub from: Vec<Spanned<String>>,
    pub command: Option<Spanned<Vec<String>>>,
    pub python: Option<Spanned<String>>,
    pub timeout_seconds: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawConstraint {
    pub json_schema: Option<Spanned<String>>,
    pub grammar: Option<Spanned<String>>,
}

/// `too_long = "fail"` or `too_long = { shorten = "candidates" }`.
#[derive(Debug)]
pub(crate) enum RawTooLong {
    Word(String),
    Shorten(String),
}

impl<'de> Deserialize<'de> for RawTooLong {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;

        impl<'de> Visitor<'de> for V {
            type Value = RawTooLong;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"fail\" or { shorten = \"VARIABLE\" }")
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Self::Value, E> {
                Ok(RawTooLong::Word(v.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Table {
                    shorten: String,
                }
                let table = Table::deserialize(value::MapAccessDeserializer::new(map))?;
                Ok(RawTooLong::Shorten(table.shorten))
            }
        }

        d.deserialize_any(V)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawParser {
    pub kind: Spanned<String>,
    pub after: Option<String>,
    pub pattern: Option<Spanned<String>>,
    pub pointer: Option<String>,
    pub among: Option<Spanned<String>>,
    pub options: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawMetric {
    pub kind: Spanned<String>,
    pub gold: Option<Spanned<String>>,
    pub aliases: Option<Spanned<OneOrMany<String>>>,
    pub stem: Option<Spanned<bool>>,
    pub of: Option<Spanned<Vec<Spanned<RawPart>>>>,
    pub embedder: Option<Spanned<String>>,
    pub model: Option<Spanned<String>>,
    pub rubric: Option<Spanned<String>>,
    pub rubric_file: Option<Spanned<String>>,
    pub scale: Option<Spanned<[i64; 2]>>,
    pub verdicts: Option<Spanned<BTreeMap<String, f64>>>,
    pub against: Option<Spanned<String>>,
    pub samples: Option<Spanned<u32>>,
    pub temperature: Option<Spanned<f64>>,
    pub max_tokens: Option<Spanned<u32>>,
    pub calibrate_with: Option<Spanned<Box<RawMetric>>>,
}

impl RawMetric {
    /// The files that it and its parts name.
    fn files(&self) -> Vec<&Spanned<String>> {
        let parts = self.of.iter().flat_map(|of| of.get_ref()).filter_map(|part| match part.get_ref() {
            RawPart::Full(metric) => Some(metric.files()),
            RawPart::Kind(_) => None,
        });
        self.rubric_file.iter().chain(parts.flatten()).collect()
    }

    /// The keys that only a judge has, as far as they are given, with their places.
    pub(super) fn judge_keys(&self) -> impl Iterator<Item = (&'static str, Range<usize>)> {
        let keys = [
            ("model", self.model.as_ref().map(Spanned::span)),
            ("rubric", self.rubric.as_ref().map(Spanned::span)),
            ("rubric_file", self.rubric_file.as_ref().map(Spanned::span)),
            ("scale", self.scale.as_ref().map(Spanned::span)),
            ("verdicts", self.verdicts.as_ref().map(Spanned::span)),
            ("against", self.against.as_ref().map(Spanned::span)),
            ("samples", self.samples.as_ref().map(Spanned::span)),
            ("temperature", self.temperature.as_ref().map(Spanned::span)),
            ("max_tokens", self.max_tokens.as_ref().map(Spanned::span)),
            ("calibrate_with", self.calibrate_with.as_ref().map(Spanned::span)),
        ];
        keys.into_iter().filter_map(|(key, span)| Some((key, span?)))
    }
}

/// A part of a combined metric: the name of a kind that needs no more, or a metric in full.
#[derive(Debug)]
pub(crate) enum RawPart {
    Kind(String),
    Full(Box<RawMetric>),
}

impl<'de> Deserialize<'de> for RawPart {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;

        impl<'de> Visitor<'de> for V {
            type Value = RawPart;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a metric, or a metric such as { kind = \"f1\", gold = \"answer\" }")
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Self::Value, E> {
                Ok(RawPart::Kind(v.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                RawMetric::deserialize(value::MapAccessDeserializer::new(map)).map(|m| RawPart::Full(Box::new(m)))
            }
        }

        d.deserialize_any(V)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawExpected {
    pub prompt_tokens: Spanned<u64>,
    pub decode_tokens: Spanned<u64>,
    pub runs: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFuse {
    pub prompt: Option<Spanned<String>>,
    pub temperature: Option<Spanned<f64>>,
    pub max_tokens: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawJudge {
    pub model: Spanned<String>,
    pub prompt: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawObjective {
    pub stage: Option<Spanned<String>>,
    pub margin: Option<Spanned<f64>>,
}

/// One value, or a list of them to choose among.
#[derive(Debug)]
pub(crate) struct OneOrMany<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for V<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of values")
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![T::deserialize(value::StrDeserializer::new(v))?]))
            }

            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![T::deserialize(value::F64Deserializer::new(v))?]))
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![T::deserialize(value::I64Deserializer::new(v))?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMany(all))
            }
        }

        d.deserialize_any(V(PhantomData))
    }
}

/// `samples = 4`, `samples = [1, 2, 4]` or `samples = { min = 1, max = 100 }`.
#[derive(Debug)]
pub(crate) enum RawSamples {
    List(Vec<i64>),
    Range { min: i64, max: i64 },
}

impl<'de> Deserialize<'de> for RawSamples {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;

        impl<'de> Visitor<'de> for V {
            type Value = RawSamples;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of samples, a list of them, or { min = 1, max = 100 }")
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Self::Value, E> {
                Ok(RawSamples::List(vec![v]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(RawSamples::List(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Range {
                    min: i64,
                    max: i64,
                }
                let Range { min, max } = Range::deserialize(value::MapAccessDeserializer::new(map))?;
                Ok(RawSamples::Range { min, max })
            }
        }

        d.deserialize_any(V)
    }
}
