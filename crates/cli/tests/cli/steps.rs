//! Steps that ask a program: a retriever in Python, and programs that hang, die or print what is no answer.

use serde_json::{Value, json};

use crate::support::{Bench, snapshot, store, trials};

/// Looks the document of a question up, and tells how often it was asked.
const RETRIEVER: &str = r#"
import json, sys

for number, line in enumerate(sys.stdin):
    asked = json.loads(line)
    assert asked["version"] == 1, asked
    with open("asked.txt", "a") as log:
        log.write(asked["id"] + "\n")
    found = {"document": asked["example"]["document"], "picked": asked["outputs"]["pick"]}
    print(json.dumps({"output": found}), flush=True)
"#;

const STEP: &str = r#"
[[steps]]
name = "look-up"
from = ["pick"]
command = ["python3", "retriever.py"]
timeout_seconds = 20
"#;

/// A bench whose second stage reads a step with this program.
fn with_program(program: &str) -> Bench {
    let bench = Bench::new();
    bench.edit_pipeline("name = \"answer\"\n", "name = \"answer\"\nfrom = [\"look-up\"]\n");
    bench.write("p/pipeline.toml", bench.read("p/pipeline.toml") + STEP);
    bench.write("p/retriever.py", program);
    bench.write("p/answer.j2", "{{ question }} {{ pick }} {{ look_up.document }}\nanswer: {{ answer }}\n");
    bench
}

/// The failures of all trials' examples.
fn failures(summary: &Value) -> u64 {
    let list = summary["archive"]["trials"].as_array().unwrap();
    list.iter().map(|t| t["state"]["measured"]["failures"].as_u64().unwrap()).sum()
}

#[test]
fn a_program_retrieves_for_every_trial_and_is_asked_once_for_the_same() {
    let bench = with_program(RETRIEVER);
    snapshot!("check_steps", bench.run("check p").exits(0));
    assert!(!bench.path("p/asked.txt").exists(), "a check starts no program");
    let summary = bench.run("search p --json -o plan.toml").exits(0).json();
    assert_eq!(failures(&summary), 0);
    let asked = bench.read("p/asked.txt").lines().count();
    // 16 examples, and at most as many different outputs of the first stage as it has.
    assert!((16..=64).contains(&asked), "{asked}");

    let input = r#"{"question":"4+4?","document":"a","answer":8}"#;
    let answer = bench.run(&format!("run plan.toml --json --trace --input {input}")).exits(0).json();
    assert_eq!(answer["steps"][0]["step"], "look-up");
    assert_eq!(answer["steps"][0]["output"]["document"], "a");
    assert!(answer["steps"][0]["seconds"].as_f64().unwrap() > 0.0);

    // The plan says so when the program is another one, and still runs.
    bench.write("p/retriever.py", RETRIEVER.replace("picked", "chosen"));
    let ran = bench.run(&format!("run plan.toml --input {input}")).exits(0);
    assert!(ran.stderr.contains("warning: the program \"retriever.py\""), "{ran}");
    std::fs::remove_dir_all(bench.path("p")).unwrap();
    let ran = bench.run(&format!("run plan.toml --input {input}")).exits(3);
    assert!(ran.stderr.contains("is not there, in which its command runs") && ran.stderr.contains("hint: "), "{ran}");
}

