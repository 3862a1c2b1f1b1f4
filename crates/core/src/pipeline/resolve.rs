//! From the file as written to a valid pipeline: every name found, every number in range, every problem placed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::raw::{RawModel, RawPipeline, RawProvider};
use super::{PIPELINE_VERSION, Pipeline, SearchBudget, SearchSettings};
use crate::cost::CostModel;
use crate::data::{Split, check_disjoint};
use crate::model::{ModelSpec, OpenaiSpec, Price, ProviderKind, ProviderSpec, Shape, Speed};
use crate::problem::{Problem, Problems};
use crate::text::nearest;

mod flow;
mod graph;
mod judge;
mod order;
mod stage;
mod step;

/// A pipeline file that is well-formed TOML with the right keys and types, not yet checked further.
#[derive(Debug)]
pub struct PipelineFile {
    raw: RawPipeline,
    pub(super) place: Source,
}

/// Facts about a model that its file knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Parameters outside embedding and output head.
    pub params: u64,
    /// Layers and width.
    pub shape: Shape,
    /// The longest context that it was trained for, in tokens.
    pub context: u32,
}

/// Where a pipeline's examples come from: two files, or a published data set that is made into two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSource<'a> {
    /// JSON lines of the search split.
    pub search: Option<&'a str>,
    /// JSON lines of the test split.
    pub test: Option<&'a str>,
    /// The most examples of the search split.
    pub search_examples: Option<u32>,
    /// The most examples of the test split.
    pub test_examples: Option<u32>,
    /// The data set that is split and given candidates.
    pub task: Option<&'a str>,
    /// Of the splits and the order of candidates.
    pub seed: u32,
    /// Candidates of an example.
    pub candidates: Option<u32>,
    /// Whether the knowledge graph holds all gold triples.
    pub complete_graph: bool,
    /// Whether bad examples are left out; otherwise they are refused.
    pub skip_bad: bool,
}

/// The file that spans point into.
#[derive(Debug)]
pub(super) struct Source {
    file: String,
    text: Arc<str>,
}

impl Source {
    /// A problem at a span of this file.
    pub(super) fn problem(&self, span: Range<usize>, message: impl Into<String>) -> Problem {
        Problem::new(message).at(&self.file, &self.text, span)
    }
}

/// What to do about a file that is not TOML, lacks a key, or has a value of another type.
pub(super) const KEYS_HINT: &str =
    "docs/pipeline-file.md lists all keys with their types; `agenttts init DIR` writes an example";

const DEFAULT_TRIALS: u32 = 50;
const DEFAULT_BATCH: u32 = 5;
/// The least difference that people care about, where the pipeline does not say.
const USUAL_MARGIN: f64 = 0.02;

