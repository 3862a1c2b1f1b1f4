//! The optimisation history: what every trial measured, in the order of proposal.

use agenttts_core::{Archive, StudySummary, Trial, TrialState};

use super::frame::{Frame, LABEL, SMALL};
use crate::facts::{baselines, extent, is_recommended, measured, round_words, tip};
use crate::number::{bounded, score};
use crate::svg::{Anchor, Scale, Shape, Svg, scores, spread, text_width, truncated};

/// Objective by trial number with intervals, rounds as bands, the best so far as a step line, baselines as dashed
/// lines. `None` when no trial was measured.
pub(crate) fn history(summary: &StudySummary, width: f64) -> Option<String> {
    let count = measured(summary).count();
    let last = summary.archive.trials.iter().map(|t| t.number).max()?;
    if count == 0 {
        return None;
    }
    let height = if width < 600.0 { 300.0 } else { 380.0 };
    let frame = Frame { left: 44.0, top: 50.0, right: width - 104.0, bottom: height - 46.0 };
    let mut svg = Svg::new(width, height);
    let x = Scale::linear((0.5, f64::from(last) + 0.5), frame.left, frame.right);
    let all = measured(summary).flat_map(|(_, m)| extent(&m.objective));
    let y = Scale::linear(scores(all), frame.bottom, frame.top);

    rounds(&mut svg, summary, &frame, &x);
    frame.y_axis(&mut svg, &y, &truncated(&summary.objective, LABEL, width - 10.0));
    frame.x_axis(&mut svg, &x, &x.whole_ticks((frame.width() / 60.0) as usize), "trial, in the order of proposal");

    let mut ends: Vec<(f64, &str, String)> = Vec::new();
    for b in baselines(summary) {
        let at = y.at(b.measured.objective.mean);
        let class = if b.label == "largest once" { "baseline largest" } else { "baseline smallest" };
        let tip = format!("{}, on the search split: {}", b.label, tip(summary, b.trial, b.measured));
        svg.hover("", &tip, |g| g.line(class, (frame.left, at), (frame.right, at)));
        ends.push((at, "label", b.label.to_owned()));
    }
    let best = best_so_far(&mut svg, summary, &frame, &x, &y);
    points(&mut svg, summary, &x, &y, count);
    ends.push((best, "label best-label", "best so far".to_owned()));
    unmeasured(&mut svg, summary, &frame, &x);

    let at = spread(&ends.iter().map(|e| e.0).collect::<Vec<_>>(), 15.0, frame.top + 4.0, frame.bottom - 2.0);
    for ((_, class, text), at) in ends.iter().zip(at) {
        svg.text(class, Anchor::Start, (frame.right + 8.0, at + LABEL * 0.34), text);
    }
    let most = measured(summary).map(|(_, m)| m.objective.mean).fold(f64::NEG_INFINITY, f64::max);
    let label =
        format!("Optimisation history: {} of {count} trials by number. Best mean {}.", summary.objective, score(most));
    Some(svg.finish(super::class_of(width), &label))
}

/// Alternating bands, one per round of proposals, with their names, or as many of their numbers as there is room for.
fn rounds(svg: &mut Svg, summary: &StudySummary, frame: &Frame, x: &Scale) {
    let groups: Vec<&[Trial]> = summary.archive.trials.chunk_by(|a, b| a.round == b.round).collect();
    let room = frame.width() / groups.len().max(1) as f64;
    let every = ((text_width("000", SMALL) + 4.0) / room).ceil().max(1.0) as usize;
    for (i, group) in groups.into_iter().enumerate() {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let (from, to) = (x.at(f64::from(first.number) - 0.5), x.at(f64::from(last.number) + 0.5));
        let full = if first.round == 0 { "initial".to_owned() } else { round_words(first.round) };
        let short = (i % every == 0).then(|| first.round.to_string());
        svg.hover("", &round_words(first.round), |g| {
            let class = if i % 2 == 0 { "band" } else { "band odd" };
            g.rect(class, (from, frame.top), (to - from, frame.height()));
            let name = if text_width(&full, SMALL) + 6.0 <= to - from { Some(full) } else { short };
            if let Some(name) = name {
                g.text("tick", Anchor::Middle, ((from + to) / 2.0, frame.top - 7.0), &name);
            }
        });
    }
}

fn points(svg: &mut Svg, summary: &StudySummary, x: &Scale, y: &Scale, count: usize) {
    let faint = if count > 80 { "bar faint" } else { "bar" };
    let r = if count > 150 { 2.4 } else { 3.6 };
    let mut star = None;
    for (trial, m) in measured(summary) {
        let at = (x.at(f64::from(trial.number)), y.at(m.objective.mean));
        let chosen = is_recommended(summary, trial);
        svg.hover("pt", &tip(summary, trial, m), |g| {
            if bounded(&m.objective) {
                let bar = if chosen { "bar chosen" } else { faint };
                g.bar(
                    bar,
                    false,
                    at.0,
                    (y.at(m.objective.low), y.at(m.objective.high)),
                    if count > 80 { 0.0 } else { 2.5 },
                );
            }
            match chosen {
                true => star = Some((at, tip(summary, trial, m))),
                false => g.marker(if bounded(&m.objective) { "dot" } else { "dot hollow" }, Shape::Circle, at, r),
            }
        });
    }
    // Above everything else.
    if let Some((at, tip)) = star {
        svg.hover("pt", &tip, |g| g.marker("star", Shape::Star, at, 6.5));
        let (anchor, dx) =
            if at.0 > (x.at(f64::MIN) + x.at(f64::MAX)) / 2.0 { (Anchor::End, -11.0) } else { (Anchor::Start, 11.0) };
        svg.text("label star-label", anchor, (at.0 + dx, at.1 - 9.0), "recommended");
    }
}

/// The mean of the plan that leads after each trial, all its trials until then pooled, as steps; returns the height of
/// its end. It may fall: a plan that led by luck is tried again.
fn best_so_far(svg: &mut Svg, summary: &StudySummary, frame: &Frame, x: &Scale, y: &Scale) -> f64 {
    let mut before: Option<f64> = None;
    let mut steps: Vec<(f64, f64)> = Vec::new();
    let mut so_far = Archive::default();
    for (trial, _) in measured(summary) {
        so_far.trials.push(trial.clone());
        let Some(leader) = so_far.best().map(|p| p.objective.mean) else { continue };
        if before == Some(leader) {
            continue;
        }
        // Steps stand between trials, where they hide no interval.
        let at = x.at(f64::from(trial.number) - 0.5);
        steps.extend(before.map(|b| (at, y.at(b))));
        steps.push((at, y.at(leader)));
        before = Some(leader);
    }
    let level = y.at(before.unwrap_or_default());
    steps.push((frame.right, level));
    svg.polyline("best", "", &steps);
    level
}

/// Trials without a measurement stand on the base line.
fn unmeasured(svg: &mut Svg, summary: &StudySummary, frame: &Frame, x: &Scale) {
    let words = |trial: &Trial| match &trial.state {
        TrialState::Pending => Some("not measured yet".to_owned()),
        TrialState::Abandoned(reason) => Some(format!("given up: {reason}")),
        TrialState::Measured(_) => None,
    };
    for trial in &summary.archive.trials {
        let Some(words) = words(trial) else { continue };
        let at = (x.at(f64::from(trial.number)), frame.bottom - 7.0);
        svg.hover("pt", &format!("Trial {}: {words}\n{}", trial.number, trial.plan), |g| {
            g.marker("gone", Shape::Cross, at, 3.8);
        });
    }
}
