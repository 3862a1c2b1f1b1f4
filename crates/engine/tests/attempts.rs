//! A limit of calls holds exactly, whatever a server makes of them: every attempt is reserved before it is made.
//!
//! ```text
//! AGENTTTS_ATTEMPT_RUNS=200 cargo nextest run -p agenttts-engine --test attempts
//! ```

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::time::Duration;

use agenttts_engine::{EngineError, SearchOptions, StopHandle, start_study};
use agenttts_models::RetryPolicy;
use agenttts_store::Store;
use agenttts_testkit::{ChoiceCount, Config, Fault, FaultServer};
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, RngSeed, TestRunner};
use support::*;

#[derive(Clone, Debug)]
struct Case {
    fault_rate: f64,
    seed: u64,
    calls: u64,
    concurrency: u32,
    choices: ChoiceCount,
    racing: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let choices = prop::sample::select(vec![
        ChoiceCount::AsAsked,
        ChoiceCount::One,
        ChoiceCount::AtMost(3),
        ChoiceCount::RefusesAbove(2),
        ChoiceCount::NamesLimit(3),
    ]);
    (0.0..0.6f64, any::<u64>(), 1..400u64, 1..20u32, choices, any::<bool>()).prop_map(
        |(fault_rate, seed, calls, concurrency, choices, racing)| Case {
            fault_rate,
            seed,
            calls,
            concurrency,
            choices,
            racing,
        },
    )
}

async fn run(case: &Case) {
    let faults = Fault::transient().into_iter().chain([Fault::NullContent]).collect::<Vec<_>>();
    let each = case.fault_rate / faults.len() as f64;
    let server = FaultServer::start(Config {
        faults: faults.into_iter().map(|fault| (fault, each)).collect(),
        fault_seed: case.seed,
        choices: case.choices,
        ..Config::default()
    })
    .await
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let toml = PIPELINE.replace("provider = \"fake\"", "provider = \"server\"").replacen(
        "method = \"rules\"",
        &format!("method = \"rules\"\nracing = {}", case.racing),
        1,
    );
    let provider = format!(
        "\n[providers.server]\nkind = \"openai\"\nbase_url = {:?}\nretries = 3\nconcurrency = {}\n\n[search_budget]\ncalls = {}\n",
        server.base_url(),
        case.concurrency,
        case.calls
    );
    write_pipeline(folder.path(), &(toml + &provider));
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let mut context = context(vec![], StopHandle::new());
    context.workshop.options.retry = RetryPolicy {
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(4),
        ..RetryPolicy::default()
    };
    let ended = start_study(&store, load(folder.path()), SearchOptions::default(), context).await;
    // Other errors: too little for even one plan, or so many faults that the search stopped.
    if let Err(error @ (EngineError::Input(_) | EngineError::Internal(_))) = ended {
        panic!("{case:?}: {error}");
    }
    let spent = store.spend(store.study("sums-1").unwrap().id).unwrap();
    let made = server.served().requests as u64;
    assert!(made <= case.calls, "{made} calls were made: {case:?}");
    assert_eq!(spent.amounts.calls, made, "and all of them are booked: {case:?}");
}

#[test]
fn no_more_calls_are_made_than_the_limit_allows() {
    let runs = std::env::var("AGENTTTS_ATTEMPT_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let config = Runs { cases: runs, rng_seed: RngSeed::Fixed(5), failure_persistence: None, ..Runs::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    TestRunner::new(config)
        .run(&case(), |case| {
            runtime.block_on(run(&case));
            Ok(())
        })
        .unwrap();
}
