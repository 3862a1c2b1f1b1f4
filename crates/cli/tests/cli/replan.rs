//! `agenttts replan`: another choice without a call, how sure it is, and what is refused.

use crate::support::{Bench, exists, snapshot};

fn searched() -> Bench {
    let bench = Bench::new();
    bench.run("search p --seed 3").exits(0);
    bench
}

#[test]
fn a_smaller_budget_as_a_person_reads_it() {
    let bench = searched();
    snapshot!("replan_budget", bench.run("replan small-1 --budget 400").exits(0));
}

#[test]
fn prices_turn_costs_into_dollars() {
    let bench = searched();
    let prices = "--price little=0.1/0.4 --price big=2/8";
    snapshot!("replan_prices", bench.run(&format!("replan small-1 {prices} --budget 0.0003 -o cheap.toml")).exits(0));
    let found = bench.run(&format!("replan small-1 {prices} --json")).exits(0).json();
    assert_eq!((&found["cost_model"], &found["budget"]), (&"usd".into(), &serde_json::Value::Null));
    assert!(found["surer"].as_array().unwrap().iter().all(|s| s["usd"].as_f64().unwrap() > 0.0), "{found}");
    let answers = bench.run("run cheap.toml --file p/test.jsonl").exits(0).json_lines();
    assert!(answers.len() == 8 && answers.iter().all(|a| a["error"].is_null()), "{answers:?}");
}

#[test]
fn nothing_is_called_and_the_study_stays_as_it_is() {
    let bench = searched();
    let before = bench.run("show small-1 --json").json();
    // Even the models may be gone.
    bench.write("p/pipeline.toml", "");
    let found = bench.run("replan small-1 --max-latency 60 --json").exits(0).json();
    assert_eq!(found["measured"][0], 6);
    assert_eq!(before, bench.run("show small-1 --json").json());
    assert!(!exists(&bench.path("small-1.replan.toml")));
}

#[test]
fn what_cannot_be_planned_again_is_refused() {
    let bench = searched();
    snapshot!("replan_unknown_model", bench.run("replan small-1 --price litle=1/2"));
    snapshot!("replan_without_prices", bench.run("replan small-1 --cost-model usd"));
    snapshot!("replan_too_cheap", bench.run("replan small-1 --budget 1"));
    snapshot!("replan_too_fast", bench.run("replan small-1 --budget 60 --max-latency 0"));
    snapshot!("replan_bad_price", bench.run("replan small-1 --price little=1"));
    snapshot!("replan_cost_model", bench.run("replan small-1 --cost-model flop"));
    snapshot!("replan_price_of_flops", bench.run("replan small-1 --price little=1/2 --cost-model flops"));
    snapshot!("replan_unknown_study", bench.run("replan smal-9"));
    let empty = Bench::new();
    snapshot!("replan_no_store", empty.run("replan small-1"));
    empty.run("search p --search-budget calls=2").exits(6);
    snapshot!("replan_nothing_measured", empty.run("replan small-1"));
}
