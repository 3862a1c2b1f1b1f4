//! The metric `llm-judge`: a model that scores outputs.

use std::ops::Range;

use toml::Spanned;

use super::stage::Context;
use super::unknown_model;
use crate::pipeline::judge::{LlmJudge, Scale};
use crate::pipeline::raw::{RawMetric, RawStage};
use crate::pipeline::{FlowSpec, MetricKind, MetricSpec, Template};
use crate::problem::Problem;
use crate::request::Temperature;

/// Points where the file names no scale.
const POINTS: (u32, u32) = (0, 10);

/// The most points of a scale: no judge tells more apart.
const MOST_POINTS: i64 = 100;

/// The most verdicts for each question.
const MOST_SAMPLES: u32 = 100;

/// The temperature of several verdicts where the file names none.
const TEMPERATURE: f64 = 0.7;

/// The most tokens of a verdict where the file does not say.
const MAX_TOKENS: u32 = 64;

impl Context<'_> {
    /// The judge of a metric, if it is one.
    pub(super) fn llm_judge(
        &self,
        kind: MetricKind,
        raw: &RawMetric,
        span: Range<usize>,
    ) -> Result<Option<Box<LlmJudge>>, Problem> {
        if !kind.judges() {
            return match raw.judge_keys().next() {
                Some((key, span)) => Err(self
                    .place
                    .problem(span, format!("the metric {:?} does not use `{key}`", kind.name()))
                    .hint("leave it out; `llm-judge` uses it")),
                None => Ok(None),
            };
        }
        let Some(model) = &raw.model else {
            return Err(self
                .place
                .problem(span, format!("the metric {:?} needs `model`", kind.name()))
                .hint("name the model of [models] that judges: model = \"NAME\""));
        };
        if !self.models.iter().any(|m| &m.name == model.get_ref()) {
            return Err(unknown_model(self.place, model, self.models));
        }
        let samples = raw.samples.as_ref().map_or(1, |n| *n.get_ref());
        if let Some(n) = raw.samples.as_ref().filter(|n| !(1..=MOST_SAMPLES).contains(n.get_ref())) {
            let message = format!("a judge gives between 1 and {MOST_SAMPLES} verdicts, not {}", n.get_ref());
            return Err(self.place.problem(n.span(), message));
        }
        let max_tokens = raw.max_tokens.as_ref().map_or(MAX_TOKENS, |n| *n.get_ref());
        if let Some(n) = raw.max_tokens.as_ref().filter(|n| *n.get_ref() == 0) {
            return Err(self.place.problem(n.span(), "max_tokens must be at least 1"));
        }
        Ok(Some(Box::new(LlmJudge {
            model: model.get_ref().clone(),
            rubric: self.rubric(raw)?,
            scale: self.scale(raw)?,
            samples,
            temperature: self.judge_temperature(raw, samples)?,
            max_tokens,
            calibrate_with: raw.calibrate_with.as_ref().map(|m| self.labels(m)).transpose()?,
        })))
    }

    fn rubric(&self, raw: &RawMetric) -> Result<Option<Template>, Problem> {
        match (&raw.rubric, &raw.rubric_file) {
            (None, None) => Ok(None),
            (None, Some(file)) => self.template(file).map(Some),
            (Some(text), None) => Ok(Some(Template { file: self.place.file.clone(), text: text.get_ref().clone() })),
            (Some(_), Some(file)) => {
                Err(self.place.problem(file.span(), "a judge has either a `rubric` or a `rubric_file`, not both"))
            }
        }
    }

    fn scale(&self, raw: &RawMetric) -> Result<Scale, Problem> {
        let given = [
            raw.scale.as_ref().map(Spanned::span),
            raw.verdicts.as_ref().map(Spanned::span),
            raw.against.as_ref().map(Spanned::span),
        ];
        if let Some(second) = given.iter().flatten().nth(1) {
            return Err(self
                .place
                .problem(second.clone(), "a judge has one of `scale`, `verdicts` and `against`")
                .hint("leave the others out: they are three ways to say what it may answer"));
        }
        if let Some(scale) = &raw.scale {
            let [low, high] = *scale.get_ref();
            let points = (u32::try_from(low), u32::try_from(high));
            return match points {
                (Ok(from), Ok(to)) if low < high && high - low <= MOST_POINTS => Ok(Scale::Points(from, to)),
                _ => Err(self.place.problem(scale.span(), format!("[{low}, {high}] is no scale")).hint(format!(
                    "write the lowest and the highest whole number, at most {MOST_POINTS} apart: [0, 10]"
                ))),
            };
        }
        if let Some(verdicts) = &raw.verdicts {
            let mut words: Vec<(String, f64)> = verdicts.get_ref().clone().into_iter().collect();
            let wrong = |message: String| {
                let hint = "give each word its score: verdicts = { right = 1, partly = 0.5, wrong = 0 }";
                Err(self.place.problem(verdicts.span(), message).hint(hint))
            };
            if let Some((word, score)) = words.iter().find(|(_, score)| !(0.0..=1.0).contains(score)) {
                return wrong(format!("the verdict {word:?} has the score {score}, which is not in 0 to 1"));
            }
            if words.iter().any(|(word, _)| word.trim().is_empty()) {
                return wrong("a verdict is a word".into());
            }
            words.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            return match (words.first(), words.last()) {
                (Some(best), Some(worst)) if best.1 > worst.1 => Ok(Scale::Words(words)),
                _ => wrong("verdicts must have at least two different scores".into()),
            };
        }
        Ok(raw.against.as_ref().map_or(Scale::Points(POINTS.0, POINTS.1), |f| Scale::Against(f.get_ref().clone())))
    }

    fn judge_temperature(&self, raw: &RawMetric, samples: u32) -> Result<Temperature, Problem> {
        let usual = if samples > 1 { TEMPERATURE } else { 0.0 };
        let (value, span) = raw.temperature.as_ref().map_or((usual, 0..0), |t| (*t.get_ref(), t.span()));
        let temperature = self.temperature(value, span.clone())?;
        if samples > 1 && temperature.is_greedy() {
            return Err(self
                .place
                .problem(span, format!("at temperature 0 all {samples} verdicts are alike"))
                .hint("leave `samples` out, or raise the temperature"));
        }
        Ok(temperature)
    }

    /// The metric that labels outputs.
    fn labels(&self, raw: &Spanned<Box<RawMetric>>) -> Result<Box<MetricSpec>, Problem> {
        let spec = self.metric(raw.get_ref(), raw.span())?;
        if !spec.kind.needs_gold() || spec.kind.embeds() {
            return Err(self
                .place
                .problem(raw.span(), format!("the metric {:?} cannot label outputs for a judge", spec.kind.name()))
                .hint("labels come from gold answers, without a call: { kind = \"exact-match\", gold = \"answer\" }"));
        }
        Ok(Box::new(spec))
    }

    /// Judges that a stage cannot have.
    pub(super) fn check_judges(&self, metric: &MetricSpec, raw: &RawStage, flow: &FlowSpec) -> Option<Problem> {
        let span = raw.metric.as_ref().map_or(0..0, Spanned::span);
        let judges: Vec<&LlmJudge> = metric.parts().into_iter().filter_map(|part| part.judge.as_deref()).collect();
        if judges.len() > 1 {
            let problem = self.place.problem(span, "a stage has at most one judge");
            return Some(problem.hint("say in one rubric all that counts"));
        }
        let judge = judges.first().filter(|j| j.rubric.is_none() && flow.varies())?;
        let problem = self.place.problem(span, format!("the judge {:?} needs a rubric here", judge.model));
        Some(problem.hint("the stage does not run once for every example, so its prompt cannot stand for the task"))
    }
}
