//! The charts, each a function from a summary to an SVG element.

mod fitted;
mod forest;
mod frame;
mod heat;
mod history;
mod importance;
mod lines;
mod pareto;
mod preference;
mod scaling;

pub(crate) use fitted::fitted;
pub(crate) use forest::{differences, qualities};
pub(crate) use heat::{models as suit, stages};
pub(crate) use history::history;
pub(crate) use importance::importance;
pub(crate) use lines::{Across, Line, LinePoint, lines};
pub(crate) use pareto::pareto;
pub(crate) use preference::preference;
pub(crate) use scaling::{has_curves, scaling};

use crate::svg::Shape;

/// Width of a chart on a page that has room, and in a narrow window. The text is equally large in both.
pub(crate) const WIDE: f64 = 860.0;
pub(crate) const NARROW: f64 = 400.0;
/// Width of one of several charts side by side.
pub(crate) const PANEL: f64 = 420.0;

/// What tells a series apart: colour, dash pattern and marker, each sufficient with the other two gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// CSS class of the colour.
    pub(crate) class: &'static str,
    pub(crate) dash: &'static str,
    pub(crate) shape: Shape,
}

impl Look {
    /// The look of the `i`-th series. The first thirty differ in dash or marker.
    pub(crate) fn of(i: usize) -> Look {
        const CLASSES: [&str; 6] = ["k0", "k1", "k2", "k3", "k4", "k5"];
        const DASHES: [&str; 5] = ["", "7 3", "2 3", "9 3 2 3", "12 4"];
        Look {
            class: CLASSES[i % CLASSES.len()],
            dash: DASHES[i % DASHES.len()],
            shape: Shape::SERIES[i % Shape::SERIES.len()],
        }
    }
}

/// The CSS class of a chart that is drawn once for wide and once for narrow windows.
fn class_of(width: f64) -> &'static str {
    if width < 600.0 { "chart narrow" } else { "chart wide" }
}
