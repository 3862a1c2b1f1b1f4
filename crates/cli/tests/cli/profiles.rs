//! Profiles over a pipeline, and published data in place of its own.

use serde_json::json;

use crate::support::{Bench, exists, snapshot};

/// The pipeline of these tests without its models and budget, which profiles bring.
fn with_profiles() -> Bench {
    let bench = Bench::new();
    let text = bench.read("p/pipeline.toml");
    let models = text.find("[models.little]").unwrap()..text.find("[[stages]]").unwrap();
    let (models, rest) = (text[models.clone()].to_owned(), text[..models.start].to_owned() + &text[models.end..]);
    let rest = rest.replace("models = [\"little\", \"big\"]\n", "");
    bench.write("p/pipeline.toml", rest);
    let pools = "[stages.pick]\nmodels = [\"little\", \"big\"]\n[stages.answer]\nmodels = [\"little\", \"big\"]\n";
    bench.write("p/profiles/full.toml", format!("{models}{pools}"));
    // A dotted key of the whole file must stand above its tables.
    let small = pools.replace(", \"big\"", "");
    bench.write("p/profiles/cheap.toml", format!("plan_budget.limit = 400\n{models}{small}"));
    bench
}

#[test]
fn a_profile_completes_the_pipeline() {
    let bench = with_profiles();
    snapshot!("profile_missing", bench.run("check p").exits(3));
    snapshot!("profile_unknown", bench.run("check p --profile chep").exits(3));
    let full = bench.run("check p --profile full --json").exits(0).stdout;
    let cheap = bench.run("check p --profile cheap --json").exits(0).stdout;
    assert_ne!(full, cheap);

    let text = bench.read("p/pipeline.toml");
    bench.write("p/pipeline.toml", format!("default_profile = \"cheap\"\n{text}"));
    assert_eq!(bench.run("check p --json").exits(0).stdout, cheap);
    assert_eq!(bench.run("check p --profile full --json").exits(0).stdout, full);
}

#[test]
fn problems_are_shown_in_the_file_that_has_them() {
    let bench = with_profiles();
    bench.edit("p/profiles/full.toml", "[stages.answer]", "[stages.anser]");
    snapshot!("profile_unknown_stage", bench.run("check p --profile full").exits(3));
    bench.edit("p/profiles/full.toml", "[stages.anser]", "[stages.answer]\nsamples = 0");
    snapshot!("profile_bad_value", bench.run("check p --profile full").exits(3));
}

#[test]
fn a_plan_found_under_a_profile_runs_alone() {
    let bench = with_profiles();
    bench.run("search p --profile full --trials 2 -o plan.toml").exits(0);
    bench.run("search --resume small-1 --trials 3 -o plan.toml").exits(0);
    std::fs::remove_dir_all(bench.path("p")).unwrap();
    let input = json!({"question": "1+1?", "document": "a", "answer": 2}).to_string();
    let ran = bench.ran(bench.command("run plan.toml --input").arg(input).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran}");
}

/// Rows in the original layout of HotpotQA.
fn hotpot(from: usize, rows: usize) -> String {
    let row = |i: usize| {
        json!({
            "_id": format!("h{i}"), "question": format!("Who made engine {i}?"), "answer": format!("Ada {i}"),
            "type": "bridge", "level": "easy", "supporting_facts": [[format!("Engine {i}"), 0]],
            "context": [[format!("Engine {i}"), [format!("Ada {i} made it.")]], [format!("Rope {i}"), ["Of hemp."]]]
        })
    };
    json!((from..from + rows).map(row).collect::<Vec<_>>()).to_string()
}

fn for_hotpot() -> Bench {
    let bench = Bench::new();
    bench.edit_pipeline("search = \"search.jsonl\"\ntest = \"test.jsonl\"", "task = \"hotpotqa\"\ncandidates = 3");
    bench.write("p/pick.j2", "{{ question }}\nanswer: {{ gold_ids[0] }}\nwrong: d9\n");
    bench.write("p/answer.j2", "{{ question }} {{ pick }}\nanswer: {{ answers[0] }}\nwrong: Eve\n");
    let text = bench.read("p/pipeline.toml").replace("gold = \"document\"", "gold = \"gold_ids\"");
    bench.write("p/pipeline.toml", text.replace("gold = \"answer\"", "gold = \"answers\""));
    bench
}

#[test]
fn published_data_is_split_once_and_kept() {
    let bench = for_hotpot();
    snapshot!("data_missing", bench.run("check p").exits(3));
    bench.write("dev.json", hotpot(0, 12));
    snapshot!("data_check", bench.run("check p --data dev.json").exits(0));
    let kept = || {
        let folders = std::fs::read_dir(bench.path(".agenttts/data")).unwrap();
        let mut names: Vec<String> = folders.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let first = kept();
    assert_eq!(first.len(), 1);
    let split = bench.read(&format!(".agenttts/data/{}/search.jsonl", first[0]));
    assert_eq!(split.lines().count(), 6);
    // Equal content has equal splits, wherever it is; other content or settings have their own.
    bench.write("elsewhere/copy.json", hotpot(0, 12));
    bench.run("check p --data elsewhere/copy.json").exits(0);
    assert_eq!(kept(), first);
    bench.edit_pipeline("candidates = 3", "candidates = 4");
    bench.run("check p --data dev.json").exits(0);
    bench.write("dev.json", hotpot(5, 12));
    bench.run("check p --data dev.json").exits(0);
    assert_eq!(kept().len(), 3);
}

#[test]
fn what_a_published_file_loses_is_told_each_time() {
    let bench = for_hotpot();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&hotpot(0, 12)).unwrap();
    let mut rows = [rows.clone(), rows[..2].to_vec()].concat();
    rows[5]["supporting_facts"] = json!([["Nowhere", 0]]);
    bench.write("dev.json", json!(rows).to_string());
    // Nothing is left out unless the pipeline says so; the message says how.
    let refused = bench.run("check p --data dev.json").exits(3);
    assert!(refused.stderr.contains("skip_bad = true"), "{refused}");
    bench.edit_pipeline("task = \"hotpotqa\"", "task = \"hotpotqa\"\nskip_bad = true");
    for command in ["check p --data dev.json", "check p --data dev.json", "search p --data dev.json --trials 1"] {
        let told = bench.run(command).exits(0);
        let line = "warning: 3 of the 14 examples of dev.json cannot be used and are left out";
        assert!(told.stderr.contains(line), "{told}");
    }
}

#[test]
fn a_study_goes_on_without_the_published_file() {
    let bench = for_hotpot();
    bench.write("dev.json", hotpot(0, 12));
    bench.run("search p --data dev.json --trials 2").exits(0);
    std::fs::remove_file(bench.path("dev.json")).unwrap();
    std::fs::remove_dir_all(bench.path(".agenttts/data")).unwrap();
    bench.run("search --resume small-1 --trials 3").exits(0);
}

#[test]
fn data_that_does_not_belong_is_refused() {
    let bench = for_hotpot();
    bench.write("srdd.json", json!({"names": ["Chess"], "tasks": ["A game."]}).to_string());
    snapshot!("data_of_another_set", bench.run("check p --data srdd.json").exits(3));
    bench.write("dev.json", hotpot(0, 12));
    bench.edit_pipeline("task = \"hotpotqa\"", "task = \"hotpot\"");
    snapshot!("data_unknown_task", bench.run("check p --data dev.json").exits(3));
    bench.edit_pipeline("task = \"hotpot\"\n", "");
    snapshot!("data_without_task", bench.run("check p --data dev.json").exits(3));
    assert!(!exists(&bench.path(".agenttts/store.db")));
}
