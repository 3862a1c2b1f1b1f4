//! Several lines over samples or over cost, each with its intervals, named at its end.

use agenttts_core::{CostModel, Estimate, Peak};

use super::frame::{Frame, LABEL};
use super::{Look, PANEL};
use crate::number::bounded;
use crate::svg::{Anchor, Scale, Shape, Svg, range, scores, spread, text_width, truncated};

/// What the horizontal axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Across {
    Samples,
    Cost(CostModel),
}

/// A line.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) look: Look,
    pub(crate) points: Vec<LinePoint>,
    /// Where it is highest, of lines over samples.
    pub(crate) peak: Option<Peak>,
}

/// A point of a line.
pub(crate) struct LinePoint {
    pub(crate) x: f64,
    pub(crate) y: Estimate,
    pub(crate) tip: String,
}

/// A chart of lines; `None` where there is no point to draw. Points without a positive place on the axis are left out.
pub(crate) fn lines(lines: &[Line], across: Across, y_name: &str, label: &str) -> Option<String> {
    let drawable = |p: &&LinePoint| p.x.is_finite() && p.x > 0.0 && p.y.mean.is_finite();
    let shown: Vec<(&Line, Vec<&LinePoint>)> = lines
        .iter()
        .map(|l| (l, l.points.iter().filter(drawable).collect::<Vec<_>>()))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    if shown.is_empty() {
        return None;
    }
    let longest = shown.iter().map(|(l, _)| text_width(&l.name, LABEL)).fold(0.0, f64::max).clamp(50.0, 150.0);
    let frame = Frame { left: 44.0, top: 34.0, right: PANEL - longest - 29.0, bottom: 282.0 };
    let mut svg = Svg::new(PANEL, 328.0);
    let points = || shown.iter().flat_map(|(_, points)| points.iter());
    let ends = range(points().map(|p| p.x.ln()), 0.06);
    let (ends, left, right) = ((ends.0.exp(), ends.1.exp()), frame.left + 8.0, frame.right - 4.0);
    let (x, name) = match across {
        Across::Samples => (Scale::log2(ends, left, right), "samples (each step doubles them)".to_owned()),
        Across::Cost(model) => (Scale::log10(ends, left, right), format!("cost of the stage, {}", model.unit())),
    };
    let y = Scale::linear(scores(points().flat_map(|p| [p.y.mean, p.y.low, p.y.high])), frame.bottom, frame.top);
    frame.y_axis(&mut svg, &y, &truncated(y_name, LABEL, PANEL - 12.0));
    frame.x_axis(&mut svg, &x, &x.ticks(8), &name);
    for (i, (line, points)) in shown.iter().enumerate() {
        // Intervals at the same place stand side by side.
        let shift = (i as f64 - (shown.len() - 1) as f64 / 2.0) * 5.0_f64.min(24.0 / shown.len() as f64);
        draw(&mut svg, line, points, (&x, &y), if across == Across::Samples { shift } else { 0.0 });
    }
    let last = |points: &[&LinePoint]| points.last().map_or(0.0, |p| y.at(p.y.mean));
    let wanted: Vec<f64> = shown.iter().map(|(_, points)| last(points)).collect();
    for ((line, points), at) in shown.iter().zip(spread(&wanted, 16.0, frame.top + 6.0, frame.bottom - 4.0)) {
        let left = frame.right + 6.0;
        if points.len() > 1 {
            svg.polyline(&format!("curve {}", line.look.class), line.look.dash, &[(left, at), (left + 16.0, at)]);
        }
        svg.marker(&format!("mark {}", line.look.class), line.look.shape, (left + 8.0, at), 3.4);
        let name = truncated(&line.name, LABEL, PANEL - left - 21.0);
        svg.hover("", &line.name, |g| {
            let class = format!("label ink-{}", line.look.class);
            g.text(&class, Anchor::Start, (left + 21.0, at + LABEL * 0.34), &name);
        });
    }
    Some(svg.finish("chart panel", label))
}

fn draw(svg: &mut Svg, line: &Line, points: &[&LinePoint], (x, y): (&Scale, &Scale), shift: f64) {
    let place = |p: &LinePoint| (x.at(p.x) + shift, y.at(p.y.mean));
    let class = line.look.class;
    let faint = if points.len() > 8 { " faint" } else { "" };
    for p in points.iter().filter(|p| bounded(&p.y)) {
        svg.bar(&format!("bar {class}{faint}"), false, place(p).0, (y.at(p.y.low), y.at(p.y.high)), 2.5);
    }
    if points.len() > 1 {
        let path: Vec<_> = points.iter().map(|p| place(p)).collect();
        svg.polyline(&format!("curve {class}"), line.look.dash, &path);
    }
    for p in points {
        svg.hover("pt", &p.tip, |g| g.marker(&format!("mark {class}"), line.look.shape, place(p), 4.0));
    }
    let Some(peak) = line.peak else { return };
    let Some(p) = points.iter().find(|p| p.x == f64::from(peak.samples)) else { return };
    let tip = format!("{}: highest at {} samples [{}, {}]", line.name, peak.samples, peak.low, peak.high);
    svg.hover("pt", &tip, |g| g.marker(&format!("ring {class}"), Shape::Circle, place(p), 7.0));
}
