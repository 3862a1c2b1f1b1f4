//! Stages under a condition and stages that run for items, as a person meets them.

use serde_json::Value;

use crate::support::{Bench, snapshot, trials};

/// The answer is only asked for where the document says so, and once for each digit of the question.
fn bench() -> Bench {
    let bench = Bench::new();
    let flow = "name = \"answer\"\nwhen = \"pick != 'b'\"\notherwise = \"[]\"\neach = \"question|list|select('in', '0123456789')|list\"\n";
    bench
        .edit_pipeline("name = \"answer\"\n", flow)
        .edit_pipeline(
            "prompt = \"answer.j2\"\nmax_tokens = 8\nparser = { kind = \"number\" }\nmetric = { kind = \"number\", gold = \"answer\" }\nexpected = { prompt_tokens = 10, decode_tokens = 4 }",
            "prompt = \"answer.j2\"\nmax_tokens = 8\nmetric = { kind = \"set-f1\", gold = \"digits\" }\nexpected = { prompt_tokens = 10, decode_tokens = 4, runs = 1.5 }",
        );
    bench.write("p/answer.j2", "{{ question }} {{ index }}\nanswer: {{ item }}\nwrong: x | y\n");
    for name in ["search", "test"] {
        let file = format!("p/{name}.jsonl");
        let lines = bench.read(&file);
        let lines = lines.lines().map(|line| {
            let mut example: Value = serde_json::from_str(line).unwrap();
            let asked = example["document"] != "b";
            let digits = example["question"].as_str().unwrap().chars().filter(|c| asked && c.is_ascii_digit());
            example["digits"] = digits.map(String::from).collect();
            example.to_string() + "\n"
        });
        bench.write(&file, lines.collect::<String>());
    }
    bench
}

#[test]
fn a_pipeline_with_conditions_and_lists_is_checked_searched_shown_and_run() {
    let bench = bench();
    snapshot!("check_flow", bench.run("check p").exits(0));
    let summary = bench.run("search p --json -o plan.toml").exits(0).json();
    let runs = &summary["stages"][1]["runs"];
    assert_eq!(runs["expected"], 1.5);
    assert!((0.5..2.5).contains(&runs["counted"].as_f64().unwrap()), "{runs}");
    let shown = bench.run(&format!("show {}", summary["study"].as_str().unwrap())).exits(0).stdout;
    assert!(
        shown.contains("  answer runs ") && shown.contains(" times an example; the pipeline expects 1.5"),
        "{shown}"
    );

    let mut seen = (0, 0);
    for document in ["a", "b", "c"] {
        let input = format!(r#"{{"question":"12+3?","document":"{document}"}}"#);
        let answer = bench.run(&format!("run plan.toml --json --trace --input {input}")).exits(0).json();
        let [pick, last] = &answer["stages"].as_array().unwrap()[..] else { panic!("{answer}") };
        if pick["output"] == "b" {
            seen.0 += 1;
            assert!(last["skipped"] == true && last.get("items").is_none(), "{last}");
            assert_eq!(answer["output"], serde_json::json!([]));
        } else {
            seen.1 += 1;
            assert_eq!(last["items"].as_array().unwrap().len(), 3);
            assert_eq!(answer["output"].as_array().unwrap().len(), 3);
            assert!(last.get("skipped").is_none() && last["samples"] == serde_json::json!([]));
        }
        let calls = if pick["output"] == "b" { 0 } else { 3 };
        assert_eq!(answer["usage"]["calls"], 1 + calls, "{answer}");
    }
    assert!(seen.1 > 0, "{seen:?}");

    bench.run("bench record p -o flow.tape").exits(0);
    let live = bench.run("search p --method random --json --store live.db").exits(0).json();
    let played = bench.run("search --tape flow.tape --method random --json --store tape.db").exits(0).json();
    assert_eq!(trials(&played)[0], trials(&live)[0]);
}

#[test]
fn what_is_wrong_with_an_expression_is_said_before_the_search() {
    let bench = bench();
    bench.edit_pipeline("pick != 'b'", "pik != 'b'");
    snapshot!("undefined_in_condition", bench.run("search p").exits(3));
    let bench = self::bench();
    bench.edit_pipeline("otherwise = \"[]\"\n", "");
    snapshot!("objective_without_otherwise", bench.run("search p").exits(3));
}
