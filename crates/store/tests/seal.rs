//! Which test examples final tests have opened: noted for ever, told by content, and brought along from older stores.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use agenttts_core::{ExampleDigests, Split, UsedBefore, parse_examples};
use agenttts_store::{NewTest, Opened};
use rusqlite::Connection;
use serde_json::json;
use support::*;

fn digests(lines: &str, id_field: &str) -> Vec<ExampleDigests> {
    let split = parse_examples("test.jsonl", lines, id_field, None).unwrap();
    split.examples.iter().map(|e| e.digests(id_field)).collect()
}

fn test(plan: &str, opened_ms: i64, examples: &[ExampleDigests]) -> NewTest {
    NewTest { plan: plan.into(), margin: 0.02, opened_ms, examples: examples.to_vec() }
}

fn used(study: &str, opened_ms: i64, examples: u32) -> UsedBefore {
    UsedBefore { study: study.into(), opened_ms, examples }
}

#[tokio::test]
async fn every_later_opening_of_the_same_examples_is_told_by_which_study_and_when() {
    let place = Place::new();
    let store = place.open();
    let (a, b) = (store.create_study(new_study("a")).await.unwrap(), store.create_study(new_study("b")).await.unwrap());
    let mine = digests("{\"id\": 1, \"q\": \"x\"}\n{\"id\": 2, \"q\": \"y\"}\n{\"id\": 3, \"q\": \"z\"}\n", "id");
    assert_eq!(store.opened(&mine, None).unwrap(), Opened::default());

    a.open_test(test("plan 1", 10, &mine)).await.unwrap();
    // The same test, gone on with: no other opening.
    a.open_test(test("plan 1", 99, &mine)).await.unwrap();
    let opened = store.tests(a.id()).unwrap();
    assert_eq!((opened.len(), opened[0].opened_ms, opened[0].margin), (1, 10, Some(0.02)));
    assert_eq!(store.opened(&mine, Some(opened[0].id)).unwrap(), Opened::default(), "none came before it");

    // Another order and numbering, one example less and one more.
    let other = digests("{\"id\": 7, \"q\": \"z\"}\n{\"id\": 8, \"q\": \"x\"}\n{\"id\": 9, \"q\": \"new\"}\n", "id");
    b.open_test(test("plan 1", 20, &other)).await.unwrap();
    let second = store.tests(b.id()).unwrap()[0].id;
    assert_eq!(store.opened(&other, Some(second)).unwrap(), Opened { examples: 2, by: vec![used("a", 10, 2)] });

    // The same study tests another plan: its examples are no longer fresh either.
    a.open_test(test("plan 2", 30, &mine)).await.unwrap();
    let third = store.tests(a.id()).unwrap()[1].id;
    let before = Opened { examples: 3, by: vec![used("a", 10, 3), used("b", 20, 2)] };
    assert_eq!(store.opened(&mine, Some(third)).unwrap(), before);
    drop((a, b, store));
    assert_eq!(place.open().opened(&mine, Some(third)).unwrap(), before, "after all is closed and opened again");
}

#[tokio::test]
async fn the_same_rows_are_the_same_examples_whichever_field_is_their_id() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    let rows = "{\"id\": 1, \"qid\": \"k\", \"q\": \"x\"}\n";
    study.open_test(test("p", 1, &digests(rows, "qid"))).await.unwrap();
    assert_eq!(study.store().opened(&digests(rows, "id"), None).unwrap().examples, 1);
    let renumbered = "{\"id\": 1, \"qid\": \"other\", \"q\": \"x\"}\n";
    assert_eq!(study.store().opened(&digests(renumbered, "qid"), None).unwrap().examples, 1);
    assert_eq!(study.store().opened(&digests("{\"id\": 1, \"q\": \"else\"}\n", "id"), None).unwrap().examples, 0);
}

const TOML: &str = r#"
version = 1
name = "old"
plan_budget = { cost_model = "tokens", limit = 1000 }
data = { search = "search.jsonl", test = "test.jsonl" }
models.a = { provider = "fake", id = "p60" }

[[stages]]
name = "answer"
models = ["a"]
samples = [1]
prompt = "{{ q }}"
max_tokens = 8
metric = { kind = "exact-match", gold = "q" }
expected = { prompt_tokens = 20, decode_tokens = 4 }
"#;

/// Final tests that a program of schema 1 made count, too; what it wrote and cannot be read keeps no store from being opened.
#[test]
fn tests_of_a_store_of_schema_1_are_noted_when_it_is_migrated() {
    let place = Place::new();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stores/1.db"), place.file()).unwrap();
    let split = |lines: &str| parse_examples("test.jsonl", lines, "id", None).unwrap();
    let lines = "{\"id\": 1, \"q\": \"x\"}\n{\"id\": 2, \"q\": \"y\"}\n";
    let empty = Split { file: "search.jsonl".into(), examples: vec![] };
    let snapshot = json!({"version": 1, "file": "pipeline.toml", "toml": TOML, "files": {}, "search": empty,
        "test": split(lines), "facts": {}});
    let tested = json!({"version": 1, "recommended": {"trial": 1, "plan": {"choices": []}, "why": ""},
        "confirmation": {"examples": 2, "plans": []}});
    let untested =
        json!({"version": 1, "recommended": {"trial": 1, "plan": {"choices": []}, "why": ""}, "confirmation": null});
    let sql = Connection::open(place.file()).unwrap();
    for (id, name, snapshot, result) in [
        (90, "tested", snapshot.to_string(), tested.to_string()),
        (91, "not-tested", snapshot.to_string(), untested.to_string()),
        (92, "unreadable", "{}".into(), tested.to_string()),
        (93, "broken", snapshot.to_string(), "{".into()),
    ] {
        sql.execute(
            "INSERT INTO studies (id, name, pipeline, snapshot, settings, state, started_ms, elapsed_ms, result)
             VALUES (?1, ?2, 'old', ?3, '{}', 'done', 1000, 500, ?4)",
            rusqlite::params![id, name, snapshot, result],
        )
        .unwrap();
    }
    drop(sql);

    let store = place.open();
    let opened = store.tests(90).unwrap();
    assert_eq!((opened.len(), opened[0].margin, opened[0].opened_ms), (1, None, 1500));
    assert_eq!(opened[0].plan, r#"{"choices":[]}"#);
    assert!([91, 92, 93].into_iter().all(|id| store.tests(id).unwrap().is_empty()));
    assert_eq!(store.opened(&digests(lines, "id"), None).unwrap().by, [used("tested", 1500, 2)]);
}
