//! A stage that can run: messages for an example, parsed samples, scores.

use std::collections::{BTreeMap, BTreeSet};

use agenttts_core::pipeline::{LlmJudge, MetricSpec};
use agenttts_core::{Example, Message};
use minijinja::value::Value as TemplateValue;
use serde_json::Value;

use crate::combine::Sample;
use crate::field::lookup;
use crate::flow::{INDEX, ITEM};
use crate::metric::{MetricError, Near, Seen, gold_output, score, wanted};
use crate::parse::Parser;
use crate::shorten::Shortens;
use crate::template::{RenderError, Templates, template_value};

/// Names of the templates of a stage.
pub(crate) const PROMPT: &str = "prompt";
pub(crate) const SYSTEM: &str = "system";
pub(crate) const FUSE: &str = "fuse";
pub(crate) const JUDGE: &str = "judge";
/// Texts that fill it in are quoted.
pub(crate) const RUBRIC: &str = "rubric";

/// A stage with its templates and parser compiled. Built by [`CompiledStage::compile`].
#[derive(Clone, Debug)]
pub struct CompiledStage {
    pub(crate) name: String,
    /// The stages and steps whose outputs templates see: name, and name as a variable.
    pub(crate) stages: Vec<(String, String)>,
    /// Whether it runs for items.
    pub(crate) has_items: bool,
    pub(crate) templates: Templates,
    pub(crate) parser: Parser,
    pub(crate) metric: Option<MetricSpec>,
    /// Fields without which the templates can never be filled in.
    pub(crate) fields: BTreeSet<String>,
    /// The field with the parser's candidates.
    pub(crate) among: Option<String>,
    /// What is shortened of prompts that are too long, where anything is.
    pub(crate) shortens: Option<Shortens>,
}

