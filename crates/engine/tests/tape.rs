//! Tapes of fake models: recorded, read, replayed as plans and as whole studies, and refused where they are damaged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use agenttts_core::pipeline::Overrides;
use agenttts_core::{StudySummary, TrialState, Usage};
use agenttts_engine::{
    EngineError, EngineErrorKind, Event, Loaded, Observer, Observers, PlayedTape, Recorder, SearchOptions, StopHandle,
    StudyContext, TAPE_VERSION, Tape, Workshop, record, start_study,
};
use agenttts_models::ModelErrorKind;
use agenttts_store::Store;
use support::*;

/// The shared pipeline, on fewer examples and with a last stage that a model may fuse.
fn pipeline() -> String {
    PIPELINE
        .replace("trials = 12", "trials = 14")
        .replace("[data]", "[data]\nsearch_examples = 12\ntest_examples = 8")
        .replace("samples = [1, 2, 4, 8]", "samples = [1, 2, 4]")
        .replace(
            "prompt = \"answer.j2\"",
            "temperature = [0.9, 0]\naggregator = [\"vote\", \"fuse\"]\nprompt = \"answer.j2\"",
        )
}

/// A folder with the pipeline and a store.
struct Bench {
    folder: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_pipeline(folder.path(), &pipeline());
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        Bench { folder, store }
    }

    fn load(&self) -> Loaded {
        load(self.folder.path())
    }

    async fn record(&self) -> Tape {
        let recorder = Recorder::new(self.load()).unwrap();
        record(&self.store, recorder, context(vec![], StopHandle::new())).await.unwrap().unwrap()
    }

    /// What recording has drawn so far.
    fn usage(&self) -> Usage {
        self.store.spend(self.store.study("sums-tape").unwrap().id).unwrap().usage
    }
}

async fn replay(tape: &Arc<Tape>, loaded: Loaded, method: &str) -> Result<StudySummary, EngineError> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("replay.db")).unwrap();
    let context = StudyContext {
        workshop: Workshop::new("no-models".into()).with_tape(tape.clone()),
        observers: Observers::default(),
        stop: StopHandle::new(),
    };
    let options = SearchOptions { method: Some(method.into()), ..SearchOptions::default() };
    start_study(&store, loaded, options, context).await
}

/// All that a study found, but for the clock.
fn result(summary: &StudySummary) -> serde_json::Value {
    let mut archive = serde_json::to_value(&summary.archive).unwrap();
    for trial in archive["trials"].as_array_mut().unwrap() {
        if let Some(measured) = trial["state"].get_mut("measured") {
            measured["seconds"] = 0.into();
        }
    }
    serde_json::json!([archive, summary.confirmation, summary.recommended, summary.spend.total])
}

#[tokio::test]
async fn a_tape_survives_its_file_and_replays_what_live_models_gave() {
    let bench = Bench::new();
    let recorded = bench.record().await;
    let bytes = recorded.to_bytes().unwrap();
    let tape = Arc::new(Tape::from_bytes("sums.tape", &bytes).unwrap());
    assert_eq!(*tape, recorded);
    assert_eq!(tape.to_bytes().unwrap(), bytes);

    // The live study takes the draws that the recording left in the bank.
    let options = SearchOptions { method: Some("grid".into()), ..SearchOptions::default() };
    let summary = start_study(&bench.store, bench.load(), options, context(vec![], StopHandle::new())).await.unwrap();
    let played = PlayedTape::new(&tape, tape.load().unwrap()).unwrap();
    assert_eq!(played.plans().count() as u128, bench.load().space.feasible());
    let all: Vec<u32> = (0..played.examples()).collect();
    let mut compared = 0;
    for (trial, measured) in summary.archive.measured() {
        let again = played.measurement(&trial.plan, &all).unwrap();
        // The study has its own order of examples, so sums may differ in their last digit.
        let same = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(same(again.objective.mean, measured.objective.mean) && same(again.cost.mean, measured.cost.mean));
        assert_eq!((again.fresh, again.failures), (measured.fresh, measured.failures));
        assert!(same(played.score(&trial.plan).unwrap(), measured.objective.mean));
        compared += 1;
    }
    assert_eq!(compared, 14);
}

