//! Regret curves of one landscape as SVG.

use std::fmt::Write as _;

use agenttts_core::text::escaped;

use super::number;
use crate::results::{LandscapeSummary, MethodSummary};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 690.0;
const BOTTOM: f64 = 372.0;

/// What is spent before the curves' height counts for the axis: at first every method is blind.
const BLIND_SHARE: f64 = 0.06;

/// Regrets from here on are of methods that have hardly recommended anything.
const NO_RECOMMENDATION: f64 = 0.9;

/// Dash patterns: with the six colours, thirty methods differ.
const DASHES: [&str; 5] = ["", "7 3", "2 3", "9 3 2 3", "12 4"];

/// Colours of the curves and the ground, for light and dark.
pub(crate) const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1e23;--soft:#565d67;--line:#d9dde2;--hair:#e9ecef;\
--k0:#0b68b5;--k1:#00806a;--k2:#8a4aa8;--k3:#94690a;--k4:#b83a75;--k5:#4d5b6b}
@media (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e8eaed;--soft:#a3abb6;--line:#363c45;--hair:#262b32;\
--k0:#6cb2f2;--k1:#45c7a8;--k2:#c794e6;--k3:#dcb04a;--k4:#f284b3;--k5:#a9b6c6}}
";

/// The classes of a curve's parts.
pub(crate) const CHART_STYLE: &str = "\
.chart{font:12.5px Inter,system-ui,sans-serif;font-variant-numeric:tabular-nums}
.chart text{fill:var(--soft)}
.chart .grid{stroke:var(--hair)} .chart .base{stroke:var(--line)}
.chart .curve{fill:none;stroke-width:2} .chart .belt{stroke:none;opacity:.13}
.chart .k0{stroke:var(--k0)} .chart .k1{stroke:var(--k1)} .chart .k2{stroke:var(--k2)}
.chart .k3{stroke:var(--k3)} .chart .k4{stroke:var(--k4)} .chart .k5{stroke:var(--k5)}
.chart .belt.k0{fill:var(--k0)} .chart .belt.k1{fill:var(--k1)} .chart .belt.k2{fill:var(--k2)}
.chart .belt.k3{fill:var(--k3)} .chart .belt.k4{fill:var(--k4)} .chart .belt.k5{fill:var(--k5)}
.chart text.name{fill:var(--ink)}
";

/// The mean of 1 - ratio against what was spent, one curve a method with its 95% belt, as an SVG element.
pub(super) fn curve(landscape: &LandscapeSummary) -> String {
    let label = format!(
        "{}: regret of the recommended plan by {} spent; {}",
        landscape.landscape,
        landscape.unit.name(),
        landscape.methods.iter().map(|m| format!("{} {:.3}", m.method, last(m))).collect::<Vec<_>>().join(", "),
    );
    let axes = Axes::new(landscape);
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}\" \
         xmlns=\"http://www.w3.org/2000/svg\"><title>{0}</title>",
        escaped(&label)
    );
    axes.draw(&mut svg, landscape);
    for (i, method) in landscape.methods.iter().enumerate() {
        axes.belt(&mut svg, i, method);
    }
    for (i, method) in landscape.methods.iter().enumerate() {
        axes.line(&mut svg, i, method);
    }
    names(&mut svg, &axes, landscape);
    svg + "</svg>"
}

/// The same as a file of its own.
pub(super) fn curve_file(landscape: &LandscapeSummary) -> String {
    let style = format!("<style>{STYLE}{CHART_STYLE}svg{{background:var(--paper)}}</style>");
    curve(landscape).replacen("</title>", &format!("</title>{style}"), 1) + "\n"
}

fn last(method: &MethodSummary) -> f64 {
    method.curve.last().map_or(1.0, |p| p.regret)
}

struct Axes {
    budget: f64,
    most: f64,
}

impl Axes {
    fn new(landscape: &LandscapeSummary) -> Self {
        let seeing = landscape.methods.iter().flat_map(|m| &m.curve);
        let seeing = seeing.filter(|p| p.evaluations >= landscape.budget * BLIND_SHARE).map(|p| p.regret);
        // A method that has recommended nothing yet would press all others to the ground.
        let seeing = seeing.filter(|r| *r < NO_RECOMMENDATION);
        let most = seeing.reduce(f64::max).unwrap_or(1.0).clamp(0.01, 1.0) * 1.08;
        Axes { budget: landscape.budget.max(1.0), most }
    }

    fn x(&self, evaluations: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (evaluations / self.budget).clamp(0.0, 1.0)
    }

