//! Trials on part of the examples: their order, what is said of a plan with several of them, and how they resume.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use agenttts_core::{Span, StudySummary};
use agenttts_engine::{
    Event, ResumeOptions, SearchOptions, StopHandle, list_studies, plan_file, resume_study, start_study, summary,
};
use agenttts_store::Store;
use support::*;

/// The pipeline with ten of its thirty examples a trial, and so few plans that good ones are tried again.
fn partial() -> String {
    PIPELINE
        .replacen("batch = 4", "batch = 4\nexamples_per_trial = 10", 1)
        .replace("trials = 12", "trials = 24")
        .replace("samples = [1, 2, 4, 8]", "samples = [1, 2]")
}

/// The objective of every example of a trial, by its place in the split.
fn outcomes(store: &Store, summary: &StudySummary, trial: u32) -> BTreeMap<u32, f64> {
    let id = store.study(&summary.study).unwrap().id;
    store.outcomes(id, trial).unwrap().into_iter().map(|o| (o.index.unwrap(), o.objective)).collect()
}

#[tokio::test]
async fn a_plan_that_is_tried_again_goes_on_to_further_examples_and_its_trials_are_pooled() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), &partial());
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let seen = Arc::new(Seen::default());
    let options = SearchOptions::default();
    let context = context(vec![seen.clone()], StopHandle::new());
    let summary = start_study(&store, load(folder.path()), options, context).await.unwrap();

    let first = &summary.archive.trials[0];
    assert_eq!((first.stream, first.span), (0, Some(Span { first: 0, count: 10 })));
    let measured = first.measurement().unwrap();
    assert_eq!((measured.scores.len(), measured.objective.n), (10, 10));
    // Other plans run on the same ten, so scores are paired; they are not the first ten of the file.
    let mine: Vec<u32> = outcomes(&store, &summary, 1).into_keys().collect();
    assert_eq!(mine, outcomes(&store, &summary, 2).into_keys().collect::<Vec<_>>());
    assert_ne!(mine, (0..10).collect::<Vec<_>>());

    let plans = summary.archive.plans();
    let again = plans.iter().find(|p| p.trials.len() > 1).expect("a good plan is tried again");
    assert_eq!(again.trials[1].0.span, Some(Span { first: 10, count: 10 }));
    assert_eq!(again.objective.n as usize, 10 * again.trials.len());
    let examples: HashSet<u32> =
        again.trials.iter().flat_map(|(t, _)| outcomes(&store, &summary, t.number).into_keys()).collect();
    assert_eq!(examples.len(), again.scores.len(), "no example is run twice while others are left");

    // The summary, the plan file, the list of studies and the display speak of all trials of a plan.
    let told = summary.plans.iter().find(|p| &p.plan == again.plan).unwrap();
    assert_eq!((told.objective, told.cost, told.trials.len()), (again.objective, again.cost, again.trials.len()));
    let file = plan_file(&store, &summary.study, Some(again.trials[1].0.number)).unwrap();
    let confirmed = summary.confirmation.as_ref().unwrap().plans.iter().any(|c| &c.plan == again.plan);
    assert!(confirmed || file.measured.as_ref().unwrap().quality == again.objective);
    let best = summary.archive.best().unwrap();
    assert_eq!(list_studies(&store).unwrap()[0].best, Some(best.objective));
    let events = seen.0.lock().unwrap();
    let pooled = events.iter().rev().find_map(|e| match e {
        Event::TrialMeasured { plan, pooled, .. } if plan == again.plan => *pooled,
        _ => None,
    });
    assert_eq!(pooled, Some(again.objective));
    let leader = events.iter().rev().find_map(|e| match e {
        Event::TrialMeasured { leader, .. } => leader.clone(),
        _ => None,
    });
    assert_eq!(leader.unwrap().plan, *best.plan);
}

