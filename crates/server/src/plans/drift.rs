//! Whether served traffic still looks like what the search measured.

use agenttts_engine::{Expected, Spread};
use schemars::JsonSchema;
use serde::Serialize;

use super::traffic::Window;

/// Whether a plan does what it was measured to do.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Drift {
    /// `ok`, `drifting`, or `unknown` while there is too little to judge by.
    pub(crate) state: &'static str,
    /// What is different, or what is missing, in words.
    pub(crate) why: Vec<String>,
    pub(crate) compared: Vec<Compared>,
}

/// One quantity, as measured and as served.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "DriftCompared")]
pub(crate) struct Compared {
    pub(crate) what: &'static str,
    pub(crate) expected: Spread,
    pub(crate) served: Spread,
    /// Their difference in standard errors.
    pub(crate) z: f64,
    pub(crate) drifts: bool,
}

/// Fewer requests than this tell nothing.
const FEWEST: u32 = 30;
/// A difference must be this many standard errors, so that a look at every request raises few false alarms ...
const ERRORS: f64 = 4.0;
/// ... and this large, relative to what was measured, to matter.
const SHARE: f64 = 0.2;
/// For shares (failures, agreement): this large in itself.
const POINTS: f64 = 0.05;

/// Compares the last requests with what was measured.
pub(crate) fn drift(expected: Option<&Expected>, window: &Window) -> Drift {
    let unknown = |why: String| Drift { state: "unknown", why: vec![why], compared: Vec::new() };
    let Some(expected) = expected else {
        return unknown("the plan file does not say what was measured: write it again with `agenttts plan`".into());
    };
    let pairs = [
        ("failures", Some(expected.failures), &window.failed, true),
        ("cost", Some(expected.cost), &window.cost, false),
        ("seconds", expected.seconds, &window.seconds, false),
        ("agreement", expected.agreement, &window.agreement, true),
        ("unread samples", expected.unread, &window.unread, true),
    ];
    let pairs = pairs.into_iter().filter_map(|(what, expected, served, share)| {
        let (expected, served) = (expected?, Spread::of(served)?);
        (served.n >= FEWEST && expected.n > 1).then(|| compare(what, expected, served, share))
    });
    let compared: Vec<Compared> = pairs.collect();
    if compared.is_empty() {
        return unknown(format!("too few requests yet: {} of {FEWEST}", window.failed.len()));
    }
    let why: Vec<String> = compared.iter().filter(|c| c.drifts).map(words).collect();
    Drift { state: if why.is_empty() { "ok" } else { "drifting" }, why, compared }
}

fn compare(what: &'static str, expected: Spread, served: Spread, share: bool) -> Compared {
    // A share of 0 or 1 in few trials has no spread of its own: two imagined values, one of each kind, give it one.
    let variance = |s: &Spread| {
        let n = f64::from(s.n);
        if matches!(what, "failures" | "unread samples") {
            let p = (s.mean * n + 1.0) / (n + 2.0);
            p * (1.0 - p) / n
        } else {
            s.sd.powi(2) / n
        }
    };
    let error = (variance(&expected) + variance(&served)).sqrt();
    let difference = served.mean - expected.mean;
    let z =
        if error > 0.0 { difference / error } else { difference.signum() * if difference == 0.0 { 0.0 } else { 1e3 } };
    let matters = if share { difference.abs() > POINTS } else { difference.abs() > SHARE * expected.mean.abs() };
    // Being cheaper or failing less is a difference too: what is served is then not what was measured. Being faster is none: the
    // search made many calls at once while it took the time, and a server with less to do is faster.
    let is_faster = what == "seconds" && difference < 0.0;
    Compared { what, expected, served, z, drifts: z.abs() > ERRORS && matters && !is_faster }
}

fn words(compared: &Compared) -> String {
    let Compared { what, expected, served, .. } = compared;
    let direction = if served.mean > expected.mean { "above" } else { "below" };
    format!(
        "{what} {:.3} over the last {} requests, {direction} the {:.3} of the search's {} runs",
        served.mean, served.n, expected.mean, expected.n
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        let spread = |mean, sd| Spread { mean, sd, n: 40 };
        Expected {
            failures: spread(0.0, 0.0),
            cost: spread(10.0, 2.0),
            seconds: Some(spread(1.0, 0.3)),
            agreement: Some(spread(0.8, 0.1)),
            unread: Some(spread(0.02, 0.05)),
        }
    }

    fn window(n: usize, cost: f64, failed: usize) -> Window {
        let wobble = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        Window {
            failed: (0..n).map(|i| f64::from(u8::from(i < failed))).collect(),
            seconds: (0..n).map(|i| 1.0 + 0.3 * wobble(i)).collect(),
            cost: (0..n).map(|i| cost + 2.0 * wobble(i)).collect(),
            agreement: (0..n).map(|i| 0.8 + 0.1 * wobble(i)).collect(),
            unread: (0..n).map(|i| 0.02 + 0.02 * wobble(i)).collect(),
        }
    }

    #[test]
    fn traffic_like_the_measurement_is_ok_and_other_traffic_drifts_with_the_reason() {
        assert_eq!(drift(Some(&expected()), &window(100, 10.2, 1)).state, "ok");
        let dearer = drift(Some(&expected()), &window(100, 14.0, 0));
        assert_eq!((dearer.state, dearer.why.len()), ("drifting", 1));
        assert!(
            dearer.why[0].contains("cost 14.000") && dearer.why[0].contains("above the 10.000"),
            "{:?}",
            dearer.why
        );
        let failing = drift(Some(&expected()), &window(100, 10.0, 30));
        assert!(failing.why[0].starts_with("failures 0.300"), "{:?}", failing.why);
        let garbled = Window { unread: vec![0.5; 100], ..window(100, 10.0, 0) };
        let garbled = drift(Some(&expected()), &garbled);
        assert!(garbled.why[0].starts_with("unread samples 0.500"), "{:?}", garbled.why);
    }

    #[test]
    fn a_server_with_less_to_do_than_the_search_is_faster_and_does_not_drift() {
        let of = |seconds: f64| Window { seconds: vec![seconds; 100], ..window(100, 10.0, 0) };
        assert_eq!(drift(Some(&expected()), &of(0.1)).state, "ok");
        assert_eq!(drift(Some(&expected()), &of(3.0)).state, "drifting");
    }

    #[test]
    fn too_little_is_no_verdict() {
        assert_eq!(drift(Some(&expected()), &window(10, 99.0, 9)).state, "unknown");
        assert_eq!(drift(None, &window(100, 10.0, 0)).state, "unknown");
    }
}
