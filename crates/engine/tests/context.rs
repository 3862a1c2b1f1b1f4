//! Prompts that are too long for the context of a model: they fail and are counted, or are shortened as the stage says,
//! alike wherever they are rendered.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use agenttts_core::{Fitting, Measurement, StudySummary};
use agenttts_engine::{
    ExportOptions, LeftOut, Loaded, Observers, PlanFile, PlayedTape, Recorder, Runner, SearchOptions, StopHandle,
    StudyContext, Tape, Workshop, export, load_pipeline, plan_file, prompt_fits, record, replayed, start_study,
};
use agenttts_store::Store;
use proptest::prelude::*;
use support::{context, search};
use tokio::runtime::Runtime;

/// One stage that repeats its prompt, with a model that holds 60 tokens and the same one that holds all. A fake has a token for
/// every four bytes of a message, and four more.
const PIPELINE: &str = r#"
version = 1
name = "lists"
plan_budget = { cost_model = "tokens", limit = 100000 }
search = { method = "grid", trials = 2 }
data = { search = "search.jsonl", test = "test.jsonl" }
models.short = { provider = "fake", id = "echo", context = 60 }
models.long = { provider = "fake", id = "echo" }

[[stages]]
name = "copy"
models = ["short", "long"]
samples = 1
prompt = "copy.j2"
max_tokens = 40
metric = { kind = "contains", gold = "gold" }
expected = { prompt_tokens = 20, decode_tokens = 10 }
TOO_LONG
"#;

fn write(folder: &Path, too_long: &str) {
    fs::write(folder.join("pipeline.toml"), PIPELINE.replace("TOO_LONG", too_long)).unwrap();
    fs::write(folder.join("copy.j2"), "{% for w in words %}{{ w }} {% endfor %}{{ note }}|{{ question }}").unwrap();
    // Of n words a prompt takes 2n + 7 tokens: with more than 6 it leaves less than 40 of 60 to decode.
    let line = |i: usize| {
        let words: Vec<String> = (0..i).map(|w| format!("word-{w:02}")).collect();
        format!(
            "{}\n",
            serde_json::json!({"words": words, "note": "-", "question": format!("ask {i:04}"), "gold": "ask"})
        )
    };
    fs::write(folder.join("search.jsonl"), (1..=10).map(line).collect::<String>()).unwrap();
    fs::write(folder.join("test.jsonl"), (11..=13).map(line).collect::<String>()).unwrap();
}

struct Case {
    folder: tempfile::TempDir,
    store: Store,
}

impl Case {
    fn new(too_long: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), too_long);
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        Case { folder, store }
    }

    fn load(&self) -> Loaded {
        load_pipeline(self.folder.path(), &|_| None).unwrap_or_else(|e| panic!("{e}"))
    }

    async fn search(&self) -> StudySummary {
        search(&self.store, self.load()).await.unwrap()
    }
}

fn of_model<'a>(summary: &'a StudySummary, model: &str) -> &'a Measurement {
    summary.archive.measured().find(|(t, _)| t.plan.choices[0].model == model).unwrap().1
}

const SHORTEN: &str = "too_long = { shorten = \"words\" }";

#[tokio::test]
async fn an_example_that_is_too_long_fails_before_its_call_and_is_counted() {
    let case = Case::new("");
    let summary = case.search().await;
    let short = of_model(&summary, "short");
    assert_eq!(short.failures, 4, "{:?}", short.failure_reasons);
    assert_eq!(short.fitting, [Fitting { shortened: 0, left_out: 0.0, too_long: 4 }]);
    assert_eq!(
        short.failure_reasons[0],
        "copy: the prompt has 21 tokens and up to 40 are to be decoded, together 61; the context of short holds 60"
    );
    assert_eq!(short.objective.mean, 0.6);
    // None of the four was sent, and the two models share their weights, so they share their draws.
    assert_eq!(summary.spend.by_kind["sample"].usage.calls, 10);
    assert_eq!((of_model(&summary, "long").failures, of_model(&summary, "long").fitting.len()), (0, 0));
}

#[tokio::test]
async fn a_list_loses_items_from_its_end_for_the_model_that_cannot_hold_it() {
    let case = Case::new(SHORTEN);
    let summary = case.search().await;
    let (short, long) = (of_model(&summary, "short"), of_model(&summary, "long"));
    assert_eq!((short.failures, short.objective.mean), (0, 1.0), "the question is never touched");
    let [Fitting { shortened: 4, left_out, too_long: 0 }] = short.fitting[..] else { panic!("{:?}", short.fitting) };
    // 1 of 7, 2 of 8, 3 of 9 and 4 of 10.
    assert!((left_out - (1.0 / 7.0 + 2.0 / 8.0 + 3.0 / 9.0 + 4.0 / 10.0) / 4.0).abs() < 1e-9, "{left_out}");
    assert_eq!(long.fitting, []);
    let tested = &summary.confirmation.as_ref().unwrap().plans;
    let tested = tested.iter().find(|p| p.plan.choices[0].model == "short").unwrap();
    assert_eq!(tested.fitting[0].shortened, 3);
    let words = summary.fitting_words(&tested.plan, &tested.fitting);
    assert_eq!(words, ["prompts of copy too long for short: 3 examples lost 50% of words on average"]);

    // What was drawn once is found again: a second study draws nothing for its trials.
    let again = case.search().await;
    assert_eq!(again.archive.trials.iter().map(|t| t.measurement().unwrap().drawn.calls).sum::<u64>(), 0);
    assert_eq!(of_model(&again, "short").scores, short.scores);
}

