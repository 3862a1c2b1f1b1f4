//! Pipeline files: what is accepted, and that everything wrong is named with its place and a hint.

// Helpers of tests may panic, as tests do.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use agenttts_core::pipeline::{MetricKind, Node, PipelineFile, Scale, StepKind};
use agenttts_core::{Pipeline, Split, parse_examples};

const GOOD: &str = r#"version = 1
name = "demo"
description = "adds"

[plan_budget]
cost_model = "tokens"
limit = 900

[data]
search = "search.jsonl"
test = "test.jsonl"

[models.small]
provider = "fake"
id = "p50"
params_b = 3

[models.large]
provider = "fake"
id = "p80"
params_b = 70

[[stages]]
name = "pick"
models = ["small", "large"]
samples = 1
prompt = "pick.j2"
max_tokens = 10
expected = { prompt_tokens = 50, decode_tokens = 10 }

[[stages]]
name = "answer"
models = ["small", "large"]
samples = { min = 1, max = 8 }
temperature = [0.7, 1]
aggregator = ["vote", "fuse"]
prompt = "answer.j2"
max_tokens = 10
parser = { kind = "number", after = "Answer:" }
metric = { kind = "number", gold = "answer" }
expected = { prompt_tokens = 50, decode_tokens = 10 }
"#;

fn split(file: &str, text: &str) -> Split {
    parse_examples(file, text, "id", None).unwrap()
}

