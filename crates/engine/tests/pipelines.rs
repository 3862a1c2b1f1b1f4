//! The pipelines that are shipped, with every profile: they are sound, and the paper's numbers follow from theirs.

// Helpers of tests may panic, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use agenttts_core::pipeline::{Facts, Overrides};
use agenttts_core::{Shape, Space};
use agenttts_engine::{LoadOptions, Loaded, load_pipeline_with};
use agenttts_search::{InitialRule, initial_plans};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Pipelines, and a file of the pack of published rows for each.
const SHIPPED: [(&str, &str); 1] = [("hotpotqa", "hotpotqa/hotpot_distractor.json")];

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines").join(name)
}

/// A file of the pack beside the repository, if the pack is there.
fn pack(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("AGENTTTS_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = folder.join("data").join(file);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// Facts about the models of the embedded profiles, which are in their files otherwise.
fn facts(id: &str) -> Option<Facts> {
    let (params, layers, width) = match id {
        "smollm2-135m" => (106_000_000, 30, 576),
        "qwen-coder-0.5b" => (358_000_000, 24, 896),
        "qwen-coder-1.5b" => (1_310_000_000, 28, 1536),
        _ => return None,
    };
    Some(Facts { params, shape: Shape { layers, width }, context: 2048 })
}

fn load(name: &str, profile: &str, data: &Path) -> Loaded {
    let options = LoadOptions { profile: Some(profile), data: Some(data), ..LoadOptions::new(&shipped(name)) };
    load_pipeline_with(&options, &facts).unwrap_or_else(|e| panic!("{name}, {profile}: {e}"))
}

#[test]
fn every_pipeline_is_sound_with_published_rows_under_every_profile() {
    for (name, file) in SHIPPED {
        let Some(data) = pack(file) else { return };
        for profile in ["paper", "embedded"] {
            let loaded = load(name, profile, &data);
            assert!(loaded.space.feasible() > 1, "{name}, {profile}");
        }
    }
}

/// A pipeline under its paper profile, on rows made by hand.
fn paper(name: &str) -> Loaded {
    let desk = TempDir::new().unwrap();
    let data = desk.path().join("data.json");
    fs::write(&data, json!((0..4).map(|i| row(name, i)).collect::<Vec<_>>()).to_string()).unwrap();
    load(name, "paper", &data)
}

fn row(name: &str, i: usize) -> Value {
    let id = format!("x{i}");
    match name {
        "hotpotqa" => json!({
            "_id": id, "question": format!("Who made it, {i}?"), "answer": "Ada", "type": "bridge", "level": "easy",
            "supporting_facts": [["Engine", 0]], "context": [["Engine", ["Ada made it."]], ["Rope", ["It is long."]]]
        }),
        other => panic!("no rows for {other}"),
    }
}

fn within(loaded: &Loaded, budget: f64) -> Space {
    let overrides = Overrides { plan_budget: Some(budget), ..Overrides::default() };
    loaded.clone().with_overrides(overrides).unwrap().space
}

/// The initial trials with short names and their costs, as `R7x100+QA70x1 654`.
fn trials(space: &Space, rule: InitialRule) -> Vec<String> {
    let short = |model: &str| {
        let size = model.rsplit('-').next().unwrap_or(model).trim_end_matches('b').to_owned();
        if model.starts_with("qwen") { format!("R{size}") } else { format!("L{size}") }
    };
    let text = |plan: &agenttts_core::Plan| {
        let choices: Vec<String> = plan.choices.iter().map(|c| format!("{}x{}", short(&c.model), c.samples)).collect();
        let cost = space.cost_model().units(space.cost_of(plan).unwrap());
        format!("{} {}", choices.join("+"), (cost * 100.0).round() / 100.0)
    };
    initial_plans(space, rule, 32).iter().map(|(plan, _)| text(plan)).collect()
}

#[test]
fn the_papers_initial_trials_of_retrieval_follow_from_its_profile() {
    let loaded = paper("hotpotqa");
    let under = |budget| trials(&within(&loaded, budget), InitialRule::Paper);
    assert_eq!(
        under(1000.0),
        ["R7x100+L70x1 654", "R32x22+L70x1 923", "R72x1+L70x1 928.67", "R72x1+L3x100 916", "R72x1+L8x39 927"]
    );
}
