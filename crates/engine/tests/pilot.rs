//! Pilots of fake models: live, resumed, within a budget, and from a tape.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};

use agenttts_core::pipeline::{Overrides, SearchBudget};
use agenttts_core::{Answer, Level, Pilot, StudyState};
use agenttts_engine::{
    Event, Loaded, Observer, PilotOptions, Recorder, StopHandle, pilot, pilot_tape, record, start_study,
};
use agenttts_store::Store;
use support::{PIPELINE, context, load, write_pipeline};

fn folder(toml: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), toml);
    folder
}

/// The pipeline with models that no number of samples makes perfect.
fn weak() -> String {
    PIPELINE.replace("p55", "p30").replace("p75", "p50")
}

fn open(folder: &Path) -> Store {
    Store::open(&folder.join("store.db")).unwrap()
}

async fn made(store: &Store, loaded: Loaded) -> Pilot {
    let context = context(vec![], StopHandle::new());
    pilot(store, loaded, PilotOptions::default(), context).await.unwrap().expect("nobody stopped it")
}

/// What a pilot says, but for what it drew.
fn said(pilot: &Pilot) -> serde_json::Value {
    serde_json::json!([pilot.stages, pilot.insights, pilot.notes])
}

fn within(loaded: Loaded, tokens: u64) -> Loaded {
    let search_budget = Some(SearchBudget { tokens: Some(tokens), ..SearchBudget::default() });
    loaded.with_overrides(Overrides { search_budget, ..Overrides::default() }).unwrap()
}

