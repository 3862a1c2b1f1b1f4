//! Pipelines whose samples are programs, which run in the sandbox: the program under test is its own launcher.

use serde_json::{Value, json};

use crate::support::{Bench, Ran, exists, store};

const PIPELINE: &str = r#"
version = 1
name = "code"
plan_budget = { cost_model = "tokens", limit = 100000 }
search = { method = "grid", trials = 4 }
data = { search = "search.jsonl", test = "test.jsonl" }
models.writer = { provider = "fake", id = "p50" }

[[stages]]
name = "code"
models = ["writer"]
samples = [1, 6]
aggregator = "execution"
parser = { kind = "code" }
prompt = "code.j2"
max_tokens = 400
metric = { kind = "product", of = ["completeness", "executability"] }
expected = { prompt_tokens = 60, decode_tokens = 20 }
"#;

/// A pipeline whose model writes `right`, or one of `wrong`.
fn bench(right: &str, wrong: &[&str]) -> Bench {
    let bench = Bench::empty();
    bench.write("p/pipeline.toml", PIPELINE);
    bench.write("p/code.j2", "Write program {{ n }}.\nanswer: {{ right }}\nwrong: {{ wrong }}\n");
    // Answers of the fake models are single lines.
    let program = |text: &str| json!({"main.py": text}).to_string();
    let wrong: Vec<String> = wrong.iter().map(|text| program(text)).collect();
    let line =
        |n: u32| json!({"id": n, "n": n, "right": program(right), "wrong": wrong.join(" | ")}).to_string() + "\n";
    bench.write("p/search.jsonl", (0..6).map(line).collect::<String>());
    bench.write("p/test.jsonl", (100..106).map(line).collect::<String>());
    bench
}

/// Whether this system can run programs at all; says so if not.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn is_held(ran: &Ran) -> bool {
    if ran.code == Some(7) {
        eprintln!("skipped: {}", ran.stderr);
    }
    ran.code != Some(7)
}

fn scores(summary: &Value) -> Vec<(u64, f64)> {
    let trials = summary["archive"]["trials"].as_array().unwrap().iter();
    trials
        .map(|t| {
            let samples = t["plan"][0]["samples"].as_u64().unwrap();
            (samples, t["state"]["measured"]["objective"]["mean"].as_f64().unwrap())
        })
        .collect()
}

#[test]
fn programs_that_run_win_and_the_study_tells_what_held_them() {
    let bench = bench("print(6 * 7)", &["print(6 * seven)", "def main(:\n    print(42)\n"]);
    // Right two times in five: one sample is hardly ever right for all, and of twelve hardly ever none is.
    bench.edit_pipeline("id = \"p50\"", "id = \"p40\"").edit_pipeline("samples = [1, 6]", "samples = [1, 12]");
    let ran = bench.run("search p --json -o plan.toml");
    if !is_held(&ran) {
        return;
    }
    let summary = ran.exits(0).json();
    let scores = scores(&summary);
    let of = |samples: u64| scores.iter().find(|(n, _)| *n == samples).unwrap().1;
    assert!(of(12) > of(1) && of(12) == 1.0, "{scores:?}");
    assert_eq!(summary["objective"], "product of completeness, executability of code");
    assert_eq!(summary["recommended"]["plan"][0]["aggregator"], "execution");
    let held = &summary["sandbox"][0]["guards"];
    assert!(!held["network"].as_array().unwrap().is_empty() && !held["files"].as_array().unwrap().is_empty());
    let shown = bench.run("show").exits(0).stdout;
    assert!(shown.contains("sandbox    generated code ran with these held: ") && shown.contains("network"), "{shown}");

    let input = json!({"n": 7, "right": json!({"main.py": "print(7)"}).to_string(), "wrong": "none"}).to_string();
    let mut command = bench.command("run plan.toml --json --trace --input");
    let answer = bench.ran(command.arg(input).output().unwrap()).exits(0).json();
    assert_eq!(answer["output"], json!({"main.py": "print(7)"}));
}

#[test]
fn a_search_goes_on_whatever_programs_do() {
    let bad = [
        "while True: pass",
        "while True: print('more')",
        "import os\nwhile True: os.fork()",
        "x = [bytes(1 << 20) for _ in range(1 << 20)]",
        "open('/etc/shadow').read()",
        "import socket\nsocket.create_connection(('127.0.0.1', 80))",
        "Sorry, as a language model I cannot.",
        "",
    ];
    let bench = bench("raise SystemExit(int('x'))", &bad);
    bench.edit_pipeline("samples = [1, 6]", "samples = [1, 8]");
    bench.edit_pipeline("search = { method = \"grid\", trials = 4 }", "search = { method = \"grid\", trials = 2 }");
    bench.edit_pipeline("id = \"p50\"", "id = \"p20\"");
    let ran = bench.run("search p --json");
    if !is_held(&ran) {
        return;
    }
    let summary = ran.exits(0).json();
    assert_eq!(summary["state"], "done");
    let scores = scores(&summary);
    assert!(scores.len() == 2 && scores.iter().all(|(_, score)| *score == 0.0), "{scores:?}");
    assert_eq!(summary["confirmation"]["plans"][0]["failures"], 0);
}

#[test]
fn samples_without_any_program_fail_their_example_and_no_more() {
    let bench = bench("print(1)", &[]);
    bench.edit_pipeline("id = \"p50\"", "id = \"empty\"");
    let ran = bench.run("search p --json");
    if !is_held(&ran) {
        return;
    }
    let summary = ran.exits(0).json();
    assert_eq!(summary["state"], "done");
    assert_eq!(summary["archive"]["trials"][0]["state"]["measured"]["failures"], 6);
}

