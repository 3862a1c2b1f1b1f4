//! What the tests of the engine share: a pipeline on fake models, and ways to run, watch and stop a study of it.
#![allow(dead_code, reason = "every test file uses some of it")]

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use agenttts_core::{Pilot, Span, StudySummary, Trial};
use agenttts_engine::{
    EngineError, Event, Loaded, Observer, Observers, PilotOptions, Recorder, SearchOptions, StopHandle, StudyContext,
    Tape, Workshop, load_pipeline, pilot, record, start_study,
};
use agenttts_store::Store;

pub(crate) const PIPELINE: &str = r#"
version = 1
name = "sums"
description = "Pick the record, then add."

[plan_budget]
cost_model = "flops"
limit = 3000

[search]
method = "rules"
trials = 12
batch = 4

[data]
search = "search.jsonl"
test = "test.jsonl"

[models.small]
provider = "fake"
id = "p55"
params_b = 1

[models.large]
provider = "fake"
id = "p75"
params_b = 10

[[stages]]
name = "pick"
models = ["small", "large"]
samples = [1, 2, 4, 8]
prompt = "pick.j2"
max_tokens = 20
metric = { kind = "exact-match", gold = "gold" }
expected = { prompt_tokens = 20, decode_tokens = 4 }

[[stages]]
name = "answer"
models = ["small", "large"]
samples = [1, 2, 4, 8]
prompt = "answer.j2"
max_tokens = 20
metric = { kind = "exact-match", gold = "answer" }
expected = { prompt_tokens = 20, decode_tokens = 4 }
"#;

pub(crate) fn write_pipeline(folder: &Path, toml: &str) {
    fs::write(folder.join("pipeline.toml"), toml).unwrap();
    fs::write(folder.join("pick.j2"), "{{ question }}\nanswer: {{ gold }}\nwrong: shed | barn | mill").unwrap();
    // The right answer only follows from the right record.
    let right = "answer: {{ answer if pick == gold else 'none' }}";
    fs::write(folder.join("answer.j2"), format!("{{{{ question }}}}\n{right}\nwrong: 1 | 2 | 3")).unwrap();
    let lines = |range: std::ops::Range<u32>| -> String {
        let line = |i| format!("{{\"question\": \"sum {i}\", \"gold\": \"hut{i}\", \"answer\": \"{}\"}}\n", i + 10);
        range.map(line).collect()
    };
    fs::write(folder.join("search.jsonl"), lines(0..30)).unwrap();
    fs::write(folder.join("test.jsonl"), lines(100..115)).unwrap();
}

pub(crate) fn load(folder: &Path) -> Loaded {
    load_pipeline(folder, &|_| None).unwrap_or_else(|e| panic!("{e}"))
}

#[derive(Default)]
pub(crate) struct Seen(pub(crate) Mutex<Vec<Event>>);

impl Observer for Seen {
    fn on(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// Asks for a stop after so many measured trials.
pub(crate) struct StopAfter(pub(crate) u32, pub(crate) StopHandle);

impl Observer for StopAfter {
    fn on(&self, event: &Event) {
        if matches!(event, Event::TrialMeasured { trial, .. } if *trial >= self.0) {
            self.1.stop();
        }
    }
}

pub(crate) fn context(observers: Vec<Arc<dyn Observer>>, stop: StopHandle) -> StudyContext {
    StudyContext { workshop: Workshop::new("no-models".into()), observers: Observers::new(observers), stop }
}

pub(crate) async fn search(store: &Store, loaded: Loaded) -> Result<StudySummary, EngineError> {
    start_study(store, loaded, SearchOptions::default(), context(vec![], StopHandle::new())).await
}

/// A trial's number, plan and stream, examples, scores and cost.
pub(crate) type Row = (u32, String, Option<Span>, Vec<f64>, f64);

/// The part of a summary that must not depend on how the study got there.
pub(crate) fn table(summary: &StudySummary) -> Vec<Row> {
    let row = |t: &Trial| {
        let m = t.measurement().unwrap();
        (t.number, format!("{} in stream {}", t.plan, t.stream), t.span, m.scores.clone(), m.cost.mean)
    };
    summary.archive.trials.iter().map(row).collect()
}

/// A pilot of the pipeline in the folder, made twice: the second time nothing is drawn, and the tape that is recorded of
/// the same store.
pub(crate) async fn piloted_and_recorded(folder: &Path) -> (Pilot, Arc<Tape>) {
    let store = Store::open(&folder.join("store.db")).unwrap();
    let made = || async {
        let context = context(vec![], StopHandle::new());
        pilot(&store, load(folder), PilotOptions::default(), context).await.unwrap().unwrap()
    };
    let (first, again) = (made().await, made().await);
    assert!(first.drawn.calls > 0 && again.drawn.calls == 0);
    assert_eq!(first.stages, again.stages);
    let recorder = Recorder::new(load(folder)).unwrap();
    let tape = record(&store, recorder, context(vec![], StopHandle::new())).await.unwrap().unwrap();
    (first, Arc::new(tape))
}