impl PipelineFile {
    /// Parses the text of a pipeline file. `file` is its name in messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let source: Arc<str> = Arc::from(text);
        match toml::from_str::<RawPipeline>(text) {
            Ok(raw) => Ok(PipelineFile { raw, place: Source { file: file.to_owned(), text: source } }),
            Err(error) => {
                let message = error.message().trim().to_owned();
                let hint = suggestion(&message).or_else(|| Some(KEYS_HINT.into()));
                Err(Problem::new(message).at(file, &source, error.span().unwrap_or(0..0)).maybe_hint(hint).into())
            }
        }
    }

    /// The files that must be at hand to resolve this one: templates, schemas and grammars.
    pub fn needed_files(&self) -> Vec<String> {
        let named = self.raw.stages.iter().flat_map(|s| s.get_ref().files());
        named.map(|f| f.get_ref().clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A problem at the place where a needed file is named.
    pub fn problem_at_file(&self, file: &str, message: impl Into<String>) -> Problem {
        let data = self.raw.data.get_ref();
        let data = [&data.search, &data.test].into_iter().flatten();
        let mut named = self.raw.stages.iter().flat_map(|s| s.get_ref().files()).chain(data);
        let span = named.find(|f| f.get_ref() == file).map_or(0..0, Spanned::span);
        self.place.problem(span, message)
    }

    /// Where the examples come from.
    pub fn data(&self) -> DataSource<'_> {
        let raw = self.raw.data.get_ref();
        let number = |n: &Option<Spanned<u32>>| n.as_ref().map(|s| *s.get_ref());
        DataSource {
            search: raw.search.as_ref().map(|s| s.get_ref().as_str()),
            test: raw.test.as_ref().map(|s| s.get_ref().as_str()),
            search_examples: number(&raw.search_examples),
            test_examples: number(&raw.test_examples),
            task: raw.task.as_ref().map(|s| s.get_ref().as_str()),
            seed: raw.seed.unwrap_or(1),
            candidates: number(&raw.candidates),
            complete_graph: raw.complete_graph,
            skip_bad: raw.skip_bad,
        }
    }

    /// The field that identifies an example.
    pub fn id_field(&self) -> &str {
        self.raw.data.get_ref().id.as_deref().unwrap_or("id")
    }

    /// A problem with where the examples come from, at the data set's name where there is one.
    pub fn problem_at_data(&self, message: impl Into<String>) -> Problem {
        let span = self.raw.data.get_ref().task.as_ref().map_or_else(|| self.raw.data.span(), Spanned::span);
        self.place.problem(span, message)
    }

    /// The words of all commands of steps: programs and their arguments.
    pub fn command_words(&self) -> impl Iterator<Item = &str> {
        let steps = self.raw.steps.iter().filter_map(|s| s.get_ref().command.as_ref());
        steps.flat_map(|command| command.get_ref()).map(String::as_str)
    }

    /// The ids of the models that run in this process, whose facts are in their files.
    pub fn embedded_models(&self) -> Vec<String> {
        let embedded = |m: &RawModel| {
            let provider = m.provider.get_ref();
            match self.raw.providers.get(provider) {
                Some(p) => p.get_ref().kind.get_ref() == "embedded",
                None => provider == "embedded",
            }
        };
        let models = self.raw.models.iter().map(|(name, m)| (name, m.get_ref()));
        models.filter(|(_, m)| embedded(m)).map(|(name, m)| m.id.clone().unwrap_or_else(|| name.clone())).collect()
    }

    /// Checks everything and builds the pipeline. All problems that can be found are reported together.
    pub fn resolve(
        &self,
        files: &BTreeMap<String, String>,
        search: Split,
        test: Split,
        facts: &dyn Fn(&str) -> Option<Facts>,
    ) -> Result<Pipeline, Problems> {
        let mut problems = Vec::new();
        self.check_header(&mut problems);
        let providers = self.providers(&mut problems);
        let models = self.models(&providers, facts, &mut problems);
        let cost_model = self.cost_model(&mut problems);
        let graph = graph::resolve_graph(&self.raw, &self.place, &mut problems);
        let stages = stage::resolve_stages(&self.raw, &self.place, &graph, &models, files, &mut problems);
        let steps = step::resolve_steps(&self.raw, &self.place, &graph, &mut problems);
        let search_budget = self.search_budget(&mut problems);
        let search_settings = self.search_settings(&models, &mut problems);
        if let Err(overlap) = check_disjoint(&search, &test, self.id_field()) {
            problems.extend(overlap.0);
        }
        let objective = self.objective(&stages, &mut problems);
        let margin = self.margin(&mut problems);
        let group = self.group(&search, &test, &mut problems);
        problems.extend(stages.get(objective).and_then(|s| flow::check_objective(s, &self.raw.stages, &self.place)));
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let limit = &self.raw.plan_budget.limit;
        let plan_budget = cost_model
            .amount(*limit.get_ref())
            .ok_or_else(|| self.place.problem(limit.span(), "the plan budget must be a finite number"))?;
        let pipeline = Pipeline {
            name: self.raw.name.get_ref().clone(),
            description: self.raw.description.clone(),
            providers,
            models,
            stages,
            steps,
            order: graph.order,
            objective,
            margin,
            cost_model,
            plan_budget,
            search_budget,
            search: search_settings,
            group,
            search_split: search,
            test_split: test,
        };
        Ok(pipeline)
    }

    /// The plan budget's place, for problems with the space.
    pub fn problem_at_budget(&self, message: impl Into<String>) -> Problem {
        self.place.problem(self.raw.plan_budget.limit.span(), message)
    }

    fn check_header(&self, problems: &mut Vec<Problem>) {
        let version = *self.raw.version.get_ref();
        if version == 0 || version > PIPELINE_VERSION {
            problems.push(
                self.place
                    .problem(self.raw.version.span(), format!("pipeline format {version} is not known"))
                    .hint(format!("this program reads format {PIPELINE_VERSION}")),
            );
        }
        for name in [Some(&self.raw.name), self.raw.default_profile.as_ref()].into_iter().flatten() {
            if let Err(problem) = check_name(name.get_ref()) {
                problems.push(self.place.problem(name.span(), problem));
            }
        }
    }

    fn providers(&self, problems: &mut Vec<Problem>) -> Vec<ProviderSpec> {
        let mut providers: Vec<ProviderSpec> = Vec::new();
        for (name, raw) in &self.raw.providers {
            match provider(name, raw, &self.place) {
                Ok(p) => providers.push(p),
                Err(problem) => problems.push(problem),
            }
        }
        for (name, kind) in [("embedded", ProviderKind::Embedded), ("fake", ProviderKind::Fake)] {
            if !self.raw.providers.contains_key(name) {
                let concurrency = kind.usual_concurrency();
                providers.push(ProviderSpec { name: name.into(), kind, concurrency, memory_mb: None });
            }
        }
        providers
    }

    fn models(
        &self,
        providers: &[ProviderSpec],
        facts: &dyn Fn(&str) -> Option<Facts>,
        problems: &mut Vec<Problem>,
    ) -> Vec<ModelSpec> {
        let mut models = Vec::new();
        for (name, raw) in &self.raw.models {
            let span = raw.span();
            let raw = raw.get_ref();
            let wanted = raw.provider.get_ref();
            if !providers.iter().any(|p| &p.name == wanted) && !self.raw.providers.contains_key(wanted) {
                let known: Vec<&str> = providers.iter().map(|p| p.name.as_str()).collect();
                problems.push(
                    self.place
                        .problem(raw.provider.span(), format!("there is no provider {wanted:?}"))
                        .hint(did_you_mean(wanted, &known)),
                );
            }
            match model(name, raw, facts, &self.place, span) {
                Ok(m) => models.push(m),
                Err(problem) => problems.push(problem),
            }
        }
        if self.raw.models.is_empty() {
            problems.push(Problem::new("the pipeline has no models").hint("add a [models.NAME] table"));
        }
        models
    }

    fn cost_model(&self, problems: &mut Vec<Problem>) -> CostModel {
        let raw = &self.raw.plan_budget.cost_model;
        CostModel::from_name(raw.get_ref()).unwrap_or_else(|| {
            let known = CostModel::ALL.map(CostModel::name);
            problems.push(
                self.place
                    .problem(raw.span(), format!("there is no cost model {:?}", raw.get_ref()))
                    .hint(did_you_mean(raw.get_ref(), &known)),
            );
            CostModel::Tokens
        })
    }

    fn search_budget(&self, problems: &mut Vec<Problem>) -> SearchBudget {
        let raw = &self.raw.search_budget;
        let mut positive = |value: &Option<Spanned<f64>>| {
            let value = value.as_ref()?;
            if !value.get_ref().is_finite() || *value.get_ref() <= 0.0 {
                problems.push(self.place.problem(value.span(), "a limit of the search budget must be above 0"));
                return None;
            }
            Some(*value.get_ref())
        };
        SearchBudget {
            tokens: positive(&raw.tokens).map(|v| v as u64),
            usd: positive(&raw.usd).and_then(|v| CostModel::Usd.amount(v)),
            flops: positive(&raw.flops).and_then(|v| CostModel::Flops.amount(v)),
            calls: positive(&raw.calls).map(|v| v as u64),
            minutes: positive(&raw.minutes),
        }
    }

    fn search_settings(&self, models: &[ModelSpec], problems: &mut Vec<Problem>) -> SearchSettings {
        let raw = &self.raw.search;
        if let Some(agent) = &raw.agent
            && !models.iter().any(|m| &m.name == agent.get_ref())
            && !self.raw.models.contains_key(agent.get_ref())
        {
            problems.push(unknown_model(&self.place, agent, models));
        }
        let mut count = |value: &Option<Spanned<u32>>, default: u32, what: &str| match value {
            Some(v) if *v.get_ref() == 0 => {
                problems.push(self.place.problem(v.span(), format!("{what} must be at least 1")));
                default
            }
            Some(v) => *v.get_ref(),
            None => default,
        };
        SearchSettings {
            trials: count(&raw.trials, DEFAULT_TRIALS, "trials"),
            batch: count(&raw.batch, DEFAULT_BATCH, "batch"),
            examples_per_trial: raw
                .examples_per_trial
                .is_some()
                .then(|| count(&raw.examples_per_trial, 1, "examples_per_trial")),
            racing: raw.racing,
            on_outage: raw.on_outage,
            method: raw.method.as_ref().map(|m| m.get_ref().clone()),
            seed: raw.seed.unwrap_or(1),
            agent: raw.agent.as_ref().map(|a| a.get_ref().clone()),
            task: if raw.task.is_empty() { self.raw.description.clone() } else { raw.task.clone() },
        }
    }

    fn group(&self, search: &Split, test: &Split, problems: &mut Vec<Problem>) -> Option<String> {
        let group = self.raw.data.get_ref().group.as_ref()?;
        if !search.examples.iter().chain(&test.examples).any(|e| e.fields.contains_key(group.get_ref())) {
            let message =
                format!("no example has a field {:?}, by which examples are to share a source", group.get_ref());
            problems
                .push(self.place.problem(group.span(), message).hint("such as the document that a question is about"));
        }
        Some(group.get_ref().clone())
    }

    fn margin(&self, problems: &mut Vec<Problem>) -> f64 {
        let Some(margin) = self.raw.objective.as_ref().and_then(|raw| raw.margin.as_ref()) else { return USUAL_MARGIN };
        if !(0.0..1.0).contains(margin.get_ref()) {
            let message =
                format!("the margin is a loss of the score that does not matter: {} is not in 0..1", margin.get_ref());
            problems.push(self.place.problem(margin.span(), message).hint(format!("such as margin = {USUAL_MARGIN}")));
        }
        *margin.get_ref()
    }

    fn objective(&self, stages: &[super::StageSpec], problems: &mut Vec<Problem>) -> usize {
        let Some(wanted) = self.raw.objective.as_ref().and_then(|raw| raw.stage.as_ref()) else {
            // Without a word on it, the objective is the metric of the last stage that has one.
            return stages.iter().rposition(|s| s.metric.is_some()).unwrap_or_else(|| {
                if problems.is_empty() {
                    problems.push(
                        Problem::new("no stage has a metric, so there is no objective")
                            .hint("add `metric = { kind = \"exact-match\", gold = \"answer\" }` to the last stage"),
                    );
                }
                0
            });
        };
        match stages.iter().position(|s| &s.name == wanted.get_ref()) {
            Some(i) if stages[i].metric.is_some() => i,
            Some(_) => {
                let message = format!("stage {:?} has no metric and cannot be the objective", wanted.get_ref());
                problems.push(self.place.problem(wanted.span(), message));
                0
            }
            None => {
                let known: Vec<&str> = stages.iter().map(|s| s.name.as_str()).collect();
                if problems.is_empty() {
                    problems.push(
                        self.place
                            .problem(wanted.span(), format!("there is no stage {:?}", wanted.get_ref()))
                            .hint(did_you_mean(wanted.get_ref(), &known)),
                    );
                }
                0
            }
        }
    }
}

