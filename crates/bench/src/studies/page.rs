//! A study as files: one chart with a panel for every landscape, and one page with everything on it.

use std::fmt::Write as _;

use agenttts_core::text::escaped;

use super::results::{StudyCell, StudyLandscape, StudyResults};
use crate::page::{CHART_STYLE, PAGE_STYLE, STYLE, difference, estimate, number, steps, table};

/// Panels side by side.
const COLUMNS: usize = 3;

/// The size of a panel with its margins, and its margins.
const WIDTH: f64 = 290.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 26.0;

/// Above the panels, and for the names of the methods below them.
const HEAD: f64 = 26.0;
const LEGEND: f64 = 30.0;

/// The chart of a study as an SVG file.
pub fn study_svg(results: &StudyResults) -> String {
    let style = format!("<style>{STYLE}{CHART_STYLE}svg{{background:var(--paper)}}</style>");
    chart(results).replacen("</title>", &format!("</title>{style}"), 1) + "\n"
}

/// A study as one self-contained HTML page.
pub fn study_html(results: &StudyResults) -> String {
    let title = escaped(&results.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\n\
         <style>{STYLE}{PAGE_STYLE}{CHART_STYLE}</style></head><body>\n<h1>{title}</h1>\n\
         <p>{} seeds. Shown is the true score of the recommended plan over that of the best plan within the plan budget, \
         at the end of the search, with half of its 95% interval.</p>\n<figure>{}</figure>\n",
        results.seeds,
        chart(results)
    );
    for fault in &results.faults {
        let of = format!("{} on {} (seed {}): {}", fault.method, fault.landscape, fault.seed, fault.message);
        let _ = writeln!(page, "<p class=\"fault\">Failed: {}</p>", escaped(&of));
    }
    for left in &results.left_out {
        let _ = writeln!(
            page,
            "<p class=\"soft\">{} is left out: {}.</p>",
            escaped(&left.landscape),
            escaped(&left.reason)
        );
    }
    for landscape in results.overall.iter().chain(&results.landscapes) {
        one(&mut page, results, landscape);
    }
    if !results.beliefs.is_empty() {
        let heads =
            ["method", "insight", "worlds", "where it holds", "where it is broken", "difference"].map(String::from);
        let rows = results.beliefs.iter().map(|b| {
            let n = b.holds.n.to_string();
            vec![
                b.method.clone(),
                b.insight.to_string(),
                n,
                difference(&b.holds),
                difference(&b.broken),
                difference(&b.difference),
            ]
        });
        page.push_str("<h2>What believing an insight is worth</h2>\n");
        table(&mut page, "ratio with all insights minus ratio without this one", &heads, rows.collect());
    }
    page + "</body></html>\n"
}

fn one(page: &mut String, results: &StudyResults, landscape: &StudyLandscape) {
    let _ = writeln!(page, "<h2>{}</h2>", escaped(&landscape.landscape));
    for setting in landscape.settings.iter().filter(|s| !s.about.is_empty()) {
        let _ = writeln!(page, "<p class=\"soft\">{}: {}</p>", escaped(&setting.setting), escaped(&setting.about));
    }
    let heads = [
        results.study.clone(),
        "method".into(),
        "examples a trial".into(),
        "ratio".into(),
        "n".into(),
        "normalised regret".into(),
        format!("vs {}", results.reference),
        format!("vs {}", results.first_method),
    ];
    let rows = landscape.settings.iter().flat_map(|s| {
        s.methods.iter().map(|m| {
            let paired = |e: &Option<_>| e.as_ref().map_or_else(|| "-".to_owned(), difference);
            vec![
                s.setting.clone(),
                m.method.clone(),
                m.examples.map_or_else(|| "-".into(), |n| n.to_string()),
                estimate(&m.ratio),
                m.ratio.n.to_string(),
                estimate(&m.normalised_regret),
                paired(&m.change),
                paired(&m.lead),
            ]
        })
    });
    table(page, "true score of the recommended plan over the best, and paired differences", &heads, rows.collect());
}

