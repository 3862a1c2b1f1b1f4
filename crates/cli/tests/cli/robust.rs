//! `agenttts bench study`: what it prints, writes and refuses.

use crate::support::{Bench, snapshot};

#[test]
fn a_study_of_budgets_is_printed_with_paired_differences() {
    let args = "bench study budgets sim:insights:1 sim:reversed:2 --methods halving,random --seeds 3 --evaluations 300";
    snapshot!("study_budgets", Bench::empty().run(args));
}

#[test]
fn worlds_tell_what_an_insight_is_worth() {
    let args = "bench study insights --worlds 2 --methods rules --seeds 2 --evaluations 200 --json";
    let json = Bench::empty().run(args).exits(0).json();
    assert_eq!((json["version"].as_u64(), json["study"].as_str()), (Some(1), Some("insights")));
    assert_eq!(json["settings"], serde_json::json!(["all", "without 1", "without 2", "without 3"]));
    assert_eq!(json["landscapes"][0]["worlds"], 2);
    let beliefs = json["beliefs"].as_array().unwrap();
    assert_eq!(beliefs.len(), 3);
    assert!(beliefs.iter().all(|b| b["holds"]["n"] == 2 && b["broken"]["mean"].is_number()));
}

#[test]
fn a_study_is_written_as_a_page_and_a_chart() {
    let bench = Bench::empty();
    let args = "bench study examples sim:insights:1 --examples 10,20 --methods grid,random --seeds 2 -o out";
    let ran = bench.run(args).exits(0);
    assert!(ran.stderr.contains("page and chart: out/index.html"), "{}", ran.stderr);
    let (svg, page) = (bench.read("out/examples.svg"), bench.read("out/index.html"));
    assert!(svg.starts_with("<svg") && svg.contains("prefers-color-scheme:dark") && page.contains("<svg"));
    let json: serde_json::Value = serde_json::from_str(&bench.read("out/results.json")).unwrap();
    assert_eq!(json["landscapes"][0]["settings"][0]["about"], "10 examples");
}

#[test]
fn what_cannot_be_studied_is_said() {
    let bench = Bench::empty();
    snapshot!("study_no_landscape", bench.run("bench study insights"));
    snapshot!("study_no_insights", bench.run("bench study insights sim:insights:1 --methods rules,tpe"));
    snapshot!("study_bad_examples", bench.run("bench study examples sim:insights:1 --examples 50,0"));
    snapshot!("study_bad_shares", bench.run("bench study budgets sim:insights:1 --shares 0.5,2"));
    snapshot!("study_unknown_price", bench.run("bench study prices sim:insights:1 --price m-7=1/2"));
    snapshot!("study_agent_without_model", bench.run("bench study budgets sim:insights:1 --methods agent-faithful"));
    bench.run("bench study").exits(2);
    bench.run("bench study budgets sim:insights:1 --worlds 3").exits(2);
}
