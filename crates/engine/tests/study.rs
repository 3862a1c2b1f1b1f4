//! Whole studies on fake models: search, confirmation, reuse, limits, stops and resumption.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::sync::Arc;

use agenttts_core::StudyState;
use agenttts_core::pipeline::{Overrides, SearchBudget};
use agenttts_engine::{
    EngineErrorKind, Event, PlanFile, ResumeOptions, Runner, SearchOptions, StopHandle, Workshop, plan_file,
    resume_study, start_study,
};
use agenttts_store::Store;
use support::*;

#[tokio::test]
async fn a_study_finds_confirms_and_writes_a_plan_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), PIPELINE);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let seen = Arc::new(Seen::default());
    let summary = start_study(
        &store,
        load(folder.path()),
        SearchOptions::default(),
        context(vec![seen.clone()], StopHandle::new()),
    )
    .await
    .unwrap();
    assert_eq!((summary.study.as_str(), summary.state), ("sums-1", StudyState::Done));
    assert_eq!(summary.archive.measured().count(), 12);
    let confirmation = summary.confirmation.as_ref().unwrap();
    let labels: Vec<&str> = confirmation.plans.iter().map(|c| c.label.as_str()).collect();
    assert_eq!(labels[..4], ["recommended", "largest once", "smallest once", "runner-up"]);
    assert_eq!((confirmation.examples, confirmation.untested.as_ref()), (15, None));
    assert!(confirmation.plans[3].verdict.as_ref().unwrap().contains("the runner-up"));
    assert!(confirmation.plans[1].verdict.is_some());
    assert!(summary.reuse.ratio().unwrap() > 1.5, "{:?}", summary.reuse);
    assert!(summary.curves.iter().any(|c| c.points.len() > 1));
    let measured = seen.0.lock().unwrap().iter().filter(|e| matches!(e, Event::TrialMeasured { .. })).count();
    assert_eq!(measured, 12);

    let text = plan_file(&store, "sums", None).unwrap().to_toml();
    let plan = PlanFile::parse("plan.toml", &text).unwrap();
    let runner = Runner::new(&plan, &Workshop::new("no-models".into())).await.unwrap();
    let input = serde_json::json!({"question": "sum 7", "gold": "hut7", "answer": "17"});
    let answer = runner.run(input.as_object().unwrap().clone()).await.unwrap();
    assert!(answer.cost > 0.0 && answer.usage.calls >= 2);
    let incomplete = runner.run(serde_json::Map::new()).await.unwrap_err();
    assert_eq!(incomplete.kind(), EngineErrorKind::Input);
}

#[tokio::test]
async fn a_stopped_study_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), PIPELINE);
    let whole = Store::open(&folder.path().join("whole.db")).unwrap();
    let expected = search(&whole, load(folder.path())).await.unwrap();

    let store = Store::open(&folder.path().join("parts.db")).unwrap();
    let stop = StopHandle::new();
    let stopper = Arc::new(StopAfter(3, stop.clone()));
    let options = SearchOptions { study: Some("parts".into()), ..SearchOptions::default() };
    let first = start_study(&store, load(folder.path()), options, context(vec![stopper], stop)).await.unwrap();
    assert_eq!(first.state, StudyState::Interrupted);
    assert!(first.confirmation.is_none());
    let stop = StopHandle::new();
    let stopper = Arc::new(StopAfter(7, stop.clone()));
    resume_study(&store, "parts", ResumeOptions::default(), context(vec![stopper], stop)).await.unwrap();
    let last =
        resume_study(&store, "parts", ResumeOptions::default(), context(vec![], StopHandle::new())).await.unwrap();
    assert_eq!(last.state, StudyState::Done);
    assert_eq!(table(&last), table(&expected));
    assert_eq!(last.spend.total.tokens(), expected.spend.total.tokens());
    assert_eq!(last.confirmation, expected.confirmation);
}

#[tokio::test]
async fn a_limit_ends_a_study_well_and_is_never_passed() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), PIPELINE);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let limit = |tokens| SearchBudget { tokens: Some(tokens), ..SearchBudget::default() };
    let unlimited =
        search(&Store::open(&folder.path().join("unlimited.db")).unwrap(), load(folder.path())).await.unwrap();
    let most = unlimited.spend.total.tokens() * 4 / 5;
    let overrides = Overrides { search_budget: Some(limit(most)), ..Overrides::default() };
    let loaded = load(folder.path()).with_overrides(overrides).unwrap();
    let summary = search(&store, loaded).await.unwrap();
    assert_eq!(summary.state, StudyState::Limit, "{:?}", summary.stop_reason);
    assert!(summary.stop_reason.as_deref().unwrap().contains("tokens"));
    assert!(summary.confirmation.is_some(), "{:?}", summary.stop_reason);
    assert!(summary.spend.total.tokens() <= most, "{:?}", summary.spend);
    let larger = ResumeOptions { search_budget: Some(limit(10_000_000)), ..ResumeOptions::default() };
    let done = resume_study(&store, "sums-1", larger, context(vec![], StopHandle::new())).await.unwrap();
    assert_eq!((done.state, done.archive.measured().count()), (StudyState::Done, 12));
}

