//! Numbers for people: scores, differences, costs, counts. Typographic minus and times signs.

use agenttts_core::{CostModel, Credible, Estimate};

/// A space at which no line breaks: intervals and amounts stay whole.
pub(crate) const NBSP: &str = "\u{a0}";

/// `0.725`; a dash when it is not a number.
pub(crate) fn score(value: f64) -> String {
    if value.is_finite() { minus(format!("{value:.3}")) } else { "–".to_owned() }
}

/// `+0.067`.
pub(crate) fn signed(value: f64) -> String {
    if value.is_finite() { minus(format!("{value:+.3}")) } else { "–".to_owned() }
}

/// Whether both ends of the interval are known.
pub(crate) fn bounded(e: &Estimate) -> bool {
    e.low.is_finite() && e.high.is_finite()
}

/// `[0.572, 0.839]`, or why there is none.
pub(crate) fn interval(e: &Estimate) -> String {
    ends(e, score)
}

/// `[−0.021, +0.155]`, or why there is none.
pub(crate) fn signed_interval(e: &Estimate) -> String {
    ends(e, signed)
}

fn ends(e: &Estimate, format: impl Fn(f64) -> String) -> String {
    if bounded(e) {
        format!("[{},{NBSP}{}]", format(e.low), format(e.high))
    } else {
        format!("(no interval: n{NBSP}={NBSP}{})", e.n)
    }
}

/// `0.725 [0.572, 0.839], n = 40`.
pub(crate) fn estimate(e: &Estimate) -> String {
    if bounded(e) {
        format!("{} {}, n{NBSP}={NBSP}{}", score(e.mean), interval(e), e.n)
    } else {
        format!("{} {}", score(e.mean), interval(e))
    }
}

/// `0.725 [0.672, 0.779]`.
pub(crate) fn credible(c: &Credible) -> String {
    format!("{} [{},{NBSP}{}]", score(c.mean), score(c.low), score(c.high))
}

/// `+0.067 [−0.021, +0.155]`.
pub(crate) fn credible_signed(c: &Credible) -> String {
    format!("{} [{},{NBSP}{}]", signed(c.mean), signed(c.low), signed(c.high))
}

/// `61% [40%, 75%]`.
pub(crate) fn credible_percent(c: &Credible) -> String {
    format!("{} [{},{NBSP}{}]", percent(c.mean), percent(c.low), percent(c.high))
}

/// A number of units of a cost model: `814`, `431 GFLOP`.
pub(crate) fn cost(model: CostModel, units: f64) -> String {
    if model.is_dollars() {
        return usd(units);
    }
    model.amount(units).map_or_else(|| "–".to_owned(), |amount| minus(model.display(amount)).replace(' ', NBSP))
}

/// A cost with its interval, where it is known and not a point: `431 GFLOP [402, 460]`.
pub(crate) fn cost_estimate(model: CostModel, e: &Estimate) -> String {
    let mean = cost(model, e.mean);
    cost_interval(model, e).map_or(mean.clone(), |interval| format!("{mean} {interval}"))
}

/// `[0.572, 0.839], n = 40`.
pub(crate) fn interval_n(e: &Estimate) -> String {
    if bounded(e) { format!("{}, n{NBSP}={NBSP}{}", interval(e), e.n) } else { interval(e) }
}

/// `[402, 460]`, where it is known and not a point.
pub(crate) fn cost_interval(model: CostModel, e: &Estimate) -> Option<String> {
    let bare = |units| cost(model, units).trim_end_matches(model.unit()).trim_end().to_owned();
    let (low, high) = (bare(e.low), bare(e.high));
    (bounded(e) && low != high).then(|| format!("[{low},{NBSP}{high}]"))
}

/// `0.42×`.
pub(crate) fn times(ratio: f64) -> String {
    match ratio {
        r if !r.is_finite() => "–".to_owned(),
        r if r.abs() >= 10_000.0 => format!("{}×", short(r)),
        r if r.abs() < 0.1 => format!("{r:.3}×"),
        r if r.abs() < 10.0 => format!("{r:.2}×"),
        r if r.abs() < 100.0 => format!("{r:.1}×"),
        r => format!("{r:.0}×"),
    }
}

/// A count: exact below ten thousand, then `12.3k`, `4.56M`, `7.89G`.
pub(crate) fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let (scaled, suffix) = match value.abs() {
        v if v < 10_000.0 => return minus(format!("{value:.0}")),
        v if v < 1e6 => (value / 1e3, "k"),
        v if v < 1e9 => (value / 1e6, "M"),
        v if v < 1e12 => (value / 1e9, "G"),
        v if v < 1e15 => (value / 1e12, "T"),
        _ => return minus(format!("{value:.2e}")),
    };
    let decimals = if scaled.abs() >= 100.0 {
        0
    } else if scaled.abs() >= 10.0 {
        1
    } else {
        2
    };
    minus(format!("{scaled:.decimals$}{suffix}"))
}

/// `48 s`, `3 min 12 s`, `2 h 05 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "–".to_owned();
    }
    if seconds < 10.0 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

