//! The explanation in sentences. Only what the trials show is said plainly; the rest is said to be unknown.

use agenttts_core::{Credible, Explanation, Factor, FittedCurve, Interplay, Part, Space, Verdict};

/// Why there is no explanation.
pub(super) fn nothing(explained: &Explanation, least: usize) -> Vec<String> {
    let plans = counted(explained.plans as usize, "measured plan");
    vec![match explained.verdict {
        Verdict::NoChoice => "There was nothing to choose: only one plan is within the budget.".to_owned(),
        _ => format!("Too few trials to say what matters: {plans}, and at least {least} are needed."),
    }]
}

/// The sentences, most important first.
pub(super) fn words(space: &Space, explained: &Explanation, won: &[usize]) -> Vec<String> {
    let mut words = Vec::new();
    match explained.verdict {
        Verdict::Measured => {
            words.extend(what_matters(explained));
            words.extend(interactions(explained));
        }
        _ => words.push(format!(
            "Nothing matters measurably: over {} no choice makes a difference that stands out from the noise{}.",
            counted(explained.plans as usize, "measured plan"),
            explained.spread.map_or_else(String::new, |s| {
                format!(" (the plans' true scores have a standard deviation of {})", number(s))
            }),
        )),
    }
    let plan = space.plan(won);
    let stages = space.stages().iter().zip(&plan.choices);
    words.extend(stages.filter_map(|(stage, choice)| {
        let curve = explained.curves.iter().find(|c| c.stage == stage.stage.name && c.model == choice.model)?;
        samples(curve, choice.samples)
    }));
    words.extend(explained.interplay.iter().filter_map(moved));
    words.extend(ahead(explained));
    words
}

fn what_matters(explained: &Explanation) -> Vec<String> {
    let (known, unknown): (Vec<_>, Vec<_>) = explained.importance.iter().partition(|i| i.effect.is_measurable());
    let mut words = Vec::new();
    for (i, factor) in known.iter().enumerate() {
        let share = percent(factor.share);
        let first = match i {
            0 => format!("{} matters most: it explains {share} of how plans differ", subject(&factor.factor)),
            _ => format!("{} explains {share}", subject(&factor.factor)),
        };
        let (best, worst) = (&factor.best, &factor.worst);
        let scores = if best.ends_with(" samples") { "score" } else { "scores" };
        words.push(format!("{first}; {best} {scores} {} above {worst} on average.", number(factor.effect)));
    }
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|i| i.factor.to_string()).collect();
        words.push(format!("No measurable difference on average: {}.", listed(&names)));
    }
    words
}

fn interactions(explained: &Explanation) -> Vec<String> {
    let known = explained.pairs.iter().filter(|p| p.departure.is_measurable());
    known
        .take(2)
        .map(|p| {
            let [a, b] = &p.factors;
            format!(
                "{a} and {b} depend on each other ({} of how plans differ): {} with {} scores {} {} than both suggest.",
                percent(p.share),
                p.levels[0],
                p.levels[1],
                number(magnitude(p.departure)),
                if p.departure.mean > 0.0 { "better" } else { "worse" },
            )
        })
        .collect()
}

/// What the curve of the stage's model says of the samples that were chosen.
fn samples(curve: &FittedCurve, chosen: u32) -> Option<String> {
    let (peak, enough) = (curve.peak?, curve.enough?);
    let within: Vec<u32> = curve.points.iter().filter(|p| p.within_budget).map(|p| p.samples).collect();
    if within.len() < 2 {
        return None;
    }
    let name = format!("{} samples of {}", curve.stage, curve.model);
    if curve.tried.len() < 2 {
        let tried = curve.tried.first().map_or_else(String::new, |t| format!(" ({t})"));
        return Some(format!("{name}: only one count was tried{tried}, so their curve is a guess from other models."));
    }
    let last = *within.last()?;
    let mut words = if enough == last {
        format!("{name}: nothing below {last} does as well")
    } else {
        format!("{name}: beyond {enough} nothing measurable is gained")
    };
    if curve.falls {
        words.push_str(&format!(", and {last} is clearly worse than {}", peak.samples));
    }
    let range = if peak.low == peak.high { String::new() } else { format!(" [{}, {}]", peak.low, peak.high) };
    words.push_str(&format!(" (the fitted peak is at {}{range}; the plan draws {chosen}).", peak.samples));
    Some(words)
}

/// Where an upstream model makes another choice downstream measurably better.
fn moved(interplay: &Interplay) -> Option<String> {
    let row = interplay.rows.iter().find(|r| r.gain.is_some_and(|g| g.is_measurable()))?;
    Some(format!(
        "With {} at {} another choice is best at {}: {}, {} better than the recommended plan's.",
        row.model,
        interplay.upstream,
        interplay.downstream,
        row.best,
        number(row.gain?),
    ))
}

fn ahead(explained: &Explanation) -> Option<String> {
    let next = explained.rivals.first()?;
    let differs = listed(&next.differs);
    Some(if next.ahead.low > 0.0 {
        format!("The next best plan (trial {}: {differs}) is {} worse.", next.trial, number(next.ahead))
    } else if next.ahead.high < 0.0 {
        let better = number(magnitude(next.ahead));
        format!("By this estimate trial {} ({differs}) is {better} better than the recommended plan.", next.trial)
    } else {
        format!(
            "The trials do not tell it from the next best plan (trial {}: {differs}): it is {} by {}.",
            next.trial,
            if next.ahead.mean < 0.0 { "behind" } else { "ahead" },
            number(magnitude(next.ahead))
        )
    })
}

/// `The model at retrieve`, `Samples at answer`.
fn subject(factor: &Factor) -> String {
    match factor.part {
        Part::Samples => format!("The number of samples at {}", factor.stage),
        part => format!("The {part} at {}", factor.stage),
    }
}

/// Without its sign.
fn magnitude(value: Credible) -> Credible {
    if value.mean >= 0.0 { value } else { Credible { mean: -value.mean, low: -value.high, high: -value.low } }
}

/// `61% [40, 75]`.
fn percent(share: Credible) -> String {
    let of = |x: f64| format!("{:.0}", x * 100.0);
    format!("{}% [{}, {}]", of(share.mean), of(share.low), of(share.high))
}

/// `0.042 [0.011, 0.073]`.
fn number(value: Credible) -> String {
    let of = |x: f64| {
        let text = format!("{x:.3}");
        if text == "-0.000" { "0.000".to_owned() } else { text }
    };
    format!("{} [{}, {}]", of(value.mean), of(value.low), of(value.high))
}

/// `a, b and c`.
fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn counted(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}
