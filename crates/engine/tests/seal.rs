//! Test examples are sealed: whoever opens them again is told by whom and when they were opened before, for ever.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::fs;
use std::sync::Arc;

use agenttts_core::StudyState;
use agenttts_engine::{Event, ResumeOptions, SearchOptions, StopHandle, plan_file, resume_study, start_study, summary};
use agenttts_store::Store;
use support::*;

#[tokio::test]
async fn a_second_study_on_the_same_test_examples_says_so_wherever_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), PIPELINE);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let first = search(&store, load(folder.path())).await.unwrap();
    let seal = first.seal.as_ref().unwrap();
    assert_eq!((seal.used, seal.of, seal.margin, seal.warning()), (0, 15, Some(0.02), None));
    let fresh = plan_file(&store, "sums-1", None).unwrap().measured.unwrap();
    assert_eq!((fresh.split.as_str(), fresh.used), ("test", None));

    // The same examples under another name, in another order, and one more.
    let mut lines: Vec<String> =
        fs::read_to_string(folder.path().join("test.jsonl")).unwrap().lines().map(str::to_owned).collect();
    lines.reverse();
    lines.push(r#"{"question": "sum 999", "gold": "hut", "answer": "1"}"#.into());
    fs::write(folder.path().join("other.jsonl"), lines.join("\n")).unwrap();
    let renamed = PIPELINE.replace("test.jsonl", "other.jsonl");
    fs::write(folder.path().join("pipeline.toml"), renamed).unwrap();
    let seen = Arc::new(Seen::default());
    let context = context(vec![seen.clone()], StopHandle::new());
    let second = start_study(&store, load(folder.path()), SearchOptions::default(), context).await.unwrap();
    let told = "15 of these 16 test examples were already used for the final test of sums-1 on ";
    let early = seen
        .0
        .lock()
        .unwrap()
        .iter()
        .position(|e| matches!(e, Event::Warning { message } if message.starts_with(told)));
    assert_eq!(early, Some(1), "before anything is spent");
    assert!(second.seal.as_ref().unwrap().warning().unwrap().starts_with(told));
    assert!(plan_file(&store, "sums-2", None).unwrap().measured.unwrap().used.unwrap().starts_with(told));

    // The first was a fresh test and stays one, however often others come after it.
    assert_eq!(summary(&store, "sums-1").unwrap().seal, first.seal);
}

#[tokio::test]
async fn a_test_that_is_gone_on_with_is_no_second_opening() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), PIPELINE);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let first = search(&store, load(folder.path())).await.unwrap();
    let again = resume_study(&store, "sums-1", ResumeOptions::default(), context(vec![], StopHandle::new())).await;
    let again = again.unwrap();
    assert_eq!((again.state, &again.recommended), (StudyState::Done, &first.recommended));
    assert_eq!(again.seal, first.seal);
    assert_eq!(store.tests(store.study("sums-1").unwrap().id).unwrap().len(), 1);
}
