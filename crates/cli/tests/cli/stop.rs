//! Searches that stop before they are done: at a limit, by a signal.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Bench, snapshot, trials};

#[test]
fn a_limit_stops_a_search_and_a_larger_one_lets_it_go_on() {
    let bench = Bench::new();
    let whole = bench.run("search p --json --store whole.db").exits(0).json();

    let stopped = bench.run("search p --json --search-budget calls=60").exits(0);
    let summary = stopped.json();
    assert_eq!(summary["state"], "limit");
    let limit = &summary["spend"]["limits"][0];
    assert!(limit["used"].as_f64().unwrap() <= 60.0, "a limit is hard: {limit}");
    assert!(stopped.stderr.contains("search --resume small-1 --search-budget calls="), "{stopped}");

    let done = bench.run("search --resume small-1 --search-budget calls=none --json").exits(0).json();
    assert_eq!(done["state"], "done");
    assert_eq!(trials(&done), trials(&whole));
    assert_eq!(done["confirmation"]["plans"][0]["scores"], whole["confirmation"]["plans"][0]["scores"]);
}

#[test]
fn a_limit_below_the_first_trial_is_exit_code_6() {
    snapshot!("limit_before_any_trial", Bench::new().run("search p --search-budget calls=2").exits(6));
}

#[test]
fn a_study_can_be_given_more_trials() {
    let bench = Bench::new();
    let few = bench.run("search p --method random --batch 1 --trials 3 --json").exits(0).json();
    let more = bench.run("search --resume small-1 --trials 6 --json").exits(0).json();
    assert_eq!(trials(&more).len(), 6);
    assert_eq!(trials(&more)[..3], trials(&few)[..]);
}

/// The first signal drains: what was drawn is kept, the exit code is 130, and the study goes on later.
#[cfg(unix)]
#[test]
fn a_signal_stops_a_search_that_goes_on_later() {
    let bench = Bench::new();
    bench.edit_pipeline("id = \"p60-t4\"", "id = \"slow-150ms-p60-t4\"");
    bench.edit_pipeline("id = \"p90-t4\"", "id = \"slow-150ms-p90-t4\"");
    let whole = bench.run("search p --json --store whole.db").exits(0).json();
    for signal in ["INT", "TERM"] {
        let store = format!("--store {signal}.db");
        let mut command = bench.command(&format!("search p {store}"));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        let measured = || bench.run(&format!("studies --json {store}")).json()[0]["trials"].as_u64().unwrap_or(0);
        while measured() == 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "no trial is measured");
        }
        let kill = std::process::Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let ran = bench.ran(child.wait_with_output().unwrap()).exits(130);
        assert!(ran.stderr.contains("stopping: calls under way are awaited"), "{ran}");
        assert!(ran.stdout.contains("Study small-1: interrupted"), "{ran}");
        assert!(ran.stderr.contains("agenttts search --resume small-1"), "{ran}");
        let done = bench.run(&format!("search --resume small-1 --json {store}")).exits(0).json();
        assert_eq!(trials(&done), trials(&whole));
        assert_eq!(done["spend"]["lost_tokens"], 0, "nothing is lost when a search drains");
    }
}
