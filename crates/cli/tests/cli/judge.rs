//! A model that judges as the metric, as a person meets it.

use serde_json::Value;

use crate::support::{Bench, snapshot};

/// The big model judges the answers; six of eight test examples have a label.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.edit_pipeline(
        "metric = { kind = \"number\", gold = \"answer\" }",
        "[stages.metric]\nkind = \"llm-judge\"\nmodel = \"big\"\nrubric_file = \"rubric.j2\"\nverdicts = { right = 1, wrong = 0 }\n\
         calibrate_with = { kind = \"number\", gold = \"truth\" }",
    );
    // A table ends where the next key would be its own, so what follows must stand before it.
    let expected = "expected = { prompt_tokens = 10, decode_tokens = 4 }\n";
    let text = bench.read("p/pipeline.toml").replace(expected, "");
    bench.write("p/pipeline.toml", text.replace("[stages.metric]", &format!("{expected}\n[stages.metric]")));
    bench.write(
        "p/rubric.j2",
        "Is {{ output }} right?\n{% if output == answer %}\nanswer: right\nwrong: wrong\n{% else %}\nanswer: wrong\nwrong: right\n{% endif %}\n",
    );
    for (name, labelled) in [("search", 2), ("test", 6)] {
        let file = format!("p/{name}.jsonl");
        let lines = bench.read(&file);
        let lines = lines.lines().enumerate().map(|(i, line)| {
            let mut example: Value = serde_json::from_str(line).unwrap();
            if i < labelled {
                example["truth"] = example["answer"].clone();
            }
            example.to_string() + "\n"
        });
        bench.write(&file, lines.collect::<String>());
    }
    bench
}

#[test]
fn a_judged_pipeline_is_checked_searched_shown_and_reported() {
    let bench = bench();
    let check = bench.run("check p --json").exits(0).json();
    let (verdicts, calls) = (&check["forecast"]["verdicts"], &check["forecast"]["calls"]);
    assert!(verdicts.as_f64() > Some(0.0) && verdicts.as_f64() < calls.as_f64(), "{check}");
    assert!(bench.run("check p").exits(0).stdout.contains(" of these calls ask the judge\n"));

    let summary = bench.run("search p --json").exits(0).json();
    let judged = &summary["confirmation"]["plans"][0]["judged"][0];
    assert_eq!((&judged["judge"], &judged["labelled"]), (&"big".into(), &6.into()), "{judged}");
    assert!(summary["spend"]["by_kind"]["verdict"]["samples"].as_u64() > Some(0), "{}", summary["spend"]);
    let study = summary["study"].as_str().unwrap();
    let shown = bench.run(&format!("show {study}")).exits(0).stdout;
    assert!(shown.contains("    Against 6 labels by number it agrees on "), "{shown}");
    bench.run(&format!("report {study} -o report.html")).exits(0);
    assert!(bench.read("report.html").contains("Against 6 labels by number it agrees on "));
}

#[test]
fn a_judge_without_labels_is_called_uncalibrated() {
    let bench = bench();
    bench.edit_pipeline("calibrate_with = { kind = \"number\", gold = \"truth\" }", "");
    let study = bench.run("search p --json").exits(0).json()["study"].as_str().unwrap().to_owned();
    let shown = bench.run(&format!("show {study}")).exits(0).stdout;
    assert!(shown.contains("It is uncalibrated: there are no labels"), "{shown}");
}

#[test]
fn what_is_wrong_with_a_judge_is_placed() {
    let bench = bench();
    bench.edit_pipeline("model = \"big\"", "model = \"bigg\"");
    snapshot!("judge_unknown_model", bench.run("check p"));
    bench.edit_pipeline("model = \"bigg\"", "model = \"big\"");
    bench.edit("p/rubric.j2", "{{ output }}", "{{ outptu }}");
    snapshot!("judge_unknown_variable", bench.run("check p"));
    bench.edit("p/rubric.j2", "{{ outptu }}", "{{ output }}");
    bench.edit("p/test.jsonl", "\"truth\":202", "\"truth\":\"none\"");
    snapshot!("judge_bad_label", bench.run("check p"));
}
