//! Axes' scales: where a value goes, and which values get a tick.

/// A linear or logarithmic map from values to coordinates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    base: Base,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Linear,
    Two,
    Ten,
}

/// A labelled value of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) label: String,
}

impl Scale {
    /// A linear scale of the values `range` over the coordinates `from..to`.
    pub(crate) fn linear(range: (f64, f64), from: f64, to: f64) -> Self {
        Scale { low: range.0, high: range.1, from, to, base: Base::Linear }
    }

    /// A scale on which doublings are equally far apart; the range must be positive.
    pub(crate) fn log2(range: (f64, f64), from: f64, to: f64) -> Self {
        Scale { low: range.0, high: range.1, from, to, base: Base::Two }
    }

    /// A logarithmic scale with ticks at 1, 2, 5, 10, ...; the range must be positive.
    pub(crate) fn log10(range: (f64, f64), from: f64, to: f64) -> Self {
        Scale { low: range.0, high: range.1, from, to, base: Base::Ten }
    }

    /// The coordinate of a value; values outside the range go to its ends.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let (low, high, value) = match self.base {
            Base::Linear => (self.low, self.high, value),
            _ => (self.low.ln(), self.high.ln(), value.max(f64::MIN_POSITIVE).ln()),
        };
        let span = high - low;
        let share = if span.abs() < f64::EPSILON * high.abs() || span == 0.0 { 0.5 } else { (value - low) / span };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Whether a value lies in the range.
    pub(crate) fn holds(&self, value: f64) -> bool {
        value >= self.low && value <= self.high
    }

    /// About `wanted` ticks at round values within the range.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<Tick> {
        match self.base {
            Base::Linear => self.linear_ticks(wanted.max(2), 0.0),
            Base::Two => {
                let mut value = 1.0;
                let mut ticks = Vec::new();
                while value <= self.high && ticks.len() < 40 {
                    if self.holds(value) {
                        ticks.push(Tick { value, label: plain(value, 0) });
                    }
                    value *= 2.0;
                }
                thinned(ticks, wanted)
            }
            Base::Ten => self.decade_ticks(wanted),
        }
    }

    /// Ticks at whole numbers only, for axes that count.
    pub(crate) fn whole_ticks(&self, wanted: usize) -> Vec<Tick> {
        self.linear_ticks(wanted.max(2), 1.0)
    }

    fn linear_ticks(&self, wanted: usize, least_step: f64) -> Vec<Tick> {
        let step = nice((self.high - self.low) / wanted as f64).max(least_step);
        if !step.is_finite() || step <= 0.0 {
            return Vec::new();
        }
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let first = (self.low / step - 1e-9).ceil();
        (0..=4 * wanted)
            .map(|i| (first + i as f64) * step)
            .take_while(|v| *v <= self.high + step * 1e-9)
            .map(|value| Tick { value, label: plain(value, decimals) })
            .collect()
    }

    fn decade_ticks(&self, wanted: usize) -> Vec<Tick> {
        let decade = self.low.log10().floor() as i32;
        let mut all = Vec::new();
        for power in decade..=decade.saturating_add(40) {
            for digit in [1.0, 2.0, 5.0] {
                let value = digit * 10f64.powi(power);
                if self.holds(value) {
                    let decimals = (-power).clamp(0, 12) as usize;
                    all.push((digit, Tick { value, label: plain(value, decimals) }));
                }
            }
        }
        let keep = |digits: &[f64]| -> Vec<Tick> {
            all.iter().filter(|(d, _)| digits.contains(d)).map(|(_, t)| t.clone()).collect()
        };
        let full = keep(&[1.0, 2.0, 5.0]);
        if full.len() <= wanted { full } else { thinned(keep(&[1.0]), wanted) }
    }
}

/// The range of finite values, widened by the share `pad` on both sides; `(0, 1)` for none.
pub(crate) fn range(values: impl IntoIterator<Item = f64>, pad: f64) -> (f64, f64) {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for v in values.into_iter().filter(|v| v.is_finite()) {
        low = low.min(v);
        high = high.max(v);
    }
    if low > high {
        return (0.0, 1.0);
    }
    let span = high - low;
    let span = if span > 0.0 { span } else { (high.abs() * 0.2).max(0.1) };
    (low - span * pad, high + span * pad)
}

