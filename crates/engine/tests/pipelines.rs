//! The pipelines that are shipped, with every profile: they are sound, and the paper's numbers follow from theirs.

// Helpers of tests may panic, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};

use agenttts_core::pipeline::{Facts, Overrides};
use agenttts_core::{Shape, Space};
use agenttts_engine::{LoadOptions, Loaded, load_pipeline_with};
use agenttts_search::{InitialRule, initial_plans};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Pipelines, and a file of the pack of published rows for each.
const SHIPPED: [(&str, &str); 9] = [
    ("2wiki", "2wiki/tts_test.json"),
    ("2wiki", "2wiki/dev_original_format.json"),
    ("hotpotqa", "hotpotqa/hotpot_distractor.json"),
    ("hotpotqa", "hotpotqa/hotpot_hf_layout.jsonl"),
    ("cwq", "cwq/data_with_ct_0.5.json"),
    ("webqsp", "webqsp/data_with_candidates_derived.json"),
    ("taskbench", "taskbench/data_dailylifeapis"),
    ("srdd", "srdd/data_attribute_format.csv"),
    ("srdd", "srdd/tasks.json"),
];
/// Other data that they can be given.
const ALSO: [(&str, &str); 3] = [
    ("cwq", "cwq/data_with_ct_0.4_gold_only.json"),
    ("taskbench", "taskbench/data_huggingface"),
    ("taskbench", "taskbench/data_multimedia"),
];

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
        _ => return None,
    };
    Some(Facts { params, shape: Shape { layers, width }, context: 2048 })
}

fn load(name: &str, profile: &str, data: &Path) -> Loaded {
    let folder = shipped(name);
    let options = LoadOptions { profile: Some(profile), data: Some(data), ..LoadOptions::new(&folder) };
    load_pipeline_with(&options, &facts).unwrap_or_else(|e| panic!("{name}, {profile}: {e}"))
}