/// `$12.50`, `$0.42`; three digits that count for small sums: `$0.00231`.
pub(crate) fn usd(amount: f64) -> String {
    let size = amount.abs();
    let text = match size {
        s if !s.is_finite() => return "–".to_owned(),
        s if s == 0.0 || s >= 0.1 => format!("${size:.2}"),
        s if s < 1e-9 => format!("${size:.1e}"),
        s => {
            let decimals = (2.0 - s.log10().floor()).clamp(0.0, 12.0) as usize;
            format!("${size:.decimals$}")
        }
    };
    minus(if amount < 0.0 { format!("-{text}") } else { text })
}

/// An amount of what a search budget limits: `1.23M tokens`, `$0.42`, `3.1 minutes`.
pub(crate) fn of_limit(what: &str, amount: f64) -> String {
    match what {
        _ if !amount.is_finite() => "–".to_owned(),
        "usd" => usd(amount),
        "flops" => format!("{} GFLOP", short(amount)),
        "minutes" => format!("{amount:.1} minutes"),
        other => format!("{} {other}", short(amount)),
    }
}

/// `61%`; nothing known of a share of nothing.
pub(crate) fn percent(share: f64) -> String {
    match share {
        s if !s.is_finite() => "–".to_owned(),
        s if s > 0.0 && s < 0.005 => "<1%".to_owned(),
        s if s.abs() >= 100.0 => times(s),
        s => format!("{:.0}%", s * 100.0),
    }
}

/// `1 trial`, `12 trials`.
pub(crate) fn counted(n: usize, one: &str) -> String {
    let number = short(n as f64);
    if n == 1 { format!("{number} {one}") } else { format!("{number} {one}s") }
}

/// A hyphen before a number is a minus sign; an exponent's too.
fn minus(text: String) -> String {
    // A rounded zero has no sign.
    let text = match text.strip_prefix('-') {
        Some(rest) if !rest.bytes().any(|b| b.is_ascii_digit() && b != b'0') => rest.to_owned(),
        _ => text,
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signs_are_typographic_and_zero_has_none() {
        assert_eq!((score(-0.25), signed(0.25), signed(-0.25)), ("−0.250".into(), "+0.250".into(), "−0.250".into()));
        assert_eq!(score(-0.0001), "0.000");
        assert_eq!((times(0.423), times(3.25), times(120.4)), ("0.42×".into(), "3.25×".into(), "120×".into()));
    }

    #[test]
    fn shares_of_almost_nothing_do_not_overflow() {
        assert_eq!((percent(0.5), percent(1.2), percent(0.001)), ("50%".into(), "120%".into(), "<1%".into()));
        assert_eq!(percent(7.9e307), "7.90e307×");
    }

    #[test]
    fn dollars_keep_the_digits_that_count() {
        assert_eq!((usd(0.0), usd(3.0), usd(0.00231)), ("$0.00".into(), "$3.00".into(), "$0.00231".into()));
        assert_eq!((usd(0.0999), usd(1.5e-7), usd(-0.5)), ("$0.0999".into(), "$0.000000150".into(), "−$0.50".into()));
    }

    #[test]
    fn an_unbounded_interval_is_said_in_words() {
        let one = Estimate::of_values(&[0.5]);
        assert_eq!(estimate(&one), "0.500 (no interval: n\u{a0}=\u{a0}1)");
        assert_eq!(cost_estimate(CostModel::Flops, &one), "0.5\u{a0}GFLOP");
        let two = Estimate { mean: 431.0, low: 402.0, high: 460.4, se: 1.0, n: 9 };
        assert_eq!(cost_estimate(CostModel::Flops, &two), "431\u{a0}GFLOP [402,\u{a0}460]");
    }

    proptest! {
        #[test]
        fn no_value_reads_as_a_machine_word(value in prop::num::f64::ANY) {
            for text in [score(value), signed(value), short(value), times(value), percent(value), duration(value), usd(value), of_limit("minutes", value),
                         cost(CostModel::Usd, value), cost(CostModel::PaperFlops, value)] {
                prop_assert!(!text.is_empty() && !text.contains("NaN") && !text.contains("inf"), "{text}");
            }
        }

        #[test]
        fn short_counts_keep_three_digits(value in 0.0..1e15f64) {
            let text = short(value);
            let (number, scale) = match text.chars().last() {
                Some('k') => (text.trim_end_matches('k'), 1e3),
                Some('M') => (text.trim_end_matches('M'), 1e6),
                Some('G') => (text.trim_end_matches('G'), 1e9),
                Some('T') => (text.trim_end_matches('T'), 1e12),
                _ => (text.as_str(), 1.0),
            };
            let read = number.parse::<f64>().unwrap() * scale;
            prop_assert!((read - value).abs() <= 0.5_f64.max(value * 0.006), "{value} reads {text}");
        }

        #[test]
        fn scores_read_back(value in -1.0..=1.0f64) {
            let read: f64 = score(value).replace('−', "-").parse().unwrap();
            prop_assert!((read - value).abs() <= 0.0005 + 1e-12);
        }
    }
}