#[tokio::test]
async fn needs_and_bills_tell_exactly_what_a_plan_would_draw() {
    let tape = Arc::new(Bench::new().record().await);
    let played = PlayedTape::new(&tape, tape.load().unwrap()).unwrap();
    for plan in played.plans() {
        let needs = played.needs(plan, 0);
        let fused = plan.choices[1].samples > 1 && plan.choices[1].aggregator.calls_model();
        let reached = needs.len() == 2 + usize::from(fused);
        let fresh: Usage = needs.iter().map(|&need| played.bill(need, 0)).sum();
        assert_eq!(fresh, played.measurement(plan, &[0]).unwrap().fresh, "{plan}");
        assert!(reached && needs[0].draws == plan.choices[0].samples, "{plan}");
        let Some(partly) = needs[0].draws.checked_sub(1).filter(|&have| have > 0) else { continue };
        assert!(played.bill(needs[0], partly).decode < played.bill(needs[0], 0).decode);
        assert_eq!(played.bill(needs[0], needs[0].draws), Usage::default());
    }
    assert_eq!(played.needs(played.plans().next().unwrap(), 12), []);
}

/// Asks for a stop after so many runs.
struct StopAfterRuns(u32, StopHandle);

impl Observer for StopAfterRuns {
    fn on(&self, event: &Event) {
        if matches!(event, Event::Progress { done, .. } if *done >= self.0) {
            self.1.stop();
        }
    }
}

#[tokio::test]
async fn a_recording_that_was_stopped_goes_on_and_draws_nothing_twice() {
    let whole = Bench::new();
    let tape = whole.record().await;
    let bench = Bench::new();
    for after in [1, 15] {
        let stop = StopHandle::new();
        let observer = Arc::new(StopAfterRuns(after, stop.clone()));
        let recorder = Recorder::new(bench.load()).unwrap();
        assert!(record(&bench.store, recorder, context(vec![observer], stop)).await.unwrap().is_none());
    }
    assert!(bench.usage().decode > 0 && bench.usage().decode < whole.usage().decode);
    let resumed = bench.record().await;
    assert_eq!(bench.usage().decode, whole.usage().decode);
    assert_eq!((resumed.requests(), resumed.draws()), (tape.requests(), tape.draws()));
    let before = bench.usage();
    assert_eq!(bench.record().await, resumed);
    assert_eq!(bench.usage(), before, "everything is there already");
}

#[tokio::test]
async fn a_study_over_a_tape_replays_bit_for_bit() {
    let tape = Arc::new(Bench::new().record().await);
    for method in ["rules", "random", "grid"] {
        let first = replay(&tape, tape.load().unwrap(), method).await.unwrap();
        let second = replay(&tape, tape.load().unwrap(), method).await.unwrap();
        assert_eq!(result(&first), result(&second), "{method}");
        assert_eq!(first.confirmation.as_ref().unwrap().examples, 8);
        assert!(first.archive.measured().count() >= 10, "{method}");
        // A plan is never tried twice on the same draws.
        let mut again = first.archive.trials.iter().filter(|t| t.stream > 0);
        assert!(again.all(|t| matches!(t.state, TrialState::Abandoned(_))), "{method}");
    }
}

#[tokio::test]
async fn any_seed_and_any_budget_can_be_searched() {
    let tape = Arc::new(Bench::new().record().await);
    let mut loaded = tape.load().unwrap();
    loaded.pipeline.search.seed = 9;
    let search = Some(loaded.pipeline.search.clone());
    let overrides = Overrides { plan_budget: Some(1e6), search, ..Overrides::default() };
    let summary = replay(&tape, loaded.with_overrides(overrides).unwrap(), "random").await.unwrap();
    assert!(summary.archive.measured().any(|(_, m)| m.cost.mean > 3000.0 / 2.0));
}

