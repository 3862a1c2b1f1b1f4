//! Stages: models, sampling, parsers and metrics.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::flow::flow;
use super::graph::Graph;
use super::{Source, did_you_mean, unit_interval, unknown_model};
use crate::model::ModelSpec;
use crate::pipeline::raw::{
    OneOrMany, RawConstraint, RawMetric, RawParser, RawPart, RawPipeline, RawSamples, RawStage, RawTooLong,
};
use crate::pipeline::{
    FlowSpec, FuseSpec, Inputs, JudgeSpec, MetricKind, MetricSpec, ParserSpec, StageSpec, Template, TooLong,
};
use crate::plan::Aggregator;
use crate::problem::Problem;
use crate::request::{Constraint, Temperature};

/// The most samples of one stage; beyond it a count is more likely a mistake than a plan.
const MAX_SAMPLES: i64 = 10_000;

/// The temperature at which samples are drawn where the file does not say: the paper's.
const DEFAULT_TEMPERATURE: f64 = 0.9;

/// The temperature at which samples are fused where the file does not say: the paper's code's.
const FUSE_TEMPERATURE: f64 = 0.3;

/// All stages in running order. What is wrong goes into `problems`; the result is then to be thrown away.
pub(super) fn resolve_stages(
    raw: &RawPipeline,
    place: &Source,
    graph: &Graph,
    models: &[ModelSpec],
    files: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Vec<StageSpec> {
    let context = Context { place, models, files, raw };
    let mut stages = Vec::new();
    for (place_in_file, inputs) in &graph.stages {
        match context.stage(raw.stages[*place_in_file].get_ref(), inputs.clone()) {
            Ok(stage) => stages.push(stage),
            Err(found) => problems.extend(found),
        }
    }
    stages
}

pub(super) struct Context<'a> {
    pub(super) place: &'a Source,
    pub(super) models: &'a [ModelSpec],
    files: &'a BTreeMap<String, String>,
    raw: &'a RawPipeline,
}

