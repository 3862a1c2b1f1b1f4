//! Methods that ask a language model, and the file that keeps its replies.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail by panicking.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use agenttts_bench::{
    AgentModel, Agents, Arena, Drawn, Fault, Options, Question, Replies, Run, Table, TableModel, TableRow, TableStage,
    contestant_with, earlier_study, play,
};
use agenttts_core::{CostModel, Purpose};
use serde_json::json;

/// A stage of two models with up to four samples.
fn arena(name: &str, budget: f64) -> Arena {
    let model = |name: &str, b: f64| TableModel { name: name.into(), params_b: Some(b) };
    let stage = TableStage {
        name: "answer".into(),
        prompt_tokens: Some(128),
        decode_tokens: Some(64),
        models: vec![model("small", 3.0), model("large", 70.0)],
    };
    let rows = (0..2).flat_map(|m| {
        (1..=4).map(move |n| TableRow {
            choices: vec![(m, n)],
            score: 0.1 * f64::from(n) + 0.2 * m as f64,
            cost: f64::from(n) * [1.0, 20.0][m],
        })
    });
    Table {
        name: name.into(),
        note: String::new(),
        budget,
        cost_model: CostModel::PaperFlops,
        noise_examples: 10,
        stages: vec![stage],
        rows: rows.collect(),
    }
    .arena()
    .unwrap()
}

/// Proposes as many plans as it is asked for, and counts the calls.
struct Model(Arc<AtomicU32>);

impl AgentModel for Model {
    fn name(&self) -> &str {
        "test"
    }

    fn reply(&self, question: &Question, seed: u32) -> Result<Drawn, Fault> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let plan = |i: u32| json!({"answer": {"model": "large", "samples": 1 + (seed.wrapping_add(i)) % 4}});
        let count = question.schema["properties"]["plans"]["minItems"].as_u64().unwrap_or(0) as u32;
        let text = match question.purpose {
            Purpose::Summarise => json!({"guidelines": ["Take large."]}),
            Purpose::Propose => json!({"plans": (0..count).map(plan).collect::<Vec<_>>()}),
        };
        Ok(Drawn { text: text.to_string(), seconds: 0.5, prompt_tokens: 100, decode_tokens: 20 })
    }
}

fn replies(file: &Path, model: Option<&Arc<AtomicU32>>) -> Agents {
    let model = model.map(|calls| Box::new(Model(calls.clone())) as Box<dyn AgentModel>);
    Agents { responder: Some(Arc::new(Replies::open(file, model).unwrap())), ..Agents::default() }
}

fn run(method: &str, agents: &Agents, arenas: &[Arena], evaluations: f64) -> Vec<Run> {
    let options = Options { seeds: 2, budget: Some(evaluations), threads: 2, racing: false };
    let contestants = [contestant_with(method, agents).unwrap()];
    let series = play(arenas, &contestants, &options, &AtomicBool::new(false), &|_, _| {}).unwrap().unwrap();
    series.into_iter().flat_map(|s| s.runs).map(|run| Run { seconds: 0.0, ..run }).collect()
}

#[test]
fn a_comparison_runs_again_from_its_replies_without_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("replies.jsonl");
    let arenas = [arena("a", 100.0)];
    for method in ["agent-faithful", "agent-released-without-2", "agent", "llm-zs", "agent-hpo"] {
        let calls = Arc::new(AtomicU32::new(0));
        let first = run(method, &replies(&file, Some(&calls)), &arenas, 200.0);
        assert!(first.iter().all(|r| r.fault.is_none() && r.trials > 0), "{method}: {first:?}");
        let again = run(method, &replies(&file, None), &arenas, 200.0);
        assert_eq!(first, again, "{method}");
        let asked = calls.load(Ordering::Relaxed);
        run(method, &replies(&file, Some(&calls)), &arenas, 200.0);
        assert_eq!(calls.load(Ordering::Relaxed), asked, "{method}: what is there is not asked again");
    }
}

#[test]
fn a_missing_reply_ends_the_run_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("replies.jsonl");
    std::fs::write(&file, "").unwrap();
    let arenas = [arena("a", 100.0)];
    for agents in [replies(&file, None), Agents::default()] {
        let runs = run("llm-zs", &agents, &arenas, 100.0);
        let fault = runs[0].fault.as_ref().unwrap();
        assert!(fault.hint.as_ref().unwrap().contains("--agent-model"), "{fault:?}");
        assert_eq!(runs[0].trials, 0, "no other plans stand in for the model's");
    }
}

#[test]
fn a_line_that_was_cut_off_is_asked_again_and_a_bad_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("replies.jsonl");
    let (arenas, calls) = ([arena("a", 100.0)], Arc::new(AtomicU32::new(0)));
    let first = run("llm-zs", &replies(&file, Some(&calls)), &arenas, 100.0);
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 20]).unwrap();
    assert_eq!(first, run("llm-zs", &replies(&file, Some(&calls)), &arenas, 100.0));
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), whole.lines().count());
    let error = |text: String| {
        std::fs::write(&file, text).unwrap();
        let model: Box<dyn AgentModel> = Box::new(Model(Arc::default()));
        Replies::open(&file, Some(model)).err().unwrap().to_string()
    };
    assert!(error(format!("{whole}not json\n")).contains(&format!(":{}: this is no reply", whole.lines().count() + 1)));
    assert!(error(whole.replace("\"model\":\"test\"", "\"model\":\"other\"")).contains("\"other\""));
    assert!(error(whole.replace("\"version\":1", "\"version\":99")).contains("newer"));
    assert!(Replies::open(&dir.path().join("none.jsonl"), None).is_err());
}

#[test]
fn mlcopilot_learns_from_the_most_similar_other_landscape() {
    let dir = tempfile::tempdir().unwrap();
    let (file, calls) = (dir.path().join("replies.jsonl"), Arc::new(AtomicU32::new(0)));
    let arenas = [arena("a", 100.0)];
    let mut agents = replies(&file, Some(&calls));
    agents.histories = Arc::new(vec![earlier_study(&arenas[0], 9), earlier_study(&arena("b", 61.0), 9)]);
    let runs = run("mlcopilot", &agents, &arenas, 100.0);
    assert!(runs.iter().all(|r| r.trials == 10), "{runs:?}");
    let asked = std::fs::read_to_string(&file).unwrap();
    assert!(asked.contains("the budget of a plan is 61.") && asked.contains("the budget of a plan is 100."));
    agents.histories = Arc::new(vec![earlier_study(&arenas[0], 9)]);
    let alone = run("mlcopilot", &agents, &arenas, 100.0);
    assert!(alone[0].ended.as_ref().unwrap().contains("earlier study"), "its own landscape is no earlier one");
}

#[test]
fn names_of_variants() {
    let of = |name: &str| contestant_with(name, &Agents::default()).map(|c| c.name().to_owned());
    for name in ["agent-faithful-without-1", "agent-released@10", "rules-without-2-without-3", "agent-hpo"] {
        assert_eq!(of(name).unwrap(), name);
    }
    for wrong in ["agent-faithfull", "agent-faithful-without-4", "rules-without-x", "llm-zs@0"] {
        assert!(of(wrong).is_err(), "{wrong}");
    }
}
