//! Fitted scaling curves: what is believed of the objective along the samples of one stage.

use agenttts_core::{FittedCurve, FittedPoint, Measurement, StudySummary, Trial};

use super::frame::{Frame, LABEL};
use super::{Look, PANEL};
use crate::facts::{measured, models, tip};
use crate::number::{bounded, credible};
use crate::svg::{Anchor, Scale, Shape, Svg, range, scores, spread, text_width, truncated};

/// The fitted curves of one stage with their bands and peaks, and the trials: with their intervals where the other
/// stages were as in the recommended plan, else as faint ticks. `None` when there is no curve.
pub(crate) fn fitted(summary: &StudySummary, stage: usize) -> Option<String> {
    let spec = summary.stages.get(stage)?;
    let explanation = summary.explanation.as_ref()?;
    let curves: Vec<(&FittedCurve, Look)> = explanation
        .curves
        .iter()
        .filter(|c| c.stage == spec.name && c.points.iter().any(drawable))
        .map(|c| (c, Look::of(models(summary).iter().position(|m| *m == c.model).unwrap_or(0))))
        .collect();
    // Where only one count is permitted there is no curve.
    if curves.iter().all(|(c, _)| c.points.len() < 2) {
        return None;
    }
    let trials: Vec<Tried<'_>> = tried(summary, stage);
    let longest = curves.iter().map(|(c, _)| text_width(&c.model, LABEL)).fold(0.0, f64::max).clamp(50.0, 140.0);
    let frame = Frame { left: 44.0, top: 34.0, right: PANEL - longest - 29.0, bottom: 282.0 };
    let mut svg = Svg::new(PANEL, 328.0);
    let points = || curves.iter().flat_map(|(c, _)| c.points.iter()).filter(|p| drawable(p));
    let counts = range(points().map(|p| f64::from(p.samples).ln()), 0.06);
    let x = Scale::log2((counts.0.exp(), counts.1.exp()), frame.left + 8.0, frame.right - 4.0);
    let bands = points().flat_map(|p| [p.score.low, p.score.high]);
    let y =
        Scale::linear(scores(bands.chain(trials.iter().map(|t| t.measured.objective.mean))), frame.bottom, frame.top);
    frame.y_axis(&mut svg, &y, &truncated(&summary.objective, LABEL, PANEL - 12.0));
    frame.x_axis(&mut svg, &x, &x.ticks(9), "samples (each step doubles them)");

    for (curve, look) in &curves {
        band(&mut svg, curve, look, &x, &y);
    }
    for tried in &trials {
        let look = curves.iter().find(|(c, _)| c.model == tried.model).map(|(_, look)| *look);
        if let Some(look) = look.filter(|_| tried.samples > 0) {
            trial(&mut svg, summary, tried, look, (x.at(f64::from(tried.samples)), &y));
        }
    }
    for (curve, look) in &curves {
        peak(&mut svg, curve, look, &x, &y);
    }
    let end = |c: &FittedCurve| c.points.iter().rfind(|p| drawable(p)).map_or(0.0, |p| y.at(p.score.mean));
    let ends: Vec<f64> = curves.iter().map(|(c, _)| end(c)).collect();
    for ((curve, look), at) in curves.iter().zip(spread(&ends, 16.0, frame.top + 6.0, frame.bottom - 4.0)) {
        let left = frame.right + 6.0;
        svg.polyline(&format!("curve {}", look.class), look.dash, &[(left, at), (left + 16.0, at)]);
        svg.marker(&format!("mark {}", look.class), look.shape, (left + 8.0, at), 3.4);
        let name = truncated(&curve.model, LABEL, PANEL - left - 21.0);
        svg.hover("", &curve.model, |g| {
            g.text(&format!("label ink-{}", look.class), Anchor::Start, (left + 21.0, at + LABEL * 0.34), &name);
        });
    }
    let peaks: Vec<String> =
        curves.iter().filter_map(|(c, _)| Some(format!("{} at {}", c.model, c.peak?.samples))).collect();
    let peaks = if peaks.is_empty() { "none within the budget".to_owned() } else { peaks.join(", ") };
    Some(svg.finish("chart panel", &format!("Fitted curves of stage {}; peaks: {peaks}.", spec.name)))
}

