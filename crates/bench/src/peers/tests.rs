//! Outside optimisers that behave, and all the ways in which they do not. A short Python script plays them.

use std::ffi::OsString;
use std::sync::atomic::AtomicBool;

use agenttts_core::CostModel;

use super::*;
use crate::{Arena, Match, Run, Table, TableModel, TableRow, TableStage};

/// Answers as `peer.py` does, until its first argument says otherwise. The second is a file that gets a line per start.
const FAKE: &str = r#"
import json, sys, time
mode, starts = sys.argv[1:]
open(starts, "a").write("started\n")
asked = 0
for line in sys.stdin:
    [(verb, told)] = json.loads(line).items()
    answer = {}
    if verb == "hello":
        answer = {"samplers": {"optuna-tpe": "fake 1", "smac": None}}
    elif verb == "new":
        stages = told["stages"]
    elif verb == "tell" and mode == "listens":
        assert ("score" in told) != ("violation" in told), told
        print(json.dumps(told), file=sys.stderr)
    elif verb == "ask":
        asked += 1
        options = [stage["options"][asked % len(stage["options"])]["option"] for stage in stages]
        answer = {"plan": options}
        if asked == 3:
            if mode == "crashes":
                print("boom: out of luck", file=sys.stderr)
                sys.exit(3)
            if mode == "hangs":
                time.sleep(600)
            if mode == "babbles":
                print("Trial 3 finished with value 0.7")
            if mode == "floods":
                while True:
                    print("x" * 100000, end="")
            if mode == "fails":
                answer = {"error": "ValueError: no more ideas"}
            if mode == "finishes":
                answer = {"done": "nothing left"}
        if mode == "overspends":
            answer = {"plan": [5]}
        if mode == "strays":
            answer = {"plan": [999]}
    print(json.dumps(answer), flush=True)
"#;

#[test]
fn an_optimiser_is_asked_and_told_until_the_budget_is_spent_and_its_process_serves_the_next_run() {
    let Some(fake) = Fake::new("behaves") else { return };
    let (first, second) = (fake.run(), fake.run());
    assert_eq!((first.fault, first.ended, first.spent, first.trials), (None, None, 200.0, 20));
    assert!(first.points[0].ratio > 0.0);
    assert_eq!(second.trials, 20);
    assert_eq!(fake.starts(), 1);
}

#[test]
fn a_crash_ends_the_run_with_the_last_words_and_the_next_run_has_a_new_process() {
    let Some(fake) = Fake::new("crashes") else { return };
    let run = fake.run();
    let fault = run.fault.unwrap().message;
    assert!(fault.contains("exit status: 3") && fault.contains("boom: out of luck"), "{fault}");
    assert_eq!((run.trials, run.spent), (2, 20.0));
    assert!(fake.run().fault.is_some());
    assert_eq!(fake.starts(), 2);
}

