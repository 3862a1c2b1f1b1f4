//! Several processes: a killed one loses nothing that was acknowledged, and a study has one process at a time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail them")]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use agenttts_store::{Limits, Store, StoreErrorKind};
use support::*;

const ROLE: &str = "STORE_TEST_FILE";

/// Not a test of its own: what the child processes of the tests below do. Each line that it prints was acknowledged.
#[tokio::test]
async fn child() {
    let Some(file) = std::env::var_os(ROLE) else { return };
    let store = Store::open(Path::new(&file)).unwrap();
    let study = match store.open_study("a").await {
        Ok(study) => study,
        Err(_) => store.create_study(new_study("a")).await.unwrap(),
    };
    let start = store.samples(&key("q"), 0, u32::MAX).unwrap().len() as u32;
    println!("\nstarted");
    for index in start.. {
        let held = study.reserve(purpose("sample"), amounts(10, 0, 0, 1), &Limits::default()).await.unwrap().unwrap();
        println!("\nreserved {index}");
        let new = Some((home("q", 0), vec![sample(index, &index.to_string())]));
        study.settle(held, settlement(amounts(7, 0, 0, 1)), new).await.unwrap();
        println!("\nstored {index}");
    }
}

fn spawn(file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(ROLE, file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a child run until it says a line, kills it without warning, and returns all that it said.
fn kill_after(mut child: Child, line: &str) -> Vec<String> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said = Vec::new();
    for text in lines.by_ref() {
        let last = text == line;
        said.push(text);
        if last {
            break;
        }
    }
    assert!(said.last().is_some_and(|l| l == line), "the child ended before {line:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    said.extend(lines);
    said
}

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged_and_its_open_reservation_counts() {
    let place = Place::new();
    let (mut stored, mut open) = (0u64, 0u64);
    for until in [5, 23, 40] {
        let said = kill_after(spawn(&place.file()), &format!("reserved {until}"));
        stored += said.iter().filter(|l| l.starts_with("stored")).count() as u64;
        open += 1;

        let study = place.open().open_study("a").await.unwrap();
        let found = study.store().samples(&key("q"), 0, u32::MAX).unwrap();
        let (count, spent) = (found.len() as u64, study.spent());
        assert!(found.iter().zip(0..).all(|(s, i)| s.index == i && s.draw.text == i.to_string()));
        // The child may die between the commit and saying so: one more sample than it said at the most.
        assert!(count == stored || count == stored + 1, "{count} found, {stored} acknowledged");
        let lost = study.store().spend(study.id()).unwrap().lost_tokens;
        assert_eq!(lost % 10, 0);
        assert!(lost <= open * 10, "{lost}");
        assert_eq!(spent.tokens, count * 7 + lost, "settled with its sample, or lost in full, never both or neither");
        stored = count;
    }
}

#[tokio::test]
async fn a_study_has_one_process_and_is_free_when_that_is_killed() {
    let place = Place::new();
    let mut child = spawn(&place.file());
    let pid = child.id();
    // Kept open: a child that nobody hears would end by itself.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().take_while(|l| l != "stored 0").count() > 0);

    let error = place.open().open_study("a").await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::StudyLocked { study: "a".into(), process: Some(pid) });
    assert!(error.to_string().contains(&pid.to_string()) && error.hint().is_some(), "{error}");
    // Other studies of the store are free.
    place.open().create_study(new_study("b")).await.unwrap();

    child.kill().unwrap();
    child.wait().unwrap();
    drop(lines);
    place.open().open_study("a").await.unwrap();
}

#[tokio::test]
async fn a_dropped_study_is_free_again_in_the_same_process() {
    let place = Place::new();
    let store = place.open();
    let study = store.create_study(new_study("a")).await.unwrap();
    let error = store.open_study("a").await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::StudyLocked { .. }), "{error}");
    drop(study);
    store.open_study("a").await.unwrap();
}