/// The prompt that a plan file's run renders, and what it left out.
async fn run(plan: &PlanFile, words: usize) -> (String, Option<LeftOut>) {
    let runner = Runner::new(plan, &Workshop::new("no-models".into())).await.unwrap();
    let words: Vec<String> = (0..words).map(|w| format!("word-{w:02}")).collect();
    let input = serde_json::json!({"words": words, "note": "-", "question": "ask 0010"});
    let answer = runner.run(input.as_object().unwrap().clone()).await.unwrap();
    (answer.stages[0].samples[0].clone(), answer.stages[0].left_out)
}

#[tokio::test]
async fn search_run_record_and_replay_render_the_same_prompts() {
    let case = Case::new(SHORTEN);
    let summary = case.search().await;
    let trial = summary.archive.trials.iter().find(|t| t.plan.choices[0].model == "short").unwrap();
    let plan = plan_file(&case.store, &summary.study, Some(trial.number)).unwrap();
    let (prompt, left_out) = run(&plan, 10).await;
    assert_eq!(left_out, Some(LeftOut { count: 4, of: 10 }));
    assert!(prompt.starts_with("word-00 ") && prompt.ends_with("word-05 -|ask 0010"), "{prompt}");
    assert_eq!(run(&plan, 6).await.1, None);

    // The recording finds all draws of the search, and draws only what the confirmation drew in a stream of its own.
    let recorder = Recorder::new(case.load()).unwrap();
    let tape = record(&case.store, recorder, context(vec![], StopHandle::new())).await.unwrap().unwrap();
    let spent = case.store.spend(case.store.study("lists-tape").unwrap().id).unwrap();
    assert_eq!(spent.usage.calls, 12, "three test examples, two models, and once more at temperature 0");
    let tape = Arc::new(Tape::from_bytes("lists.tape", &tape.to_bytes().unwrap()).unwrap());
    let played = PlayedTape::new(&tape, tape.load().unwrap()).unwrap();
    let all: Vec<u32> = (0..played.examples()).collect();
    for (trial, measured) in summary.archive.measured() {
        let again = played.measurement(&trial.plan, &all).unwrap();
        assert_eq!((again.failures, again.fresh), (measured.failures, measured.fresh));
        assert_eq!(again.fitting.first().map(|f| f.shortened), measured.fitting.first().map(|f| f.shortened));
    }

    // A study on the tape measures what the live one did.
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("replay.db")).unwrap();
    let workshop = Workshop::new("no-models".into()).with_tape(tape.clone());
    let played = StudyContext { workshop, observers: Observers::default(), stop: StopHandle::new() };
    let replayed = start_study(&store, case.load(), SearchOptions::default(), played).await.unwrap();
    for model in ["short", "long"] {
        assert_eq!(of_model(&replayed, model).scores, of_model(&summary, model).scores);
        assert_eq!(of_model(&replayed, model).fitting, of_model(&summary, model).fitting);
    }
}

#[tokio::test]
async fn a_tape_fails_what_was_too_long_when_it_was_recorded() {
    let case = Case::new("too_long = \"fail\"");
    let recorder = Recorder::new(case.load()).unwrap();
    let tape = record(&case.store, recorder, context(vec![], StopHandle::new())).await.unwrap().unwrap();
    let tape = Arc::new(Tape::from_bytes("lists.tape", &tape.to_bytes().unwrap()).unwrap());
    let played = PlayedTape::new(&tape, tape.load().unwrap()).unwrap();
    let all: Vec<u32> = (0..played.examples()).collect();
    let short = played.plans().find(|p| p.choices[0].model == "short").unwrap();
    let measured = played.measurement(short, &all).unwrap();
    assert_eq!((measured.failures, measured.fitting[0].too_long), (4, 4));
    assert!(measured.failure_reasons[0].contains("the context of short holds 60"), "{:?}", measured.failure_reasons);
}

#[tokio::test]
async fn the_tape_of_a_study_holds_what_did_not_fit() {
    for too_long in [SHORTEN, "too_long = \"fail\""] {
        let case = Case::new(too_long);
        let live = case.search().await;
        let made = export(&case.store, &live.study, &Workshop::new("no-models".into()), ExportOptions::default()).await;
        let tape = Arc::new(Tape::from_bytes("x.tape", &made.unwrap().to_bytes().unwrap()).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("replay.db")).unwrap();
        let workshop = Workshop::new("no-models".into()).with_tape(tape.clone());
        let played = StudyContext { workshop, observers: Observers::default(), stop: StopHandle::new() };
        let again = start_study(&store, tape.load().unwrap(), tape.search_options().unwrap(), played).await.unwrap();
        assert_eq!(replayed(&live, &again), Ok(()), "{too_long}");
        assert!(!of_model(&again, "short").fitting.is_empty());
    }
}

