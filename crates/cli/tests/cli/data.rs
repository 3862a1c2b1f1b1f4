//! Published data sets: what a file is, what it lacks, and a pipeline's splits made of it.

use serde_json::{Value, json};

use crate::support::{Bench, snapshot};

/// A question of HotpotQA, as its file has them.
fn question(id: &str) -> Value {
    json!({
        "_id": id, "question": format!("Who wrote programs for the engine of {id}?"), "answer": "Ada",
        "type": "bridge", "level": "easy", "supporting_facts": [["Engine", 1], ["Ada", 0]],
        "context": [
            ["Engine", ["An engine was planned.", " Ada wrote its programs."]],
            ["Ada", ["Ada was a countess."]],
            ["Rope", ["Rope is made of hemp.", " It is strong."]]
        ]
    })
}

fn with_file(rows: &[Value]) -> Bench {
    let bench = Bench::empty();
    bench.write("hotpot.json", Value::from(rows.to_vec()).to_string());
    bench
}

#[test]
fn a_file_is_recognised_and_shown() {
    let bench = with_file(&[question("a"), question("b"), question("c"), question("d")]);
    snapshot!("data_inspect", bench.run("data inspect hotpot.json").exits(0));

    let found = bench.run("data inspect hotpot.json --json").exits(0).json();
    assert_eq!((&found["dataset"], &found["examples"]), (&json!("hotpotqa"), &json!(4)));
    assert_eq!(found["shown"].as_array().unwrap().len(), 3);
}

#[test]
fn a_file_becomes_two_splits() {
    let bench = with_file(&[question("a"), question("b"), question("c"), question("d")]);
    snapshot!(
        "data_prepare",
        bench.run("data prepare hotpot.json -o data --search 2 --test 2 --candidates 3").exits(0)
    );
    let lines = |file: &str| bench.read(file).lines().map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<Value>>();
    let (search, test) = (lines("data/search.jsonl"), lines("data/test.jsonl"));
    assert_eq!((search.len(), test.len()), (2, 2));
    assert!(search.iter().all(|example| test.iter().all(|other| example["id"] != other["id"])));
    assert!(search.iter().chain(&test).all(|example| example["gold_ids"].as_array().unwrap().len() == 2));

    // What is there already stays, unless it is told to go.
    let again = bench.run("data prepare hotpot.json -o data --search 1 --test 1");
    assert_ne!(again.code, Some(0));
    assert_eq!(lines("data/search.jsonl"), search);
    bench.run("data prepare hotpot.json -o data --search 1 --test 1 --force").exits(0);
    assert_eq!(lines("data/search.jsonl").len(), 1);
}

#[test]
fn what_cannot_be_used_is_told_and_left_out_only_on_demand() {
    let mut lost = question("lost");
    lost["supporting_facts"] = json!([["Nowhere", 0]]);
    let bench = with_file(&[question("a"), question("b"), lost, question("a")]);
    snapshot!("data_inspect_bad", bench.run("data inspect hotpot.json").exits(0));
    snapshot!("data_prepare_bad", bench.run("data prepare hotpot.json -o data --search 1 --test 1").exits(3));
    let left = bench.run("data prepare hotpot.json -o data --search 1 --test 1 --skip-bad --json").exits(0).json();
    assert_eq!((&left["search"]["examples"], &left["test"]["examples"]), (&json!(1), &json!(1)));
}

#[test]
fn a_damaged_file_is_refused_with_its_place() {
    let bench = with_file(&[question("a"), question("b")]);
    let whole = bench.read("hotpot.json");
    bench.write("hotpot.json", &whole[..whole.len() - 100]);
    snapshot!("data_truncated", bench.run("data inspect hotpot.json").exits(3));

    bench.write("hotpot.json", b"[{\"_id\": \"\xff\"}]");
    snapshot!("data_not_text", bench.run("data inspect hotpot.json").exits(3));

    bench.write("hotpot.json", &whole);
    snapshot!("data_inspect_another_set", bench.run("data inspect hotpot.json --dataset cwq").exits(3));
    snapshot!("data_inspect_missing", bench.run("data inspect nowhere.json").exits(3));
}
