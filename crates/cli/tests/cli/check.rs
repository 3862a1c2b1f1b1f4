//! `agenttts check`: what a pipeline holds and what a search would take.

use crate::support::{Bench, snapshot};

#[test]
fn a_pipeline_is_described() {
    let bench = Bench::new();
    snapshot!("check", bench.run("check p"));
    snapshot!("check_with_limits", {
        bench.edit_pipeline("[search]", "[search_budget]\ntokens = 100\nusd = 1\nminutes = 5\n\n[search]");
        bench.run("check p/pipeline.toml --budget 200 --probe")
    });
}

#[test]
fn a_script_gets_the_same() {
    let bench = Bench::new();
    let check = bench.run("check p --json").exits(0).json();
    assert_eq!((check["plans"].as_str(), check["plans_within_budget"].as_str()), (Some("40"), Some("39")));
    let budget = check["plan_budget"].as_f64().unwrap();
    let (cheapest, dearest) = (&check["cheapest"]["cost"], &check["dearest_within_budget"]["cost"]);
    assert!(cheapest.as_f64() < dearest.as_f64() && dearest.as_f64().unwrap() <= budget, "{check}");
    assert_eq!(check["stages"][1]["from"][0], "pick");
    let forecast = &check["forecast"];
    assert!(forecast["tokens_low"].as_f64() <= forecast["tokens"].as_f64(), "{forecast}");
    assert!(check["probes"].is_null());
}

#[test]
fn a_model_that_does_not_answer_is_found() {
    let bench = Bench::new();
    bench.edit_pipeline("id = \"p90-t4\"", "id = \"down\"");
    snapshot!("probe_down", bench.run("check p --probe"));
    let probes = bench.run("check p --probe --json").exits(4).json();
    assert_eq!(probes["probes"][0]["ok"], false);
    assert_eq!(probes["probes"][1]["ok"], true);
}