fn drawable(p: &FittedPoint) -> bool {
    p.samples > 0 && [p.score.mean, p.score.low, p.score.high].iter().all(|v| v.is_finite())
}

/// A trial as a point of a curve.
struct Tried<'a> {
    trial: &'a Trial,
    measured: &'a Measurement,
    model: &'a str,
    samples: u32,
    /// Whether the other stages were as in the recommended plan.
    alike: bool,
}

fn tried<'a>(summary: &'a StudySummary, stage: usize) -> Vec<Tried<'a>> {
    let plan = summary.recommended.as_ref().map(|r| &r.plan.choices);
    let of = |(trial, measured): (&'a Trial, &'a Measurement)| {
        let choice = trial.plan.choices.get(stage)?;
        let others = |choices: &[agenttts_core::Choice]| -> Vec<agenttts_core::Choice> {
            choices.iter().enumerate().filter(|(i, _)| *i != stage).map(|(_, c)| c.clone()).collect()
        };
        let alike = plan.is_some_and(|p| others(p) == others(&trial.plan.choices));
        Some(Tried { trial, measured, model: &choice.model, samples: choice.samples, alike })
    };
    measured(summary).filter_map(of).collect()
}

/// The band and the line: whole within the budget, faint beyond.
fn band(svg: &mut Svg, curve: &FittedCurve, look: &Look, x: &Scale, y: &Scale) {
    let points: Vec<&FittedPoint> = curve.points.iter().filter(|p| drawable(p)).collect();
    let at = |p: &FittedPoint, value: f64| (x.at(f64::from(p.samples)), y.at(value));
    let upper: Vec<_> = points.iter().map(|p| at(p, p.score.high)).collect();
    let lower: Vec<_> = points.iter().map(|p| at(p, p.score.low)).collect();
    svg.area(&format!("belt {}", look.class), &upper, &lower);
    let line = |within: &dyn Fn(&FittedPoint) -> bool| -> Vec<(f64, f64)> {
        points.iter().filter(|p| within(p)).map(|p| at(p, p.score.mean)).collect()
    };
    svg.polyline(&format!("curve thin {}", look.class), look.dash, &line(&|_| true));
    svg.polyline(&format!("curve {}", look.class), look.dash, &line(&|p| p.within_budget));
}

fn trial(svg: &mut Svg, summary: &StudySummary, tried: &Tried<'_>, look: Look, (x, y): (f64, &Scale)) {
    let objective = &tried.measured.objective;
    let at = (x, y.at(objective.mean));
    svg.hover("pt", &tip(summary, tried.trial, tried.measured), |g| {
        if !tried.alike {
            g.marker(&format!("mark faint {}", look.class), look.shape, at, 2.4);
            return;
        }
        if bounded(objective) {
            g.bar(&format!("bar {}", look.class), false, x, (y.at(objective.low), y.at(objective.high)), 3.0);
        }
        g.marker(&format!("mark {}", look.class), look.shape, at, 4.2);
    });
}

/// A ring where the curve is highest within the budget, and a bar over the counts where the true peak may be.
fn peak(svg: &mut Svg, curve: &FittedCurve, look: &Look, x: &Scale, y: &Scale) {
    let Some(peak) = curve.peak else { return };
    let Some(p) = curve.points.iter().find(|p| p.samples == peak.samples && drawable(p)) else { return };
    let at = (x.at(f64::from(p.samples)), y.at(p.score.mean));
    let enough = curve.enough.map_or_else(String::new, |e| format!("\n{e} samples are not clearly worse"));
    let falls = if curve.falls { "\nthe most within the budget are clearly worse" } else { "" };
    let tip = format!(
        "{}: peak at {} samples [{}, {}]\n{}{enough}{falls}",
        curve.model,
        peak.samples,
        peak.low,
        peak.high,
        credible(&p.score)
    );
    svg.hover("pt", &tip, |g| {
        let ends = (x.at(f64::from(peak.low.max(1))), x.at(f64::from(peak.high.max(1))));
        g.bar(&format!("bar {}", look.class), true, at.1, ends, 3.0);
        g.marker(&format!("ring {}", look.class), Shape::Circle, at, 7.0);
    });
}
