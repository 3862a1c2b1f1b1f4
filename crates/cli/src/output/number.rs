//! Numbers for people.

use agenttts_core::{CostModel, Estimate, RacedOut, Span};

/// `27,186`.
pub(crate) fn grouped(value: u128) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count that may be large or was computed: exact below ten thousand, then `12.3k`, `4.56M`, `7.89G`.
pub(crate) fn short(value: f64) -> String {
    let (scaled, suffix) = match value.abs() {
        v if v < 10_000.0 => return format!("{value:.0}"),
        v if v < 1e6 => (value / 1e3, "k"),
        v if v < 1e9 => (value / 1e6, "M"),
        v if v < 1e12 => (value / 1e9, "G"),
        _ => (value / 1e12, "T"),
    };
    let decimals = if scaled.abs() >= 100.0 {
        0
    } else if scaled.abs() >= 10.0 {
        1
    } else {
        2
    };
    format!("{scaled:.decimals$}{suffix}")
}

/// `48s`, `3m 12s`, `2h 05m`.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.1}s");
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

/// `0.725 [0.572, 0.839]`.
pub(crate) fn score(estimate: &Estimate) -> String {
    format!("{:.3} [{:.3}, {:.3}]", estimate.mean, estimate.low, estimate.high)
}

/// `examples 6 to 10` of a study's order, from 1.
pub(crate) fn examples(span: Span) -> String {
    match span.count {
        1 => format!("example {}", span.end()),
        _ => format!("examples {} to {}", span.first + 1, span.end()),
    }
}

/// A number of units of a cost model: `814`, `431 GFLOP`.
pub(crate) fn cost(cost_model: CostModel, units: f64) -> String {
    match cost_model.amount(units) {
        Some(amount) => cost_model.display(amount),
        None => format!("{units} {}", cost_model.unit()),
    }
}

/// `61%`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// An amount of something that a search budget limits: `1.23M tokens`, `$0.42`, `3.1 minutes`.
pub(crate) fn of_limit(what: &str, amount: f64) -> String {
    match what {
        "usd" => usd(amount),
        "flops" => format!("{} GFLOP", short(amount)),
        "minutes" => format!("{amount:.1} minutes"),
        other => format!("{} {other}", short(amount)),
    }
}

/// `$0.42`, with more digits for small sums.
pub(crate) fn usd(amount: f64) -> String {
    if amount == 0.0 || amount >= 0.01 { format!("${amount:.2}") } else { format!("${amount:.6}") }
}

/// `0.210 behind trial 3`.
pub(crate) fn behind(raced_out: &RacedOut) -> String {
    format!("{:.3} behind trial {}", raced_out.behind, raced_out.leader)
}

/// `98 MB`.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{} MB", (bytes + 500_000) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_stay_readable() {
        assert_eq!((grouped(0), grouped(999), grouped(27_186)), ("0".into(), "999".into(), "27,186".into()));
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!((short(9_999.0), short(12_345.0), short(2e6)), ("9999".into(), "12.3k".into(), "2.00M".into()));
        assert_eq!(
            (duration(4.25), duration(72.0), duration(7_500.0)),
            ("4.2s".into(), "1m 12s".into(), "2h 05m".into())
        );
        assert_eq!((usd(0.0), usd(3.0), usd(0.00012)), ("$0.00".into(), "$3.00".into(), "$0.000120".into()));
    }

    #[test]
    fn spans_count_from_one() {
        assert_eq!(examples(Span { first: 5, count: 5 }), "examples 6 to 10");
        assert_eq!(examples(Span { first: 0, count: 1 }), "example 1");
    }

    #[test]
    fn costs_are_in_their_unit() {
        assert_eq!(cost(CostModel::PaperFlops, 814.0), "814");
        assert_eq!(cost(CostModel::Flops, 431.2), "431 GFLOP");
    }
}
