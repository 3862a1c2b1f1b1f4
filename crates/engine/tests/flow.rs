//! Stages that run under a condition or once for each item of a list: what they cost, how they score, what they share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use agenttts_core::{CostModel, StudySummary};
use agenttts_engine::{
    EngineError, PlayedTape, Recorder, ReplanOptions, SearchOptions, StopHandle, Tape, record, replan, start_study,
};
use agenttts_store::Store;
use support::*;

/// Tools are selected, each is filled in, and where there are several their order is checked.
const TOOLS: &str = r#"
version = 1
name = "tools"
plan_budget = { cost_model = "tokens", limit = 5000 }
search = { method = "grid", trials = 8 }
data = { search = "search.jsonl", test = "test.jsonl" }
models.good = { provider = "fake", id = "p100" }
models.fair = { provider = "fake", id = "p80" }
objective = { stage = "fill" }

[[stages]]
name = "select"
models = ["good", "fair"]
samples = 1
prompt = "select.j2"
max_tokens = 40
parser = { kind = "json" }
metric = { kind = "set-f1", gold = "tools" }
expected = { prompt_tokens = 30, decode_tokens = 8 }

[[stages]]
name = "fill"
models = ["good", "fair"]
samples = [1, 4]
each = "select"
prompt = "fill.j2"
max_tokens = 20
metric = { kind = "set-f1", gold = "filled" }
expected = { prompt_tokens = 20, decode_tokens = 4, runs = 1.5 }

[[stages]]
name = "check"
models = ["good"]
samples = 1
when = "fill|length > 1"
prompt = "check.j2"
max_tokens = 20
metric = { kind = "exact-match", gold = "verdict" }
expected = { prompt_tokens = 20, decode_tokens = 4, runs = 0.5 }
"#;

/// As many tools as the example's number says, from none to three.
fn write_tools(folder: &Path, toml: &str) {
    fs::write(folder.join("pipeline.toml"), toml).unwrap();
    let select = "{{ q }}\nanswer: {{ tools|tojson }}\nwrong: [\"a\"] | [] | [\"b\", \"x\"]";
    fs::write(folder.join("select.j2"), select).unwrap();
    fs::write(folder.join("fill.j2"), "{{ q }} {{ index }}\nanswer: {{ item }}-{{ q }}\nwrong: x | y").unwrap();
    fs::write(folder.join("check.j2"), "{{ q }} {{ fill }}\nanswer: fine\nwrong: wrong").unwrap();
    let line = |i: u32| {
        let tools = &["a", "b", "c"][..(i % 4) as usize];
        let filled: Vec<String> = tools.iter().map(|t| format!("{t}-{i}")).collect();
        serde_json::json!({"id": i, "q": i.to_string(), "tools": tools, "filled": filled, "verdict": "fine"})
            .to_string()
    };
    let lines = |range: std::ops::Range<u32>| range.map(|i| line(i) + "\n").collect::<String>();
    fs::write(folder.join("search.jsonl"), lines(0..12)).unwrap();
    fs::write(folder.join("test.jsonl"), lines(12..20)).unwrap();
}

async fn search(folder: &Path, store: &Store) -> Result<StudySummary, EngineError> {
    start_study(store, load(folder), SearchOptions::default(), context(vec![], StopHandle::new())).await
}