#[test]
fn a_check_tells_which_examples_do_not_fit_which_model() {
    let told = |too_long: &str| {
        let case = Case::new(too_long);
        let (loaded, workshop) = (case.load(), Workshop::new("no-models".into()));
        let models = workshop.connect(&loaded.pipeline).unwrap();
        prompt_fits(&loaded, &models, &workshop).unwrap()
    };
    let [fit] = &told("")[..] else { panic!() };
    assert_eq!((fit.model.as_str(), fit.context, fit.examples), ("short", 60, 13));
    assert_eq!((fit.too_long, fit.shortened, fit.may_fail), (7, 0, 0));
    assert!(fit.first.as_ref().unwrap().contains("the prompt has 21 tokens"), "{:?}", fit.first);
    let [fit] = &told(SHORTEN)[..] else { panic!() };
    assert_eq!((fit.too_long, fit.shortened, fit.shortens.as_deref()), (0, 7, Some("words")));
}

#[tokio::test]
async fn where_a_server_counts_the_tokens_nothing_fails_on_a_guess() {
    let address = "providers.server = { kind = \"openai\", base_url = \"http://127.0.0.1:9/v1\" }\n\n[[stages]]";
    let told = |too_long: &str| {
        let case = Case::new(too_long);
        let file = case.folder.path().join("pipeline.toml");
        let text = fs::read_to_string(&file).unwrap();
        let text =
            text.replace("provider = \"fake\", id = \"echo\", context = 60", "provider = \"server\", context = 250");
        fs::write(&file, text.replace("[[stages]]", address)).unwrap();
        let (loaded, workshop) = (case.load(), Workshop::new("no-models".into()));
        let models = workshop.connect(&loaded.pipeline).unwrap();
        prompt_fits(&loaded, &models, &workshop).unwrap()
    };
    let [fit] = &told("")[..] else { panic!() };
    assert!(fit.too_long == 0 && fit.may_fail > 0, "{fit:?}");
    // A bound is enough to shorten by.
    let [shortened] = &told(SHORTEN)[..] else { panic!() };
    assert_eq!((shortened.shortened, shortened.may_fail), (fit.may_fail, 0));
}

#[test]
fn what_cannot_be_shortened_is_refused_with_a_hint() {
    let refused = |too_long: &str| {
        let case = Case::new(too_long);
        load_pipeline(case.folder.path(), &|_| None).unwrap_err().to_string()
    };
    let text = refused("too_long = { shorten = \"wordz\" }");
    assert!(text.contains("stage \"copy\": `too_long` shortens \"wordz\", which its templates do not see"), "{text}");
    assert!(text.contains("did you mean `words`?"), "{text}");
    assert!(refused("too_long = { shorten = \"gold\" }").contains("which its templates do not show"));
    assert!(refused("too_long = \"truncate\"").contains("`too_long` cannot be \"truncate\""));
    assert!(refused("too_long = { cut = \"words\" }").contains("pipeline.toml:"));
    assert!(refused("too_long = 5").contains("\"fail\" or { shorten = \"VARIABLE\" }"));
}

/// A plan that shortens a text.
fn plan_for_notes() -> &'static PlanFile {
    static PLAN: OnceLock<PlanFile> = OnceLock::new();
    PLAN.get_or_init(|| {
        let case = Case::new("too_long = { shorten = \"note\" }");
        let summary = Runtime::new().unwrap().block_on(case.search());
        let trial = summary.archive.trials.iter().find(|t| t.plan.choices[0].model == "short").unwrap();
        plan_file(&case.store, &summary.study, Some(trial.number)).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A text loses as little of its end as it must, wherever its characters end.
    #[test]
    fn a_text_loses_as_little_as_it_must(note in "[a-zé漢 ]{0,400}") {
        let input = serde_json::json!({"words": [], "note": note, "question": "ask"});
        let plan = plan_for_notes();
        let answer = Runtime::new().unwrap().block_on(async {
            let runner = Runner::new(plan, &Workshop::new("no-models".into())).await.unwrap();
            runner.run(input.as_object().unwrap().clone()).await.unwrap()
        });
        let stage = &answer.stages[0];
        let takes = |prompt: &str| prompt.len().div_ceil(4) + 4 + 40;
        let kept = stage.left_out.map_or(note.chars().count(), |l| (l.of - l.count) as usize);
        let prompt = |kept: usize| format!("{}|ask", note.chars().take(kept).collect::<String>());
        prop_assert!(takes(&prompt(kept)) <= 60);
        if stage.left_out.is_some() {
            prop_assert!(takes(&prompt(kept + 1)) > 60);
            prop_assert_eq!(stage.samples[0].clone(), prompt(kept));
        }
    }
}