#[tokio::test]
async fn a_study_of_partial_trials_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), &partial());
    let whole = Store::open(&folder.path().join("whole.db")).unwrap();
    let expected = search(&whole, load(folder.path())).await.unwrap();
    let store = Store::open(&folder.path().join("parts.db")).unwrap();
    let stopped = |after: u32| {
        let stop = StopHandle::new();
        context(vec![Arc::new(StopAfter(after, stop.clone()))], stop)
    };
    start_study(&store, load(folder.path()), SearchOptions::default(), stopped(2)).await.unwrap();
    for after in [9, 17] {
        resume_study(&store, "sums-1", ResumeOptions::default(), stopped(after)).await.unwrap();
    }
    let last = resume_study(&store, "sums-1", ResumeOptions::default(), context(vec![], StopHandle::new())).await;
    let last = last.unwrap();
    assert_eq!(table(&last), table(&expected));
    assert_eq!(last.spend.total.tokens(), expected.spend.total.tokens());
    assert_eq!((last.plans, last.pareto), (expected.plans, expected.pareto));
}

#[tokio::test]
async fn a_study_from_before_examples_had_an_order_keeps_that_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), PIPELINE);
    let file = folder.path().join("store.db");
    let store = Store::open(&file).unwrap();
    // A study that was begun and stopped at once, put back into the form of version 1.
    let stop = StopHandle::new();
    stop.stop();
    start_study(&store, load(folder.path()), SearchOptions::default(), context(vec![], stop)).await.unwrap();
    let settings = r#"{"version":1,"method":"rules","agent":null,"search":{"seed":1,"batch":4,"trials":5},
        "search_budget":{"tokens":null,"usd":null,"flops":null,"calls":null,"minutes":null}}"#;
    let written = rusqlite::Connection::open(&file).unwrap();
    written.execute("UPDATE studies SET settings = ?1", [settings]).unwrap();

    let old =
        resume_study(&store, "sums-1", ResumeOptions::default(), context(vec![], StopHandle::new())).await.unwrap();
    let scores = old.archive.trials[0].measurement().unwrap().scores.clone();
    assert_eq!(scores, outcomes(&store, &old, 1).into_values().collect::<Vec<_>>(), "as in the file");

    let new = search(&store, load(folder.path())).await.unwrap();
    assert_eq!(new.archive.trials[0].plan, old.archive.trials[0].plan);
    let shuffled = new.archive.trials[0].measurement().unwrap().scores.clone();
    assert_ne!(shuffled, scores);
    let by_place: Vec<f64> = outcomes(&store, &new, 1).into_values().collect();
    assert_eq!(by_place, scores, "the same draws in another order");
    assert_eq!(summary(&store, "sums-1").unwrap().archive, old.archive);
}

#[tokio::test]
async fn more_examples_than_there_are_is_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), &PIPELINE.replacen("batch = 4", "batch = 4\nexamples_per_trial = 500", 1));
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let summary = search(&store, load(folder.path())).await.unwrap();
    assert!(summary.archive.trials.iter().all(|t| t.span.is_none()));
}

#[tokio::test]
async fn a_method_that_learns_from_an_earlier_study_is_told_which() {
    let folder = tempfile::tempdir().unwrap();
    let sage = "[models.sage]\nprovider = \"fake\"\nid = \"agent\"\nparams_b = 1\n\n[[stages]]";
    let toml = PIPELINE.replacen("[[stages]]", sage, 1).replace("batch = 4", "batch = 4\nagent = \"sage\"");
    write_pipeline(folder.path(), &toml);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let options = |history: Option<&str>| SearchOptions {
        method: Some("mlcopilot".into()),
        history: history.map(str::to_owned),
        ..SearchOptions::default()
    };
    let begin = async |history: Option<&str>| {
        let context = context(vec![], StopHandle::new());
        start_study(&store, load(folder.path()), options(history), context).await
    };
    let nothing = begin(None).await.unwrap_err().to_string();
    assert!(nothing.contains("the store has none"), "{nothing}");

    let first = SearchOptions { method: Some("random".into()), ..SearchOptions::default() };
    start_study(&store, load(folder.path()), first, context(vec![], StopHandle::new())).await.unwrap();
    let summary = begin(None).await.unwrap();
    assert_eq!((summary.history.as_deref(), summary.archive.measured().count()), (Some("sums-1"), 12));
    let unknown = begin(Some("sumz-1")).await.unwrap_err().to_string();
    assert!(unknown.contains("there is no study \"sumz-1\""), "{unknown}");
    let other = SearchOptions { method: Some("random".into()), ..options(Some("sums-1")) };
    let error = start_study(&store, load(folder.path()), other, context(vec![], StopHandle::new())).await.unwrap_err();
    assert!(error.to_string().contains("does not learn from an earlier study"), "{error}");
}
