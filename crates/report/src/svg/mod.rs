//! A small SVG writer: escaped text, CSS classes instead of colours, so that one drawing serves light, dark and print.

mod marker;
mod place;
mod scale;

pub(crate) use marker::Shape;
pub(crate) use place::{Placer, spread, text_width, truncated};
pub(crate) use scale::{Scale, Tick, range, scores};

use std::fmt::Write;

use agenttts_core::text::{decimal, escaped};

/// Where a text begins, relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing under way. Coordinates are in CSS pixels of a `width` by `height` view box.
pub(crate) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Svg { width, height, body: String::new() }
    }

    /// A straight line.
    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let (x1, y1, x2, y2) = (n(from.0), n(from.1), n(to.0), n(to.1));
        self.put(format_args!(r#"<line class="{class}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>"#));
    }

    /// A line through points; `dash` is a dash pattern, empty for a solid line.
    pub(crate) fn polyline(&mut self, class: &str, dash: &str, points: &[(f64, f64)]) {
        let mut d = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            let _ = write!(d, "{}{} {}", if i == 0 { "M" } else { "L" }, n(*x), n(*y));
        }
        let dash = if dash.is_empty() { String::new() } else { format!(r#" stroke-dasharray="{dash}""#) };
        self.put(format_args!(r#"<path class="{class}" d="{d}"{dash}/>"#));
    }

    pub(crate) fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64)) {
        let (x, y, w, h) = (n(at.0), n(at.1), n(size.0.max(0.0)), n(size.1.max(0.0)));
        self.put(format_args!(r#"<rect class="{class}" x="{x}" y="{y}" width="{w}" height="{h}"/>"#));
    }

    /// A rectangle of the given opacity, 0 to 1.
    pub(crate) fn tinted(&mut self, class: &str, at: (f64, f64), size: (f64, f64), opacity: f64) {
        let (x, y, w, h) = (n(at.0), n(at.1), n(size.0.max(0.0)), n(size.1.max(0.0)));
        let opacity = if opacity.is_finite() { opacity.clamp(0.0, 1.0) } else { 0.0 };
        self.put(format_args!(
            r#"<rect class="{class}" x="{x}" y="{y}" width="{w}" height="{h}" fill-opacity="{opacity:.2}"/>"#
        ));
    }

    /// What lies between two lines.
    pub(crate) fn area(&mut self, class: &str, upper: &[(f64, f64)], lower: &[(f64, f64)]) {
        let mut d = String::new();
        for (i, (x, y)) in upper.iter().chain(lower.iter().rev()).enumerate() {
            let _ = write!(d, "{}{} {}", if i == 0 { "M" } else { "L" }, n(*x), n(*y));
        }
        self.put(format_args!(r#"<path class="{class}" d="{d}Z"/>"#));
    }

    pub(crate) fn text(&mut self, class: &str, anchor: Anchor, at: (f64, f64), text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (n(at.0), n(at.1), escaped(text));
        self.put(format_args!(r#"<text class="{class}" text-anchor="{anchor}" x="{x}" y="{y}">{text}</text>"#));
    }

    /// A marker of "radius" `r`.
    pub(crate) fn marker(&mut self, class: &str, shape: Shape, at: (f64, f64), r: f64) {
        let d = shape.path(at, r);
        self.put(format_args!(r#"<path class="{class}" d="{d}"/>"#));
    }

    /// An interval between two values on one axis with small caps: `along` says whether it is horizontal.
    pub(crate) fn bar(&mut self, class: &str, horizontal: bool, at: f64, ends: (f64, f64), cap: f64) {
        let (a, b, lo, hi) = (n(ends.0), n(ends.1), n(at - cap), n(at + cap));
        let at = n(at);
        let d = if horizontal {
            format!("M{a} {at}H{b}M{a} {lo}V{hi}M{b} {lo}V{hi}")
        } else {
            format!("M{at} {a}V{b}M{lo} {a}H{hi}M{lo} {b}H{hi}")
        };
        self.put(format_args!(r#"<path class="{class}" d="{d}"/>"#));
    }

    /// A group whose parts share a tooltip.
    pub(crate) fn hover(&mut self, class: &str, tip: &str, draw: impl FnOnce(&mut Svg)) {
        self.put(format_args!(r#"<g class="{class}"><title>{}</title>"#, escaped(tip)));
        draw(self);
        self.body.push_str("</g>");
    }

    /// The finished element. `label` names it for screen readers; `class` is for the page's style.
    pub(crate) fn finish(self, class: &str, label: &str) -> String {
        let (w, h) = (n(self.width), n(self.height));
        let label = escaped(label);
        let body = self.body;
        format!(
            "<svg class=\"{class}\" viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"{label}\">\
             <title>{label}</title>{body}</svg>"
        )
    }

    fn put(&mut self, args: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = self.body.write_fmt(args);
    }
}

/// A coordinate with one decimal at most.
fn n(value: f64) -> String {
    decimal(if value.is_finite() { value } else { 0.0 }, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text("label", Anchor::Start, (1.0, 2.25), "</text><script>&\"'");
        svg.hover("p", "</title><b>", |_| {});
        let out = svg.finish("c", "\" onload=\"x");
        assert!(!out.contains("<script>") && !out.contains("<b>") && !out.contains("\" onload"), "{out}");
        assert!(out.contains(r#"x="1" y="2.2""#) || out.contains(r#"x="1" y="2.3""#), "{out}");
    }

    #[test]
    fn coordinates_are_always_numbers() {
        assert_eq!(
            (n(f64::NAN), n(f64::INFINITY), n(-0.01), n(12.34)),
            ("0".into(), "0".into(), "0".into(), "12.3".into())
        );
    }
}
