//! Heat maps of interplay: which models of two stages suit each other, and which stages depend on each other.

use agenttts_core::{Explanation, Interplay};

use super::PANEL;
use super::frame::{LABEL, SMALL};
use crate::number::{credible_percent, credible_signed, percent, signed};
use crate::svg::{Anchor, Svg, text_width, truncated};

/// How far the score with each pair of models is from the sum of what both do. `None` where a stage has one model.
pub(crate) fn models(map: &Interplay) -> Option<String> {
    let [rows, columns] = &map.models;
    if rows.is_empty() || columns.is_empty() || map.departures.len() != rows.len() {
        return None;
    }
    let most = map.departures.iter().flatten().map(|c| c.mean.abs()).fold(0.0, f64::max);
    let cell = |i: usize, j: usize| {
        let value = map.departures.get(i)?.get(j)?;
        Some(Cell {
            text: signed(value.mean),
            tip: format!("{} with {}\n{} beyond the sum of both", rows[i], columns[j], credible_signed(value)),
            class: if value.mean < 0.0 { "heat below" } else { "heat above" },
            depth: depth(value.mean.abs(), most),
            known: value.is_measurable(),
        })
    };
    let known = map.departures.iter().flatten().filter(|c| c.is_measurable()).count();
    let label = format!(
        "Interplay of {} and {}: {} of the variance; {known} of {} pairs of models depart measurably from the sum.",
        map.upstream,
        map.downstream,
        credible_percent(&map.share),
        rows.len() * columns.len()
    );
    Some(draw(rows, columns, &map.upstream, &map.downstream, cell).finish("chart panel", &label))
}

/// The share of every pair of stages. `None` with fewer than three stages, where there is one number.
pub(crate) fn stages(explanation: &Explanation) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for name in explanation.interplay.iter().flat_map(|m| [&m.upstream, &m.downstream]) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if names.len() < 3 {
        return None;
    }
    let cell = |i: usize, j: usize| {
        let map = explanation.interplay.iter().find(|m| m.upstream == names[i] && m.downstream == names[j])?;
        Some(Cell {
            text: percent(map.share.mean),
            tip: format!("{} × {}\n{}", names[i], names[j], credible_percent(&map.share)),
            class: "heat above",
            depth: depth(map.share.mean, 1.0),
            known: map.measurable,
        })
    };
    let told = |m: &Interplay| format!("{} × {} {}", m.upstream, m.downstream, credible_percent(&m.share));
    let label = explanation.interplay.iter().map(told).collect::<Vec<_>>().join("; ");
    let svg = draw(&names, &names, "earlier stage", "later stage", cell);
    Some(svg.finish("chart panel", &format!("Interplay between stages: {label}.")))
}

struct Cell {
    text: String,
    tip: String,
    class: &'static str,
    /// 0 to 1: how dark.
    depth: f64,
    /// Whether the trials show it: bold.
    known: bool,
}

fn depth(value: f64, most: f64) -> f64 {
    if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 }
}

fn draw(
    rows: &[String],
    columns: &[String],
    down: &str,
    across: &str,
    cell: impl Fn(usize, usize) -> Option<Cell>,
) -> Svg {
    const ROW: f64 = 40.0;
    let longest = rows.iter().map(|r| text_width(r, LABEL)).fold(0.0, f64::max).clamp(40.0, 120.0);
    let (left, top, right) = (longest + 14.0, 48.0, PANEL - 6.0);
    let width = (right - left) / columns.len() as f64;
    let mut svg = Svg::new(PANEL, top + ROW * rows.len() as f64 + 8.0);
    svg.text("axis", Anchor::Start, (2.0, 38.0), &truncated(&format!("{down} ↓"), LABEL, longest + 8.0));
    svg.text("axis", Anchor::Start, (left, 14.0), &truncated(&format!("{across} →"), LABEL, right - left));
    for (j, name) in columns.iter().enumerate() {
        let middle = left + width * (j as f64 + 0.5);
        svg.hover("", name, |g| g.text("label", Anchor::Middle, (middle, 38.0), &truncated(name, LABEL, width - 6.0)));
    }
    for (i, name) in rows.iter().enumerate() {
        let y = top + ROW * i as f64;
        let middle = y + ROW / 2.0 + LABEL * 0.34;
        svg.hover("", name, |g| g.text("label", Anchor::End, (left - 8.0, middle), &truncated(name, LABEL, longest)));
        for j in 0..columns.len() {
            let Some(cell) = cell(i, j) else { continue };
            let x = left + width * j as f64;
            svg.hover("pt", &cell.tip, |g| {
                g.tinted(cell.class, (x + 1.0, y + 1.0), (width - 2.0, ROW - 2.0), 0.06 + 0.5 * cell.depth);
                let class = if cell.known { "label strong" } else { "tick" };
                let text = truncated(&cell.text, SMALL, width - 4.0);
                g.text(class, Anchor::Middle, (x + width / 2.0, middle), &text);
            });
        }
    }
    svg
}

#[cfg(test)]
mod tests {
    use agenttts_core::Credible;

    use super::*;

    #[test]
    fn cells_without_a_scale_are_pale() {
        assert_eq!((depth(0.0, 0.0), depth(2.0, 1.0)), (0.0, 1.0));
        let value = Credible { mean: 0.1, low: -0.1, high: 0.3 };
        let map = Interplay {
            upstream: "a".into(),
            downstream: "b".into(),
            share: value,
            measurable: false,
            rows: vec![],
            models: [vec!["x".into()], vec!["y".into(), "z".into()]],
            departures: vec![vec![value, Credible { mean: -0.1, low: -0.2, high: -0.05 }]],
        };
        let svg = models(&map).unwrap_or_default();
        assert!(svg.contains("+0.100") && svg.contains("−0.100") && svg.contains("1 of 2 pairs"), "{svg}");
    }
}
