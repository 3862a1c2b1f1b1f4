//! `agenttts run`: answers of a found plan.

use crate::support::{Bench, snapshot};

/// A bench with a plan.
fn planned() -> Bench {
    let bench = Bench::new();
    bench.run("search p -o plan.toml").exits(0);
    // What runs is in the plan file: the pipeline is not needed any more.
    std::fs::remove_file(bench.path("p/pipeline.toml")).unwrap();
    bench
}

const INPUT: &str = r#"{"question":"4+4?","document":"a","answer":8}"#;

#[test]
fn one_input() {
    let bench = planned();
    let ran = bench.run(&format!("run plan.toml --input {INPUT}")).exits(0);
    assert!(ran.stdout.trim().parse::<i64>().is_ok(), "{ran}");
    assert!(ran.stderr.starts_with("cost ") && ran.stderr.contains(" GFLOP, "), "{ran}");
    let json = bench.run(&format!("run plan.toml --json --trace --input {INPUT}")).exits(0).json();
    assert_eq!(json["stages"][0]["stage"], "pick");
    assert!(json["usage"]["decode"].as_u64().unwrap() > 0 && json["cost"].as_f64().unwrap() > 0.0);
}

#[test]
fn bad_lines_are_told_and_the_others_are_answered() {
    let bench = planned();
    bench.write("in.jsonl", format!("{INPUT}\nnot json\n\n[1]\n{{\"question\":\"1+1?\"}}\n{INPUT}\n"));
    let ran = bench.run("run plan.toml --file in.jsonl").exits(3);
    let lines = ran.json_lines();
    let numbers: Vec<u64> = lines.iter().map(|l| l["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 4, 5, 6], "one line for each input, in their order");
    let failed: Vec<bool> = lines.iter().map(|l| l.get("error").is_some()).collect();
    assert_eq!(failed, [false, true, true, true, false]);
    assert!(lines[1]["error"].as_str().unwrap().starts_with("not valid JSON at column"), "{ran}");
    assert!(lines[3]["error"].as_str().unwrap().contains("`document`"), "{ran}");
    assert!(ran.stderr.ends_with("2 answered, 3 failed; ") || ran.stderr.contains("2 answered, 3 failed; "), "{ran}");
}

#[test]
fn inputs_come_from_a_pipe_too() {
    use std::io::Write;
    use std::process::Stdio;
    let bench = planned();
    let mut command = bench.command("run plan.toml --file -");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{INPUT}").unwrap();
    let ran = bench.ran(child.wait_with_output().unwrap()).exits(0);
    assert_eq!(ran.json_lines().len(), 1);
}

#[test]
fn bad_plans_and_inputs() {
    let bench = planned();
    snapshot!("run_bad_input", bench.run("run plan.toml --input {"));
    snapshot!("run_missing_field", bench.run(r#"run plan.toml --input {"question":"1"}"#));
    snapshot!("run_no_plan", bench.run("run nowhere.toml --input {}"));
    snapshot!("run_no_file", bench.run("run plan.toml --file nowhere.jsonl"));
    bench.write("other.toml", "version = 1\nstudy = \"x\"\nsteps = []\n");
    snapshot!("run_no_plan_file", bench.run("run other.toml --input {}"));
    bench.edit("plan.toml", "version = 1", "version = 9");
    snapshot!("run_newer_plan", bench.run("run plan.toml --input {}"));
    bench.run("run plan.toml").exits(2);
}