fn provider(name: &str, raw: &Spanned<RawProvider>, place: &Source) -> Result<ProviderSpec, Problem> {
    let spec = raw.get_ref();
    for (value, what) in [
        (&spec.requests_per_minute, "requests_per_minute"),
        (&spec.tokens_per_minute, "tokens_per_minute"),
        (&spec.max_n, "max_n"),
        (&spec.concurrency, "concurrency"),
        (&spec.memory_mb, "memory_mb"),
    ] {
        if let Some(v) = value
            && *v.get_ref() == 0
        {
            return Err(place.problem(v.span(), format!("{what} must be at least 1")));
        }
    }
    if let Some(hedge) = spec.hedge.as_ref().filter(|hedge| !(0.5..1.0).contains(hedge.get_ref())) {
        let message = format!("hedge is a quantile of latencies, at least 0.5 and below 1: {}", hedge.get_ref());
        return Err(place.problem(hedge.span(), message).hint("0.95 calls again where a call is slower than 19 of 20"));
    }
    let number = |v: &Option<Spanned<u32>>| v.as_ref().map(|s| *s.get_ref());
    let kind = match spec.kind.get_ref().as_str() {
        "embedded" => ProviderKind::Embedded,
        "fake" => ProviderKind::Fake,
        "openai" => {
            let url = spec.base_url.as_ref().ok_or_else(|| {
                place
                    .problem(raw.span(), format!("provider {name:?} needs a base_url"))
                    .hint("for example base_url = \"http://127.0.0.1:8000/v1\"")
            })?;
            if !url.get_ref().starts_with("http://") && !url.get_ref().starts_with("https://") {
                return Err(place.problem(url.span(), "base_url must begin with http:// or https://"));
            }
            ProviderKind::Openai(OpenaiSpec {
                base_url: url.get_ref().trim_end_matches('/').to_owned(),
                api_key_env: spec.api_key_env.clone(),
                requests_per_minute: number(&spec.requests_per_minute),
                tokens_per_minute: number(&spec.tokens_per_minute),
                timeout_seconds: spec.timeout_seconds.unwrap_or(120).max(1),
                retries: spec.retries.unwrap_or(5),
                max_n: number(&spec.max_n),
                adaptive: spec.adaptive.unwrap_or(true),
                hedge: spec.hedge.as_ref().map(|hedge| *hedge.get_ref()),
            })
        }
        other => {
            return Err(place
                .problem(spec.kind.span(), format!("there is no kind of provider {other:?}"))
                .hint(did_you_mean(other, &["embedded", "openai", "fake"])));
        }
    };
    let usual = kind.usual_concurrency();
    if let Some(memory) = spec.memory_mb.as_ref().filter(|_| kind != ProviderKind::Embedded) {
        return Err(place.problem(memory.span(), "memory_mb is of embedded providers: others run elsewhere"));
    }
    Ok(ProviderSpec {
        name: name.to_owned(),
        kind,
        concurrency: number(&spec.concurrency).unwrap_or(usual),
        memory_mb: number(&spec.memory_mb),
    })
}