impl CompiledStage {
    /// The stage's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of all stages and steps whose outputs the templates can see, in running order. Outputs of others make no
    /// difference to what is rendered.
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().map(|(name, _)| name.as_str())
    }

    /// The example fields without which no rendering of the stage's templates can succeed, whatever upstream stages say.
    ///
    /// Fields that a template reads only under a condition, in a loop or with a default are left out, so an example
    /// that lacks one of these fields can be refused before a search. Only the fields themselves are told, not what
    /// templates look for inside of them. Templates of fusion and judgement count where the stage may use them.
    pub fn fields(&self) -> BTreeSet<String> {
        self.fields.clone()
    }

    /// The fields that an input must have to be answered: [`CompiledStage::fields`] and the parser's candidates, but not what
    /// only a rubric or a metric reads.
    pub fn input_fields(&self) -> impl Iterator<Item = &str> {
        let asked = |field: &&String| {
            let by = |name| self.templates.has(name) && self.templates.needs(name).any(|f| f == *field);
            !by(RUBRIC) || [PROMPT, SYSTEM, FUSE, JUDGE].into_iter().any(by)
        };
        let candidates = self.among.as_deref().map(|path| path.split('.').next().unwrap_or(path));
        self.fields.iter().filter(asked).map(String::as_str).chain(candidates)
    }

    /// The first field that the stage needs and that the example lacks: one of [`CompiledStage::fields`], the parser's
    /// candidates, the metric's gold answer, or what a judge compares with (these as dotted paths).
    pub fn missing_field(&self, example: &Example) -> Option<String> {
        let in_template = self.fields.iter().find(|field| !example.fields.contains_key(*field));
        let metrics = self.metric.iter().flat_map(MetricSpec::parts);
        let gold = metrics.filter_map(|metric| metric.gold.as_ref());
        let against = self.llm_judge().and_then(LlmJudge::against);
        let paths = self.among.iter().chain(gold).chain(against);
        in_template.or_else(|| paths.into_iter().find(|path| lookup(&example.fields, path).is_none())).cloned()
    }

    /// The messages that ask for a sample: the system message, if the stage has one, and the prompt's turns. `outputs`
    /// holds the outputs of earlier stages and steps by name, and for a stage with `each` its item: see
    /// [`CompiledStage::with_item`].
    pub fn render(
        &self,
        example: &Example,
        outputs: &BTreeMap<String, Value>,
    ) -> Result<Vec<Message>, Box<RenderError>> {
        let context = self.context(example, outputs);
        let turns = self.templates.render_turns(PROMPT, &context, example)?;
        let mut messages = self.system_message(&context, example)?;
        messages.extend(turns);
        Ok(messages)
    }

    /// Parses the text of a sample that answers `example`.
    pub fn read<'t>(&self, text: &'t str, example: &Example) -> Sample<'t> {
        Sample { text, parsed: self.parser.parse(text, &example.fields), ran: None }
    }

    /// Whether an output's code must have run before it can be scored.
    pub fn scores_by_running(&self) -> bool {
        self.metric.as_ref().is_some_and(MetricSpec::runs_code)
    }

    /// Whether texts must have been embedded before an output can be scored.
    pub fn scores_by_embedding(&self) -> bool {
        self.metric.as_ref().is_some_and(MetricSpec::embeds)
    }

    /// The texts whose embeddings the stage's metric compares to score this output.
    pub fn near(&self, output: &Value, example: &Example) -> Vec<Near> {
        self.metric.as_ref().map_or_else(Vec::new, |metric| wanted(metric, output, example))
    }

    /// The score of an output by the stage's metric; `None` where the stage has none. `seen` tells what was found out about
    /// the output, where [that](Self::scores_by_running) [matters](Self::scores_by_embedding).
    pub fn score(&self, output: &Value, example: &Example, seen: &Seen) -> Option<Result<f64, MetricError>> {
        self.metric.as_ref().map(|metric| score(metric, output, example, seen))
    }

    /// An output that the stage's metric counts as perfect, made of the example's gold answer in the form that the stage's
    /// own outputs have; `None` where the metric has no gold answer, or where what the example has is no such output.
    pub fn gold_output(&self, example: &Example) -> Option<Value> {
        let metric = self.metric.as_ref()?;
        let output = gold_output(metric, lookup(&example.fields, metric.gold.as_deref()?)?)?;
        let perfect = self.score(&output, example, &Seen::default())?.ok()? > 1.0 - 1e-9;
        perfect.then_some(output)
    }

    pub(crate) fn system_message(
        &self,
        context: &BTreeMap<String, TemplateValue>,
        example: &Example,
    ) -> Result<Vec<Message>, Box<RenderError>> {
        if !self.templates.has(SYSTEM) {
            return Ok(Vec::new());
        }
        Ok(vec![Message::system(self.templates.render(SYSTEM, context, example)?)])
    }

    /// What the templates see.
    pub(crate) fn context(
        &self,
        example: &Example,
        outputs: &BTreeMap<String, Value>,
    ) -> BTreeMap<String, TemplateValue> {
        let mut context = context(&self.stages, example, outputs);
        if self.has_items {
            let item = |name: &str| Some((name.to_owned(), template_value(outputs.get(name)?)));
            context.extend([ITEM, INDEX].into_iter().filter_map(item));
        }
        context
    }
}

/// What expressions and templates see that read these stages and steps: their names, and their names as variables.
pub(crate) fn context(
    reads: &[(String, String)],
    example: &Example,
    outputs: &BTreeMap<String, Value>,
) -> BTreeMap<String, TemplateValue> {
    let fields = example.fields.iter().map(|(k, v)| (k.clone(), template_value(v)));
    let mut context: BTreeMap<String, TemplateValue> = fields.collect();
    let all_fields = context.clone();
    let mut stages: BTreeMap<String, TemplateValue> = BTreeMap::new();
    for (name, variable) in reads {
        if let Some(output) = outputs.get(name) {
            let output = template_value(output);
            context.insert(variable.clone(), output.clone());
            stages.insert(name.clone(), output);
        }
    }
    context.insert("example".into(), all_fields.into());
    context.insert("stages".into(), stages.into());
    context
}
