//! Reading landscapes: what a table becomes, and what is said of a bad one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests may panic, as tests do")]

use std::path::PathBuf;

use agenttts_bench::{read_landscape, simulate, write_landscape};
use agenttts_core::CostModel;
use tempfile::TempDir;

const TOML: &str = r#"name = "two"
objective = "maximise"
budget = 10
cost_unit = "usd"
noise_examples = 20

[[stages]]
name = "draft"
models = [{ name = "small" }, { name = "large" }]

[[stages]]
name = "check"
models = [{ name = "small" }]
"#;

const CSV: &str = "draft.model,draft.samples,check.model,check.samples,score,cost
small,1,small,1,0.25,2
small,4,small,1,0.5,5
large,1,small,1,0.75,9.5
large,4,small,1,1,20
";

/// A folder with these two files.
fn files(csv: &str, toml: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("l.csv");
    std::fs::write(&path, csv).unwrap();
    std::fs::write(dir.path().join("l.toml"), toml).unwrap();
    (dir, path)
}

/// What is said of bad files, with the folder's name left out.
fn error(csv: &str, toml: &str) -> String {
    let (dir, path) = files(csv, toml);
    let problems = match read_landscape(&path) {
        Ok(table) => table.arena().err().expect("an error").to_string(),
        Err(problems) => problems.to_string(),
    };
    problems.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn listed_costs_decide_what_is_within_the_budget() {
    let (_dir, path) = files(CSV, TOML);
    let table = read_landscape(&path).unwrap();
    assert_eq!((table.name.as_str(), table.rows.len(), table.noise_examples), ("two", 4, 20));
    let arena = table.arena().unwrap();
    let space = arena.environment.space();
    assert_eq!((space.size(), space.feasible(), space.cost_model()), (4, 3, CostModel::Usd));
    let cost = |plan| space.cost_model().units(space.cost_of(&plan).unwrap());
    assert_eq!((cost(space.cheapest()), cost(space.dearest().unwrap())), (2.0, 9.5));
    // Without parameters models are ordered by what plans with them cost.
    let draft = &space.stages()[0];
    assert_eq!(draft.by_size.iter().map(|&m| draft.model_name(m)).collect::<Vec<_>>(), ["small", "large"]);
}

#[test]
fn no_unit_moves_a_plan_across_the_budget() {
    // Whole tokens would round both costs to the budget.
    let csv = CSV.replace("0.75,9.5", "0.75,9.9").replace("1,20", "1,10.1");
    for unit in ["tokens", "usd", "joules", "paper-flops", "seconds"] {
        let (_dir, path) = files(&csv, &TOML.replace("\"usd\"", &format!("{unit:?}")));
        let arena = read_landscape(&path).unwrap().arena().unwrap();
        assert_eq!(arena.environment.space().feasible(), 3, "{unit}");
    }
}

#[test]
fn where_samples_follow_from_the_model_the_pair_is_one_option() {
    let csv =
        "draft.model,draft.samples,check.model,check.samples,score,cost\nsmall,1,small,1,.2,1\nlarge,3,small,1,.4,2\n";
    let (_dir, path) = files(csv, TOML);
    let arena = read_landscape(&path).unwrap().arena().unwrap();
    let stage = &arena.environment.space().stages()[0];
    assert_eq!(stage.options.iter().map(|o| o.choice.samples).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn parameters_and_lengths_order_models_where_they_are_known() {
    let table = simulate("sim:insights:1").unwrap();
    let arena = table.arena().unwrap();
    let space = arena.environment.space();
    let listed = arena.environment.space().feasible_indices().count();
    assert_eq!(listed, table.rows.iter().filter(|r| r.cost <= table.budget).count());
    assert!(space.stages().iter().all(|s| s.by_size.is_sorted()));
}

#[test]
fn a_landscape_survives_writing_and_reading() {
    for name in ["sim:insights:0", "sim:reversed:3", "sim:no-insight-2:5"] {
        let table = simulate(name).unwrap();
        let (csv, toml) = write_landscape(&table);
        let (_dir, path) = files(&csv, &toml);
        assert_eq!(read_landscape(&path).unwrap(), table);
    }
    let mut odd = simulate("sim:insights:0").unwrap();
    odd.stages[0].models[0].name = "a, \"b\"\t|é".into();
    let (csv, toml) = write_landscape(&odd);
    let (_dir, path) = files(&csv, &toml);
    assert_eq!(read_landscape(&path).unwrap(), odd);
}

#[test]
fn line_ends_and_spaces_do_not_matter() {
    let (_keep, path) = files(CSV, TOML);
    let plain = read_landscape(&path).unwrap();
    let (_dir, path) = files(&format!("\u{feff}{}\n\n", CSV.replace('\n', "\r\n").replace(',', " , ")), TOML);
    assert_eq!(read_landscape(&path).unwrap(), plain);
}

#[test]
fn bad_rows_are_named_by_line_and_column() {
    let csv = |from: &str, to: &str| {
        assert!(CSV.contains(from));
        error(&CSV.replacen(from, to, 1), TOML)
    };
    insta::assert_snapshot!(
        [
            csv("large,1,small,1,0.75", "lager,1,small,1,0.75"),
            csv("small,4,small", "small,0,small"),
            csv("0.25", "NaN"),
            csv("0.25", "1.5"),
            csv("9.5", "inf"),
            csv("9.5", "x"),
            csv("large,1,small", "small,1,small"),
            csv("0.75,9.5", "0.75"),
            csv("check.samples,", "check.sample,"),
            csv("draft.model", "drafd.model"),
            csv("score,cost", "score,score"),
            error("", TOML),
            error(CSV.lines().next().unwrap(), TOML),
        ]
        .join("\n--\n")
    );
}

#[test]
fn bad_descriptions_are_named_by_line_and_column() {
    let toml = |from: &str, to: &str| {
        assert!(TOML.contains(from));
        error(CSV, &TOML.replacen(from, to, 1))
    };
    insta::assert_snapshot!(
        [
            toml("budget = 10", "budget = 1"),
            toml("budget = 10", "budget = nan"),
            toml("budget = 10\n", ""),
            toml("budget = 10", "budget = "),
            toml("\"usd\"", "\"used\""),
            toml("\"maximise\"", "\"minimise\""),
            toml("noise_examples = 20", "noise_examples = 0"),
            toml("name = \"check\"", "name = \"draft\""),
            toml("{ name = \"large\" }", "{ name = \"small\" }"),
            toml("[{ name = \"small\" }]", "[]"),
            toml("{ name = \"large\" }", "{ name = \"large\", params_b = -1 }"),
            error(CSV, ""),
        ]
        .join("\n--\n")
    );
}

#[test]
fn a_missing_file_says_what_a_landscape_is() {
    let (dir, path) = files(CSV, TOML);
    std::fs::remove_file(path.with_extension("toml")).unwrap();
    let error = read_landscape(&path).unwrap_err().to_string();
    assert!(error.contains("l.toml cannot be read") && error.contains("a landscape is two files"), "{error}");
    let error = read_landscape(&dir.path().join("none.csv")).unwrap_err().to_string();
    assert!(error.contains("none.csv cannot be read"), "{error}");
    std::fs::write(&path, b"\xff\xfe").unwrap();
    assert!(read_landscape(&path).unwrap_err().to_string().contains("not UTF-8"));
}
