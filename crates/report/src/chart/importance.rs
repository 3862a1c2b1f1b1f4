//! What matters: each choice's share of the variance of true scores, with its interval.

use agenttts_core::{Credible, Explanation};

use super::PANEL;
use super::frame::{LABEL, SMALL};
use crate::number::{credible_percent, credible_signed, percent};
use crate::svg::{Anchor, Scale, Svg, text_width, truncated};

const ROW: f64 = 38.0;
const LEFT: f64 = 6.0;
const RIGHT: f64 = PANEL - 12.0;
const TOP: f64 = 4.0;

/// Pairs that are drawn at most.
const PAIRS: usize = 5;

/// A bar for every choice and for the pairs that count, and one for what is left. Filled where the sign of the effect
/// is known. `None` when nothing can be said.
pub(crate) fn importance(explanation: &Explanation) -> Option<String> {
    let rows = rows(explanation);
    if rows.is_empty() {
        return None;
    }
    let bottom = TOP + ROW * rows.len() as f64 + 4.0;
    let mut svg = Svg::new(PANEL, bottom + 44.0);
    let x = Scale::linear((0.0, 1.0), LEFT, RIGHT);
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let at = x.at(share);
        for row in 0..rows.len() {
            let base = TOP + ROW * row as f64;
            svg.line("grid", (at, base + 21.0), (at, base + 36.0));
        }
        let anchor = match share {
            0.0 => Anchor::Start,
            1.0 => Anchor::End,
            _ => Anchor::Middle,
        };
        svg.text("tick", anchor, (at, bottom + 16.0), &percent(share));
    }
    svg.line("base", (LEFT, bottom), (RIGHT, bottom));
    svg.text("axis", Anchor::Start, (LEFT, bottom + 35.0), "share of the variance of true scores");
    for (i, row) in rows.iter().enumerate() {
        let base = TOP + ROW * i as f64;
        let note = credible_percent(&row.share);
        let room = RIGHT - LEFT - 12.0 - text_width(&note, SMALL);
        let class = if row.known { "label strong halo" } else { "label halo" };
        svg.text(class, Anchor::Start, (LEFT, base + 15.0), &truncated(&row.name, LABEL, room));
        svg.text("tick halo", Anchor::End, (RIGHT, base + 15.0), &note);
        svg.hover("pt", &row.tip, |g| {
            let class = if row.known { "share" } else { "share unsure" };
            g.rect(class, (LEFT, base + 23.0), (x.at(row.share.mean) - LEFT, 11.0));
            g.bar("bar base", true, base + 28.5, (x.at(row.share.low), x.at(row.share.high)), 4.0);
        });
    }
    let label =
        rows.iter().map(|r| format!("{} {}", r.name, credible_percent(&r.share))).collect::<Vec<_>>().join("; ");
    Some(svg.finish("chart panel", &format!("What explains the differences between plans: {label}.")))
}

struct Row {
    name: String,
    share: Credible,
    /// Whether the sign of the effect is known.
    known: bool,
    tip: String,
}

fn rows(explanation: &Explanation) -> Vec<Row> {
    let mut rows: Vec<Row> = explanation
        .importance
        .iter()
        .map(|i| Row {
            name: i.factor.to_string(),
            share: i.share,
            known: i.effect.is_measurable(),
            tip: format!("{}\n{} over {}: {}", i.factor, i.best, i.worst, credible_signed(&i.effect)),
        })
        .collect();
    if rows.is_empty() {
        return rows;
    }
    let counts = |p: &&agenttts_core::PairImportance| p.share.mean >= 0.01 || p.departure.is_measurable();
    rows.extend(explanation.pairs.iter().filter(counts).take(PAIRS).map(|p| Row {
        name: format!("{} × {}", p.factors[0], p.factors[1]),
        share: p.share,
        known: p.departure.is_measurable(),
        tip: format!("{} with {}\n{} beyond the sum of both", p.levels[0], p.levels[1], credible_signed(&p.departure)),
    }));
    rows.extend(explanation.rest.map(|share| Row {
        name: "everything else".to_owned(),
        share,
        known: false,
        tip: "What no single choice and no pair explains".to_owned(),
    }));
    rows
}
