//! Plot area, axes and gridlines.

use crate::svg::{Anchor, Scale, Svg, Tick, text_width};

/// Font size of tick labels and of other labels, as in the style sheet.
pub(crate) const SMALL: f64 = 11.5;
pub(crate) const LABEL: f64 = 12.5;

/// The plot area of a drawing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Frame {
    pub(crate) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(crate) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    /// Horizontal gridlines with labels on the left, the axis' name above them.
    pub(crate) fn y_axis(&self, svg: &mut Svg, scale: &Scale, name: &str) {
        for tick in scale.ticks((self.height() / 52.0) as usize + 1) {
            let y = scale.at(tick.value);
            svg.line("grid", (self.left, y), (self.right, y));
            svg.text("tick", Anchor::End, (self.left - 8.0, y + SMALL * 0.34), &tick.label);
        }
        svg.text("axis", Anchor::Start, (2.0, 14.0), name);
    }

    /// The base line with ticks and labels, the axis' name below.
    pub(crate) fn x_axis(&self, svg: &mut Svg, scale: &Scale, ticks: &[Tick], name: &str) {
        svg.line("base", (self.left, self.bottom), (self.right, self.bottom));
        let mut free_from = f64::NEG_INFINITY;
        for tick in ticks {
            let x = scale.at(tick.value);
            svg.line("base", (x, self.bottom), (x, self.bottom + 4.0));
            let half = text_width(&tick.label, SMALL) / 2.0;
            if x - half > free_from {
                svg.text("tick", Anchor::Middle, (x, self.bottom + 17.0), &tick.label);
                free_from = x + half + 4.0;
            }
        }
        svg.text("axis", Anchor::Start, (self.left, self.bottom + 36.0), name);
    }
}