/// The range of scores: as [`range`], kept within `0..=1` (with room for the marker) when all scores are.
pub(crate) fn scores(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.into_iter().collect();
    let (low, high) = range(values.iter().copied(), 0.06);
    let unit = values.iter().filter(|v| v.is_finite()).all(|v| (0.0..=1.0).contains(v));
    if unit { (low.max(-0.015), high.min(1.015)) } else { (low, high) }
}

/// The next step of 1, 2 or 5 times a power of ten.
fn nice(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let digit = raw / power;
    let digit = [1.0, 2.0, 5.0].into_iter().find(|d| digit <= d * 1.0001).unwrap_or(10.0);
    digit * power
}

/// Every k-th tick, so that at most `wanted` are left.
fn thinned(ticks: Vec<Tick>, wanted: usize) -> Vec<Tick> {
    let every = ticks.len().div_ceil(wanted.max(1)).max(1);
    ticks.into_iter().step_by(every).collect()
}

fn plain(value: f64, decimals: usize) -> String {
    let size = value.abs();
    if size >= 10_000.0 {
        let text = crate::number::short(value);
        // 20.0k says no more than 20k.
        let digits = text.trim_end_matches(|c: char| c.is_alphabetic());
        let suffix = &text[digits.len()..];
        return if digits.contains('.') && !digits.contains('e') {
            digits.trim_end_matches('0').trim_end_matches('.').to_owned() + suffix
        } else {
            text
        };
    }
    if size != 0.0 && size < 1e-4 {
        return format!("{value:.0e}").replace('-', "−");
    }
    let text = format!("{value:.decimals$}").replace('-', "−");
    if text.trim_start_matches('−').bytes().all(|b| b == b'0' || b == b'.') {
        text.trim_start_matches('−').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|t| t.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(&Scale::linear((0.31, 0.83), 0.0, 1.0).ticks(5)), ["0.4", "0.6", "0.8"]);
        assert_eq!(labels(&Scale::linear((0.0, 929.0), 0.0, 1.0).ticks(5)), ["0", "200", "400", "600", "800"]);
        assert_eq!(labels(&Scale::log2((1.0, 100.0), 0.0, 1.0).ticks(9)), ["1", "2", "4", "8", "16", "32", "64"]);
        assert_eq!(labels(&Scale::log10((0.8, 60.0), 0.0, 1.0).ticks(6)), ["1", "2", "5", "10", "20", "50"]);
        assert_eq!(labels(&Scale::linear((0.5, 3.5), 0.0, 1.0).whole_ticks(8)), ["1", "2", "3"]);
        assert_eq!(labels(&Scale::linear((0.0, 40_000.0), 0.0, 1.0).ticks(4)), ["0", "10k", "20k", "30k", "40k"]);
    }

    #[test]
    fn values_outside_stay_on_the_axis() {
        let scale = Scale::linear((0.0, 1.0), 100.0, 0.0);
        assert_eq!((scale.at(0.25), scale.at(7.0), scale.at(f64::NEG_INFINITY)), (75.0, 0.0, 100.0));
        assert_eq!(Scale::linear((2.0, 2.0), 0.0, 10.0).at(2.0), 5.0);
    }

    proptest! {
        #[test]
        fn ticks_lie_in_the_range(low in -1e9..1e9f64, span in 1e-6..1e9f64, wanted in 2usize..12) {
            let scale = Scale::linear((low, low + span), 0.0, 1.0);
            let ticks = scale.ticks(wanted);
            prop_assert!(ticks.len() <= wanted + 1, "{ticks:?}");
            let slack = span * 1e-6 + low.abs() * 1e-9;
            prop_assert!(ticks.iter().all(|t| t.value >= low - slack && t.value <= low + span + slack), "{ticks:?}");
        }

        #[test]
        fn ranges_hold_their_values(values in prop::collection::vec(prop::num::f64::ANY, 0..20)) {
            let values: Vec<f64> = values.into_iter().filter(|v| v.abs() < 1e300).collect();
            let (low, high) = range(values.iter().copied(), 0.05);
            prop_assert!(low < high && values.iter().all(|v| (low..=high).contains(v)));
        }
    }
}