fn model(
    name: &str,
    raw: &RawModel,
    facts: &dyn Fn(&str) -> Option<Facts>,
    place: &Source,
    span: Range<usize>,
) -> Result<ModelSpec, Problem> {
    let positive = |v: &Spanned<f64>, what: &str, least: f64| -> Result<f64, Problem> {
        let n = *v.get_ref();
        if n.is_finite() && n >= least && n < 1e9 {
            Ok(n)
        } else {
            Err(place.problem(v.span(), format!("{what} is out of range: {n}")))
        }
    };
    let id = raw.id.clone().unwrap_or_else(|| name.to_owned());
    let known = facts(&id);
    let params = raw.params_b.as_ref().map(|p| positive(p, "params_b", 1e-6)).transpose()?;
    let price = raw.price.as_ref().map(|p| -> Result<Price, Problem> {
        // Dollars per million tokens, to the millionth.
        let pico = |v: &Spanned<f64>| Ok((positive(v, "a price", 0.0)? * 1e6).round() as u64);
        let prompt = pico(&p.prompt)?;
        let cached_prompt = p.cached_prompt.as_ref().map(pico).transpose()?.unwrap_or(prompt);
        let batch = p.batch.as_ref().map(|b| unit_interval(b, place, "batch")).transpose()?;
        Ok(Price { prompt, cached_prompt, decode: pico(&p.decode)?, batch: batch.map(Price::batch_share) })
    });
    let speed = raw.speed.as_ref().map(|s| -> Result<Speed, Problem> {
        Ok(Speed {
            prompt: positive(&s.prompt, "a speed", 1e-3)?,
            decode: positive(&s.decode, "a speed", 1e-3)?,
            parallel: s.parallel.unwrap_or(1).max(1),
        })
    });
    let top_p = raw.top_p.as_ref().map(|p| unit_interval(p, place, "top_p")).transpose()?;
    let shape = match (raw.layers, raw.width) {
        (Some(layers), Some(width)) => Some(Shape { layers, width }),
        (None, None) => known.map(|f| f.shape),
        _ => {
            return Err(place.problem(span, format!("model {name:?} must give layers and width together")));
        }
    };
    let context = match &raw.context {
        Some(context) if *context.get_ref() == 0 => {
            return Err(place.problem(context.span(), "a context holds at least 1 token"));
        }
        context => context.as_ref().map(|c| *c.get_ref()),
    };
    // No model goes beyond what it was trained for; a file that does not say so has 0.
    let trained = known.map(|f| f.context).filter(|&c| c > 0);
    Ok(ModelSpec {
        name: name.to_owned(),
        provider: raw.provider.get_ref().clone(),
        id,
        revision: raw.revision.clone(),
        params: params.map(|b| (b * 1e9).round() as u64).or(known.map(|f| f.params)),
        shape,
        price: price.transpose()?,
        speed: speed.transpose()?,
        context: context.into_iter().chain(trained).min(),
        top_p,
    })
}

