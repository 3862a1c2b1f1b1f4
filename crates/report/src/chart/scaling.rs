//! Scaling curves: the metric of one stage against its samples, a line for every model.

use agenttts_core::{CurvePoint, StageSummary, StudySummary};

use super::frame::{Frame, LABEL};
use super::{Look, PANEL};
use crate::facts::{extent, models};
use crate::number::{bounded, estimate};
use crate::svg::{Anchor, Scale, Shape, Svg, range, scores, spread, text_width, truncated};

/// The curves of one stage. `None` when it has none.
pub(crate) fn scaling(summary: &StudySummary, stage: usize) -> Option<String> {
    let spec = summary.stages.get(stage)?;
    let looks = models(summary);
    let curves: Vec<Line<'_>> = summary
        .curves
        .iter()
        .filter(|c| c.stage == spec.name)
        .filter_map(|c| {
            let mut points: Vec<CurvePoint> =
                c.points.iter().filter(|p| p.samples > 0 && p.score.mean.is_finite()).copied().collect();
            points.sort_by_key(|p| p.samples);
            let look = Look::of(looks.iter().position(|m| *m == c.model)?);
            (!points.is_empty()).then_some(Line { model: &c.model, trial: c.trial, points, look })
        })
        .collect();
    if curves.is_empty() {
        return None;
    }
    let longest = curves.iter().map(|c| text_width(c.model, LABEL)).fold(0.0, f64::max).clamp(50.0, 140.0);
    let frame = Frame { left: 44.0, top: 34.0, right: PANEL - longest - 29.0, bottom: 282.0 };
    let mut svg = Svg::new(PANEL, 328.0);
    let points = || curves.iter().flat_map(|c| &c.points);
    let counts = range(points().map(|p| f64::from(p.samples).ln()), 0.06);
    let x = Scale::log2((counts.0.exp(), counts.1.exp()), frame.left + 8.0, frame.right - 4.0);
    let y = Scale::linear(scores(points().flat_map(|p| extent(&p.score))), frame.bottom, frame.top);
    frame.y_axis(&mut svg, &y, &metric(spec));
    frame.x_axis(&mut svg, &x, &x.ticks(9), "samples (each step doubles them)");

    for (i, curve) in curves.iter().enumerate() {
        // Intervals at the same number of samples stand beside each other.
        let shift = (i as f64 - (curves.len() - 1) as f64 / 2.0) * 5.0_f64.min(24.0 / curves.len() as f64);
        draw(&mut svg, curve, &x, &y, shift);
    }
    chosen(&mut svg, summary, stage, &curves, &x, &y);

    let ends: Vec<f64> = curves.iter().map(|c| y.at(c.points.last().map_or(0.0, |p| p.score.mean))).collect();
    let at = spread(&ends, 16.0, frame.top + 6.0, frame.bottom - 4.0);
    for (curve, at) in curves.iter().zip(at) {
        let left = frame.right + 6.0;
        svg.polyline(&format!("curve {}", curve.look.class), curve.look.dash, &[(left, at), (left + 16.0, at)]);
        svg.marker(&format!("mark {}", curve.look.class), curve.look.shape, (left + 8.0, at), 3.4);
        let name = truncated(curve.model, LABEL, PANEL - left - 21.0);
        svg.hover("", curve.model, |g| {
            g.text(&format!("label ink-{}", curve.look.class), Anchor::Start, (left + 21.0, at + LABEL * 0.34), &name);
        });
    }
    let label =
        format!("Scaling curves of stage {}: {} against samples, {} models.", spec.name, metric(spec), curves.len());
    Some(svg.finish("chart panel", &label))
}

struct Line<'a> {
    model: &'a str,
    trial: u32,
    points: Vec<CurvePoint>,
    look: Look,
}

/// The name of a stage's metric.
pub(crate) fn metric(stage: &StageSummary) -> String {
    stage.metric.clone().unwrap_or_else(|| "metric of the stage".to_owned())
}

fn draw(svg: &mut Svg, curve: &Line<'_>, x: &Scale, y: &Scale, shift: f64) {
    let place = |p: &CurvePoint| (x.at(f64::from(p.samples)) + shift, y.at(p.score.mean));
    let class = curve.look.class;
    for p in curve.points.iter().filter(|p| bounded(&p.score)) {
        svg.bar(&format!("bar {class}"), false, place(p).0, (y.at(p.score.low), y.at(p.score.high)), 2.5);
    }
    svg.polyline(&format!("curve {class}"), curve.look.dash, &curve.points.iter().map(place).collect::<Vec<_>>());
    for p in &curve.points {
        let tip = format!("{}, {} samples\n{}\nfrom trial {}", curve.model, p.samples, estimate(&p.score), curve.trial);
        svg.hover("pt", &tip, |g| g.marker(&format!("mark {class}"), curve.look.shape, place(p), 4.0));
    }
}

/// A star on the base line under the number of samples that the recommended plan draws, and one on its curve.
fn chosen(svg: &mut Svg, summary: &StudySummary, stage: usize, curves: &[Line<'_>], x: &Scale, y: &Scale) {
    let Some(choice) = summary.recommended.as_ref().and_then(|r| r.plan.choices.get(stage)) else { return };
    for (i, curve) in curves.iter().enumerate().filter(|(_, c)| c.model == choice.model) {
        let Some(p) = curve.points.iter().find(|p| p.samples == choice.samples) else { continue };
        let shift = (i as f64 - (curves.len() - 1) as f64 / 2.0) * 5.0_f64.min(24.0 / curves.len() as f64);
        let at = (x.at(f64::from(p.samples)) + shift, y.at(p.score.mean));
        let tip = format!("The recommended plan: {} ×{}\n{}", choice.model, choice.samples, estimate(&p.score));
        svg.hover("pt", &tip, |g| g.marker("star", Shape::Star, at, 7.0));
    }
}
