//! Trials on part of the examples.

use crate::support::{Bench, snapshot};

#[test]
fn trials_on_part_of_the_examples_as_a_person_reads_them() {
    let bench = Bench::new();
    bench.edit_pipeline("samples = { min = 1, max = 5 }", "samples = [1, 5]");
    let search = "search p --method rules --examples-per-trial 3 --trials 14 --batch 3";
    snapshot!("search_partial", bench.run(search).exits(0));
    snapshot!("show_partial", bench.run("show small-1 --trials").exits(0));
    let show = bench.run("show small-1 --json").exits(0).json();
    let plans = show["plans"].as_array().unwrap();
    let several = plans.iter().find(|p| p["trials"].as_array().unwrap().len() > 1).expect("one is tried again");
    assert!(several["objective"]["n"].as_u64() > Some(3), "{several}");
    bench.run("report small-1 -o r.html").exits(0);
    assert!(bench.read("r.html").contains("examples 1 to 3"));
}

#[test]
fn the_pipeline_file_sets_them_too_and_the_command_line_goes_before() {
    let bench = Bench::new();
    bench.edit_pipeline("trials = 6", "trials = 6\nexamples_per_trial = 2");
    let spans = |args: &str| -> Vec<u64> {
        let trials = bench.run(args).exits(0).json()["archive"]["trials"].clone();
        trials.as_array().unwrap().iter().map(|t| t["span"]["count"].as_u64().unwrap_or(8)).collect()
    };
    assert_eq!(spans("search p --json"), [2; 6]);
    assert_eq!(spans("search p --json --examples-per-trial 5"), [5; 6]);
    assert_eq!(spans("search p --json --examples-per-trial 80"), [8; 6]);
    bench.edit_pipeline("examples_per_trial = 2", "examples_per_trial = 0");
    snapshot!("no_examples_per_trial", bench.run("check p"));
}
