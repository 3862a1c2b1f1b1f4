//! Tapes of studies: what a study drew is exported from its store, and replaying it makes the same study again, whatever
//! the method, without a model.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use agenttts_core::pipeline::Overrides;
use agenttts_core::{StudyState, StudySummary};
use agenttts_engine::{
    EngineError, EngineErrorKind, ExportOptions, Loaded, METHODS, Observers, PlayedTape, SearchOptions, StopHandle,
    StudyContext, Tape, Workshop, export, replayed, start_study,
};
use agenttts_models::{ConnectOptions, ModelErrorKind};
use agenttts_store::Store;
use support::*;

/// The shared pipeline with an agent, both kinds of draw, a last stage that a model may fuse, and few examples.
fn pipeline() -> String {
    let agent = "[models.agent]\nprovider = \"fake\"\nid = \"agent\"\nparams_b = 1\n\n[models.small]";
    PIPELINE
        .replacen("[models.small]", agent, 1)
        .replace("trials = 12", "trials = 6\nagent = \"agent\"")
        .replace("[data]", "[data]\nsearch_examples = 12\ntest_examples = 8")
        .replace(
            "prompt = \"answer.j2\"",
            "temperature = [0.9, 0]\naggregator = [\"vote\", \"fuse\"]\nprompt = \"answer.j2\"",
        )
}

fn store(folder: &Path) -> Store {
    Store::open(&folder.join("store.db")).unwrap()
}

async fn study(store: &Store, loaded: Loaded, method: &str) -> StudySummary {
    let options = SearchOptions { method: Some(method.into()), ..SearchOptions::default() };
    start_study(store, loaded, options, context(vec![], StopHandle::new())).await.unwrap()
}

async fn tape_of(store: &Store, study: &str, options: ExportOptions) -> Result<Arc<Tape>, EngineError> {
    let tape = export(store, study, &Workshop::new("no-models".into()), options).await?;
    // What counts is what is in the file.
    Ok(Arc::new(Tape::from_bytes("x.tape", &tape.to_bytes().unwrap()).unwrap()))
}

/// Searches again from a tape, in a store of its own.
async fn replay(tape: &Arc<Tape>, options: SearchOptions) -> Result<StudySummary, EngineError> {
    replay_of(tape, tape.load().unwrap(), options).await
}

async fn replay_of(tape: &Arc<Tape>, loaded: Loaded, options: SearchOptions) -> Result<StudySummary, EngineError> {
    let folder = tempfile::tempdir().unwrap();
    let workshop = Workshop::new("no-models".into()).with_tape(tape.clone());
    let context = StudyContext { workshop, observers: Observers::default(), stop: StopHandle::new() };
    start_study(&store(folder.path()), loaded, options, context).await
}

#[tokio::test]
async fn a_study_by_any_method_is_made_again_bit_for_bit() {
    for method in METHODS {
        let folder = tempfile::tempdir().unwrap();
        write_pipeline(folder.path(), &pipeline());
        let store = store(folder.path());
        // One method learns from an earlier study, which the tape must then hold too.
        if *method == "mlcopilot" {
            study(&store, load(folder.path()), "random").await;
        }
        let live = study(&store, load(folder.path()), method).await;
        let tape = tape_of(&store, &live.study, ExportOptions::default()).await.unwrap();
        let again = replay(&tape, tape.search_options().unwrap()).await.unwrap();
        assert_eq!(replayed(&live, &again), Ok(()), "{method}");
        assert_eq!((&live.archive.guidelines, live.plans), (&again.archive.guidelines, again.plans), "{method}");
        assert_eq!(live.spend.total, again.spend.total, "{method}");
        assert!(again.confirmation.is_some() && again.archive.measured().count() >= 3, "{method}");
    }
}

