//! What several parts of the report read from a summary.

use agenttts_core::{Archive, Choice, Estimate, Measurement, Plan, PooledPlan, Span, StudySummary, Trial, TrialState};

use crate::number::{cost_estimate, estimate};

/// A plan that nobody needs a search for.
pub(crate) struct Baseline<'a> {
    pub(crate) label: &'static str,
    pub(crate) trial: &'a Trial,
    pub(crate) measured: &'a Measurement,
}

/// Measured trials whose objective is a number: the only ones that can be drawn.
pub(crate) fn measured(summary: &StudySummary) -> impl Iterator<Item = (&Trial, &Measurement)> {
    summary.archive.measured().filter(|(_, m)| m.objective.mean.is_finite() && m.cost.mean.is_finite())
}

/// The same study with one trial for every measured plan: its first, with what all its trials measured together. What
/// speaks of plans rather than of trials reads this.
pub(crate) fn by_plan(summary: &StudySummary) -> StudySummary {
    let mut trials: Vec<Trial> = summary.archive.plans().iter().filter_map(pooled).collect();
    trials.extend(summary.archive.trials.iter().filter(|t| t.measurement().is_none()).cloned());
    trials.sort_by_key(|t| t.number);
    StudySummary { archive: Archive { trials, ..summary.archive.clone() }, ..summary.clone() }
}

fn pooled(plan: &PooledPlan<'_>) -> Option<Trial> {
    let [(first, only), more @ ..] = &plan.trials[..] else { return None };
    if more.is_empty() {
        return Some((*first).clone());
    }
    let all = || plan.trials.iter().map(|(_, m)| *m);
    let stage = |i: usize| {
        let parts: Option<Vec<Estimate>> = all().map(|m| m.stages.get(i).copied().flatten()).collect();
        parts.map(|p| Estimate::of_parts(&p))
    };
    let measured = Measurement {
        objective: plan.objective,
        cost: plan.cost,
        stages: (0..only.stages.len()).map(stage).collect(),
        scores: plan.scores.values().copied().collect(),
        failures: all().map(|m| m.failures).sum(),
        drawn: all().map(|m| m.drawn).sum(),
        fresh: all().map(|m| m.fresh).sum(),
        raced_out: plan.raced_out().copied(),
        ..(*only).clone()
    };
    Some(Trial { span: None, stream: 0, state: TrialState::Measured(Box::new(measured)), ..(*first).clone() })
}

/// What is believed of the plan of a trial, where the summary tells; else what the trial scored.
pub(crate) fn estimated(summary: &StudySummary, trial: &Trial, measured: &Measurement) -> f64 {
    let plan = summary.plans.iter().find(|p| p.trial == trial.number);
    plan.and_then(|p| p.estimate).map_or(measured.objective.mean, |[mean, _]| mean)
}

/// The trial of the recommended plan.
pub(crate) fn recommended_trial(summary: &StudySummary) -> Option<(&Trial, &Measurement)> {
    let number = summary.recommended.as_ref()?.trial;
    summary.archive.measured().find(|(t, _)| t.number == number)
}

/// Whether the trial is of the recommended plan and the one that it was recommended by.
pub(crate) fn is_recommended(summary: &StudySummary, trial: &Trial) -> bool {
    summary.recommended.as_ref().is_some_and(|r| r.trial == trial.number)
}

/// The trials that measured "largest model once" and "smallest model once" on the search split, each at its better
/// temperature, where there are such trials.
pub(crate) fn baselines(summary: &StudySummary) -> Vec<Baseline<'_>> {
    let is = |plan: &Plan, largest: bool| {
        !plan.choices.is_empty()
            && plan.choices.len() == summary.stages.len()
            && plan.choices.iter().zip(&summary.stages).all(|(choice, stage)| {
                let model = if largest { stage.models.last() } else { stage.models.first() };
                model == Some(&choice.model) && Some(choice.samples) == stage.samples.iter().min().copied()
            })
    };
    let mut found: Vec<Baseline<'_>> = Vec::new();
    for (label, largest) in [("largest once", true), ("smallest once", false)] {
        let best = measured(summary)
            .filter(|(t, _)| is(&t.plan, largest))
            .max_by(|(_, a), (_, b)| a.objective.mean.total_cmp(&b.objective.mean));
        if let Some((trial, measured)) = best
            && found.iter().all(|b| b.trial.number != trial.number)
        {
            found.push(Baseline { label, trial, measured });
        }
    }
    found
}

/// All models of the pipeline, each once, in the order of the stages: the place of a model gives its look.
pub(crate) fn models(summary: &StudySummary) -> Vec<&str> {
    let mut models: Vec<&str> = Vec::new();
    let known = summary.stages.iter().flat_map(|s| &s.models);
    for model in known.chain(summary.curves.iter().map(|c| &c.model)) {
        if !models.contains(&model.as_str()) {
            models.push(model);
        }
    }
    models
}

/// `smol ×8 (vote, T = 0.7)`, in pieces that do not break.
pub(crate) fn choice_words(choice: &Choice) -> String {
    let aggregator = if choice.samples > 1 { format!("{}, ", choice.aggregator) } else { String::new() };
    format!("{} ×{} ({aggregator}T\u{a0}=\u{a0}{})", choice.model, choice.samples, choice.temperature)
}

/// The choices of a plan, one stage a line.
pub(crate) fn plan_lines(summary: &StudySummary, plan: &Plan) -> Vec<String> {
    let several = summary.stages.len() > 1 || plan.choices.len() > 1;
    plan.choices
        .iter()
        .enumerate()
        .map(|(i, choice)| match summary.stages.get(i) {
            Some(stage) if several => format!("{}: {}", stage.name, choice_words(choice)),
            _ => choice_words(choice),
        })
        .collect()
}

/// What a chart says of a trial when pointed at.
pub(crate) fn tip(summary: &StudySummary, trial: &Trial, measured: &Measurement) -> String {
    let mut lines = vec![format!("Trial {}, {}", trial.number, round_words(trial.round))];
    if is_recommended(summary, trial) {
        lines[0].push_str(": the recommended plan");
    }
    lines.extend(plan_lines(summary, &trial.plan));
    lines.push(format!("{}: {}", summary.objective, estimate(&measured.objective)));
    lines.push(format!("cost: {}", cost_estimate(summary.cost_model, &measured.cost)));
    if measured.failures > 0 {
        lines.push(format!("{} of {} examples failed", measured.failures, measured.scores.len()));
    }
    if let Some(span) = trial.span {
        lines.push(span_words(span));
    }
    if trial.stream != 0 {
        lines.push("on fresh draws".to_owned());
    }
    lines.join("\n")
}

/// `examples 6 to 10`: of the study's order, from 1.
pub(crate) fn span_words(span: Span) -> String {
    match span.count {
        1 => format!("example {}", span.end()),
        _ => format!("examples {} to {}", span.first + 1, span.end()),
    }
}

/// `initial trials`, `round 3`.
pub(crate) fn round_words(round: u32) -> String {
    if round == 0 { "initial trials".to_owned() } else { format!("round {round}") }
}

/// The finite ones of an estimate's mean and ends: what an axis must hold.
pub(crate) fn extent(e: &Estimate) -> [f64; 3] {
    [e.mean, e.low, e.high]
}
