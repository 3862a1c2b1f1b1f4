//! The metric of consistency: embeddings are drawn once, paid from the ledger, and no part of what a plan costs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use agenttts_core::pipeline::{Overrides, SearchBudget};
use agenttts_core::{Level, StudyState};
use agenttts_engine::{PilotOptions, pilot_tape};
use agenttts_store::Store;
use support::{PIPELINE, load, piloted_and_recorded, search, write_pipeline};

/// The last stage is scored by how near its output is to the gold answer.
fn pipeline(embedder: &str) -> String {
    let gold = "metric = { kind = \"exact-match\", gold = \"answer\" }";
    let near = "metric = { kind = \"consistency\", gold = \"answer\", embedder = \"words\" }";
    let model = format!(
        "[models.words]\nprovider = \"fake\"\nid = \"{embedder}\"\nparams_b = 1\n\n[[stages]]\nname = \"pick\""
    );
    PIPELINE.replace(gold, near).replace("[[stages]]\nname = \"pick\"", &model)
}

fn folder(embedder: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), &pipeline(embedder));
    folder
}

#[tokio::test]
async fn a_search_by_consistency_finds_what_exact_matches_would() {
    let folder = folder("p50");
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let summary = search(&store, load(folder.path())).await.unwrap();
    assert_eq!((summary.state, summary.objective.as_str()), (StudyState::Done, "consistency of answer"));
    let embedded = &summary.spend.by_kind["embedding"];
    assert!(embedded.usage.prompt > 0 && embedded.usage.decode == 0 && embedded.samples > 0, "{embedded:?}");
    // Answers are one word: the same one has cosine 1.
    for trial in &summary.archive.trials {
        let m = trial.measurement().unwrap();
        assert!(m.scores.iter().all(|s| (0.0..=1.0 + 1e-9).contains(s)));
    }
    let best = summary.recommended.unwrap();
    assert!(summary.confirmation.unwrap().plans[0].objective.mean > 0.5, "{}", best.plan);

    // The same pipeline by exact match costs a query as much: serving needs no embedding.
    let plain = tempfile::tempdir().unwrap();
    write_pipeline(plain.path(), PIPELINE);
    let other = search(&Store::open(&plain.path().join("store.db")).unwrap(), load(plain.path())).await.unwrap();
    let cost = |s: &agenttts_core::StudySummary| s.archive.trials[0].measurement().unwrap().cost.mean;
    assert_eq!(cost(&search(&store, load(folder.path())).await.unwrap()), cost(&other));
}

#[tokio::test]
async fn embeddings_are_drawn_once_and_kept_on_a_tape() {
    let folder = folder("p50");
    let (first, tape) = piloted_and_recorded(folder.path()).await;
    assert!(first.stages[1].curves.iter().flat_map(|c| &c.points).all(|p| p.subsets == 1), "scoring takes a call");
    let played = pilot_tape(&tape, tape.load().unwrap(), PilotOptions::default()).await.unwrap();
    let worst = |p: &agenttts_core::Pilot| {
        let stage = &p.stages[1];
        let of = stage.curves.iter().filter(|c| stage.settings[c.setting as usize].level == Level::Worst);
        of.map(|c| c.points.clone()).collect::<Vec<_>>()
    };
    assert_eq!(worst(&played), worst(&first));
}

#[tokio::test]
async fn embeddings_count_against_the_search_budget() {
    let folder = folder("p50");
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let search_budget = Some(SearchBudget { calls: Some(40), ..SearchBudget::default() });
    let loaded = load(folder.path()).with_overrides(Overrides { search_budget, ..Overrides::default() }).unwrap();
    let ended = search(&store, loaded).await;
    let heads = store.heads().unwrap();
    let spent = store.spend(store.study(&heads[0].name).unwrap().id).unwrap().usage;
    assert!(spent.calls <= 40, "{spent:?} {ended:?}");
}

#[tokio::test]
async fn an_embedder_that_is_down_stops_a_study() {
    let folder = folder("down");
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let error = search(&store, load(folder.path())).await.unwrap_err().to_string();
    assert!(error.contains("down"), "{error}");
}
