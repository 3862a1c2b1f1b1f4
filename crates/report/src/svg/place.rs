//! Labels that keep clear of each other.

use super::Anchor;

/// The width of a text at a font size, for an ordinary sans-serif face: an estimate, on the safe side.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    let em: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' | '(' | ')' | '[' | ']' => 0.32,
            'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.9,
            c if c.is_ascii_uppercase() => 0.68,
            c if c.is_ascii() => 0.57,
            c if (c as u32) < 0x1100 => 0.65,
            // East Asian letters fill their square.
            _ => 1.05,
        })
        .sum();
    em * size
}

/// The text, cut in its middle to what fits into `width`: names of models differ at their ends as well.
pub(crate) fn truncated(text: &str, size: f64, width: f64) -> String {
    let letters: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let joined = |kept: usize| -> String {
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        let head: String = letters.iter().take(head).collect();
        let tail: String = letters.iter().skip(letters.len() - tail).collect();
        format!("{}…{}", head.trim_end(), tail.trim_start())
    };
    let whole: String = letters.iter().collect();
    if text_width(&whole, size) <= width {
        return whole;
    }
    // No label is longer than a few dozen letters: what is beyond need not be tried.
    (1..letters.len().min(400))
        .rev()
        .map(joined)
        .find(|t| text_width(t, size) <= width)
        .unwrap_or_else(|| "…".to_owned())
}

/// Moves the middles of labels apart by at least `gap`, as little as possible, within `low..=high`. Returns the new
/// positions in the order given.
pub(crate) fn spread(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut at = wanted.to_vec();
    let mut least = low;
    for i in &order {
        at[*i] = at[*i].max(least);
        least = at[*i] + gap;
    }
    let mut most = high;
    for i in order.iter().rev() {
        at[*i] = at[*i].min(most);
        most = at[*i] - gap;
    }
    at
}

/// Finds room for labels beside their points.
pub(crate) struct Placer {
    taken: Vec<Area>,
    bounds: Area,
}

/// Left, top, right, bottom.
type Area = (f64, f64, f64, f64);

impl Placer {
    /// Labels stay within `bounds` (left, top, right, bottom).
    pub(crate) fn new(bounds: Area) -> Self {
        Placer { taken: Vec::new(), bounds }
    }

    /// Keeps the square of half-width `r` around a point free.
    pub(crate) fn reserve(&mut self, (x, y): (f64, f64), r: f64) {
        self.taken.push((x - r, y - r, x + r, y + r));
    }

    /// Where the label fits, tried around the point, above and to the left first (a front leaves that side free); `None`
    /// when there is no room.
    pub(crate) fn place(&mut self, (x, y): (f64, f64), gap: f64, text: &str, size: f64) -> Option<(f64, f64, Anchor)> {
        let (w, h) = (text_width(text, size), size);
        let candidates = [
            (x - gap * 0.6, y - gap * 0.6, Anchor::End),
            (x + gap * 0.7, y - gap * 0.8, Anchor::Start),
            (x + gap, y + h * 0.35, Anchor::Start),
            (x - gap, y + h * 0.35, Anchor::End),
            (x, y - gap, Anchor::Middle),
            (x + gap * 0.6, y + gap * 0.8 + h * 0.6, Anchor::Start),
            (x, y + gap + h * 0.8, Anchor::Middle),
            (x - gap * 0.7, y + gap * 0.8 + h * 0.6, Anchor::End),
        ];
        for (tx, ty, anchor) in candidates {
            let left = match anchor {
                Anchor::Start => tx,
                Anchor::Middle => tx - w / 2.0,
                Anchor::End => tx - w,
            };
            let area = (left, ty - h * 0.85, left + w, ty + h * 0.25);
            let b = self.bounds;
            let inside = area.0 >= b.0 && area.1 >= b.1 && area.2 <= b.2 && area.3 <= b.3;
            if inside && self.taken.iter().all(|t| !overlap(*t, area)) {
                self.taken.push(area);
                return Some((tx, ty, anchor));
            }
        }
        None
    }
}

fn overlap(a: Area, b: Area) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_labels_are_cut() {
        assert_eq!(truncated("short", 12.0, 100.0), "short");
        let cut = truncated("a-very-long-model-name-of-nobody", 12.0, 80.0);
        assert!(cut.starts_with("a-v") && cut.ends_with("dy") && text_width(&cut, 12.0) <= 80.0, "{cut}");
        assert_eq!(truncated("anything", 12.0, 1.0), "…");
    }

    proptest! {
        #[test]
        fn spread_labels_keep_their_distance(wanted in prop::collection::vec(0.0..300.0f64, 0..12)) {
            let mut at = spread(&wanted, 14.0, 0.0, 300.0);
            at.sort_by(f64::total_cmp);
            prop_assert!(at.windows(2).all(|w| w[1] - w[0] > 13.99), "{at:?}");
        }
    }
}
