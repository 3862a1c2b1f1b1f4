//! Racing: trials that end early, how they are stored and pooled, and that what is decided depends on nothing but the
//! archive and the scores.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::sync::Arc;

use agenttts_core::StudySummary;
use agenttts_engine::{ResumeOptions, SearchOptions, StopHandle, resume_study, start_study, summary};
use agenttts_store::Store;
use support::*;

/// The pipeline with racing, and calls side by side or not.
fn racing(concurrency: u32) -> String {
    format!(
        "{}\n[providers.fakes]\nkind = \"fake\"\nconcurrency = {concurrency}\n",
        PIPELINE
            .replacen("batch = 4", "batch = 4\nracing = true", 1)
            .replacen("method = \"rules\"", "method = \"random\"", 1)
            .replace("provider = \"fake\"", "provider = \"fakes\"")
    )
}

fn raced_out(summary: &StudySummary) -> Vec<u32> {
    summary.archive.measured().filter(|(_, m)| m.raced_out.is_some()).map(|(t, _)| t.number).collect()
}

#[tokio::test]
async fn trials_that_fall_behind_end_early_and_are_neither_recommended_nor_on_the_front() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), &racing(4));
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let raced = search(&store, load(folder.path())).await.unwrap();
    let out = raced_out(&raced);
    assert!(out.len() > 3, "{out:?}");
    for (trial, measured) in raced.archive.measured() {
        let Some(mark) = measured.raced_out else { continue };
        let span = trial.span.unwrap();
        assert_eq!((span.first, span.count as usize), (0, measured.scores.len()));
        assert!(span.count < 30 && mark.planned_end == 30 && mark.behind > 0.0);
        assert_eq!(store.outcomes(1, trial.number).unwrap().len(), measured.scores.len());
    }
    assert!(!out.contains(&raced.recommended.as_ref().unwrap().trial));
    assert!(raced.pareto.iter().all(|number| !out.contains(number)));
    assert_eq!(summary(&store, &raced.study).unwrap().archive, raced.archive);

    // The limit of twelve trials is one of examples, so more plans were tried than without racing.
    let options = SearchOptions { racing: Some(false), ..SearchOptions::default() };
    let whole = start_study(&store, load(folder.path()), options, context(vec![], StopHandle::new())).await.unwrap();
    assert_eq!((raced_out(&whole), whole.archive.trials.len()), (vec![], 12));
    assert!(raced.archive.trials.len() > 12);
    // Until the first is raced out, both are the same study.
    let first = out[0] as usize;
    assert_eq!(table(&raced)[..first - 1], table(&whole)[..first - 1]);
}

#[tokio::test]
async fn what_is_decided_depends_neither_on_concurrency_nor_on_stops() {
    let made = |concurrency: u32, stops: &'static [u32]| async move {
        let folder = tempfile::tempdir().unwrap();
        write_pipeline(folder.path(), &racing(concurrency));
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let stopped = |after: Option<&u32>| {
            let stop = StopHandle::new();
            let observer = after.map(|after| Arc::new(StopAfter(*after, stop.clone())) as Arc<_>);
            context(observer.into_iter().collect(), stop)
        };
        let options = SearchOptions::default();
        let mut last = start_study(&store, load(folder.path()), options, stopped(stops.first())).await.unwrap();
        for i in 0..stops.len() {
            let context = stopped(stops.get(i + 1));
            last = resume_study(&store, "sums-1", ResumeOptions::default(), context).await.unwrap();
        }
        last
    };
    let (one, many, parts) = (made(1, &[]).await, made(16, &[]).await, made(16, &[3, 9]).await);
    assert_eq!(table(&one), table(&many));
    assert_eq!(table(&one), table(&parts));
    assert_eq!(raced_out(&one), raced_out(&parts));
}