#[tokio::test]
async fn a_pilot_measures_every_stage_and_pays_for_nothing_twice() {
    let folder = folder(&weak());
    let store = open(folder.path());
    let first = made(&store, load(folder.path())).await;
    let again = made(&store, load(folder.path())).await;
    assert!(first.drawn.calls > 0 && again.drawn.calls == 0, "{:?}", again.drawn);
    assert_eq!(said(&first), said(&again));

    let [pick, answer] = &first.stages[..] else { panic!("two stages") };
    assert_eq!(pick.settings.iter().map(|s| s.level).collect::<Vec<_>>(), [Level::Example]);
    let levels: Vec<Level> = answer.settings.iter().map(|s| s.level).collect();
    assert_eq!(levels, [Level::Gold, Level::Best, Level::Middle, Level::Worst]);
    assert_eq!(answer.settings[0].stages[0].score.unwrap().mean, 1.0, "gold is perfect");
    assert_eq!((pick.curves.len(), answer.curves.len()), (2, 8));
    let small = &pick.curves[0];
    assert_eq!(small.model, "small");
    assert_eq!(small.points.iter().map(|p| p.samples).collect::<Vec<_>>(), [1, 2, 4, 8]);
    assert_eq!(
        small.points.iter().map(|p| (p.subsets, p.exact)).collect::<Vec<_>>(),
        [(8, true), (28, true), (70, true), (1, true)]
    );
    assert!(
        small.points.iter().all(|p| p.score.n == 30 && p.score.low <= p.score.mean && p.score.mean <= p.score.high)
    );
    // A right answer needs the right record, so what comes from upstream bounds the score.
    let at = |level: Level| {
        let setting = answer.settings.iter().position(|s| s.level == level).unwrap();
        answer
            .curves
            .iter()
            .find(|c| c.setting as usize == setting && c.model == "large")
            .unwrap()
            .at(8)
            .unwrap()
            .score
            .mean
    };
    assert!(at(Level::Gold) >= at(Level::Best) && at(Level::Best) > at(Level::Worst));
    assert_eq!(first.insights.iter().map(|i| i.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(first.insights.iter().all(|i| !i.words.is_empty() && i.answer != Answer::NotAsked));
    assert!(first.insights[2].moves.len() >= 2);
}

#[tokio::test]
async fn a_search_and_a_pilot_share_draws() {
    let folder = folder(PIPELINE);
    let store = open(folder.path());
    let fresh = made(&store, load(folder.path())).await.drawn.tokens();
    let other = Store::open(&folder.path().join("other.db")).unwrap();
    let options = agenttts_engine::SearchOptions::default();
    start_study(&other, load(folder.path()), options, context(vec![], StopHandle::new())).await.unwrap();
    let after = made(&other, load(folder.path())).await.drawn.tokens();
    assert!(after < fresh, "{after} {fresh}");
}

#[tokio::test]
async fn a_limit_is_kept_and_a_larger_one_goes_on() {
    let folder = folder(PIPELINE);
    let whole = {
        let other = Store::open(&folder.path().join("other.db")).unwrap();
        made(&other, load(folder.path())).await
    };
    let store = open(folder.path());
    let limit = whole.drawn.tokens() / 2;
    let half = made(&store, within(load(folder.path()), limit)).await;
    assert!(half.stopped.as_deref().unwrap().contains("tokens"), "{:?}", half.stopped);
    let spent = store.spend(store.study("sums-pilot").unwrap().id).unwrap().usage;
    assert!(spent.tokens() <= limit, "{spent:?}");
    assert_eq!(store.study("sums-pilot").unwrap().state, StudyState::Limit);
    let answer = &half.stages[1];
    assert!(answer.settings.iter().all(|s| s.examples < 30), "only examples that are whole");

    let rest = made(&store, load(folder.path())).await;
    assert_eq!(said(&rest), said(&whole));
    assert_eq!(half.drawn.tokens() + rest.drawn.tokens(), whole.drawn.tokens(), "nothing was drawn twice");

    let none = Store::open(&folder.path().join("none.db")).unwrap();
    let tight = within(load(folder.path()), 60);
    let error = pilot(&none, tight, PilotOptions::default(), context(vec![], StopHandle::new())).await.unwrap_err();
    assert!(error.to_string().contains("no example could be drawn whole"), "{error}");
}

/// Asks for a stop after so much progress.
struct StopAt(u32, StopHandle, Mutex<u32>);

impl Observer for StopAt {
    fn on(&self, event: &Event) {
        if let Event::Progress { .. } = event {
            let mut seen = self.2.lock().unwrap();
            *seen += 1;
            if *seen == self.0 {
                self.1.stop();
            }
        }
    }
}

#[tokio::test]
async fn a_stopped_pilot_goes_on_where_it_was() {
    let folder = folder(PIPELINE);
    let whole = {
        let other = Store::open(&folder.path().join("other.db")).unwrap();
        made(&other, load(folder.path())).await
    };
    let store = open(folder.path());
    let stop = StopHandle::new();
    let observer = Arc::new(StopAt(70, stop.clone(), Mutex::default()));
    let stopped =
        pilot(&store, load(folder.path()), PilotOptions::default(), context(vec![observer], stop)).await.unwrap();
    assert_eq!(stopped, None);
    assert_eq!(store.study("sums-pilot").unwrap().state, StudyState::Interrupted);
    let rest = made(&store, load(folder.path())).await;
    assert!(rest.drawn.tokens() < whole.drawn.tokens());
    assert_eq!(said(&rest), said(&whole));
}

#[tokio::test]
async fn a_tape_says_what_the_live_models_said() {
    let folder = folder(PIPELINE);
    let store = open(folder.path());
    let recorder = Recorder::new(load(folder.path())).unwrap();
    let tape = Arc::new(record(&store, recorder, context(vec![], StopHandle::new())).await.unwrap().unwrap());
    let live = made(&store, load(folder.path())).await;
    let played = pilot_tape(&tape, tape.load().unwrap(), PilotOptions::default()).await.unwrap();
    assert!(played.from_tape && played.drawn.calls == 0);
    // Gold outputs that no plan gave are not on a tape.
    let curves = |p: &Pilot, level: Level| {
        let of_stage = |s: &agenttts_core::PilotStage| {
            let of = s.curves.iter().filter(|c| s.settings[c.setting as usize].level == level);
            of.map(|c| c.points.clone()).collect::<Vec<_>>()
        };
        p.stages.iter().flat_map(of_stage).collect::<Vec<_>>()
    };
    for level in [Level::Example, Level::Best, Level::Middle, Level::Worst] {
        assert_eq!(curves(&played, level), curves(&live, level), "{level:?}");
    }
}

#[tokio::test]
async fn aggregators_that_call_a_model_are_measured_on_the_first_draws() {
    let folder =
        folder(&PIPELINE.replacen("samples = [1, 2, 4, 8]", "samples = [1, 2, 4]\naggregator = [\"fuse\"]", 1));
    let store = open(folder.path());
    let found = made(&store, load(folder.path())).await;
    let curve = &found.stages[0].curves[0];
    let subsets: Vec<(u32, bool)> = curve.points.iter().map(|p| (p.subsets, p.exact)).collect();
    assert_eq!(subsets, [(4, true), (1, false), (1, false)], "one sample needs no fusion");
    assert!(found.notes.iter().any(|n| n.contains("first draws alone")), "{:?}", found.notes);
    assert_eq!(made(&store, load(folder.path())).await.drawn.calls, 0);
}

#[tokio::test]
async fn a_pipeline_without_a_metric_is_refused_and_a_stage_without_one_is_passed_over() {
    let metric = "metric = { kind = \"exact-match\", gold = \"gold\" }\n";
    let folder = folder(&PIPELINE.replace(metric, ""));
    let found = made(&open(folder.path()), load(folder.path())).await;
    assert!(found.stages[0].curves.is_empty() && found.stages[0].metric.is_none());
    assert_eq!(found.stages[1].settings.len(), 1, "every level upstream is the same");
    assert!(found.notes.iter().any(|n| n.contains("no metric")), "{:?}", found.notes);
    assert_eq!(found.insights[0].answer, Answer::NotAsked);
    assert_eq!(found.insights[2].answer, Answer::NotAsked);
}