#[test]
fn a_hang_is_noticed() {
    let Some(fake) = Fake::new("hangs") else { return };
    let fault = fake.run().fault.unwrap().message;
    assert!(fault.contains(r#"did not answer "ask" within 1 s"#), "{fault}");
    // Each of some hundred runs would wait as long.
    let fault = fake.run().fault.unwrap().message;
    assert_eq!(fault, "optuna-tpe hung in another run, so it was not started for this one");
    assert_eq!(fake.starts(), 1);
}

#[test]
fn garbage_is_shown_and_not_believed() {
    let Some(fake) = Fake::new("babbles") else { return };
    let fault = fake.run().fault.unwrap().message;
    assert!(fault.contains("no JSON object") && fault.contains("Trial 3 finished"), "{fault}");
}

#[test]
fn an_endless_line_does_not_fill_the_memory() {
    let Some(fake) = Fake::new("floods") else { return };
    let fault = fake.run().fault.unwrap().message;
    assert!(fault.contains("more than a megabyte"), "{fault}");
}

#[test]
fn an_error_of_the_optimiser_is_passed_on() {
    let Some(fake) = Fake::new("fails") else { return };
    assert_eq!(
        fake.run().fault.unwrap().message,
        r#"the outside optimiser failed at "ask": ValueError: no more ideas"#
    );
}

#[test]
fn an_optimiser_may_have_nothing_left() {
    let Some(fake) = Fake::new("finishes") else { return };
    let run = fake.run();
    assert_eq!((run.fault, run.trials), (None, 2));
    assert!(run.ended.is_some());
}

#[test]
fn plans_above_the_budget_cost_nothing_and_end_the_run_where_nothing_else_comes() {
    let Some(fake) = Fake::new("overspends") else { return };
    let run = fake.run();
    assert_eq!((run.fault, run.trials, run.spent), (None, 0, 0.0));
    assert!(run.refused > 1);
    assert!(run.ended.is_some());
}

#[test]
fn what_is_no_plan_at_all_costs_nothing_and_is_given_up() {
    let Some(fake) = Fake::new("strays") else { return };
    let run = fake.run();
    assert_eq!((run.trials, run.spent), (0, 0.0));
    let fault = run.fault.unwrap().message;
    assert!(fault.contains("50 times in a row"), "{fault}");
}

#[test]
fn every_trial_is_told_with_a_score_or_a_violation() {
    let Some(fake) = Fake::new("listens") else { return };
    assert_eq!(fake.run().fault, None);
}

#[test]
fn an_optimiser_that_is_not_installed_says_how_to_install_it() {
    let Some(fake) = Fake::new("behaves") else { return };
    let fault = fake.run_as("smac").fault.unwrap();
    assert!(fault.message.contains("smac is not installed"), "{fault}");
    assert_eq!(fault.hint.unwrap(), "run `cargo xtask bench-peers`");
    // The process is fine, and serves others.
    assert_eq!(fake.run().fault, None);
    assert_eq!(fake.starts(), 1);
}

#[test]
fn without_python_there_is_a_hint() {
    let nowhere = |_: &str| None::<OsString>;
    assert!(peer_python(nowhere).unwrap_err().message.contains("no folder"));
    let empty = tempfile::tempdir().unwrap();
    let env = |name: &str| (name == "AGENTTTS_PEERS").then(|| OsString::from(empty.path()));
    let fault = peer_python(env).unwrap_err();
    assert!(fault.hint.unwrap().contains("cargo xtask bench-peers"));
    let processes = PeerProcesses::new(&empty.path().join("bin/python"));
    let run = run(&*peer("optuna-tpe", &Arc::new(processes)).unwrap(), &arena());
    assert!(run.fault.unwrap().message.contains("cannot be run"));
}

#[test]
fn names_are_those_of_the_list_with_a_number_of_examples_or_without() {
    let processes = Arc::new(PeerProcesses::of(Path::new("none"), Vec::new(), Patience::default()));
    for name in PEERS {
        assert_eq!(peer(name, &processes).unwrap().name(), name);
    }
    assert_eq!(peer("smac@25", &processes).unwrap().sizes(), Sizes::Fixed(25));
    assert_eq!(peer("optuna-tpe", &processes).unwrap().sizes(), Sizes::BestOf);
    for wrong in ["optuna", "optuna-tpe@0", "optuna-tpe@few", "tpe"] {
        assert!(peer(wrong, &processes).is_none(), "{wrong}");
    }
    assert!(is_peer("optuna-tpe+init@5") && !is_peer("tpe@5"));
}

#[test]
fn options_that_are_in_no_plan_within_the_budget_are_not_told() {
    let arena = arena();
    let described = study::described(arena.environment.space(), true);
    let options = described["stages"][0]["options"].as_array().unwrap();
    let told: Vec<(&str, u64)> =
        options.iter().map(|o| (o["model"].as_str().unwrap(), o["samples"].as_u64().unwrap())).collect();
    assert_eq!(told, [("small", 1), ("small", 2), ("small", 4), ("large", 1)]);
    assert!(!described["initial"].as_array().unwrap().is_empty());
}

/// The real ones, where `cargo xtask bench-peers` was run.
#[test]
fn the_real_optimisers_find_good_plans_and_repeat_themselves() {
    let Some(python) = installed() else { return };
    let processes = Arc::new(PeerProcesses::new(&python));
    let arena = arena();
    for name in ["optuna-tpe", "optuna-tpe+init", "optuna-gp", "smac", "smac+init"] {
        let contestant = peer(name, &processes).unwrap();
        let first = run(&*contestant, &arena);
        match &first.fault {
            Some(fault) if fault.message.contains("is not installed") => {
                skipped(&format!("{name}: {fault}"));
                continue;
            }
            fault => assert_eq!(fault, &None, "{name}"),
        }
        // SMAC tries a plan three times at most and then has nothing left in so small a space.
        assert!(first.trials == 20 || (name.starts_with("smac") && first.ended.is_some()), "{name}: {first:?}");
        assert!(first.points[0].ratio > 0.6, "{name}: {}", first.points[0].ratio);
        let again = run(&*contestant, &arena);
        assert_eq!((first.path, first.refused), (again.path, again.refused), "{name}");
        let only = run(&*contestant, &arena_within(1.5));
        assert_eq!((only.trials, only.points[0].ratio), (20, 1.0), "{name} with one plan only");
    }
}

/// One stage: a small model with 1, 2 and 4 samples, and a large one of which more than one sample is too dear.
fn arena() -> Arena {
    arena_within(6.0)
}

fn arena_within(budget: f64) -> Arena {
    let rows =
        [(0, 1, 0.4, 1.0), (0, 2, 0.6, 2.0), (0, 4, 0.8, 4.0), (1, 1, 0.7, 5.0), (1, 2, 0.9, 10.0), (1, 4, 1.0, 20.0)];
    let model = |name: &str| TableModel { name: name.to_owned(), params_b: None };
    let table = Table {
        name: "tiny".to_owned(),
        note: String::new(),
        budget,
        cost_model: CostModel::Usd,
        noise_examples: 10,
        stages: vec![TableStage {
            name: "answer".to_owned(),
            prompt_tokens: None,
            decode_tokens: None,
            models: vec![model("small"), model("large")],
        }],
        rows: rows
            .map(|(model, samples, score, cost)| TableRow { choices: vec![(model, samples)], score, cost })
            .into(),
    };
    table.arena().unwrap()
}

fn run(contestant: &dyn Contestant, arena: &Arena) -> Run {
    let one = Match {
        arena,
        contestant,
        seed: 1,
        examples: Some(10),
        budget: 200.0,
        checkpoints: &[200.0],
        racing: false,
        most_trials: None,
    };
    one.run(&AtomicBool::new(false)).unwrap()
}

struct Fake {
    processes: Arc<PeerProcesses>,
    folder: tempfile::TempDir,
    arena: Arena,
}

impl Fake {
    fn new(mode: &str) -> Option<Self> {
        let python = Path::new("python3");
        if std::process::Command::new(python).arg("--version").output().is_err() {
            skipped("python3 is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let starts = folder.path().join("starts").to_string_lossy().into_owned();
        let arguments = vec!["-c".to_owned(), FAKE.to_owned(), mode.to_owned(), starts];
        let answer = Duration::from_secs(if mode == "hangs" { 1 } else { 60 });
        let patience = Patience { start: Duration::from_secs(60), answer };
        let processes = Arc::new(PeerProcesses::of(python, arguments, patience));
        Some(Fake { processes, folder, arena: arena() })
    }

    fn run(&self) -> Run {
        self.run_as("optuna-tpe")
    }

    fn run_as(&self, name: &str) -> Run {
        run(&*peer(name, &self.processes).unwrap(), &self.arena)
    }

    fn starts(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("starts")).unwrap().lines().count()
    }
}

fn installed() -> Option<PathBuf> {
    let python = peer_python(|name| std::env::var_os(name));
    if let Err(fault) = &python {
        skipped(&fault.message);
    }
    python.ok()
}

#[allow(clippy::print_stdout, reason = "a skipped test says so")]
fn skipped(why: &str) {
    println!("skipped: {why}");
}