    /// What is above the axis stays at its end.
    fn y(&self, regret: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (regret / self.most).clamp(0.0, 1.0)
    }

    fn draw(&self, svg: &mut String, landscape: &LandscapeSummary) {
        for regret in steps(self.most, 6) {
            let y = self.y(regret);
            let _ = write!(svg, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>");
            let _ = write!(
                svg,
                "<text text-anchor=\"end\" x=\"{}\" y=\"{:.1}\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                number(regret)
            );
        }
        let _ = write!(svg, "<path class=\"base\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/>");
        for evaluations in steps(self.budget, 6) {
            let x = self.x(evaluations);
            let _ = write!(svg, "<path class=\"base\" d=\"M{x:.1} {BOTTOM}v4\"/>");
            let at = BOTTOM + 18.0;
            let text = number(evaluations);
            let _ = write!(svg, "<text text-anchor=\"middle\" x=\"{x:.1}\" y=\"{at}\">{text}</text>");
        }
        let unit = landscape.unit.name();
        let _ =
            write!(svg, "<text x=\"2\" y=\"16\">1 - true score of the recommended plan / best, mean over seeds</text>");
        let _ = write!(svg, "<text x=\"{LEFT}\" y=\"{}\">{unit} spent</text>", BOTTOM + 38.0);
    }

    fn line(&self, svg: &mut String, index: usize, method: &MethodSummary) {
        let mut d = String::new();
        for (i, p) in method.curve.iter().enumerate() {
            let (x, y) = (self.x(p.evaluations), self.y(p.regret));
            // A recommendation holds until the next.
            let _ = if i == 0 { write!(d, "M{x:.1} {y:.1}") } else { write!(d, "H{x:.1}V{y:.1}") };
        }
        let dash = DASHES[index / 6 % DASHES.len()];
        let _ = write!(
            svg,
            "<path class=\"curve k{}\" stroke-dasharray=\"{dash}\" d=\"{d}\"><title>{}: {:.3} at the end</title></path>",
            index % 6,
            escaped(&method.method),
            last(method)
        );
    }

    fn belt(&self, svg: &mut String, index: usize, method: &MethodSummary) {
        let ends: Vec<(f64, (f64, f64))> =
            method.curve.iter().filter_map(|p| Some((p.evaluations, p.interval?))).collect();
        if ends.is_empty() {
            return;
        }
        let mut d = String::new();
        for (i, (evaluations, (_, high))) in ends.iter().enumerate() {
            let _ = write!(d, "{}{:.1} {:.1}", if i == 0 { "M" } else { "L" }, self.x(*evaluations), self.y(*high));
        }
        for (evaluations, (low, _)) in ends.iter().rev() {
            let _ = write!(d, "L{:.1} {:.1}", self.x(*evaluations), self.y(*low));
        }
        let _ = write!(svg, "<path class=\"belt k{}\" d=\"{d}Z\"/>", index % 6);
    }
}

/// The methods' names at the ends of their curves, moved apart.
fn names(svg: &mut String, axes: &Axes, landscape: &LandscapeSummary) {
    let mut order: Vec<usize> = (0..landscape.methods.len()).collect();
    order.sort_by(|&a, &b| last(&landscape.methods[b]).total_cmp(&last(&landscape.methods[a])));
    let gap = 15.0f64.min((BOTTOM - TOP) / order.len().max(1) as f64);
    let mut places: Vec<f64> = Vec::new();
    for &i in &order {
        let least = places.last().map_or(TOP, |y| y + gap);
        places.push(axes.y(last(&landscape.methods[i])).max(least));
    }
    let mut most = BOTTOM;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - gap;
    }
    for (&i, y) in order.iter().zip(places) {
        let method = &landscape.methods[i];
        let dash = DASHES[i / 6 % DASHES.len()];
        let (from, to) = (RIGHT + 6.0, RIGHT + 26.0);
        let _ = write!(
            svg,
            "<path class=\"curve k{}\" stroke-dasharray=\"{dash}\" d=\"M{from} {y:.1}H{to}\"/>\
             <text class=\"name\" x=\"{}\" y=\"{:.1}\">{} {:.3}</text>",
            i % 6,
            to + 6.0,
            y + 4.0,
            escaped(&method.method),
            last(method)
        );
    }
}

/// Round steps from 0 to `most`, at most `wanted` and the end.
pub(crate) fn steps(most: f64, wanted: usize) -> Vec<f64> {
    let raw = most / wanted as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|d| d * power).find(|s| *s >= raw * 0.999).unwrap_or(raw);
    (0..=wanted).map(|i| i as f64 * step).take_while(|v| *v <= most * 1.000_1).collect()
}