/// All panels, as an SVG element.
fn chart(results: &StudyResults) -> String {
    let panels: Vec<&StudyLandscape> = results.landscapes.iter().chain(&results.overall).collect();
    let columns = panels.len().clamp(1, COLUMNS);
    let lines = panels.len().div_ceil(columns);
    let (width, height) = (WIDTH * columns as f64, HEAD + HEIGHT * lines as f64 + LEGEND);
    let methods = methods(results);
    let label = format!("{}: true score of the recommended plan over the best, by landscape and method", results.title);
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{0}\" \
         xmlns=\"http://www.w3.org/2000/svg\"><title>{0}</title>\
         <text x=\"4\" y=\"16\">true score of the recommended plan / best; mean and 95% interval; methods from left to right as named below</text>",
        escaped(&label)
    );
    for (i, landscape) in panels.iter().enumerate() {
        let (x, y) = (WIDTH * (i % columns) as f64, HEAD + HEIGHT * (i / columns) as f64);
        panel(&mut svg, landscape, &methods, (x, y));
    }
    let step = (width - 16.0) / methods.len().max(1) as f64;
    for (i, method) in methods.iter().enumerate() {
        let (x, y) = (12.0 + step * i as f64, height - 12.0);
        let _ = write!(
            svg,
            "<path class=\"curve k{}\" d=\"M{x:.1} {:.1}h18\"/><text class=\"name\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
            i % 6,
            y - 4.0,
            x + 24.0,
            escaped(method)
        );
    }
    svg + "</svg>"
}

/// All methods of a study, in their order.
fn methods(results: &StudyResults) -> Vec<String> {
    let mut methods: Vec<String> = Vec::new();
    for cell in results.landscapes.iter().flat_map(|l| &l.settings).flat_map(|s| &s.methods) {
        if !methods.contains(&cell.method) {
            methods.push(cell.method.clone());
        }
    }
    methods
}

fn panel(svg: &mut String, landscape: &StudyLandscape, methods: &[String], (x0, y0): (f64, f64)) {
    let cells = || landscape.settings.iter().flat_map(|s| &s.methods);
    let least = cells().map(|c| ends(c).0).fold(1.0, f64::min);
    let (bottom, top) = ((least * 20.0).floor() / 20.0, 1.0);
    let bottom = if top - bottom < 0.05 { top - 0.05 } else { bottom };
    let (left, right) = (x0 + LEFT, x0 + WIDTH - RIGHT);
    let (high, low) = (y0 + TOP, y0 + HEIGHT - BOTTOM);
    let y = |value: f64| low - (low - high) * ((value - bottom) / (top - bottom)).clamp(0.0, 1.0);
    let _ = write!(
        svg,
        "<text class=\"name\" x=\"{left:.1}\" y=\"{:.1}\">{}</text>",
        y0 + 16.0,
        escaped(&landscape.landscape)
    );
    for step in steps(top - bottom, 4) {
        let at = y(bottom + step);
        let text = number(bottom + step);
        let _ = write!(svg, "<path class=\"grid\" d=\"M{left:.1} {at:.1}H{right:.1}\"/>");
        let _ = write!(svg, "<text text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>", left - 6.0, at + 4.0);
    }
    let each = (right - left) / landscape.settings.len().max(1) as f64;
    let x = |setting: usize, method: usize| {
        // Methods stand beside each other, so that their intervals can be told apart.
        let share = (method as f64 + 0.5) / methods.len().max(1) as f64;
        left + each * (setting as f64 + 0.2 + 0.6 * share)
    };
    for (s, setting) in landscape.settings.iter().enumerate() {
        let at = left + each * (s as f64 + 0.5);
        let text = escaped(&setting.setting);
        let _ = write!(svg, "<text text-anchor=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{text}</text>", low + 18.0);
    }
    for (m, method) in methods.iter().enumerate() {
        let (mut line, mut bars) = (String::new(), String::new());
        for (s, setting) in landscape.settings.iter().enumerate() {
            let Some(cell) = setting.methods.iter().find(|c| &c.method == method) else { continue };
            let (at, (from, to)) = (x(s, m), ends(cell));
            let _ = write!(line, "{}{at:.1} {:.1}", if line.is_empty() { "M" } else { "L" }, y(cell.ratio.mean));
            let _ = write!(bars, "M{at:.1} {:.1}V{:.1}M{:.1} {:.1}h6", y(from), y(to), at - 3.0, y(cell.ratio.mean));
        }
        let _ = write!(
            svg,
            "<path class=\"curve k{0}\" stroke-opacity=\".45\" stroke-dasharray=\"2 3\" d=\"{line}\"/>\
             <path class=\"curve k{0}\" d=\"{bars}\"><title>{1}</title></path>",
            m % 6,
            escaped(method)
        );
    }
}

/// The ends of a cell's interval within 0 to 1; its mean where there is none.
fn ends(cell: &StudyCell) -> (f64, f64) {
    let e = &cell.ratio;
    let known = e.low.is_finite() && e.high.is_finite();
    if known { (e.low.max(0.0), e.high.min(1.0)) } else { (e.mean, e.mean) }
}
