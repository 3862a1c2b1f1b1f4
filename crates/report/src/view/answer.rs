//! The answer in one paragraph, with its figures.

use agenttts_core::text::sentence;
use agenttts_core::{Confirmed, Seal, StudySummary};
use minijinja::Value;
use serde::Serialize;

use crate::chart;
use crate::facts::{baselines, choice_words, measured, recommended_trial};
use crate::number::{cost, cost_estimate, counted, interval, interval_n, score, short, signed, signed_interval, times};

/// The first thing that a reader wants to know.
#[derive(Serialize)]
pub(crate) struct Answer {
    /// Sentences, in order.
    sentences: Vec<Sentence>,
    /// Why the search stopped.
    stopped: Option<String>,
    /// The figures to see at a glance.
    tiles: Vec<Tile>,
    /// Charts of the test split.
    charts: Vec<Chart>,
}

#[derive(Serialize)]
struct Sentence {
    strong: bool,
    text: String,
}

#[derive(Serialize)]
struct Tile {
    name: String,
    value: String,
    note: String,
}

#[derive(Serialize)]
struct Chart {
    title: String,
    svg: Value,
}

impl Answer {
    pub(crate) fn new(summary: &StudySummary) -> Self {
        let mut sentences = vec![Sentence { strong: true, text: lead(summary) }];
        sentences.extend(evidence(summary).into_iter().map(|text| Sentence { strong: false, text }));
        Answer { sentences, stopped: summary.stop_reason.clone(), tiles: tiles(summary), charts: charts(summary) }
    }
}

fn lead(s: &StudySummary) -> String {
    let Some(recommended) = &s.recommended else {
        return match s.archive.trials.len() {
            0 => "No plan can be recommended: no trial was begun.".to_owned(),
            n => format!("No plan can be recommended: of {} none was measured.", counted(n, "trial")),
        };
    };
    let parts: Vec<String> = recommended
        .plan
        .choices
        .iter()
        .enumerate()
        .map(|(i, choice)| match s.stages.get(i) {
            Some(stage) if s.stages.len() > 1 => format!("{} with {}", stage.name, choice_words(choice)),
            _ => choice_words(choice),
        })
        .collect();
    format!("Recommended: {}.", parts.join(", then "))
}

fn evidence(s: &StudySummary) -> Vec<String> {
    let Some(recommended) = &s.recommended else { return Vec::new() };
    if let Some((confirmation, winner)) = s.confirmation.as_ref().and_then(|c| Some((c, c.plans.first()?))) {
        let mut text = vec![format!(
            "On {} that the search never saw, this plan scores {} {} ({}) at {} a query.",
            counted(confirmation.examples as usize, "test example"),
            score(winner.objective.mean),
            interval(&winner.objective),
            s.objective,
            cost_estimate(s.cost_model, &winner.cost),
        )];
        text.extend(s.seal.as_ref().and_then(Seal::warning).map(|words| sentence(&words)));
        text.extend(confirmation.plans.iter().skip(1).map(|b| comparison(s, winner, b)));
        text.extend(confirmation.untested.as_deref().map(sentence));
        text.extend(confirmation.cheaper.as_ref().map(|c| sentence(&c.words)));
        if winner.failures > 0 {
            text.push(format!("{} of the test examples failed and count as 0.", winner.failures));
        }
        text.extend(s.fitting_words(&winner.plan, &winner.fitting).iter().map(|line| format!("On it, {line}.")));
        text.extend(s.optimism().map(|o| {
            format!(
                "Its score on the search examples minus that: {} {}; choosing by noisy scores adds to it.",
                signed(o.mean),
                signed_interval(&o)
            )
        }));
        return text;
    }
    let Some((trial, m)) = recommended_trial(s) else {
        return vec![format!("It was measured by trial {}, which this summary does not hold.", recommended.trial)];
    };
    let among = measured(s).count();
    let mut text = vec![format!(
        "It is not confirmed on the test split yet. On {} of the search split it scored {} {} ({}) at {} a query; \
         as the pick of {} this figure flatters it.",
        counted(m.objective.n as usize, "example"),
        score(m.objective.mean),
        interval(&m.objective),
        s.objective,
        cost_estimate(s.cost_model, &m.cost),
        counted(among, "measured plan"),
    )];
    for b in baselines(s).iter().filter(|b| b.trial.number != trial.number) {
        text.push(format!(
            "On the same split {} scored {} {} at {}.",
            b.label,
            score(b.measured.objective.mean),
            interval(&b.measured.objective),
            cost(s.cost_model, b.measured.cost.mean)
        ));
    }
    text
}

