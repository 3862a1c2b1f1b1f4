//! Quality against cost: every measured plan, the front, the budget.

use agenttts_core::{CostModel, Measurement, StudySummary, Trial};

use super::frame::{Frame, LABEL, SMALL};
use crate::facts::{baselines, estimated, extent, is_recommended, measured, tip};
use crate::number::{bounded, cost};
use crate::svg::{Anchor, Placer, Scale, Shape, Svg, range, scores, text_width, truncated};

/// Mean cost against mean objective with intervals both ways; the front as a staircase at the plans' estimates, the
/// recommended plan as a star, the plan budget as a line. `None` when no trial was measured.
pub(crate) fn pareto(summary: &StudySummary, width: f64) -> Option<String> {
    let count = measured(summary).count();
    if count == 0 {
        return None;
    }
    let height = if width < 600.0 { 330.0 } else { 430.0 };
    let frame = Frame { left: 44.0, top: 34.0, right: width - 22.0, bottom: height - 46.0 };
    let mut svg = Svg::new(width, height);
    let axis = CostAxis::new(summary, &frame);
    let x = axis.scale;
    let shown = measured(summary).flat_map(|(t, m)| [&extent(&m.objective)[..], &[estimated(summary, t, m)]].concat());
    let y = Scale::linear(scores(shown), frame.bottom, frame.top);
    frame.y_axis(&mut svg, &y, &truncated(&summary.objective, LABEL, width - 10.0));
    frame.x_axis(&mut svg, &x, &x.ticks((frame.width() / 70.0) as usize), &axis.name);

    let at = |m: &Measurement| (x.at(axis.factor * m.cost.mean), y.at(m.objective.mean));
    // What a plan is believed to be worth: by this, not by its score, a plan is on the front.
    let level = |t: &Trial, m: &Measurement| (at(m).0, y.at(estimated(summary, t, m)));
    let mut placer = Placer::new((frame.left + 2.0, frame.top, frame.right + 18.0, frame.bottom - 3.0));
    budget(&mut svg, summary, &frame, &axis, &mut placer);

    let mut front: Vec<(&Trial, &Measurement)> =
        summary.pareto.iter().filter_map(|number| measured(summary).find(|(t, _)| t.number == *number)).collect();
    front.sort_by(|(_, a), (_, b)| a.cost.mean.total_cmp(&b.cost.mean));
    staircase(&mut svg, &frame, &front.iter().map(|(t, m)| level(t, m)).collect::<Vec<_>>());

    let known = baselines(summary);
    let mut named: Vec<(u8, (f64, f64), String, &str)> = Vec::new();
    for (trial, m) in measured(summary) {
        let at = at(m);
        let on_front = front.iter().any(|(t, _)| t.number == trial.number);
        let baseline = known.iter().find(|b| b.trial.number == trial.number);
        let chosen = is_recommended(summary, trial);
        let bar = match count {
            _ if chosen => "bar chosen",
            _ if on_front => "bar",
            0..=25 => "bar",
            26..=100 => "bar faint",
            _ => "bar veil",
        };
        let tooltip = tip(summary, trial, m);
        svg.hover("pt", &tooltip, |g| {
            let cap = if on_front || chosen { 2.5 } else { 0.0 };
            if bounded(&m.objective) {
                g.bar(bar, false, at.0, (y.at(m.objective.low), y.at(m.objective.high)), cap);
            }
            if bounded(&m.cost) {
                g.bar(bar, true, at.1, (x.at(axis.factor * m.cost.low), x.at(axis.factor * m.cost.high)), cap);
            }
            match (chosen, on_front, baseline.map(|b| b.label)) {
                (true, ..) => {}
                (_, _, Some("largest once")) => g.marker("base-dot", Shape::Triangle, at, 5.0),
                (_, _, Some(_)) => g.marker("base-dot", Shape::Down, at, 5.0),
                (_, _, None) => g.marker("dot", Shape::Circle, at, if count > 150 { 2.4 } else { 3.3 }),
            }
            if on_front {
                g.marker("front-dot", Shape::Square, level(trial, m), 4.4);
            }
        });
        placer.reserve(at, if chosen { 6.0 } else { 3.0 });
        if on_front {
            placer.reserve(level(trial, m), 6.0);
        }
        match (chosen, baseline, on_front) {
            (true, ..) => {
                let also = baseline.map_or_else(String::new, |b| format!(", {}", b.label));
                named.push((0, at, format!("recommended{also}"), "label star-label"));
            }
            (_, Some(b), _) => named.push((1, at, b.label.to_owned(), "label")),
            (_, _, true) => named.push((2, level(trial, m), format!("#{}", trial.number), "tick halo")),
            _ => {}
        }
    }
    if let Some((trial, m)) = measured(summary).find(|(t, _)| is_recommended(summary, t)) {
        svg.hover("pt", &tip(summary, trial, m), |g| g.marker("star", Shape::Star, at(m), 7.5));
    }
    named.sort_by_key(|n| n.0);
    for (rank, at, text, class) in named {
        let size = if rank == 2 { SMALL } else { LABEL };
        if let Some((tx, ty, anchor)) = placer.place(at, 10.0, &text, size) {
            svg.text(class, anchor, (tx, ty), &text);
        }
    }
    let label = format!(
        "Quality against cost: {count} measured plans, {} of them on the front. Budget {}.",
        front.len(),
        cost(summary.cost_model, summary.plan_budget)
    );
    Some(svg.finish(super::class_of(width), &label))
}