pub(super) fn unit_interval(value: &Spanned<f64>, place: &Source, what: &str) -> Result<f64, Problem> {
    let v = *value.get_ref();
    if v > 0.0 && v <= 1.0 {
        Ok(v)
    } else {
        Err(place.problem(value.span(), format!("{what} must be above 0 and at most 1")))
    }
}

pub(super) fn unknown_model(place: &Source, name: &Spanned<String>, models: &[ModelSpec]) -> Problem {
    let known: Vec<&str> = models.iter().map(|m| m.name.as_str()).collect();
    place
        .problem(name.span(), format!("there is no model {:?}", name.get_ref()))
        .hint(did_you_mean(name.get_ref(), &known))
}

/// Names of pipelines and stages appear in study names, templates and URLs.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let good = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
        && name.len() <= 64;
    if good { Ok(()) } else { Err(format!("{name:?} is not a good name: use a-z, 0-9, '-' and '_'")) }
}

/// The nearest known name, or all of them.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "none is declared".into(),
        None => format!("there are: {}", known.join(", ")),
    }
}

/// For serde's "unknown field `x`, expected one of `a`, `b`": the nearest of them.
fn suggestion(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") {
        return None;
    }
    let wrong = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    nearest(wrong, &known).map(|near| format!("did you mean `{near}`?"))
}
