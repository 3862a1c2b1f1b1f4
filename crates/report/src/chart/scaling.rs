//! Scaling curves: the metric of one stage against its samples, a line for every model.

use agenttts_core::{CurvePoint, StageSummary, StudySummary};

use super::frame::{Frame, LABEL};
use super::{Look, PANEL};
use crate::facts::{extent, measured, models};
use crate::number::{bounded, estimate};
use crate::svg::{Anchor, Scale, Shape, Svg, range, scores, spread, text_width, truncated};

/// The metric of one stage against samples: its scaling curves, or where there are none (an aggregator that calls a
/// model has none) every measured trial as a point. `None` when there is neither.
pub(crate) fn scaling(summary: &StudySummary, stage: usize) -> Option<String> {
    let spec = summary.stages.get(stage)?;
    let joined = has_curves(summary, spec);
    let curves = if joined { curves(summary, spec) } else { trials(summary, stage) };
    if curves.is_empty() {
        return None;
    }
    let longest = curves.iter().map(|c| text_width(c.model, LABEL)).fold(0.0, f64::max).clamp(50.0, 140.0);
    let frame = Frame { left: 44.0, top: 34.0, right: PANEL - longest - 29.0, bottom: 282.0 };
    let mut svg = Svg::new(PANEL, 328.0);
    let points = || curves.iter().flat_map(|c| c.points.iter().map(|(_, p)| p));
    let counts = range(points().map(|p| f64::from(p.samples).ln()), 0.06);
    let x = Scale::log2((counts.0.exp(), counts.1.exp()), frame.left + 8.0, frame.right - 4.0);
    let y = Scale::linear(scores(points().flat_map(|p| extent(&p.score))), frame.bottom, frame.top);
    frame.y_axis(&mut svg, &y, &metric(spec));
    frame.x_axis(&mut svg, &x, &x.ticks(9), "samples (each step doubles them)");

    for (i, curve) in curves.iter().enumerate() {
        draw(&mut svg, curve, &x, &y, beside(i, curves.len()), joined);
    }
    chosen(&mut svg, summary, stage, &curves, &x, &y, joined);

    let ends: Vec<f64> = curves.iter().map(|c| y.at(c.points.last().map_or(0.0, |(_, p)| p.score.mean))).collect();
    let at = spread(&ends, 16.0, frame.top + 6.0, frame.bottom - 4.0);
    for (curve, at) in curves.iter().zip(at) {
        let left = frame.right + 6.0;
        if joined {
            svg.polyline(&format!("curve {}", curve.look.class), curve.look.dash, &[(left, at), (left + 16.0, at)]);
        }
        svg.marker(&format!("mark {}", curve.look.class), curve.look.shape, (left + 8.0, at), 3.4);
        let name = truncated(curve.model, LABEL, PANEL - left - 21.0);
        svg.hover("", curve.model, |g| {
            g.text(&format!("label ink-{}", curve.look.class), Anchor::Start, (left + 21.0, at + LABEL * 0.34), &name);
        });
    }
    let what = if joined { "Scaling curves" } else { "Trials" };
    let label = format!("{what} of stage {}: {} against samples, {} models.", spec.name, metric(spec), curves.len());
    Some(svg.finish("chart panel", &label))
}

/// Whether the stage has a scaling curve to draw.
pub(crate) fn has_curves(summary: &StudySummary, stage: &StageSummary) -> bool {
    !curves(summary, stage).is_empty()
}

/// The points of one model, each with its trial, by number of samples.
struct Line<'a> {
    model: &'a str,
    points: Vec<(u32, CurvePoint)>,
    look: Look,
}

impl<'a> Line<'a> {
    fn new(summary: &'a StudySummary, model: &'a str, points: impl Iterator<Item = (u32, CurvePoint)>) -> Option<Self> {
        let look = Look::of(models(summary).iter().position(|m| *m == model)?);
        let mut points: Vec<_> = points.filter(|(_, p)| p.samples > 0 && p.score.mean.is_finite()).collect();
        points.sort_by_key(|(_, p)| p.samples);
        (!points.is_empty()).then_some(Line { model, points, look })
    }
}