#[test]
fn where_programs_cannot_run_nothing_is_begun() {
    let bench = bench("print(1)", &[]);
    let mut command = bench.command("search p");
    let ran = bench.ran(command.env("PATH", bench.path("nowhere")).output().unwrap()).exits(7);
    assert!(ran.stderr.contains("no python3 was found") && ran.stderr.contains("install Python 3"), "{}", ran.stderr);
    let studies = exists(&store(&bench)).then(|| bench.run("studies --json").exits(0).json());
    assert!(studies.is_none_or(|s| s.as_array().unwrap().is_empty()));
}

#[test]
fn wrong_metrics_and_aggregators_of_code_are_told() {
    let bench = bench("print(1)", &[]);
    let said = |from: &str, to: &str| {
        bench.write("p/pipeline.toml", PIPELINE);
        bench.edit_pipeline(from, to);
        bench.run("check p").exits(3).stderr
    };
    let of = "of = [\"completeness\", \"executability\"]";
    let text = said(of, "of = [\"completeness\", \"executable\"]");
    assert!(text.contains("there is no metric \"executable\"") && text.contains("executability"), "{text}");
    let text = said(of, "of = [\"f1\"]");
    assert!(text.contains("the metric \"f1\" needs more than its name"), "{text}");
    assert!(said(of, "of = [{ kind = \"f1\", gold = \"none\" }]").contains("\"none\""));
    assert!(said(&format!(", {of}"), "").contains("the metric \"product\" needs `of`"));
    let text = said("kind = \"product\", ", "kind = \"completeness\", ");
    assert!(text.contains("the metric \"completeness\" does not use `of`"), "{text}");
    let text = said("parser = { kind = \"code\" }", "parser = { kind = \"number\" }");
    assert!(text.contains("the aggregator `execution` needs outputs that are programs"), "{text}");
}

/// After the program is written it is run, and mended only if it failed.
const MENDED: &str = r#"
[[steps]]
name = "run"
from = ["code"]
python = "code"

[[stages]]
name = "mend"
from = ["run"]
when = "not run.passed"
otherwise = "code"
models = ["mender"]
samples = 1
parser = { kind = "code" }
prompt = "mend.j2"
max_tokens = 400
metric = { kind = "executability" }
expected = { prompt_tokens = 60, decode_tokens = 20, runs = 0.5 }

[models.mender]
provider = "fake"
id = "p100"
"#;

#[test]
fn a_step_runs_a_program_and_the_next_stage_mends_what_failed() {
    let bench = bench("print(6 * 7)", &["print(6 * seven)"]);
    bench.write("p/pipeline.toml", PIPELINE.replace("samples = [1, 6]", "samples = 1") + MENDED);
    bench.write("p/mend.j2", "{{ run.why }}: {{ run.traceback }}\nanswer: {{ right }}\n");
    let checked = bench.run("check p").exits(0).stdout;
    assert!(checked.contains("runs the program `code`"), "{checked}");
    let ran = bench.run("search p --json -o plan.toml");
    if !is_held(&ran) {
        return;
    }
    let summary = ran.exits(0).json();
    let trial = &summary["archive"]["trials"][0]["state"]["measured"];
    let of = |stage: usize| trial["stages"][stage]["mean"].as_f64().unwrap();
    assert!(of(0) < 1.0 && of(1) == 1.0, "{trial}");

    let answer = |right: &str| {
        let program = json!({"main.py": right}).to_string();
        let input = json!({"n": 7, "right": program, "wrong": json!({"main.py": "print(0)"}).to_string()}).to_string();
        let mut command = bench.command("run plan.toml --json --trace --input");
        bench.ran(command.arg(input).output().unwrap()).exits(0).json()
    };
    // The fake model writes the right program half of the time, and else one that works.
    let tried = (0..8).map(|n| answer(&format!("print({n} / 0)")));
    let ran: Vec<Value> = tried.map(|answer| answer["steps"][0]["output"].clone()).collect();
    let failed = ran.iter().find(|run| run["passed"] == false).expect("one of eight is the failing program");
    assert_eq!((&failed["passed"], &failed["exit"], &failed["killed_by"]), (&json!(false), &json!(1), &Value::Null));
    assert_eq!(failed["why"], "ended with a traceback: ZeroDivisionError: division by zero");
    assert!(failed["traceback"].as_str().unwrap().starts_with("Traceback (most recent call last):"), "{failed}");
    assert!(failed["enforced"].as_array().unwrap().contains(&json!("network")), "{failed}");
}

#[test]
fn steps_with_a_program_are_checked_before_anything_runs() {
    let bench = bench("print(1)", &[]);
    bench.write("p/mend.j2", "{{ run.why }}\n");
    let said = |from: &str, to: &str| {
        let text = PIPELINE.to_owned() + MENDED;
        assert!(text.contains(from), "{from}");
        bench.write("p/pipeline.toml", text.replacen(from, to, 1));
        bench.run("check p").exits(3).stderr
    };
    let text = said("python = \"code\"", "python = \"cod\"");
    assert!(text.contains("python of step run") && text.contains("did you mean `code`?"), "{text}");
    let text = said("python = \"code\"", "python = \"code\"\ntimeout_seconds = 5");
    assert!(text.contains("`timeout_seconds` is for commands"), "{text}");
    let text = said("python = \"code\"", "python = \"code\"\ncommand = [\"x\"]");
    assert!(text.contains("either a command or a Python program, not both"), "{text}");
}
