//! From nothing to an answer: init, check, search, show, report, plan, run.

use serde_json::Value;

use crate::support::{Bench, exists, snapshot, store};

#[test]
fn a_new_folder_is_searched_at_once() {
    let bench = Bench::empty();
    snapshot!("init", bench.run("init start"));
    bench.run("check start").exits(0);

    let search = bench.run("search start --method rules").exits(0);
    let plain = search.stderr.lines().next().unwrap();
    assert!(plain.starts_with("study starter-1: method rules, "), "{plain}");
    for part in ["Study starter-1: done", "The plan (trial ", "On the 40 test examples", "largest once", "Spent"] {
        assert!(search.stdout.contains(part), "{part}\n{search}");
    }
    // Standard output has data, standard error the rest.
    assert!(search.stderr.contains("plan file: starter-1.plan.toml") && !search.stdout.contains("plan file"));

    let show = bench.run("show --json").exits(0).json();
    assert_eq!((&show["study"], &show["state"]), (&Value::from("starter-1"), &Value::from("done")));
    let plans = show["confirmation"]["plans"].as_array().unwrap();
    let labels: Vec<&str> = plans.iter().map(|p| p["label"].as_str().unwrap()).collect();
    assert_eq!(labels[..3], ["recommended", "largest once", "smallest once"]);
    assert!(labels[3..].iter().all(|label| ["runner-up", "cheaper"].contains(label)), "{labels:?}");
    // The starter is made so that votes of the small writer beat one sample of the large one.
    let quality = |i: usize| plans[i]["objective"]["mean"].as_f64().unwrap();
    assert!(quality(0) > quality(1) && quality(1) > quality(2), "{plans:?}");
    assert!(show["reuse"]["fresh"].as_u64() > show["reuse"]["drawn"].as_u64());

    let report = bench.run("report -o r.html").exits(0);
    assert_eq!(report.stderr, "report of study starter-1: r.html\n");
    assert!(bench.read("r.html").contains("starter-1"));

    let run = bench.run("run starter-1.plan.toml --file start/data/test.jsonl").exits(0);
    let answers = run.json_lines();
    assert_eq!(answers.len(), 40);
    assert!(answers.iter().all(|a| a["output"].is_string() && a["cost"].as_f64().unwrap() > 0.0));
    assert_eq!(answers[39]["line"], 40);
}

#[test]
fn init_overwrites_nothing() {
    let bench = Bench::empty();
    bench.write("start/pipeline.toml", "mine");
    snapshot!("init_twice", bench.run("init start").exits(0));
    assert_eq!(bench.read("start/pipeline.toml"), "mine");
}

#[test]
fn a_search_as_a_person_reads_it() {
    let bench = Bench::new();
    snapshot!("search", bench.run("search p --seed 3").exits(0));
    snapshot!("show", bench.run("show small-1 --trials --guidelines").exits(0));
    snapshot!("studies", bench.run("studies").exits(0));
}

#[test]
fn why_a_plan_won() {
    let bench = Bench::new();
    bench.edit_pipeline("trials = 6", "trials = 16");
    bench.run("search p --seed 3 --json").exits(0);
    snapshot!("show_why", bench.run("show --why").exits(0));
    let why = bench.run("show --json").exits(0).json()["explanation"].clone();
    assert_eq!((&why["verdict"], &why["plans"]), (&Value::from("measured"), &Value::from(16)));
    assert_eq!(why["importance"][0]["factor"], serde_json::json!({"stage": "answer", "part": "model"}));
}

#[test]
fn a_search_as_a_script_reads_it() {
    let bench = Bench::new();
    let search = bench.run("search p --json -o found.toml --name mine").exits(0);
    let summary = search.json();
    assert_eq!(summary, bench.run("show mine --json").json());
    assert_eq!(summary["archive"]["trials"].as_array().unwrap().len(), 6);
    assert!(exists(&bench.path("found.toml")));

    let studies = bench.run("studies --json").json();
    assert_eq!(studies[0]["name"], "mine");
    assert_eq!(studies[0]["trials"], 6);

    // A summary on another machine is enough for a report.
    bench.write("summary.json", &search.stdout);
    bench.run("report --store elsewhere.db --summary summary.json -o r.html").exits(0);
    assert!(!exists(&bench.path("elsewhere.db")));
    assert_eq!(bench.read("r.html").trim_end(), bench.run("report mine -o -").exits(0).stdout.trim_end());
}

#[test]
fn one_seed_is_one_search() {
    let bench = Bench::new();
    let search = |args: &str| {
        let mut summary = bench.run(&format!("search p --json {args}")).exits(0).json();
        summary["archive"]["trials"].as_array_mut().unwrap().iter_mut().for_each(|trial| {
            trial["state"]["measured"]["seconds"] = Value::Null;
        });
        summary["archive"].clone()
    };
    let one = search("--store one.db --seed 5");
    assert_eq!(one, search("--store two.db --seed 5"));
    assert_ne!(one, search("--store three.db --seed 6"));
}

#[test]
fn samples_are_shared_by_the_studies_of_a_store() {
    let bench = Bench::new();
    bench.run("search p").exits(0);
    let again = bench.run("search p --json").exits(0).json();
    assert_eq!(again["study"], "small-2");
    assert_eq!(again["reuse"]["drawn"], 0);
}

#[test]
fn the_plan_of_any_trial_can_be_written() {
    let bench = Bench::new();
    bench.run("search p").exits(0);
    let plan = bench.run("plan small-1 --trial 2 -o -").exits(0);
    // The runner-up was measured on the test examples, others on those of the search alone.
    assert!(plan.stdout.contains("trial = 2") && plan.stdout.contains("split = \""), "{plan}");
    snapshot!("plan_of_no_trial", bench.run("plan small-1 --trial 99"));
    // A file that is there and is another's is left alone unless it is named.
    bench.write("small-1.plan.toml", "precious");
    snapshot!("plan_file_in_the_way", bench.run("plan small-1"));
    assert_eq!(bench.read("small-1.plan.toml"), "precious");
    bench.run("plan small-1 -o small-1.plan.toml").exits(0);
    assert!(bench.read("small-1.plan.toml").contains("study = \"small-1\""));
}

#[test]
fn looking_makes_no_store() {
    let bench = Bench::empty();
    snapshot!("no_studies", bench.run("studies").exits(0));
    assert_eq!(bench.run("studies --json").exits(0).json(), Value::Array(vec![]));
    snapshot!("show_without_studies", bench.run("show"));
    assert!(!exists(&store(&bench)));
}

#[test]
fn a_store_is_found_from_below() {
    let bench = Bench::new();
    bench.run("search p").exits(0);
    let mut inner = bench.command("studies --json");
    let ran = bench.ran(inner.current_dir(bench.path("p")).output().unwrap()).exits(0);
    assert_eq!(ran.json()[0]["name"], "small-1");
}

#[test]
fn colour_is_for_those_who_ask() {
    let bench = Bench::new();
    bench.run("search p").exits(0);
    assert!(!bench.run("show").stdout.contains('\u{1b}'));
    assert!(bench.run("show --color always").stdout.contains("\u{1b}[1m"));
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    use std::process::Stdio;
    let bench = Bench::new();
    bench.run("search p").exits(0);
    let mut child = bench.command("show --json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = bench.ran(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}