/// The cost axis: its scale, and the factor from the cost model's units to the axis' units.
struct CostAxis {
    scale: Scale,
    factor: f64,
    name: String,
    /// Whether the plan budget lies on the axis.
    budget_inside: bool,
}

impl CostAxis {
    fn new(summary: &StudySummary, frame: &Frame) -> Self {
        let means: Vec<f64> = measured(summary).map(|(_, m)| m.cost.mean).collect();
        let most = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = means.iter().copied().fold(f64::INFINITY, f64::min);
        let log = least > 0.0 && most / least > 30.0;
        let (factor, unit) = match summary.cost_model {
            CostModel::Usd | CostModel::UsdBatch if most < 0.05 => (1000.0, "USD per 1,000 queries"),
            CostModel::PaperFlops => (1.0, "units of paper-flops"),
            other => (1.0, other.unit()),
        };
        // A budget far beyond every plan would press the points together: it is then named, not drawn.
        let budget = summary.plan_budget;
        let budget_inside = budget.is_finite() && budget <= most * if log { 4.0 } else { 1.5 } && budget > 0.0;
        let mut values: Vec<f64> = measured(summary).flat_map(|(_, m)| extent(&m.cost)).collect();
        if budget_inside {
            values.push(budget);
        }
        let scale = if log {
            // An interval may reach below zero where the cost itself cannot.
            let (low, high) = range(values.iter().filter(|v| **v > least / 3.0).map(|v| v.ln()), 0.05);
            Scale::log10((low.exp() * factor, high.exp() * factor), frame.left, frame.right)
        } else {
            let (low, high) = range(values.iter().copied(), 0.05);
            // Costs compare as ratios: show zero unless all are alike.
            let low = if least >= 0.0 { 0.0 } else { low };
            Scale::linear((low * factor, high * factor), frame.left, frame.right)
        };
        let log_words = if log { ", logarithmic" } else { "" };
        CostAxis { scale, factor, name: format!("measured cost of one query ({unit}{log_words})"), budget_inside }
    }
}

fn budget(svg: &mut Svg, summary: &StudySummary, frame: &Frame, axis: &CostAxis, placer: &mut Placer) {
    let text = format!("plan budget {}", cost(summary.cost_model, summary.plan_budget));
    let tip = "Plans were chosen by their nominal cost within this budget; what they cost was measured.";
    if !axis.budget_inside {
        let text = format!("{text} →");
        let w = text_width(&text, SMALL);
        svg.text("tick", Anchor::End, (frame.right, frame.bottom - 8.0), &text);
        placer.reserve((frame.right - w / 2.0, frame.bottom - 8.0), 10.0);
        return;
    }
    let x = axis.scale.at(summary.plan_budget * axis.factor);
    svg.hover("", tip, |g| {
        g.line("budget", (x, frame.top), (x, frame.bottom));
        let right = x < frame.left + text_width(&text, SMALL) + 8.0;
        let (anchor, dx) = if right { (Anchor::Start, 6.0) } else { (Anchor::End, -6.0) };
        g.text("tick halo", anchor, (x + dx, frame.bottom - 8.0), &text);
    });
}

/// The front: what quality is to be had at most for a cost.
fn staircase(svg: &mut Svg, frame: &Frame, front: &[(f64, f64)]) {
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for (x, y) in front {
        if let Some((_, level)) = steps.last().copied() {
            steps.push((*x, level));
        }
        steps.push((*x, *y));
    }
    if let Some((_, level)) = steps.last().copied() {
        steps.push((frame.right, level));
        svg.polyline("front", "", &steps);
    }
}