fn curves<'a>(summary: &'a StudySummary, stage: &StageSummary) -> Vec<Line<'a>> {
    let of_stage = summary.curves.iter().filter(|c| c.stage == stage.name);
    of_stage.filter_map(|c| Line::new(summary, &c.model, c.points.iter().map(|p| (c.trial, *p)))).collect()
}

fn trials(summary: &StudySummary, stage: usize) -> Vec<Line<'_>> {
    let Some(spec) = summary.stages.get(stage) else { return Vec::new() };
    let with = |model: &str| -> Vec<(u32, CurvePoint)> {
        measured(summary)
            .filter_map(|(trial, m)| {
                let choice = trial.plan.choices.get(stage).filter(|c| c.model == model)?;
                let score = m.stages.get(stage).copied().flatten()?;
                Some((trial.number, CurvePoint { samples: choice.samples, score }))
            })
            .collect()
    };
    spec.models.iter().filter_map(|model| Line::new(summary, model, with(model).into_iter())).collect()
}

/// How far the `i`-th of `all` series is moved, so that intervals at the same number of samples stand side by side.
fn beside(i: usize, all: usize) -> f64 {
    (i as f64 - (all - 1) as f64 / 2.0) * 5.0_f64.min(24.0 / all as f64)
}

/// The name of a stage's metric.
pub(crate) fn metric(stage: &StageSummary) -> String {
    stage.metric.clone().unwrap_or_else(|| "metric of the stage".to_owned())
}

fn draw(svg: &mut Svg, line: &Line<'_>, x: &Scale, y: &Scale, shift: f64, joined: bool) {
    let place = |p: &CurvePoint| (x.at(f64::from(p.samples)) + shift, y.at(p.score.mean));
    let class = line.look.class;
    let faint = if line.points.len() > 12 { " faint" } else { "" };
    for (_, p) in line.points.iter().filter(|(_, p)| bounded(&p.score)) {
        let ends = (y.at(p.score.low), y.at(p.score.high));
        svg.bar(&format!("bar {class}{faint}"), false, place(p).0, ends, 2.5);
    }
    if joined {
        let points: Vec<_> = line.points.iter().map(|(_, p)| place(p)).collect();
        svg.polyline(&format!("curve {class}"), line.look.dash, &points);
    }
    for (trial, p) in &line.points {
        let tip = format!("{}, {} samples\n{}\nfrom trial {trial}", line.model, p.samples, estimate(&p.score));
        svg.hover("pt", &tip, |g| g.marker(&format!("mark {class}"), line.look.shape, place(p), 4.0));
    }
}

/// A star where the recommended plan is: on the curve of its model, or at its own trial.
fn chosen(
    svg: &mut Svg,
    summary: &StudySummary,
    stage: usize,
    curves: &[Line<'_>],
    x: &Scale,
    y: &Scale,
    joined: bool,
) {
    let Some(choice) = summary.recommended.as_ref().and_then(|r| r.plan.choices.get(stage)) else { return };
    for (i, curve) in curves.iter().enumerate().filter(|(_, c)| c.model == choice.model) {
        let number = summary.recommended.as_ref().map(|r| r.trial);
        let own = |(trial, _): &&(u32, CurvePoint)| joined || Some(*trial) == number;
        let with = |(_, p): &&(u32, CurvePoint)| p.samples == choice.samples;
        let Some((_, p)) = curve.points.iter().filter(with).find(own) else { continue };
        let at = (x.at(f64::from(p.samples)) + beside(i, curves.len()), y.at(p.score.mean));
        let tip = format!("The recommended plan: {} ×{}\n{}", choice.model, choice.samples, estimate(&p.score));
        svg.hover("pt", &tip, |g| g.marker("star", Shape::Star, at, 7.0));
    }
}
