//! Which model each stage prefers (insight 1): the trials with each model there, side by side.

use agenttts_core::{Measurement, StudySummary, Trial};

use super::frame::{LABEL, SMALL};
use super::{Look, PANEL};
use crate::facts::{extent, measured, models, tip};
use crate::number::{bounded, counted, estimate};
use crate::svg::{Anchor, Scale, Svg, scores, text_width, truncated};

/// One row per model of the stage: a tick for every trial with it, and the best of them with its interval. The axis
/// is the same for all stages. `None` when nothing was measured.
pub(crate) fn preference(summary: &StudySummary, stage: usize) -> Option<String> {
    let spec = summary.stages.get(stage)?;
    measured(summary).next()?;
    const ROW: f64 = 46.0;
    let (left, right, top) = (6.0, PANEL - 10.0, 8.0);
    let bottom = top + ROW * spec.models.len() as f64 + 4.0;
    let mut svg = Svg::new(PANEL, bottom + 44.0);
    let x = Scale::linear(scores(measured(summary).flat_map(|(_, m)| extent(&m.objective))), left, right);
    for tick in x.ticks(5) {
        let at = x.at(tick.value);
        for row in 0..spec.models.len() {
            let base = top + ROW * row as f64;
            svg.line("grid", (at, base + 22.0), (at, base + 42.0));
        }
        svg.text("tick", Anchor::Middle, (at, bottom + 16.0), &tick.label);
    }
    svg.line("base", (left, bottom), (right, bottom));
    svg.text("axis", Anchor::Start, (left, bottom + 35.0), &truncated(&summary.objective, LABEL, PANEL - 12.0));

    let looks = models(summary);
    let chosen = summary.recommended.as_ref().and_then(|r| r.plan.choices.get(stage)).map(|c| c.model.as_str());
    for (row, model) in spec.models.iter().enumerate() {
        let look = Look::of(looks.iter().position(|m| m == model).unwrap_or(row));
        let with: Vec<(&Trial, &Measurement)> =
            measured(summary).filter(|(t, _)| t.plan.choices.get(stage).is_some_and(|c| &c.model == model)).collect();
        let base = top + ROW * row as f64;
        let count = if with.is_empty() { "not tried".to_owned() } else { counted(with.len(), "trial") };
        let in_plan = if chosen == Some(model.as_str()) { " · in the plan ★" } else { "" };
        let note = format!("{count}{in_plan}");
        let name = truncated(model, LABEL, PANEL - 40.0 - text_width(&note, SMALL));
        svg.text("label strong halo", Anchor::Start, (left, base + 16.0), &name);
        svg.text("tick halo", Anchor::End, (right, base + 16.0), &note);
        line(&mut svg, summary, &with, look, &x, base + 32.0);
    }
    let best: Vec<String> = spec.models.iter().map(|m| best_words(summary, stage, m)).collect();
    Some(svg.finish("chart panel", &format!("Best trial with each model of stage {}: {}.", spec.name, best.join("; "))))
}

fn line(svg: &mut Svg, summary: &StudySummary, with: &[(&Trial, &Measurement)], look: Look, x: &Scale, y: f64) {
    for (trial, m) in with {
        let at = x.at(m.objective.mean);
        svg.hover("pt", &tip(summary, trial, m), |g| g.line("tickmark", (at, y - 4.5), (at, y + 4.5)));
    }
    if let Some((trial, m)) = best(with) {
        svg.hover("pt", &format!("Best with this model\n{}", tip(summary, trial, m)), |g| {
            if bounded(&m.objective) {
                g.bar(&format!("bar {}", look.class), true, y, (x.at(m.objective.low), x.at(m.objective.high)), 3.5);
            }
            g.marker(&format!("mark {}", look.class), look.shape, (x.at(m.objective.mean), y), 4.6);
        });
    }
}

fn best<'a>(with: &[(&'a Trial, &'a Measurement)]) -> Option<(&'a Trial, &'a Measurement)> {
    with.iter().copied().max_by(|(_, a), (_, b)| a.objective.mean.total_cmp(&b.objective.mean))
}

fn best_words(summary: &StudySummary, stage: usize, model: &str) -> String {
    let with: Vec<(&Trial, &Measurement)> =
        measured(summary).filter(|(t, _)| t.plan.choices.get(stage).is_some_and(|c| c.model == model)).collect();
    best(&with).map_or_else(|| format!("{model} not tried"), |(_, m)| format!("{model} {}", estimate(&m.objective)))
}