impl Context<'_> {
    fn stage(&self, raw: &RawStage, from: Inputs) -> Result<StageSpec, Vec<Problem>> {
        let mut problems = Vec::new();
        let models = self.pool(&raw.models, &mut problems);
        let aggregators = self.aggregators(raw.aggregator.as_ref(), &mut problems);
        let samples = keep(self.samples(&raw.samples), &mut problems).unwrap_or_default();
        let temperatures = keep(self.temperatures(raw.temperature.as_ref()), &mut problems).unwrap_or_default();
        let prompt = keep(self.template(&raw.prompt), &mut problems);
        let constraint = keep(self.constraint(raw.constraint.as_ref()), &mut problems).flatten();
        let parser = keep(self.parser(raw.parser.as_ref()), &mut problems).unwrap_or(ParserSpec::Text);
        let metric =
            keep(raw.metric.as_ref().map(|m| self.metric(m.get_ref(), m.span())).transpose(), &mut problems).flatten();
        let top_p = raw.top_p.as_ref().map(|p| unit_interval(p, self.place, "top_p")).transpose();
        let top_p = keep(top_p, &mut problems).flatten();
        let flow = keep(flow(raw, self.place), &mut problems).unwrap_or(FlowSpec::ALWAYS);
        problems.extend(metric.as_ref().and_then(|m| self.check_judges(m, raw, &flow)));
        let fuse = keep(self.fuse(raw), &mut problems);
        let judge = keep(self.judge(raw, &aggregators), &mut problems).flatten();
        let too_long = keep(self.too_long(raw.too_long.as_ref()), &mut problems).unwrap_or(TooLong::Fail);
        if *raw.max_tokens.get_ref() == 0 {
            problems.push(self.place.problem(raw.max_tokens.span(), "max_tokens must be at least 1"));
        }
        for expected in [&raw.expected.prompt_tokens, &raw.expected.decode_tokens] {
            if *expected.get_ref() == 0 || *expected.get_ref() > 100_000_000 {
                problems.push(self.place.problem(expected.span(), "expected tokens must be at least 1 and believable"));
            }
        }
        let system = raw.system.as_ref().map(|s| Template { file: self.place.file.clone(), text: s.get_ref().clone() });
        match (prompt, fuse) {
            (Some(prompt), Some(fuse)) if problems.is_empty() => Ok(StageSpec {
                name: raw.name.get_ref().clone(),
                from,
                flow,
                models,
                samples,
                temperatures,
                aggregators,
                prompt,
                system,
                max_tokens: *raw.max_tokens.get_ref(),
                too_long,
                top_p,
                stop: raw.stop.clone(),
                constraint,
                parser,
                metric,
                prompt_tokens: *raw.expected.prompt_tokens.get_ref(),
                decode_tokens: *raw.expected.decode_tokens.get_ref(),
                fuse,
                judge,
            }),
            _ => Err(problems),
        }
    }

    fn pool(&self, raw: &Spanned<Vec<Spanned<String>>>, problems: &mut Vec<Problem>) -> Vec<usize> {
        if raw.get_ref().is_empty() {
            problems.push(
                self.place.problem(raw.span(), "a stage needs at least one model").hint("name models of this file"),
            );
        }
        let mut pool = Vec::new();
        for name in raw.get_ref() {
            match self.models.iter().position(|m| &m.name == name.get_ref()) {
                Some(i) if pool.contains(&i) => {
                    problems.push(self.place.problem(name.span(), format!("{:?} is named twice", name.get_ref())));
                }
                Some(i) => pool.push(i),
                // A model whose own table is bad has been reported there.
                None if self.raw.models.contains_key(name.get_ref()) => {}
                None => problems.push(unknown_model(self.place, name, self.models)),
            }
        }
        pool
    }

    fn samples(&self, raw: &Spanned<RawSamples>) -> Result<Vec<u32>, Problem> {
        let problem = |message: String| self.place.problem(raw.span(), message);
        let in_range = |n: i64| {
            if (1..=MAX_SAMPLES).contains(&n) {
                Ok(n as u32)
            } else {
                Err(problem(format!("samples must be between 1 and {MAX_SAMPLES}, not {n}"))
                    .hint("write a number, a list such as [1, 2, 4], or { min = 1, max = 100 }"))
            }
        };
        match raw.get_ref() {
            RawSamples::Range { min, max } if min > max => {
                Err(problem(format!("the range of samples is inverted: min {min} is above max {max}"))
                    .hint("write { min = 1, max = 100 }"))
            }
            RawSamples::Range { min, max } => Ok((in_range(*min)?..=in_range(*max)?).collect()),
            RawSamples::List(list) if list.is_empty() => Err(problem("the list of samples is empty".into())),
            RawSamples::List(list) => {
                let mut samples = list.iter().map(|&n| in_range(n)).collect::<Result<Vec<_>, _>>()?;
                samples.sort_unstable();
                samples.dedup();
                Ok(samples)
            }
        }
    }

    fn temperatures(&self, raw: Option<&Spanned<OneOrMany<f64>>>) -> Result<Vec<Temperature>, Problem> {
        let Some(raw) = raw else {
            return self.temperature(DEFAULT_TEMPERATURE, 0..0).map(|t| vec![t]);
        };
        if raw.get_ref().0.is_empty() {
            return Err(self.place.problem(raw.span(), "the list of temperatures is empty"));
        }
        let mut all = Vec::new();
        for &value in &raw.get_ref().0 {
            let t = self.temperature(value, raw.span())?;
            if !all.contains(&t) {
                all.push(t);
            }
        }
        Ok(all)
    }

    pub(super) fn temperature(&self, value: f64, span: Range<usize>) -> Result<Temperature, Problem> {
        Temperature::new(value)
            .ok_or_else(|| self.place.problem(span, format!("temperature {value} is outside 0 to 2")))
    }

    fn aggregators(&self, raw: Option<&Spanned<OneOrMany<String>>>, problems: &mut Vec<Problem>) -> Vec<Aggregator> {
        let Some(raw) = raw else {
            return vec![Aggregator::Vote];
        };
        let mut all = Vec::new();
        for name in &raw.get_ref().0 {
            match Aggregator::from_name(name) {
                Some(a) if !all.contains(&a) => all.push(a),
                Some(_) => {}
                None => problems.push(
                    self.place
                        .problem(raw.span(), format!("there is no aggregator {name:?}"))
                        .hint(did_you_mean(name, &Aggregator::ALL.map(Aggregator::name))),
                ),
            }
        }
        if raw.get_ref().0.is_empty() {
            problems.push(self.place.problem(raw.span(), "the list of aggregators is empty"));
        }
        all
    }

    pub(super) fn template(&self, raw: &Spanned<String>) -> Result<Template, Problem> {
        Ok(Template { file: raw.get_ref().clone(), text: self.file(raw)?.to_owned() })
    }

    fn file(&self, raw: &Spanned<String>) -> Result<&str, Problem> {
        self.files
            .get(raw.get_ref())
            .map(String::as_str)
            .ok_or_else(|| self.place.problem(raw.span(), format!("the file {:?} is not there", raw.get_ref())))
    }

    fn constraint(&self, raw: Option<&RawConstraint>) -> Result<Option<Constraint>, Problem> {
        match raw.map(|c| (&c.json_schema, &c.grammar)) {
            None | Some((None, None)) => Ok(None),
            Some((Some(schema), None)) => {
                let value = serde_json::from_str(self.file(schema)?).map_err(|e| {
                    self.place.problem(schema.span(), format!("{:?} is not valid JSON: {e}", schema.get_ref()))
                })?;
                Ok(Some(Constraint::JsonSchema(value)))
            }
            Some((None, Some(grammar))) => Ok(Some(Constraint::Grammar(self.file(grammar)?.to_owned()))),
            Some((Some(_), Some(grammar))) => {
                Err(self.place.problem(grammar.span(), "a stage has either a json_schema or a grammar, not both"))
            }
        }
    }

    fn too_long(&self, raw: Option<&Spanned<RawTooLong>>) -> Result<TooLong, Problem> {
        let Some(raw) = raw else { return Ok(TooLong::Fail) };
        match raw.get_ref() {
            RawTooLong::Word(word) if word == "fail" => Ok(TooLong::Fail),
            RawTooLong::Word(word) => Err(self
                .place
                .problem(raw.span(), format!("`too_long` cannot be {word:?}"))
                .hint("write \"fail\", or { shorten = \"NAME\" } with what the prompt can lose the end of")),
            RawTooLong::Shorten(variable) => Ok(TooLong::Shorten { variable: variable.clone() }),
        }
    }

    fn parser(&self, raw: Option<&Spanned<RawParser>>) -> Result<ParserSpec, Problem> {
        let Some(spanned) = raw else {
            return Ok(ParserSpec::Text);
        };
        let raw = spanned.get_ref();
        let kind = raw.kind.get_ref().as_str();
        let missing = |key: &str| self.place.problem(spanned.span(), format!("parser {kind:?} needs `{key}`"));
        let (parser, used): (ParserSpec, &[&str]) = match kind {
            "text" => (ParserSpec::Text, &[]),
            "last-line" => (ParserSpec::LastLine, &[]),
            "after" => (ParserSpec::After { after: raw.after.clone().ok_or_else(|| missing("after"))? }, &["after"]),
            "number" => (ParserSpec::Number { after: raw.after.clone() }, &["after"]),
            "regex" => {
                let pattern = raw.pattern.as_ref().ok_or_else(|| missing("pattern"))?;
                (ParserSpec::Regex { pattern: pattern.get_ref().clone() }, &["pattern"])
            }
            "json" => (ParserSpec::Json { pointer: raw.pointer.clone() }, &["pointer"]),
            "ids" => {
                let among = raw.among.as_ref().ok_or_else(|| missing("among"))?;
                (ParserSpec::Ids { among: among.get_ref().clone() }, &["among"])
            }
            "choice" => {
                let options = raw.options.clone().filter(|o| !o.is_empty()).ok_or_else(|| missing("options"))?;
                (ParserSpec::Choice { options }, &["options"])
            }
            "code" => (ParserSpec::Code, &[]),
            other => {
                let known = ["text", "last-line", "after", "number", "regex", "json", "ids", "choice", "code"];
                return Err(self
                    .place
                    .problem(raw.kind.span(), format!("there is no parser {other:?}"))
                    .hint(did_you_mean(other, &known)));
            }
        };
        let given = [
            ("after", raw.after.is_some()),
            ("pattern", raw.pattern.is_some()),
            ("pointer", raw.pointer.is_some()),
            ("among", raw.among.is_some()),
            ("options", raw.options.is_some()),
        ];
        match given.iter().find(|(key, is_given)| *is_given && !used.contains(key)) {
            Some((key, _)) => Err(self.place.problem(spanned.span(), format!("parser {kind:?} does not use `{key}`"))),
            None => Ok(parser),
        }
    }

    fn metric_kind(&self, name: &str, span: Range<usize>) -> Result<MetricKind, Problem> {
        MetricKind::ALL.into_iter().find(|k| k.name() == name).ok_or_else(|| {
            self.place
                .problem(span, format!("there is no metric {name:?}"))
                .hint(did_you_mean(name, &MetricKind::ALL.map(MetricKind::name)))
        })
    }

    /// What a combined metric puts together.
    fn metric_parts(&self, kind: MetricKind, raw: &RawMetric, span: Range<usize>) -> Result<Vec<MetricSpec>, Problem> {
        let name = kind.name();
        let parts = match &raw.of {
            None if !kind.is_combination() => return Ok(Vec::new()),
            Some(parts) if !kind.is_combination() => {
                return Err(self
                    .place
                    .problem(parts.span(), format!("the metric {name:?} does not use `of`"))
                    .hint("leave it out; `mean` and `product` use it"));
            }
            Some(parts) if !parts.get_ref().is_empty() => parts.get_ref(),
            _ => {
                return Err(self
                    .place
                    .problem(span, format!("the metric {name:?} needs `of`"))
                    .hint("list metrics: of = [\"completeness\", { kind = \"f1\", gold = \"answer\" }]"));
            }
        };
        let part = |part: &Spanned<RawPart>| match part.get_ref() {
            RawPart::Full(metric) => self.metric(metric, part.span()),
            RawPart::Kind(name) => match self.metric_kind(name, part.span())? {
                kind if kind.needs_gold() || kind.judges() || kind.is_combination() => Err(self
                    .place
                    .problem(part.span(), format!("the metric {name:?} needs more than its name"))
                    .hint(format!("write it in full: {{ kind = {name:?}, ... }}"))),
                kind => Ok(MetricSpec {
                    kind,
                    gold: None,
                    aliases: Vec::new(),
                    stem: false,
                    of: Vec::new(),
                    embedder: None,
                    judge: None,
                }),
            },
        };
        parts.iter().map(part).collect()
    }

    /// The model that embeds the texts of a metric.
    fn embedder(&self, kind: MetricKind, raw: &RawMetric, span: Range<usize>) -> Result<Option<String>, Problem> {
        let name = kind.name();
        let embedder = match &raw.embedder {
            None if kind.embeds() => {
                return Err(self
                    .place
                    .problem(span, format!("the metric {name:?} needs `embedder`"))
                    .hint("name one of [models] that gives embeddings: embedder = \"NAME\""));
            }
            Some(embedder) if !kind.embeds() => {
                return Err(self
                    .place
                    .problem(embedder.span(), format!("the metric {name:?} does not use `embedder`"))
                    .hint("leave it out; `consistency` uses it"));
            }
            None => return Ok(None),
            Some(embedder) => embedder,
        };
        let known = self.models.iter().find(|m| &m.name == embedder.get_ref());
        let model = known.ok_or_else(|| unknown_model(self.place, embedder, self.models))?;
        let declared = self.raw.providers.get(&model.provider).map(|p| p.get_ref().kind.get_ref().as_str());
        if declared.unwrap_or(&model.provider) == "embedded" {
            return Err(self
                .place
                .problem(embedder.span(), format!("model {:?} is embedded, and gives no embeddings", model.name))
                .hint("name a model of a server with an /embeddings address, such as llama-server --embedding"));
        }
        Ok(Some(model.name.clone()))
    }

    pub(super) fn metric(&self, raw: &RawMetric, span: Range<usize>) -> Result<MetricSpec, Problem> {
        let name = raw.kind.get_ref();
        let kind = self.metric_kind(name, raw.kind.span())?;
        let unused = |span, key: &str, kinds: fn(MetricKind) -> bool| {
            let users: Vec<&str> = MetricKind::ALL.into_iter().filter(|k| kinds(*k)).map(MetricKind::name).collect();
            let problem = self.place.problem(span, format!("the metric {name:?} does not use `{key}`"));
            problem.hint(format!("leave it out; these use it: {}", users.join(", ")))
        };
        let gold = match &raw.gold {
            None if kind.needs_gold() => {
                return Err(self
                    .place
                    .problem(span, format!("the metric {name:?} needs `gold`"))
                    .hint("name the field of the examples that holds the gold answer: gold = \"answer\""));
            }
            Some(gold) if !kind.needs_gold() => {
                return Err(self.place.problem(gold.span(), format!("the metric {name:?} does not use `gold`")).hint(
                    if kind.is_combination() {
                        "write it into those of its parts that need it: of = [{ kind = ..., gold = ... }]"
                    } else if kind.judges() {
                        "show it in the rubric, compare with it (`against`), or label outputs by it (`calibrate_with`)"
                    } else {
                        "leave it out: it looks at the output alone"
                    },
                ));
            }
            gold => gold.as_ref().map(|g| g.get_ref().clone()),
        };
        if let Some(aliases) = raw.aliases.as_ref().filter(|_| !kind.can_alias()) {
            return Err(unused(aliases.span(), "aliases", MetricKind::can_alias));
        }
        if let Some(stem) = raw.stem.as_ref().filter(|_| !kind.can_stem()) {
            return Err(unused(stem.span(), "stem", MetricKind::can_stem));
        }
        Ok(MetricSpec {
            kind,
            gold,
            aliases: raw.aliases.as_ref().map(|a| a.get_ref().0.clone()).unwrap_or_default(),
            stem: raw.stem.as_ref().is_some_and(|s| *s.get_ref()),
            of: self.metric_parts(kind, raw, span.clone())?,
            embedder: self.embedder(kind, raw, span.clone())?,
            judge: self.llm_judge(kind, raw, span)?,
        })
    }

    fn fuse(&self, raw: &RawStage) -> Result<FuseSpec, Problem> {
        let default = Temperature::new(FUSE_TEMPERATURE).unwrap_or(Temperature::GREEDY);
        let Some(fuse) = &raw.fuse else {
            return Ok(FuseSpec { prompt: None, temperature: default, max_tokens: None });
        };
        Ok(FuseSpec {
            prompt: fuse.prompt.as_ref().map(|p| self.template(p)).transpose()?,
            temperature: match &fuse.temperature {
                Some(t) => self.temperature(*t.get_ref(), t.span())?,
                None => default,
            },
            max_tokens: fuse.max_tokens.as_ref().map(|m| *m.get_ref()),
        })
    }

    fn judge(&self, raw: &RawStage, aggregators: &[Aggregator]) -> Result<Option<JudgeSpec>, Problem> {
        let Some(judge) = &raw.judge else {
            return match (&raw.aggregator, aggregators.contains(&Aggregator::Judge)) {
                (Some(a), true) => Err(self
                    .place
                    .problem(a.span(), "the aggregator `judge` needs a judge")
                    .hint("add `judge = { model = \"NAME\" }` to the stage")),
                _ => Ok(None),
            };
        };
        let model = self
            .models
            .iter()
            .position(|m| &m.name == judge.model.get_ref())
            .ok_or_else(|| unknown_model(self.place, &judge.model, self.models))?;
        Ok(Some(JudgeSpec { model, prompt: judge.prompt.as_ref().map(|p| self.template(p)).transpose()? }))
    }
}

/// The value, or its problem put with the others.
fn keep<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|p| problems.push(p)).ok()
}