#[tokio::test]
async fn a_search_that_has_seen_everything_on_a_tape_ends() {
    let tape = Arc::new(Bench::new().record().await);
    let mut search = tape.load().unwrap().pipeline.search;
    search.trials = 100;
    let overrides = Overrides { plan_budget: Some(120.0), search: Some(search), ..Overrides::default() };
    let loaded = tape.load().unwrap().with_overrides(overrides).unwrap();
    let feasible = loaded.space.feasible();
    let summary = replay(&tape, loaded, "rules").await.unwrap();
    assert!(feasible < 20 && summary.archive.measured().count() as u128 <= feasible);
    assert!(summary.confirmation.is_some());
}

#[tokio::test]
async fn a_method_that_asks_a_model_is_refused_on_a_tape() {
    let tape = Arc::new(Bench::new().record().await);
    let mut search = tape.load().unwrap().pipeline.search;
    search.agent = Some("large".into());
    let overrides = Overrides { search: Some(search), ..Overrides::default() };
    let error = replay(&tape, tape.load().unwrap().with_overrides(overrides).unwrap(), "agent").await.unwrap_err();
    assert!(error.to_string().contains("a tape holds no replies"), "{error}");
}

#[tokio::test]
async fn draws_that_are_not_on_the_tape_stop_a_study_with_a_hint() {
    let bench = Bench::new();
    let tape = Arc::new(bench.record().await);
    fs::write(bench.folder.path().join("pick.j2"), "another prompt: {{ question }} {{ gold }}").unwrap();
    let error = replay(&tape, bench.load(), "grid").await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Model(ModelErrorKind::NotOnTape));
    assert!(error.hint().unwrap().contains("record it again"), "{error}");

    let toml = pipeline().replace("\"small\"", "\"tiny\"").replace("models.small", "models.tiny");
    fs::write(bench.folder.path().join("pipeline.toml"), toml).unwrap();
    let error = replay(&tape, bench.load(), "grid").await.unwrap_err().to_string();
    assert!(error.contains("\"tiny\" is not on the tape") && error.contains("large, small"), "{error}");
}

#[tokio::test]
async fn files_that_are_no_whole_tape_are_refused_with_a_hint() {
    let bytes = Bench::new().record().await.to_bytes().unwrap();
    let refused = |bytes: &[u8]| Tape::from_bytes("x.tape", bytes).unwrap_err().to_string();
    for text in [&b""[..], b"PK", b"agenttts tape", b"agenttts tape x\n", b"agenttts tape 1"] {
        assert!(refused(text).contains("x.tape is no tape"), "{}", refused(text));
    }
    for end in [16, 40, bytes.len() / 2, bytes.len() - 1] {
        let text = refused(&bytes[..end]);
        assert!(text.contains("damaged: it ends too early") && text.contains("copy it again"), "{end}: {text}");
    }
    for at in (20..bytes.len()).step_by(bytes.len() / 40) {
        let mut broken = bytes.clone();
        broken[at] ^= 0x15;
        // A header's time and name may be anything.
        if let Err(problem) = Tape::from_bytes("x.tape", &broken) {
            assert!(problem.to_string().contains("damaged"), "{at}: {problem}");
        } else {
            assert!(at < 26, "{at}");
        }
    }
    let newer = [format!("agenttts tape {}\n", TAPE_VERSION + 1).as_bytes(), &bytes[16..]].concat();
    let text = refused(&newer);
    assert!(text.contains("is newer than this program's") && text.contains("update agenttts"), "{text}");
    let error = Tape::open(Path::new("no-such.tape")).unwrap_err().to_string();
    assert!(error.contains("no-such.tape cannot be read"), "{error}");
}

#[test]
fn a_grid_too_large_for_a_tape_is_refused_before_anything_is_drawn() {
    let bench = Bench::new();
    let toml = pipeline().replace("samples = [1, 2, 4]", "samples = { min = 1, max = 100 }");
    fs::write(bench.folder.path().join("pipeline.toml"), toml).unwrap();
    let Err(error) = Recorder::new(bench.load()) else { panic!("accepted") };
    assert!(error.to_string().contains("list fewer samples"), "{error}");
}
