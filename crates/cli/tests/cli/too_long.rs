//! Prompts that are too long for a model's context, as a person meets them: before, during and after a search, and in `run`.

use serde_json::{Value, json};

use crate::support::{Bench, snapshot};

/// A first stage that shows notes, of which example `i` has `i`, and a model that does not hold many.
fn bench(too_long: &str) -> Bench {
    let bench = Bench::new();
    bench
        .edit_pipeline("params_b = 1\n", "params_b = 1\ncontext = 32\n")
        .edit_pipeline("max_tokens = 8\n", &format!("max_tokens = 8\n{too_long}\n"));
    bench.write(
        "p/pick.j2",
        "{% for n in notes %}{{ n }} {% endfor %}Pick.\nanswer: {{ document }}\nwrong: a | b | c\n",
    );
    for (name, first) in [("search", 1), ("test", 101)] {
        let file = format!("p/{name}.jsonl");
        let lines = bench.read(&file);
        let lines = lines.lines().zip(1..).map(|(line, i)| {
            let mut example: Value = serde_json::from_str(line).unwrap();
            example["notes"] = (first..first + i).map(|n| json!(format!("note {n:05}"))).collect();
            example.to_string() + "\n"
        });
        bench.write(&file, lines.collect::<String>());
    }
    bench
}

#[test]
fn check_tells_before_anything_is_spent_and_show_after() {
    let failing = bench("");
    snapshot!("check_too_long", failing.run("check p").exits(0));
    let told = failing.run("check p --json").exits(0).json();
    let [fit] = &told["too_long"].as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!((&fit["stage"], &fit["model"], &fit["examples"]), (&json!("pick"), &json!("little"), &json!(16)));
    let failed = fit["too_long"].as_u64().unwrap();

    let summary = failing.run("search p --json").exits(0).json();
    let little = of_little(&summary);
    assert_eq!(little["fitting"][0]["too_long"].as_u64().unwrap() * 2, failed);
    assert!(little["failure_reasons"][0].as_str().unwrap().contains("the context of little holds 32"), "{little}");
    let shown = failing.run("show --trials").exits(0).stdout;
    assert!(shown.contains("prompts of pick too long for little: 4 examples failed"), "{shown}");

    // Nothing fails where notes may be left out.
    let shortening = bench("too_long = { shorten = \"notes\" }");
    let told = shortening.run("check p").exits(0).stdout;
    assert!(told.contains("of notes on average"), "{told}");
    let summary = shortening.run("search p --json").exits(0).json();
    let little = of_little(&summary);
    assert_eq!((&little["failures"], &little["fitting"][0]["shortened"]), (&json!(0), &json!(4)));
    assert_eq!(summary["stages"][0]["shortens"], "notes");
    let report = shortening.run("report -o report.html").exits(0);
    assert!(
        shortening.read("report.html").contains("prompts of pick too long for little: 4 examples lost"),
        "{report}"
    );
}

/// What the first trial with the little model in the first stage measured.
fn of_little(summary: &Value) -> &Value {
    let trials = summary["archive"]["trials"].as_array().unwrap();
    let trial = trials.iter().find(|t| t["plan"][0]["model"] == "little" && t["state"].get("measured").is_some());
    &trial.unwrap()["state"]["measured"]
}

#[test]
fn run_warns_and_its_trace_says_how_much() {
    let bench = bench("too_long = { shorten = \"notes\" }");
    // Only the little model is left to choose.
    bench.edit_pipeline("models = [\"little\", \"big\"]", "models = [\"little\"]");
    bench.run("search p -o plan.toml").exits(0);
    let notes: Vec<String> = (0..30).map(|n| format!("note {n:05}")).collect();
    let input = json!({"question": "1 + 1?", "document": "a", "answer": 2, "notes": notes}).to_string();
    let mut command = bench.command("run plan.toml --trace --input");
    let ran = bench.ran(command.arg(&input).output().unwrap()).exits(0);
    assert!(ran.stderr.contains("the prompt of pick was too long for little and was shortened"), "{ran}");
    assert!(ran.stderr.contains(" of 30 were left out of what the stage shortens"), "{ran}");
    bench.write("inputs.jsonl", format!("{input}\n"));
    let ran = bench.run("run plan.toml --file inputs.jsonl").exits(0);
    assert!(ran.stderr.contains("1 answered, 1 of them from shortened prompts"), "{ran}");
}
