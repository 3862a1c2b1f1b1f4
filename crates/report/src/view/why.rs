//! Why the plan won: sentences, charts, and the same numbers as tables.

use agenttts_core::{Choice, Explanation, FittedCurve, Interplay, StudySummary};
use minijinja::Value;
use serde::Serialize;

use crate::chart;
use crate::facts::choice_words;
use crate::number::{credible, credible_percent, credible_signed};

#[derive(Serialize)]
pub(crate) struct Why<'a> {
    words: &'a [String],
    importance: Option<Value>,
    rows: Vec<[String; 4]>,
    /// For each stage with a curve its name and chart.
    curves: Vec<(String, Value)>,
    peaks: Vec<[String; 7]>,
    /// The share of every pair of stages, where there are three or more.
    stages: Option<Value>,
    maps: Vec<Map<'a>>,
    rivals: Vec<[String; 3]>,
}

/// How one stage moves another.
#[derive(Serialize)]
struct Map<'a> {
    upstream: &'a str,
    downstream: &'a str,
    share: String,
    chart: Option<Value>,
    shifts: Vec<[String; 4]>,
}

impl<'a> Why<'a> {
    pub(crate) fn new(summary: &'a StudySummary) -> Option<Self> {
        let explanation = summary.explanation.as_ref()?;
        let curve = |(i, stage): (usize, &agenttts_core::StageSummary)| {
            Some((stage.name.clone(), Value::from_safe_string(chart::fitted(summary, i)?)))
        };
        Some(Why {
            words: &explanation.words,
            importance: chart::importance(explanation).map(Value::from_safe_string),
            rows: rows(explanation),
            curves: summary.stages.iter().enumerate().filter_map(curve).collect(),
            peaks: explanation.curves.iter().map(peak).collect(),
            stages: chart::stages(explanation).map(Value::from_safe_string),
            maps: explanation.interplay.iter().map(|m| map(summary, m)).collect(),
            rivals: explanation
                .rivals
                .iter()
                .map(|r| [r.trial.to_string(), r.differs.join(", "), credible_signed(&r.ahead)])
                .collect(),
        })
    }
}

/// Every choice and pair: name, share, effect, and of what.
fn rows(explanation: &Explanation) -> Vec<[String; 4]> {
    let single = explanation.importance.iter().map(|i| {
        let of = format!("{} over {}", i.best, i.worst);
        [i.factor.to_string(), credible_percent(&i.share), credible_signed(&i.effect), of]
    });
    let pairs = explanation.pairs.iter().map(|p| {
        let name = format!("{} × {}", p.factors[0], p.factors[1]);
        let of = format!("{} with {}, beyond the sum of both", p.levels[0], p.levels[1]);
        [name, credible_percent(&p.share), credible_signed(&p.departure), of]
    });
    single.chain(pairs).collect()
}

/// Stage, model, peak, score there, enough, tried, beyond.
fn peak(curve: &FittedCurve) -> [String; 7] {
    let tried = curve.tried.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let tried = if tried.is_empty() { "none".to_owned() } else { tried };
    let dash = || "–".to_owned();
    let (stage, model) = (curve.stage.clone(), curve.model.clone());
    let Some(peak) = curve.peak else {
        return [stage, model, dash(), dash(), dash(), tried, "does not fit the budget".to_owned()];
    };
    let at = curve.points.iter().find(|p| p.samples == peak.samples);
    let more = curve.points.iter().any(|p| p.within_budget && p.samples > peak.samples);
    [
        stage,
        model,
        format!("{} [{}, {}]", peak.samples, peak.low, peak.high),
        at.map_or_else(dash, |p| credible(&p.score)),
        curve.enough.map_or_else(dash, |e| e.to_string()),
        tried,
        match (curve.falls, more) {
            (true, _) => "falls",
            (false, true) => "not clearly worse",
            (false, false) => "nothing more within the budget",
        }
        .to_owned(),
    ]
}

fn map<'a>(summary: &StudySummary, of: &'a Interplay) -> Map<'a> {
    let stage = summary.stages.iter().position(|s| s.name == of.downstream);
    let usual = summary.recommended.as_ref().and_then(|r| r.plan.choices.get(stage?));
    let same = |best: &Choice| if usual == Some(best) { "it is the plan's" } else { "the plan's does not fit" };
    Map {
        upstream: &of.upstream,
        downstream: &of.downstream,
        share: credible_percent(&of.share),
        chart: chart::suit(of).map(Value::from_safe_string),
        shifts: of
            .rows
            .iter()
            .map(|r| {
                let peak = r.peak.map_or_else(|| "–".to_owned(), |p| format!("{} [{}, {}]", p.samples, p.low, p.high));
                let gain = r.gain.map_or_else(|| same(&r.best).to_owned(), |g| credible_signed(&g));
                [format!("{} ×{}", r.model, r.samples), choice_words(&r.best), gain, peak]
            })
            .collect(),
    }
}
