//! Random search budgets under concurrency and faults: never passed, and used up where work remained.
//!
//! ```text
//! AGENTTTS_BUDGET_RUNS=1000 cargo test --release -p agenttts-engine --test budgets -- --nocapture
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail loudly and say what it found"
)]

mod support;

use agenttts_core::{StudyState, StudySummary};
use agenttts_engine::EngineError;
use agenttts_store::Store;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use support::*;

/// What a run is made of.
#[derive(Clone, Debug)]
struct Case {
    method: &'static str,
    concurrency: u32,
    small: &'static str,
    large: &'static str,
    racing: bool,
    /// Which limits are set, and how large: powers of ten.
    limits: [Option<f64>; 4],
}

/// Limits with the range of their logarithms: from too little for one call to more than all trials take.
const LIMITS: [(&str, f64, f64); 4] =
    [("tokens", 2.0, 5.2), ("usd", -4.0, -1.5), ("flops", 3.0, 6.5), ("calls", 0.5, 3.5)];

fn case() -> impl Strategy<Value = Case> {
    let model =
        || prop::sample::select(vec!["p55", "p80-t6", "flaky-p70", "fails-first-p60", "caps-n-p60", "ignores-n-p60"]);
    let limit = |(_, low, high): (&str, f64, f64)| prop::option::weighted(0.5, (low..high).prop_map(|e| 10f64.powf(e)));
    let limits = LIMITS.map(limit);
    let method = prop::sample::select(vec!["random", "rules", "grid", "planner"]);
    (method, 1..24u32, model(), model(), any::<bool>(), limits).prop_map(
        |(method, concurrency, small, large, racing, limits)| Case {
            method,
            concurrency,
            small,
            large,
            racing,
            limits,
        },
    )
}

impl Case {
    fn pipeline(&self) -> String {
        let mut text = PIPELINE
            .replace("trials = 12", "trials = 40")
            .replacen("method = \"rules\"", &format!("method = \"{}\"\nracing = {}", self.method, self.racing), 1)
            .replace("provider = \"fake\"", "provider = \"fakes\"")
            .replace(
                "\"p55\"\nparams_b = 1",
                &format!("\"{}\"\nparams_b = 1\nprice = {{ prompt = 0.1, decode = 0.4 }}", self.small),
            )
            .replace(
                "\"p75\"\nparams_b = 10",
                &format!("\"{}\"\nparams_b = 10\nprice = {{ prompt = 1, decode = 3 }}", self.large),
            );
        text.push_str(&format!(
            "\n[providers.fakes]\nkind = \"fake\"\nconcurrency = {}\n\n[search_budget]\n",
            self.concurrency
        ));
        for ((name, ..), limit) in LIMITS.iter().zip(self.limits) {
            let whole = |limit: f64| if ["tokens", "calls"].contains(name) { limit.ceil() } else { limit };
            text.extend(limit.map(|limit| format!("{name} = {}\n", whole(limit))));
        }
        text
    }
}

/// A run's largest overspend as a share of the limit; and where a limit ended it and was 20 times the largest call or
/// more, which share of it was used.
async fn run(case: &Case) -> (f64, Option<f64>) {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), &case.pipeline());
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let summary = match search(&store, load(folder.path())).await {
        Ok(summary) => summary,
        Err(error @ (EngineError::Input(_) | EngineError::Internal(_))) => panic!("{case:?}: {error}"),
        // Too little for even one plan, or so many faults that the search stopped.
        Err(_) => agenttts_engine::summary(&store, "sums-1").unwrap(),
    };
    let over = |used: f64, limit: f64| (used - limit) / limit;
    let most = summary.spend.limits.iter().map(|l| over(l.used, l.limit)).fold(0.0, f64::max);
    // Whatever the ledger says, what was billed for is no more.
    let billed = summary.spend.total;
    for limit in &summary.spend.limits {
        assert!(limit.what != "tokens" || billed.tokens() as f64 <= limit.limit, "{case:?}");
        assert!(limit.what != "calls" || billed.calls as f64 <= limit.limit, "{case:?}");
    }
    (most, used(&summary))
}

/// Which share of the limit that is nearest to its end was used, where a limit ended the search and none is so small that it
/// may keep everybody out.
fn used(summary: &StudySummary) -> Option<f64> {
    if summary.state != StudyState::Limit {
        return None;
    }
    let limits = &summary.spend.limits;
    let nearest = limits.iter().map(|l| l.used / l.limit).max_by(f64::total_cmp)?;
    // A reservation is at most as many prompts and samples as its stage has: 8, of twenty tokens and a prompt each.
    limits.iter().all(|l| l.limit >= 20.0 * largest(&l.what)).then_some(nearest)
}

/// The most that one call of the pipeline may reserve: 8 samples of 20 tokens, and as often a prompt of at most 60.
fn largest(limit: &str) -> f64 {
    match limit {
        "tokens" => 8.0 * 80.0,
        "usd" => 8.0 * (60.0 * 1e-6 + 20.0 * 3e-6),
        "flops" => 8.0 * 80.0 * 2.0 * 10.0,
        _ => 8.0,
    }
}

#[test]
fn no_limit_is_passed_and_limits_that_end_a_search_are_used() {
    let runs = std::env::var("AGENTTTS_BUDGET_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let config = Config { cases: runs, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let found = std::sync::Mutex::new((0.0f64, Vec::new()));
    TestRunner::new(config)
        .run(&case(), |case| {
            let (over, used) = runtime.block_on(run(&case));
            prop_assert!(over <= 0.0, "overspent by {over}");
            let mut found = found.lock().unwrap();
            found.0 = found.0.max(over);
            found.1.extend(used);
            Ok(())
        })
        .unwrap();
    let (over, mut shares) = found.into_inner().unwrap();
    shares.sort_by(f64::total_cmp);
    let at = |q: f64| shares.get((q * shares.len() as f64) as usize).copied().unwrap_or(f64::NAN);
    println!(
        "{runs} runs, largest overspend {over}; {} ended at a limit of 20 calls or more: used 10% {:.3}, median {:.3}, 90% {:.3}",
        shares.len(),
        at(0.1),
        at(0.5),
        at(0.9)
    );
}