#[test]
fn every_pipeline_is_sound_with_published_rows_under_every_profile() {
    for (name, file) in SHIPPED.into_iter().chain(ALSO) {
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
    let rows: Vec<Value> = (0..4).map(|i| row(name, i)).collect();
    let column = |key: &str| rows.iter().map(|row| row[key].clone()).collect::<Vec<_>>();
    let data = match name {
        "srdd" => json!({"names": column("name"), "tasks": column("task")}),
        _ => json!(rows),
    };
    fs::write(desk.path().join("data.json"), data.to_string()).unwrap();
    let tools = json!({"nodes": [
        {"id": "get_weather", "desc": "Weather", "parameters": [{"name": "city", "type": "string", "desc": "Where"}]}
    ]});
    fs::write(desk.path().join("tool_desc.json"), tools.to_string()).unwrap();
    load(name, "paper", &desk.path().join("data.json"))
}

fn row(name: &str, i: usize) -> Value {
    let (id, question) = (format!("x{i}"), format!("Who made it, {i}?"));
    let triples = json!([["Engine", "maker", "Ada"]]);
    match name {
        "hotpotqa" => json!({
            "_id": id, "question": question, "answer": "Ada", "type": "bridge", "level": "easy",
            "supporting_facts": [["Engine", 0]], "context": [["Engine", ["Ada made it."]], ["Rope", ["It is long."]]]
        }),
        "2wiki" => json!({
            "question": question, "answers": ["Ada"], "ctxs_gt": ["Ada made it."],
            "ctxs_candidate": ["Ada made it.", "It is long."]
        }),
        "cwq" => json!({
            "ID": id, "question": question, "webqsp_ID": id, "compositionality_type": "conjunction",
            "answer": ["Ada"], "topic_entity": {"m.03": "Engine"}, "gt_triples": triples,
            "crucial_triples": triples, "2hop_triples": [["Rope", "length", "long"]]
        }),
        "webqsp" => json!({
            "QuestionId": id, "RawQuestion": question, "answer": ["Ada"], "gt_triples": triples,
            "crucial_triples": triples, "2hop_triples": [["Rope", "length", "long"]], "Parses": [{
                "TopicEntityName": "Engine", "InferentialChain": ["maker"],
                "Answers": [{"AnswerType": "Entity", "AnswerArgument": "m.01", "EntityName": "Ada"}]
            }]
        }),
        "taskbench" => json!({
            "id": id, "type": "single", "user_request": format!("How is the weather in Rome, {i}?"),
            "task_steps": ["Step 1: ask"], "task_links": [],
            "task_nodes": [{"task": "get_weather", "arguments": [{"name": "city", "value": "Rome"}]}]
        }),
        "srdd" => json!({"name": format!("Counter {i}"), "task": format!("Counts from {i} to ten.")}),
        other => panic!("no rows for {other}"),
    }
}

fn within(loaded: &Loaded, budget: f64) -> Space {
    let overrides = Overrides { plan_budget: Some(budget), ..Overrides::default() };
    loaded.clone().with_overrides(overrides).unwrap().space
}

/// The initial trials with short names and their costs, rounded as the reference does: `R7x100+L70x1 654`.
fn trials(space: &Space, rule: InitialRule) -> Vec<String> {
    let short = |model: &str| {
        let size = model.rsplit('-').next().unwrap_or(model).trim_end_matches('b').to_owned();
        if model.starts_with("qwen") { format!("R{size}") } else { format!("L{size}") }
    };
    let text = |plan: &agenttts_core::Plan| {
        let choices: Vec<String> = plan.choices.iter().map(|c| format!("{}x{}", short(&c.model), c.samples)).collect();
        let cost = space.cost_model().units(space.cost_of(plan).unwrap());
        format!("{} {}", choices.join("+"), cost.round())
    };
    initial_plans(space, rule, 32).iter().map(|(plan, _)| text(plan)).collect()
}

/// The initial trials of a pipeline under a budget.
fn initial(name: &str, budget: f64, rule: InitialRule) -> Vec<String> {
    trials(&within(&paper(name), budget), rule)
}

#[test]
fn the_papers_initial_trials_follow_from_the_paper_profiles() {
    let wiki = |budget| initial("2wiki", budget, InitialRule::Paper);
    assert_eq!(
        wiki(1000.0),
        ["R7x100+L70x1 654", "R32x22+L70x1 923", "R72x1+L70x1 929", "R72x1+L3x100 916", "R72x1+L8x39 927"]
    );
    assert_eq!(
        wiki(850.0),
        [
            "R7x100+L8x1 551",
            "R32x22+L8x1 820",
            "R72x1+L8x1 825",
            "R32x1+L3x100 463",
            "R32x1+L8x39 473",
            "R32x1+L70x1 475"
        ]
    );
    assert_eq!(initial("hotpotqa", 850.0, InitialRule::Paper), wiki(850.0));
}

#[test]
fn the_released_codes_initial_trials_follow_from_the_paper_profiles() {
    let wiki = |budget| initial("2wiki", budget, InitialRule::Released);
    assert_eq!(
        wiki(850.0),
        ["R7x60+L3x1 356", "R32x22+L3x1 812", "R72x1+L3x1 817", "R7x1+L3x60 139", "R7x1+L8x39 190", "R7x1+L70x1 192"]
    );
    assert_eq!(
        wiki(1000.0),
        ["R7x60+L70x1 467", "R32x22+L70x1 923", "R72x1+L70x1 929", "R72x1+L3x60 876", "R72x1+L8x39 927"]
    );
    assert_eq!(initial("cwq", 550.0, InitialRule::Released), ["R7x60+L70x1 290", "R72x1+L70x1 521", "R72x1+L8x39 519"]);
    assert_eq!(
        initial("taskbench", 2000.0, InitialRule::Released),
        ["L8x60+L70x1+L70x1 1783", "L70x1+L70x1+L70x1 1977", "L70x1+L8x39+L70x1 1969", "L70x1+L70x1+L8x12 1924"]
    );
}

#[test]
fn the_papers_default_budgets_follow_from_the_paper_profiles() {
    for (name, exact, plans, rounded, plans_rounded) in [
        ("2wiki", 2786.0 / 3.0, 27_186, 929.0, 27_190),
        ("hotpotqa", 2786.0 / 3.0, 27_186, 929.0, 27_190),
        ("cwq", 1562.0 / 3.0, 11_184, 521.0, 11_195),
        ("webqsp", 474.0, 10_815, 474.0, 10_815),
        ("taskbench", 5932.0 / 3.0, 176_065, 1978.0, 176_478),
        ("srdd", 5302.0 / 3.0, 759_511, 1768.0, 759_511),
    ] {
        let loaded = paper(name);
        let largest = loaded.space.largest_once();
        let cost = loaded.space.cost_model().units(loaded.space.cost_of(&largest).unwrap());
        assert!((cost - exact).abs() < 1e-9, "{name}: {cost}");
        // The exact default is a third of a unit for some: the budget is rounded up in the last place.
        assert_eq!(within(&loaded, exact + 1e-6).feasible(), plans, "{name}");
        assert_eq!(within(&loaded, rounded).feasible(), plans_rounded, "{name}");
    }
}

#[test]
fn the_papers_objective_of_srdd_is_consistency_and_small_models_do_without() {
    let objective = |loaded: &Loaded| loaded.pipeline.stages[loaded.pipeline.objective].metric.clone().unwrap();
    let loaded = paper("srdd");
    assert!(loaded.pipeline.stages.iter().all(|stage| stage.metric.as_ref() == Some(&objective(&loaded))));
    assert_eq!(objective(&loaded).name(), "consistency");
    assert_eq!(loaded.pipeline.embedders().next(), Some("embedder"));
    // What is compared is the description and the program without its comments.
    let example = &loaded.pipeline.search_split.examples[0];
    let near = loaded.stages[0].near(&json!({"main.py": "# Counts to ten.\nprint(1)\n"}), example);
    assert_eq!(near[0].texts[0], "print(1)");
    assert_eq!(example.fields["description"], near[0].texts[1].as_str());

    let Some(data) = pack("srdd/tasks.json") else { return };
    let embedded = load("srdd", "embedded", &data);
    assert_eq!(objective(&embedded).name(), "product of completeness, executability");
    assert_eq!(embedded.pipeline.embedders().next(), None);
}

#[test]
fn the_prompts_of_srdd_show_the_program_and_what_went_wrong() {
    let loaded = paper("srdd");
    let example = &loaded.pipeline.search_split.examples[0];
    let program = json!({"main.py": "print(undefined)", "board.py": "SIZE = 3"});
    let run = json!({"passed": false, "why": "ended with a traceback: NameError: x", "traceback": "NameError: x"});
    let outputs = [("code", program.clone()), ("static-test", program), ("run", run)];
    let outputs = outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let prompt = |stage: usize| loaded.stages[stage].render(example, &outputs).unwrap().pop().unwrap().content;
    for stage in [1, 2] {
        assert!(prompt(stage).contains("board.py\n```python\nSIZE = 3"), "{}", prompt(stage));
    }
    assert!(prompt(2).contains("What happened: ended with a traceback: NameError: x\n\nNameError: x"), "{}", prompt(2));
}