#[tokio::test]
async fn draws_that_the_bank_held_before_cost_the_replay_nothing_either() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), &pipeline());
    let store = store(folder.path());
    study(&store, load(folder.path()), "rules").await;
    for method in ["planner", "halving"] {
        let mut search = load(folder.path()).pipeline.search;
        search.agent = None;
        let budget = agenttts_core::pipeline::SearchBudget { tokens: Some(40_000), ..Default::default() };
        let overrides = Overrides { search_budget: Some(budget), search: Some(search), ..Overrides::default() };
        let live = study(&store, load(folder.path()).with_overrides(overrides).unwrap(), method).await;
        let tape = tape_of(&store, &live.study, ExportOptions::default()).await.unwrap();
        let again = replay(&tape, tape.search_options().unwrap()).await.unwrap();
        assert_eq!(replayed(&live, &again), Ok(()), "{method}");
        assert_eq!(live.spend.total, again.spend.total, "{method}");
        assert_eq!(live.spend.limits[0].used, again.spend.limits[0].used, "{method}");
    }
}

/// A limit ends a trial in its middle, and a tape has no limit in its place: what it lacks is told, and nothing is made up.
#[tokio::test]
async fn a_study_that_a_limit_ended_is_exported_without_what_it_could_not_draw() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), PIPELINE);
    let mut cut = 0;
    for tokens in (1_500..6_000).step_by(500) {
        let budget = agenttts_core::pipeline::SearchBudget { tokens: Some(tokens), ..Default::default() };
        let overrides = Overrides { search_budget: Some(budget), ..Overrides::default() };
        let loaded = load(folder.path()).with_overrides(overrides).unwrap();
        // A store of its own each: what another study drew would make room.
        let store = Store::open(&folder.path().join(format!("{tokens}.db"))).unwrap();
        let context = context(vec![], StopHandle::new());
        let Ok(live) = start_study(&store, loaded, SearchOptions::default(), context).await else { continue };
        if live.confirmation.as_ref().is_none_or(|c| c.untested.is_none()) {
            continue;
        }
        assert_eq!(live.state, StudyState::Limit);
        let tape = tape_of(&store, &live.study, ExportOptions::default()).await.unwrap();
        match replay(&tape, tape.search_options().unwrap()).await {
            Ok(again) => assert_eq!(replayed(&live, &again), Ok(()), "{tokens}"),
            Err(error) => assert_eq!(error.kind(), EngineErrorKind::Model(ModelErrorKind::NotOnTape), "{error}"),
        }
        cut += 1;
    }
    assert!(cut > 0, "no limit cut a test short");
}

#[tokio::test]
async fn examples_that_failed_fail_again_with_the_same_words() {
    let folder = tempfile::tempdir().unwrap();
    let toml = pipeline().replace("id = \"p55\"", "id = \"flaky-p55\"").replace("[1, 2, 4, 8]", "[1, 2]");
    write_pipeline(folder.path(), &toml);
    let store = store(folder.path());
    let live = study(&store, load(folder.path()), "grid").await;
    let tape = tape_of(&store, &live.study, ExportOptions::default()).await.unwrap();
    let again = replay(&tape, tape.search_options().unwrap()).await.unwrap();
    assert_eq!(replayed(&live, &again), Ok(()));
    assert!(live.archive.measured().any(|(_, m)| m.failures > 0), "the pipeline has no failures to replay");
}

#[tokio::test]
async fn what_a_stopped_study_drew_is_replayed_until_it_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), &pipeline());
    let store = store(folder.path());
    let stop = StopHandle::new();
    let options = SearchOptions { method: Some("random".into()), ..SearchOptions::default() };
    let watched = context(vec![Arc::new(StopAfter(5, stop.clone()))], stop);
    let live = start_study(&store, load(folder.path()), options.clone(), watched).await.unwrap();
    assert_eq!(live.state, StudyState::Interrupted);
    let tape = tape_of(&store, &live.study, ExportOptions::default()).await.unwrap();
    let error = replay(&tape, tape.search_options().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Model(ModelErrorKind::NotOnTape));
    assert!(error.hint().unwrap().contains(&format!("the study {} drew before it ended", live.study)), "{error}");
}

