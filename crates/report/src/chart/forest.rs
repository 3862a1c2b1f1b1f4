//! The test split: quality of each plan, and the paired difference to each baseline.

use agenttts_core::{Confirmation, Confirmed, Estimate, StudySummary};

use super::PANEL;
use super::frame::{LABEL, SMALL};
use crate::facts::extent;
use crate::number::{bounded, cost, estimate, interval, score, signed, signed_interval};
use crate::svg::{Anchor, Scale, Shape, Svg, range, scores, text_width, truncated};

const ROW: f64 = 48.0;
const LEFT: f64 = 6.0;
const RIGHT: f64 = PANEL - 12.0;
const TOP: f64 = 4.0;

/// The marks of the plans in their order: recommended, the baselines, those that came near.
const SHAPES: [Shape; 4] = [Shape::Star, Shape::Triangle, Shape::Down, Shape::Circle];

/// The objective of every confirmed plan with its interval.
pub(crate) fn qualities(summary: &StudySummary, confirmation: &Confirmation) -> Option<String> {
    let plans: Vec<&Confirmed> = confirmation.plans.iter().filter(|c| c.objective.mean.is_finite()).collect();
    if plans.is_empty() {
        return None;
    }
    let values = scores(plans.iter().flat_map(|c| extent(&c.objective)));
    let rows: Vec<Row> = plans
        .iter()
        .enumerate()
        .map(|(i, c)| Row {
            name: c.label.clone(),
            note: format!(
                "{} {} at {}",
                score(c.objective.mean),
                interval(&c.objective),
                cost(summary.cost_model, c.cost.mean)
            ),
            value: c.objective,
            shape: SHAPES[i.min(SHAPES.len() - 1)],
            class: if i == 0 { "star" } else { "base-dot" },
            tip: format!("{}\n{}\n{}", c.label, c.plan, estimate(&c.objective)),
        })
        .collect();
    let label = format!("Test split: {}.", summarised(&rows));
    Some(draw(&rows, values, None, &summary.objective).finish("chart panel", &label))
}

/// The recommended plan's objective minus each baseline's, paired by example, beside zero.
pub(crate) fn differences(confirmation: &Confirmation) -> Option<String> {
    let rows: Vec<Row> = confirmation
        .plans
        .iter()
        .enumerate()
        .filter_map(|(i, c)| {
            let value = c.difference.filter(|d| d.mean.is_finite())?;
            Some(Row {
                name: format!("vs. {}", c.label),
                note: format!("{} {}", signed(value.mean), signed_interval(&value)),
                value,
                shape: SHAPES[i.min(SHAPES.len() - 1)],
                class: "base-dot",
                tip: format!("recommended minus {}: {} {}", c.label, signed(value.mean), signed_interval(&value)),
            })
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let reach = range(rows.iter().flat_map(|r| extent(&r.value)).chain([0.0]), 0.08);
    let label = format!("Paired differences: {}.", summarised(&rows));
    Some(draw(&rows, reach, Some(0.0), "recommended minus the other").finish("chart panel", &label))
}

struct Row {
    name: String,
    note: String,
    value: Estimate,
    shape: Shape,
    class: &'static str,
    tip: String,
}

fn summarised(rows: &[Row]) -> String {
    rows.iter().map(|r| format!("{} {}", r.name, r.note)).collect::<Vec<_>>().join("; ")
}

fn draw(rows: &[Row], values: (f64, f64), zero: Option<f64>, axis: &str) -> Svg {
    let bottom = TOP + ROW * rows.len() as f64 + 4.0;
    let mut svg = Svg::new(PANEL, bottom + 44.0);
    let x = Scale::linear(values, LEFT, RIGHT);
    for tick in x.ticks(5) {
        let at = x.at(tick.value);
        // Only beside the marks: the names above them stay clear.
        for row in 0..rows.len() {
            let base = TOP + ROW * row as f64;
            svg.line("grid", (at, base + 23.0), (at, base + 43.0));
        }
        svg.text("tick", Anchor::Middle, (at, bottom + 16.0), &tick.label);
    }
    svg.line("base", (LEFT, bottom), (RIGHT, bottom));
    if let Some(zero) = zero {
        for row in 0..rows.len() {
            let base = TOP + ROW * row as f64;
            svg.line("zero", (x.at(zero), base + 21.0), (x.at(zero), base + 45.0));
        }
        let words = [("← worse", Anchor::End, -8.0), ("better →", Anchor::Start, 8.0)];
        for (word, anchor, dx) in words {
            let at = x.at(zero) + dx;
            let w = text_width(word, SMALL);
            let fits = if dx < 0.0 { at - w > LEFT } else { at + w < RIGHT };
            if fits {
                svg.text("tick", anchor, (at, bottom + 35.0), word);
            }
        }
    }
    if zero.is_none() {
        svg.text("axis", Anchor::Start, (LEFT, bottom + 35.0), &truncated(axis, LABEL, PANEL - 12.0));
    }
    for (i, row) in rows.iter().enumerate() {
        let base = TOP + ROW * i as f64;
        let strong = if row.class == "star" { "label strong star-label halo" } else { "label strong halo" };
        let room = RIGHT - LEFT - 12.0 - text_width(&row.note, SMALL);
        svg.text(strong, Anchor::Start, (LEFT, base + 16.0), &truncated(&row.name, LABEL, room));
        svg.text("tick halo", Anchor::End, (RIGHT, base + 16.0), &row.note);
        let y = base + 33.0;
        svg.hover("pt", &row.tip, |g| {
            if bounded(&row.value) {
                let class = if row.class == "star" { "bar chosen" } else { "bar base" };
                g.bar(class, true, y, (x.at(row.value.low), x.at(row.value.high)), 4.0);
            }
            g.marker(row.class, row.shape, (x.at(row.value.mean), y), if row.class == "star" { 7.0 } else { 5.0 });
        });
    }
    svg
}
