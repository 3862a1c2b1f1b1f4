//! Marker shapes: what tells series apart without colour.

/// The shape of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Down,
    Plus,
    Cross,
    Star,
}

impl Shape {
    /// Shapes for series, in the order they are given out. The star is kept for the recommended plan, the cross for
    /// trials without a measurement.
    pub(crate) const SERIES: [Shape; 6] =
        [Shape::Circle, Shape::Square, Shape::Triangle, Shape::Diamond, Shape::Down, Shape::Plus];

    /// The outline, of about equal area for all shapes of the same "radius".
    pub(crate) fn path(self, (x, y): (f64, f64), r: f64) -> String {
        let polygon = |corners: &[(f64, f64)]| {
            let mut d = String::new();
            for (i, (dx, dy)) in corners.iter().enumerate() {
                let step = if i == 0 { 'M' } else { 'L' };
                d.push_str(&format!("{step}{} {}", super::n(x + dx * r), super::n(y + dy * r)));
            }
            d + "Z"
        };
        match self {
            Shape::Circle => {
                let (left, r, d, y) = (super::n(x - r), super::n(r), super::n(2.0 * r), super::n(y));
                format!("M{left} {y}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0Z")
            }
            Shape::Square => polygon(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Shape::Triangle => polygon(&[(0.0, -1.25), (1.15, 0.85), (-1.15, 0.85)]),
            Shape::Down => polygon(&[(0.0, 1.25), (1.15, -0.85), (-1.15, -0.85)]),
            Shape::Diamond => polygon(&[(0.0, -1.3), (1.15, 0.0), (0.0, 1.3), (-1.15, 0.0)]),
            Shape::Plus => polygon(&cross(1.2, 0.42)),
            Shape::Cross => {
                let turned: Vec<(f64, f64)> =
                    cross(1.2, 0.34).iter().map(|(a, b)| ((a - b) * 0.707, (a + b) * 0.707)).collect();
                polygon(&turned)
            }
            Shape::Star => {
                let corners: Vec<(f64, f64)> = (0..10)
                    .map(|i| {
                        let angle = std::f64::consts::PI * (f64::from(i) / 5.0 - 0.5);
                        let reach = if i % 2 == 0 { 1.5 } else { 0.66 };
                        (reach * angle.cos(), reach * angle.sin())
                    })
                    .collect();
                polygon(&corners)
            }
        }
    }
}

/// The corners of a plus sign with arms of length `a` and half-width `w`.
fn cross(a: f64, w: f64) -> [(f64, f64); 12] {
    [(-w, -a), (w, -a), (w, -w), (a, -w), (a, w), (w, w), (w, a), (-w, a), (-w, w), (-a, w), (-a, -w), (-w, -w)]
}