#[test]
fn what_a_program_does_wrong_fails_its_example_and_the_program_starts_again() {
    let bench = with_program(
        r#"
import json, sys, time

for line in sys.stdin:
    asked = json.loads(line)
    number = int(asked["id"])
    if number % 8 == 1:
        time.sleep(1000)
    elif number % 8 == 2:
        print("the index is broken", file=sys.stderr)
        sys.exit(7)
    elif number % 8 == 3:
        print("loading ...", flush=True)
    elif number % 8 == 4:
        print(json.dumps({"error": "nothing found"}), flush=True)
    elif number % 8 == 5:
        print("x" * (9 << 20), flush=True)
    elif number % 8 == 6:
        print(json.dumps({"output": {"document": "a"}}) + "\nmore", flush=True)
    else:
        print(json.dumps({"output": {"document": asked["example"]["document"]}}), flush=True)
"#,
    );
    bench
        .edit_pipeline("timeout_seconds = 20", "timeout_seconds = 1")
        .edit_pipeline("trials = 6", "trials = 1")
        .edit_pipeline("provider = \"fake\"\nid = \"p60-t4\"", "provider = \"one\"\nid = \"p100-t4\"")
        .edit_pipeline("provider = \"fake\"\nid = \"p90-t4\"", "provider = \"one\"\nid = \"p100-t4\"");
    // One example at a time, an answer at the latest after five failures in a row.
    let order = ["8", "1", "2", "3", "7", "4", "5", "6"];
    for (name, more) in [("search", 0), ("test", 100)] {
        let line = |id: &&str| {
            let i = id.parse::<u32>().unwrap() + more;
            json!({"id": if more == 0 { i } else { 8 }, "question": format!("{i}?"), "document": "a", "answer": i})
                .to_string()
        };
        let mut lines: Vec<String> = order.iter().map(line).collect();
        lines.truncate(if more == 0 { 8 } else { 1 });
        bench.write(&format!("p/{name}.jsonl"), lines.join("\n") + "\n");
    }
    let text = bench.read("p/pipeline.toml") + "\n[providers.one]\nkind = \"fake\"\nconcurrency = 1\n";
    bench.write("p/pipeline.toml", text);
    let summary = bench.run("search p --json").exits(0).json();
    let measured = &summary["archive"]["trials"][0]["state"]["measured"];
    assert_eq!(measured["failures"], 6, "{measured}");
    let reasons = |outcome: &str| stored_reasons(&bench).into_iter().filter(|r| r.contains(outcome)).count();
    for reason in [
        "look-up: the command `python3 retriever.py` did not answer within 1 s",
        "ended instead of answering (exit status: 7); it last said: the index is broken",
        "wrote what is no answer: \"loading ...\"",
        "look-up: nothing found",
        "wrote a line of more than 8 MiB",
        "wrote more than one line for one answer; the next begins \"more\"",
    ] {
        assert_eq!(reasons(reason), 1, "{reason}: {:?}", stored_reasons(&bench));
    }
}

/// Why examples failed, as the store has it.
fn stored_reasons(bench: &Bench) -> Vec<String> {
    let connection = rusqlite::Connection::open(store(bench)).unwrap();
    let mut query = connection.prepare("SELECT outcome FROM outcomes WHERE trial = 1").unwrap();
    let outcomes = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let failure = |outcome: String| Some(serde_json::from_str::<Value>(&outcome).ok()?["failure"].as_str()?.to_owned());
    outcomes.filter_map(|outcome| failure(outcome.unwrap())).collect()
}

#[test]
fn a_program_that_is_broken_stops_the_study_which_goes_on_when_it_is_mended() {
    let bench = with_program("import sys\nsys.exit('no module named bm25')\n");
    let ran = bench.run("search p --name broken").exits(3);
    assert!(ran.stderr.contains("step \"look-up\" failed 5 times in a row"), "{ran}");
    assert!(ran.stderr.contains("it last said: no module named bm25"), "{ran}");
    assert!(ran.stderr.contains("agenttts search --resume broken"), "{ran}");
    let ran = bench.run("search --resume broken").exits(3);
    assert!(ran.stderr.contains("failed 5 times in a row"), "{ran}");
    bench.write("p/retriever.py", RETRIEVER);
    let ran = bench.run("search --resume broken").exits(0);
    assert!(ran.stderr.contains("the program \"retriever.py\" of a step has changed since the study began"), "{ran}");

    let bench = with_program(RETRIEVER);
    bench.edit_pipeline("\"python3\"", "\"python-3000\"");
    let ran = bench.run("check p").exits(3);
    assert!(ran.stderr.contains("there is no program \"python-3000\""), "{ran}");
}

#[test]
fn a_tape_plays_steps_without_their_program() {
    let bench = with_program(RETRIEVER);
    let live = bench.run("search p --json").exits(0).json();
    bench.run("bench record p -o small.tape").exits(0);
    std::fs::remove_file(bench.path("p/retriever.py")).unwrap();
    let played = bench.run("search --tape small.tape --json").exits(0).json();
    assert_eq!(trials(&played), trials(&live));
    bench.run("bench small.tape --methods random --seeds 2").exits(0);
}