#[tokio::test]
async fn another_search_than_the_studys_says_what_the_tape_lacks() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), &pipeline());
    let store = store(folder.path());
    let live = study(&store, load(folder.path()), "random").await;
    let tape = tape_of(&store, &live.study, ExportOptions::default()).await.unwrap();
    let other = SearchOptions { method: Some("grid".into()), ..SearchOptions::default() };
    let error = replay(&tape, other).await.unwrap_err();
    assert!(error.to_string().contains("not on the tape"), "{error}");
    assert!(error.hint().unwrap().contains("no other options"), "{error}");
    let error = PlayedTape::new(&tape, tape.load().unwrap()).err().unwrap();
    assert!(error.to_string().contains("not the draws of all plans"), "{error}");
}

/// A pipeline whose stages read an answer out of what models write around it.
fn wordy(folder: &Path) {
    let toml = pipeline()
        .replace("aggregator = [\"vote\", \"fuse\"]\n", "")
        .replace("max_tokens = 20", "max_tokens = 20\nparser = { kind = \"last-line\" }");
    write_pipeline(folder, &toml);
}

#[tokio::test]
async fn texts_are_left_out_where_only_answers_matter() {
    let folder = tempfile::tempdir().unwrap();
    wordy(folder.path());
    let store = store(folder.path());
    let live = study(&store, load(folder.path()), "rules").await;
    let brief = tape_of(&store, &live.study, ExportOptions { without_texts: true }).await.unwrap();
    let again = replay(&brief, brief.search_options().unwrap()).await.unwrap();
    assert_eq!(replayed(&live, &again), Ok(()));
    let whole = tape_of(&store, &live.study, ExportOptions::default()).await.unwrap();
    assert!(brief.to_bytes().unwrap().len() <= whole.to_bytes().unwrap().len());
}

#[tokio::test]
async fn texts_that_matter_are_not_left_out_and_the_reason_is_told() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), &pipeline());
    let store = store(folder.path());
    let brief = ExportOptions { without_texts: true };
    let live = study(&store, load(folder.path()), "random").await;
    let error = tape_of(&store, &live.study, brief).await.unwrap_err().to_string();
    assert!(error.contains("cannot be left out"), "{error}");
    let live = study(&store, load(folder.path()), "agent").await;
    let error = tape_of(&store, &live.study, brief).await.unwrap_err().to_string();
    assert!(error.contains("reads the texts of its agent"), "{error}");
}

#[tokio::test]
async fn a_key_that_was_stored_by_mistake_is_never_exported() {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!(
        "{}\n[providers.server]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\napi_key_env = \"SOME_KEY\"\n",
        pipeline()
    );
    write_pipeline(folder.path(), &toml);
    let prompt = fs::read_to_string(folder.path().join("pick.j2")).unwrap();
    fs::write(folder.path().join("pick.j2"), format!("planted-\"key\" {prompt}")).unwrap();
    let store = store(folder.path());
    let live = study(&store, load(folder.path()), "random").await;
    let with_key = |key: &'static str| {
        let mut workshop = Workshop::new("no-models".into());
        workshop.options = ConnectOptions { env: Arc::new(move |_| Some(key.into())), ..workshop.options };
        workshop
    };
    let error = export(&store, &live.study, &with_key("planted-\"key\""), ExportOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("the key in SOME_KEY stands in"), "{error}");
    assert!(!error.to_string().contains("planted"), "{error}");
    export(&store, &live.study, &with_key("another"), ExportOptions::default()).await.unwrap();
}

/// Tapes that earlier programs wrote. A new version of the format gets a file of its own here, and none is ever changed.
#[test]
fn tapes_of_every_version_are_still_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tapes");
    for (version, study, requests, draws) in [(1, None, 144, 400), (2, Some("small-1"), 98, 174)] {
        let file = folder.join(format!("{version}.tape"));
        let bytes = fs::read(&file).unwrap();
        assert!(bytes.starts_with(format!("agenttts tape {version}\n").as_bytes()));
        let tape = Tape::open(&file).unwrap();
        assert_eq!((tape.study(), tape.requests(), tape.draws()), (study, requests, draws), "version {version}");
        tape.load().unwrap();
        // What can be held in an earlier version is written in it.
        assert!(tape.to_bytes().unwrap().starts_with(&bytes[..16]), "version {version}");
    }
}