#[tokio::test]
async fn calls_costs_and_scores_are_those_of_the_runs_that_were_made() {
    let folder = tempfile::tempdir().unwrap();
    write_tools(folder.path(), TOOLS);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let summary = search(folder.path(), &store).await.unwrap();
    let mut seen = 0;
    for (trial, measured) in summary.archive.measured() {
        assert_eq!(measured.failures, 0, "{:?}", measured.failure_reasons);
        assert!((measured.cost.mean * 12.0 - measured.fresh.tokens() as f64).abs() < 1e-6, "tokens are the cost here");
        let [select, fill, check] = &trial.plan.choices[..] else { panic!("{}", trial.plan) };
        if select.model != "good" {
            continue;
        }
        seen += 1;
        // Of 12 examples three each have 0, 1, 2 and 3 tools.
        assert_eq!(measured.fresh.calls, 12 + 3 * (1 + 2 + 3) + 6, "{}", trial.plan);
        assert_eq!(measured.stages[0].unwrap().mean, 1.0);
        assert_eq!(measured.stages[1].unwrap().n, 12, "an empty list has a score: it is what gold says");
        assert_eq!(check.model, "good");
        let checked = measured.stages[2].unwrap();
        assert_eq!((checked.n, checked.mean), (6, 1.0), "examples that were not checked do not count");
        if fill.samples == 4 {
            let curve: Vec<(u32, u32)> = measured.curves[1].iter().map(|p| (p.samples, p.score.n)).collect();
            assert_eq!(curve, [(1, 9), (2, 9), (4, 9)], "nothing was drawn for three examples");
        }
        let outcomes = store.outcomes(store.study(&summary.study).unwrap().id, trial.number).unwrap();
        for outcome in &outcomes {
            let tools = outcome.example.parse::<usize>().unwrap() % 4;
            let items = outcome.stages[1].items.as_ref().unwrap();
            assert!(items.len() == tools && items.iter().all(|i| i.samples.len() == fill.samples as usize));
            assert_eq!(outcome.stages[2].skipped, tools < 2);
            assert_eq!(outcome.stages[2].score.is_some(), tools >= 2);
        }
    }
    assert!(seen > 1);

    // The next study finds everything in the bank, and costs are the same when they are made of stored samples.
    let again = search(folder.path(), &store).await.unwrap();
    assert!(again.archive.measured().all(|(_, m)| m.drawn.tokens() == 0));
    let options = ReplanOptions { cost_model: Some(CostModel::Tokens), ..ReplanOptions::default() };
    let (planned, _) = replan(&store, &summary.study, &options).unwrap();
    let recommended = summary.plans.iter().find(|p| p.plan == planned.recommended.plan).unwrap();
    assert!((planned.recommended.cost.mean - recommended.cost.mean).abs() < 1e-9);
    assert!(planned.recommended.seconds.is_some());
}

#[tokio::test]
async fn a_tape_plays_conditions_and_lists() {
    let folder = tempfile::tempdir().unwrap();
    write_tools(folder.path(), TOOLS);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let summary = search(folder.path(), &store).await.unwrap();
    let recorder = Recorder::new(load(folder.path())).unwrap();
    let tape = record(&store, recorder, context(vec![], StopHandle::new())).await.unwrap().unwrap();
    let tape = Arc::new(Tape::from_bytes("t", &tape.to_bytes().unwrap()).unwrap());
    let played = PlayedTape::new(&tape, tape.load().unwrap()).unwrap();
    for (trial, measured) in summary.archive.measured() {
        let again = played.measurement(&trial.plan, &(0..12).collect::<Vec<_>>()).unwrap();
        let mean = |m: &agenttts_core::Measurement| (m.objective.mean * 1e9) as i64;
        assert_eq!((mean(&again), again.fresh), (mean(measured), measured.fresh), "{}", trial.plan);
        assert_eq!(
            again.stages.iter().map(|s| s.map(|e| e.n)).collect::<Vec<_>>(),
            measured.stages.iter().map(|s| s.map(|e| e.n)).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn an_item_that_cannot_be_read_and_a_list_that_is_too_long_fail_their_examples() {
    let folder = tempfile::tempdir().unwrap();
    let number =
        TOOLS.replacen("max_tokens = 20\nmetric", "max_tokens = 20\nparser = { kind = \"number\" }\nmetric", 1);
    write_tools(folder.path(), &number);
    fs::write(folder.path().join("fill.j2"), "{{ q }} {{ index }}\nanswer: {{ 'none' if index == 1 else 7 }}").unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let summary = search(folder.path(), &store).await.unwrap();
    let (_, first) = summary.archive.measured().next().unwrap();
    assert_eq!(first.failures, 6, "{:?}", first.failure_reasons);
    assert!(first.failure_reasons[0].starts_with("fill: item 1: "), "{:?}", first.failure_reasons);

    write_tools(folder.path(), &TOOLS.replace("each = \"select\"", "each = \"range(select|length * 50)|list\""));
    let store = Store::open(&folder.path().join("long.db")).unwrap();
    let summary = search(folder.path(), &store).await.unwrap();
    let (_, first) = summary.archive.measured().next().unwrap();
    assert_eq!(first.failures, 3);
    assert!(
        first.failure_reasons[0].contains("a list of 150 items, and 100 is the most"),
        "{:?}",
        first.failure_reasons
    );
}