/// The recommended plan comes first; what a limit has no room for is left out from the end and named.
#[tokio::test]
async fn a_small_limit_leaves_plans_out_of_the_test_and_says_which() {
    const ORDER: [&str; 5] = ["recommended", "largest once", "smallest once", "runner-up", "cheaper"];
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), PIPELINE);
    let mut found = Vec::new();
    for tokens in [1_500, 3_000, 6_000, 12_000, 24_000] {
        let store = Store::open(&folder.path().join(format!("{tokens}.db"))).unwrap();
        let search_budget = Some(SearchBudget { tokens: Some(tokens), ..SearchBudget::default() });
        let loaded = load(folder.path()).with_overrides(Overrides { search_budget, ..Overrides::default() }).unwrap();
        let Ok(summary) = search(&store, loaded).await else { continue };
        assert!(summary.spend.total.tokens() <= tokens);
        let Some(confirmation) = summary.confirmation else {
            assert!(summary.stop_reason.unwrap().contains("the confirmation did not fit"));
            found.push(0);
            continue;
        };
        let mut order = ORDER.into_iter();
        for plan in &confirmation.plans {
            assert!(order.any(|label| label == plan.label), "{:?}", confirmation.plans);
            assert_eq!(plan.scores.len(), 15);
        }
        let missing = confirmation.untested.unwrap_or_default();
        assert_eq!(missing.is_empty(), confirmation.plans.len() >= 4, "{missing}");
        assert!(
            missing.is_empty() || missing.contains("runner-up") && missing.contains("limit of tokens"),
            "{missing}"
        );
        found.push(confirmation.plans.len());
    }
    assert!(found.is_sorted(), "more tokens never test less: {found:?}");
    assert!(found.iter().any(|n| (1..4).contains(n)) && found.iter().any(|n| *n >= 4), "{found:?}");
}

#[tokio::test]
async fn a_limit_below_any_trial_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), PIPELINE);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let budget = SearchBudget { tokens: Some(100), ..SearchBudget::default() };
    let overrides = Overrides { search_budget: Some(budget), ..Overrides::default() };
    let error = search(&store, load(folder.path()).with_overrides(overrides).unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Budget);
    assert!(error.to_string().starts_with("no plan could be measured"), "{error}");
}

#[tokio::test]
async fn two_processes_cannot_run_one_study() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), PIPELINE);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    search(&store, load(folder.path())).await.unwrap();
    let held = store.open_study("sums-1").await.unwrap();
    let again = resume_study(&store, "sums-1", ResumeOptions::default(), context(vec![], StopHandle::new()));
    let error = again.await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Store);
    assert!(error.to_string().contains("is being run by process"), "{error}");
    drop(held);
}

#[tokio::test]
async fn the_agent_method_asks_a_model_of_the_pipeline_and_survives_its_nonsense() {
    let folder = tempfile::tempdir().unwrap();
    let agents = "[models.sage]\nprovider = \"fake\"\nid = \"agent\"\nparams_b = 1\n\n\
                  [models.fool]\nprovider = \"fake\"\nid = \"bad-json\"\nparams_b = 1\n\n[[stages]]";
    for agent in ["sage", "fool"] {
        let toml =
            PIPELINE.replacen("[[stages]]", agents, 1).replace("method = \"rules\"", &format!("agent = \"{agent}\""));
        write_pipeline(folder.path(), &toml);
        let store = Store::open(&folder.path().join(format!("{agent}.db"))).unwrap();
        let summary = search(&store, load(folder.path())).await.unwrap();
        assert_eq!((summary.method.as_str(), summary.agent.as_deref()), ("agent", Some(agent)));
        // A limit of trials is one of examples: 12 times the 30 of the search split.
        let examples: u32 = summary.archive.measured().map(|(_, m)| m.objective.n).sum();
        assert_eq!(examples, 12 * 30);
        assert!(!summary.archive.exchanges.is_empty());
        assert!(summary.spend.by_kind.contains_key("agent"));
    }
}

#[tokio::test]
async fn a_store_that_fails_in_mid_study_ends_it_even_where_calls_wait_for_room_in_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), PIPELINE);
    let file = folder.path().join("store.db");
    let store = Store::open(&file).unwrap();
    // From now on nothing can be settled, so what is reserved stays reserved.
    let saboteur = rusqlite::Connection::open(&file).unwrap();
    let trigger = "CREATE TRIGGER broken BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'injected'); END";
    saboteur.execute_batch(trigger).unwrap();
    let budget = SearchBudget { tokens: Some(1_500), ..SearchBudget::default() };
    let overrides = Overrides { search_budget: Some(budget), ..Overrides::default() };
    let loaded = load(folder.path()).with_overrides(overrides).unwrap();
    // Without an end the calls that wait would wait for ever.
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), search(&store, loaded)).await;
    let error = ended.expect("the study hangs").unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Store, "{error}");
    assert!(error.to_string().contains("injected"), "{error}");
}