/// A baseline beside the recommended plan, in words that the paired interval allows.
fn comparison(s: &StudySummary, winner: &Confirmed, baseline: &Confirmed) -> String {
    let name = baseline.name();
    if winner.plan == baseline.plan {
        return format!("It is the same plan as {name}.");
    }
    let price = match (winner.cost.mean, baseline.cost.mean) {
        (a, b) if a > 0.0 && b > 0.0 && (a / b - 1.0).abs() < 0.005 => "at the same cost".to_owned(),
        (a, b) if a > 0.0 && b > 0.0 => format!("at {} its cost", times(a / b)),
        (a, b) => format!("for {} against {}", cost(s.cost_model, a), cost(s.cost_model, b)),
    };
    let Some(d) = baseline.difference.filter(|d| d.mean.is_finite()) else {
        let verdict =
            baseline.verdict.clone().unwrap_or_else(|| format!("not compared with {name} example by example"));
        return format!("It is {verdict}.");
    };
    let size = format!("{} {}", signed(d.mean), signed_interval(&d));
    // Summaries of older programs have no p-value, which is adjusted for the number of baselines.
    let told = baseline.p.map_or(d.excludes_zero(), |p| p < 0.05);
    if told && d.mean > 0.0 {
        format!("It is better than {name} by {size}, {price}.")
    } else if told {
        format!("It is worse than {name}, by {size}, {price}.")
    } else {
        let needed = baseline.examples_needed.map_or_else(String::new, |n| {
            format!(" To tell a difference of that size takes about {}.", counted(n as usize, "example"))
        });
        format!("It cannot be told apart from {name}: the difference is {size}, {price}.{needed}")
    }
}

fn tiles(s: &StudySummary) -> Vec<Tile> {
    let mut tiles = Vec::new();
    if let Some((confirmation, winner)) = s.confirmation.as_ref().and_then(|c| Some((c, c.plans.first()?))) {
        tiles.push(Tile {
            name: "test quality".to_owned(),
            value: score(winner.objective.mean),
            note: interval_n(&winner.objective),
        });
        tiles.push(Tile {
            name: "cost of a query".to_owned(),
            value: cost(s.cost_model, winner.cost.mean),
            note: format!("budget {}", cost(s.cost_model, s.plan_budget)),
        });
        let different = confirmation.plans.iter().skip(1).filter(|b| b.plan != winner.plan);
        if let Some((b, d)) = different.filter_map(|b| Some((b, b.difference?))).next() {
            let ratio = winner.cost.mean / b.cost.mean;
            let price = if ratio > 0.0 { format!(", {} its cost", times(ratio)) } else { String::new() };
            tiles.push(Tile {
                name: format!("against {}", b.label),
                value: signed(d.mean),
                note: format!("{}{price}", signed_interval(&d)),
            });
        }
    } else if let Some((_, m)) = recommended_trial(s) {
        tiles.push(Tile {
            name: "search quality, not confirmed".to_owned(),
            value: score(m.objective.mean),
            note: interval_n(&m.objective),
        });
        tiles.push(Tile {
            name: "cost of a query".to_owned(),
            value: cost(s.cost_model, m.cost.mean),
            note: format!("budget {}", cost(s.cost_model, s.plan_budget)),
        });
    }
    let measured = s.archive.measured().count();
    tiles.push(Tile {
        name: "plans measured".to_owned(),
        value: short(measured as f64),
        note: format!("of {} within the budget", short(s.space[1])),
    });
    if let Some(ratio) = s.reuse.ratio() {
        tiles.push(Tile {
            name: "tokens saved by reuse".to_owned(),
            value: format!("{} fewer", times(ratio)),
            note: format!("{} drawn, {} without", short(s.reuse.drawn as f64), short(s.reuse.fresh as f64)),
        });
    }
    tiles
}

fn charts(s: &StudySummary) -> Vec<Chart> {
    let Some(confirmation) = &s.confirmation else { return Vec::new() };
    let quality = chart::qualities(s, confirmation)
        .map(|svg| Chart { title: "Quality on the test split".to_owned(), svg: Value::from_safe_string(svg) });
    let difference = chart::differences(confirmation).map(|svg| Chart {
        title: "Recommended minus the others, paired by example".to_owned(),
        svg: Value::from_safe_string(svg),
    });
    quality.into_iter().chain(difference).collect()
}