fn read(toml: &str) -> Result<Pipeline, String> {
    let files: BTreeMap<String, String> =
        [("pick.j2", "{{ question }}"), ("answer.j2", "{{ pick }}")].map(|(k, v)| (k.into(), v.into())).into();
    let file = PipelineFile::parse("pipeline.toml", toml).map_err(|e| e.to_string())?;
    let search = split("search.jsonl", r#"{"question": "1+1", "answer": 2}"#);
    let test = split("test.jsonl", r#"{"question": "2+1", "answer": 3}"#);
    file.resolve(&files, search, test, &|_| None).map_err(|e| e.to_string())
}

#[test]
fn a_good_file_becomes_a_pipeline_with_a_space() {
    let pipeline = read(GOOD).unwrap();
    assert_eq!(pipeline.stages[1].from.stages, [0]);
    assert_eq!(pipeline.objective, 1);
    let space = pipeline.space().unwrap();
    // pick: 2 models; answer: 2 models x 2 temperatures x (1 sample, or 2..=8 samples x 2 aggregators).
    assert_eq!(space.size(), 2 * (2 * 2 * (1 + 7 * 2)));
    assert_eq!(space.feasible(), space.feasible_indices().count() as u128);
    assert_eq!(space.smallest_once().to_string(), "small x1 T=0.9 + small x1 T=0.7");
    let costs = space.feasible_indices().map(|options| space.cost_of(&space.plan(&options)));
    let dearest = space.dearest().unwrap();
    assert_eq!(space.cost_of(&dearest), costs.max().flatten());
    assert!(space.is_feasible(&dearest));
}

#[test]
fn a_judge_has_defaults_for_all_but_its_model() {
    let judge = |keys: &str| {
        let metric = format!("kind = \"llm-judge\", model = \"large\"{keys} }}");
        let pipeline = read(&GOOD.replace("kind = \"number\", gold = \"answer\" }", &metric)).unwrap();
        pipeline.stages[1].metric.as_ref().unwrap().llm_judge().unwrap().clone()
    };
    let plain = judge("");
    assert_eq!((plain.scale.clone(), plain.samples, plain.temperature.get()), (Scale::Points(0, 10), 1, 0.0));
    assert_eq!((plain.questions(), plain.rubric, plain.calibrate_with), (1, None, None));
    let several = judge(", samples = 3, rubric_file = \"pick.j2\", verdicts = { wrong = 0, partly = 0.5, right = 1 }");
    assert!(several.temperature.get() > 0.0 && several.rubric.unwrap().text == "{{ question }}");
    let words = [("right", 1.0), ("partly", 0.5), ("wrong", 0.0)].map(|(word, score)| (word.to_owned(), score));
    assert_eq!(several.scale, Scale::Words(words.to_vec()));
    let pairs = judge(", against = \"answer\", calibrate_with = { kind = \"number\", gold = \"answer\" }");
    assert_eq!((pairs.questions(), pairs.against().map(String::as_str)), (2, Some("answer")));
    assert_eq!(pairs.calibrate_with.unwrap().kind, MetricKind::Number);
}

#[test]
fn a_judge_needs_a_rubric_where_the_prompt_is_not_the_task() {
    let judged = GOOD
        .replace("kind = \"number\", gold = \"answer\" }", "kind = \"llm-judge\", model = \"large\" }")
        .replace("prompt = \"answer.j2\"", "prompt = \"answer.j2\"\nwhen = \"question\"\notherwise = \"0\"");
    let error = read(&judged).unwrap_err();
    assert!(error.contains("the judge \"large\" needs a rubric here"), "{error}");
}

#[test]
fn everything_wrong_is_placed_and_explained() {
    let cases = [
        ("samples = 1\n", "samles = 1\n", "pipeline.toml:26:1: unknown field `samles`", "did you mean `samples`?"),
        ("limit = 900", "limit = \"much\"", "pipeline.toml:7:9: invalid type: string \"much\"", ""),
        (
            "cost_model = \"tokens\"",
            "cost_model = \"token\"",
            "6:14: there is no cost model",
            "did you mean \"tokens\"?",
        ),
        (
            "\"small\", \"large\"]\nsamples = 1",
            "\"smal\"]\nsamples = 1",
            "there is no model \"smal\"",
            "did you mean \"small\"?",
        ),
        ("[\"small\", \"large\"]\nsamples = 1", "[]\nsamples = 1", "at least one model", "name models"),
        ("samples = 1\n", "samples = 0\n", "samples must be between 1 and 10000, not 0", ""),
        ("min = 1, max = 8", "min = 8, max = 1", "the range of samples is inverted", ""),
        ("prompt = \"pick.j2\"", "prompt = \"pik.j2\"", "the file \"pik.j2\" is not there", ""),
        (
            "name = \"pick\"\n",
            "name = \"pick\"\nfrom = [\"answer\"]\n",
            "the stages form a cycle: pick reads answer reads pick",
            "",
        ),
        (
            "name = \"answer\"\n",
            "name = \"answer\"\nfrom = [\"pck\"]\n",
            "there is no stage \"pck\"",
            "did you mean \"pick\"?",
        ),
        ("[\"vote\", \"fuse\"]", "\"judge\"", "the aggregator `judge` needs a judge", ""),
        (
            "kind = \"number\", after",
            "kind = \"nmber\", after",
            "there is no parser \"nmber\"",
            "did you mean \"number\"?",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"f1\"",
            "the metric \"f1\" needs `gold`",
            "gold = \"answer\"",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"node-f\", gold = \"answer\"",
            "there is no metric \"node-f\"",
            "did you mean \"node-f1\"?",
        ),
        (
            "gold = \"answer\" }",
            "gold = \"answer\", aliases = \"others\" }",
            "40:56: the metric \"number\" does not use `aliases`",
            "these use it: exact-match, f1,",
        ),
        (
            "gold = \"answer\" }",
            "gold = \"answer\", stem = true }",
            "the metric \"number\" does not use `stem`",
            "these use it: rouge-1,",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"consistency\", gold = \"answer\"",
            "the metric \"consistency\" needs `embedder`",
            "one of [models] that gives embeddings",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"consistency\", gold = \"answer\", embedder = \"smal\"",
            "there is no model \"smal\"",
            "did you mean \"small\"?",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"number\", gold = \"answer\", embedder = \"small\"",
            "the metric \"number\" does not use `embedder`",
            "`consistency` uses it",
        ),
        (
            "test = \"test.jsonl\"",
            "test = \"test.jsonl\"\ngroup = \"document\"",
            "no example has a field \"document\", by which examples are to share a source",
            "such as",
        ),
        (
            "[[stages]]\nname = \"pick\"",
            "[objective]\nmargin = 2\n[[stages]]\nname = \"pick\"",
            "the margin is a loss of the score that does not matter: 2 is not in 0..1",
            "such as margin = 0.02",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\"",
            "the metric \"llm-judge\" needs `model`",
            "the model of [models] that judges",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\", model = \"larg\"",
            "there is no model \"larg\"",
            "did you mean \"large\"?",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"number\", gold = \"answer\", rubric = \"Is it right?\"",
            "the metric \"number\" does not use `rubric`",
            "`llm-judge` uses it",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\", model = \"large\", gold = \"answer\"",
            "the metric \"llm-judge\" does not use `gold`",
            "`calibrate_with`",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\", model = \"large\", rubric_file = \"rubrik.j2\"",
            "the file \"rubrik.j2\" is not there",
            "",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\", model = \"large\", rubric_file = \"pick.j2\", rubric = \"Right?\"",
            "either a `rubric` or a `rubric_file`",
            "",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\", model = \"large\", scale = [10, 0]",
            "[10, 0] is no scale",
            "the lowest and the highest",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\", model = \"large\", scale = [0, 5], against = \"answer\"",
            "one of `scale`, `verdicts` and `against`",
            "",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\", model = \"large\", verdicts = { yes = 2, no = 0 }",
            "the verdict \"yes\" has the score 2",
            "verdicts = {",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\", model = \"large\", verdicts = { yes = 1 }",
            "at least two different scores",
            "",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\", model = \"large\", samples = 0",
            "between 1 and 100 verdicts, not 0",
            "",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\", model = \"large\", samples = 3, temperature = 0",
            "all 3 verdicts are alike",
            "raise the temperature",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\", model = \"large\", max_tokens = 0",
            "max_tokens must be at least 1",
            "",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"llm-judge\", model = \"large\", calibrate_with = { kind = \"completeness\" }",
            "\"completeness\" cannot label outputs",
            "labels come from gold answers",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"mean\", of = [\"llm-judge\"]",
            "the metric \"llm-judge\" needs more than its name",
            "",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"mean\", of = [{ kind = \"llm-judge\", model = \"large\" }, { kind = \"llm-judge\", model = \"large\" }]",
            "a stage has at most one judge",
            "in one rubric",
        ),
        (
            "kind = \"number\", gold = \"answer\"",
            "kind = \"completeness\", gold = \"answer\"",
            "the metric \"completeness\" does not use `gold`",
            "it looks at the output alone",
        ),
        (
            "gold = \"answer\" }",
            "gold = \"answer\", alias = \"others\" }",
            "unknown field `alias`",
            "did you mean `aliases`?",
        ),
        (
            "provider = \"fake\"\nid = \"p50\"",
            "provider = \"fak\"",
            "there is no provider \"fak\"",
            "did you mean \"fake\"?",
        ),
        (
            "[models.small]",
            "[providers.x]\nkind = \"openai\"\nbase_url = \"http://h/v1\"\nhedge = 95\n\n[models.small]",
            "hedge is a quantile of latencies, at least 0.5 and below 1: 95",
            "0.95 calls again",
        ),
        (
            "[models.small]",
            "[providers.x]\nkind = \"fake\"\nmemory_mb = 100\n\n[models.small]",
            "memory_mb is of embedded providers",
            "",
        ),
        ("version = 1", "version = 9", "pipeline format 9 is not known", "this program reads format 1"),
    ];
    for (good, bad, message, hint) in cases {
        assert!(GOOD.contains(good), "{good}");
        let error = read(&GOOD.replacen(good, bad, 1)).expect_err(bad);
        assert!(error.contains(message) && error.contains(hint), "{bad}\n{error}");
    }
}

#[test]
fn a_metric_may_have_aliases_and_stems() {
    let metric = |text: &str| {
        read(&GOOD.replace("kind = \"number\", gold = \"answer\"", text)).unwrap().stages[1].metric.clone()
    };
    let f1 = metric("kind = \"f1\", gold = \"answer\", aliases = \"others\"").unwrap();
    assert_eq!(
        (f1.kind, f1.gold.as_deref(), &f1.aliases[..]),
        (MetricKind::F1, Some("answer"), &["others".to_owned()][..])
    );
    let rouge = metric("kind = \"rouge-l\", gold = \"answer\", aliases = [\"a\", \"b\"], stem = true").unwrap();
    assert!(rouge.stem && rouge.aliases == ["a", "b"]);
    assert_eq!(metric("kind = \"completeness\"").unwrap().gold, None);
}

#[test]
fn a_budget_below_every_plan_says_what_the_cheapest_costs() {
    let pipeline = read(&GOOD.replace("limit = 900", "limit = 100")).unwrap();
    let error = pipeline.space().unwrap_err().to_string();
    assert!(error.starts_with("no plan fits the budget 100 tokens: the cheapest costs 120 tokens"), "{error}");
}

/// The good pipeline with steps after its stages, of which `answer` reads these.
fn with_steps(from: &str, steps: &str) -> Result<Pipeline, String> {
    read(&(GOOD.replace("name = \"answer\"\n", &format!("name = \"answer\"\nfrom = {from}\n")) + steps))
}

#[test]
fn steps_stand_between_stages_in_one_graph() {
    let pipeline = with_steps(
        r#"["check"]"#,
        r#"
        [[steps]]
        name = "check"
        from = ["retrieve", "pick"]
        command = ["./check"]
        timeout_seconds = 2

        [[steps]]
        name = "retrieve"
        from = []
        command = ["python3", "retriever.py"]
        "#,
    )
    .unwrap();
    let names: Vec<&str> = pipeline.order.iter().map(|&node| pipeline.node_name(node)).collect();
    assert_eq!(names, ["pick", "retrieve", "check", "answer"], "each comes after what it reads");
    assert_eq!(pipeline.ancestors(1), [0], "a stage depends on stages through steps, too");
    assert_eq!(pipeline.upstream(Node::Stage(1)), [Node::Stage(0), Node::Step(0), Node::Step(1)]);
    let StepKind::Command(check) = &pipeline.steps[1].kind else { panic!() };
    assert_eq!((check.command.as_slice(), check.timeout_seconds), (&["./check".to_owned()][..], 2));
}

#[test]
fn what_is_wrong_with_steps_is_placed_and_explained() {
    let step = |keys: &str| format!("[[steps]]\nname = \"s\"\nfrom = []\n{keys}");
    for (from, steps, message, hint) in [
        (r#"["s"]"#, step(""), "the step \"s\" does nothing", "command = ["),
        (r#"["s"]"#, step("command = []"), "the command is empty", "name a program"),
        (r#"["s"]"#, step("command = [\"a\"]\ntimeout_seconds = 0"), "between 1 and 3600", ""),
        (r#"["pick"]"#, step("command = [\"a\"]"), "no stage reads the step \"s\"", "`from`"),
        (r#"["t"]"#, step("command = [\"a\"]"), "there is no stage or step \"t\"", "did you mean \"s\"?"),
        (
            r#"["s"]"#,
            "[[steps]]\nname = \"s\"\nfrom = [\"answer\"]\ncommand = [\"a\"]".to_owned(),
            "the stages and steps form a cycle: answer reads s reads answer",
            "remove one of them from another's `from`",
        ),
        (
            r#"["pick"]"#,
            "[[steps]]\nname = \"pick\"\nfrom = []\ncommand = [\"a\"]".to_owned(),
            "there is a stage and a step \"pick\"",
            "",
        ),
        (r#"["s"]"#, "[[steps]]\nname = \"s\"\ncommand = [\"a\"]".to_owned(), "missing field `from`", "docs/"),
    ] {
        let error = with_steps(from, &steps).unwrap_err();
        assert!(error.starts_with("pipeline.toml:") && error.contains(message) && error.contains(hint), "{error}");
    }
}

/// The good pipeline whose second stage has these further keys and expects so many runs.
fn with_flow(keys: &str, runs: &str) -> Result<Pipeline, String> {
    let (head, tail) = GOOD.split_once("name = \"answer\"\n").unwrap();
    let tail = tail.replace("decode_tokens = 10 }", &format!("decode_tokens = 10{runs} }}"));
    read(&format!("{head}name = \"answer\"\n{keys}\n{tail}"))
}

#[test]
fn expected_runs_price_a_stage_exactly() {
    let cost = |p: Pipeline| {
        let space = p.space().unwrap();
        space.cost_of(&space.smallest_once()).unwrap().0
    };
    // Each stage takes 50 + 10 tokens.
    assert_eq!(cost(read(GOOD).unwrap()), 60 + 60);
    assert_eq!(cost(with_flow("each = \"pick\"", ", runs = 2.5").unwrap()), 60 + 150);
    let condition = "when = \"pick\"\notherwise = \"pick\"";
    assert_eq!(cost(with_flow(condition, ", runs = 0.33").unwrap()), 60 + 20, "19.8, rounded up");
    assert_eq!(cost(with_flow(condition, "").unwrap()), 60 + 60, "at most once");
    let both = with_flow("when = \"pick\"\notherwise = \"[]\"\neach = \"pick\"", ", runs = 0.5").unwrap();
    assert!(both.stages[1].flow.varies() && !both.stages[0].flow.varies());
    assert_eq!(cost(both), 60 + 30);
}

#[test]
fn what_is_wrong_with_conditions_and_lists_is_placed_and_explained() {
    for (keys, runs, message, hint) in [
        ("otherwise = \"1\"", "", "a stage that does not run, and this one always does", "when = "),
        ("each = \"pick\"", "", "must say how many items to expect", "runs = 3"),
        ("each = \"pick\"", ", runs = 101", "`runs` must be between 0.001 and 100", ""),
        ("each = \"pick\"", ", runs = 0", "`runs` must be between 0.001 and 100", ""),
        (
            "when = \"pick\"\notherwise = \"1\"",
            ", runs = 2",
            "without `each`, `runs` must be between 0.001 and 1",
            "share",
        ),
        ("", ", runs = 0.5", "this stage runs once for every example", "leave `runs` out"),
        ("when = \"pick\"", "", "stage \"answer\" is the objective, so it needs an output", "add `otherwise`"),
        ("when = 1", "", "invalid type", "docs/"),
    ] {
        let error = with_flow(keys, runs).unwrap_err();
        assert!(
            error.starts_with("pipeline.toml:") && error.contains(message) && error.contains(hint),
            "{keys}\n{error}"
        );
    }
}
