//! What a study does when a server fails, kind by kind: what passes is got over without a trace in its results; what stays is
//! named; an example that always fails is left out; a provider that is down is waited for while others go on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agenttts_core::{StudyState, StudySummary, TrialState};
use agenttts_engine::{
    EngineError, EngineErrorKind, Event, ResumeOptions, SearchOptions, StopHandle, StudyContext, resume_study,
    start_study,
};
use agenttts_models::{ModelErrorKind, RetryPolicy};
use agenttts_store::Store;
use agenttts_testkit::{ChoiceCount, Config, Fault, FaultServer, UsageReport};
use support::*;

/// The pipeline, small, on a server with these lines in its table; retries are made at once.
fn on_server(url: &str, more: &str) -> String {
    let toml = PIPELINE
        .replace("provider = \"fake\"", "provider = \"server\"")
        .replacen("trials = 12", "trials = 4", 1)
        .replacen("batch = 4", "batch = 4\nexamples_per_trial = 8", 1)
        .replace("samples = [1, 2, 4, 8]", "samples = [1, 4]");
    format!(
        "{toml}\n[providers.server]\nkind = \"openai\"\nbase_url = {url:?}\ntimeout_seconds = 1\nconcurrency = 8\n{more}\n"
    )
}

fn quick(seen: &Arc<Seen>) -> StudyContext {
    let mut context = context(vec![seen.clone()], StopHandle::new());
    let delay = Duration::from_millis(2);
    context.workshop.options.retry =
        RetryPolicy { first_delay: delay, longest_delay: 4 * delay, ..RetryPolicy::default() };
    context
}

async fn searched(folder: &Path, toml: &str, seen: &Arc<Seen>) -> (Store, Result<StudySummary, EngineError>) {
    write_pipeline(folder, toml);
    let store = Store::open(&folder.join("store.db")).unwrap();
    let summary = start_study(&store, load(folder), SearchOptions::default(), quick(seen)).await;
    (store, summary)
}

/// A study over such a server, which is on the same port every time: draws depend on the address.
struct Over {
    port: u16,
}

impl Over {
    /// With what a study over a server without faults comes to.
    async fn new() -> (Self, StudySummary) {
        let server = FaultServer::start(Config::default()).await.unwrap();
        let over = Over { port: server.port() };
        server.stop().await;
        let (whole, _) = over.study(Config::default()).await;
        (over, whole)
    }

    async fn server(&self, config: Config) -> FaultServer {
        FaultServer::start(Config { port: self.port, ..config }).await.unwrap()
    }

    /// What a study comes to, and what the server saw.
    async fn study(&self, config: Config) -> (StudySummary, agenttts_testkit::Served) {
        let server = self.server(config).await;
        let folder = tempfile::tempdir().unwrap();
        let (_, summary) = searched(folder.path(), &on_server(&server.base_url(), ""), &Arc::default()).await;
        let served = server.served();
        server.stop().await;
        (summary.unwrap_or_else(|e| panic!("{e}")), served)
    }
}

/// Plans and scores of all trials, and of the final test.
fn scores(summary: &StudySummary) -> Vec<(String, Vec<f64>)> {
    let trials = table(summary).into_iter().map(|(number, plan, _, scores, _)| (format!("{number} {plan}"), scores));
    let tested = summary.confirmation.as_ref().unwrap().plans.iter().map(|c| (c.label.clone(), c.scores.clone()));
    trials.chain(tested).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_leaves_no_trace_in_the_results() {
    let (over, whole) = Over::new().await;
    assert_eq!(whole.state, StudyState::Done);
    let hour = Duration::from_secs(3600);
    let mut faults = Fault::transient();
    faults.extend([Fault::Html, Fault::NullContent, Fault::ErrorInBody, Fault::Status(408)]);
    // Slow drips: one that is over in time, one that is not, and silence.
    faults.extend([
        Fault::SlowDrip(Duration::from_micros(10)),
        Fault::SlowDrip(Duration::from_millis(50)),
        Fault::Hang(hour),
    ]);
    for fault in faults {
        // Two calls at different moments, the second in the middle of a trial.
        let script = (0..40).map(|i| [3, 31].contains(&i).then(|| fault.clone())).collect();
        let (summary, served) = over.study(Config { script, ..Config::default() }).await;
        assert_eq!(scores(&summary), scores(&whole), "{fault:?}");
        // A reply that drips until its time is over has been sent, as far as the server can tell.
        let is_cut = matches!(fault, Fault::SlowDrip(pause) if pause > Duration::from_millis(1));
        assert!(is_cut || served.repeated() == 0, "{fault:?}: no sample that came whole is drawn again");
        assert!(summary.archive.measured().all(|(_, m)| m.failures == 0), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_take_n_or_usage_otherwise_give_the_same_samples() {
    let (over, whole) = Over::new().await;
    for choices in [
        ChoiceCount::One,
        ChoiceCount::AtMost(3),
        ChoiceCount::More(2),
        ChoiceCount::RefusesAbove(2),
        ChoiceCount::NamesLimit(3),
    ] {
        let (summary, _) = over.study(Config { choices, ..Config::default() }).await;
        assert_eq!(scores(&summary), scores(&whole), "{choices:?}");
    }
    for usage in [UsageReport::Missing, UsageReport::FirstChoice, UsageReport::LlamaServer] {
        let (summary, served) = over.study(Config { usage, ..Config::default() }).await;
        // What is booked differs, and so may the plans that are tried after the first few.
        assert_eq!(scores(&summary)[..4], scores(&whole)[..4], "{usage:?}");
        assert!(summary.spend.total.decode >= served.decoded, "{usage:?}: booked is at least what was decoded");
    }
}

/// Over HTTP/2 all calls share a connection, and servers allow about a hundred streams on it. Calls go over connections of
/// their own instead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_limit_of_http_2_caps_the_calls_under_way() {
    let server = FaultServer::start(Config { latency: Duration::from_millis(400), ..Config::default() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let toml = on_server(&server.base_url(), "adaptive = false")
        .replace("concurrency = 8", "concurrency = 150")
        .replace("timeout_seconds = 1", "timeout_seconds = 60");
    let toml = toml.replacen("trials = 4", "trials = 1", 1).replacen("examples_per_trial = 8\n", "", 1);
    write_pipeline(folder.path(), &toml);
    let line = |i: u32| format!("{{\"question\": \"sum {i}\", \"gold\": \"hut{i}\", \"answer\": \"{}\"}}\n", i + 10);
    std::fs::write(folder.path().join("search.jsonl"), (1000..1140).map(line).collect::<String>()).unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    start_study(&store, load(folder.path()), SearchOptions::default(), quick(&Arc::default())).await.unwrap();
    let served = server.served();
    assert!(served.most_at_once > 100, "{}", served.most_at_once);
    assert_eq!(format!("{:?}", served.http.unwrap()), "HTTP/1.1");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_stops_the_study_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let toml = on_server("http://no-such-host.invalid/v1", "retries = 0");
    let (store, ended) = searched(folder.path(), &toml, &Arc::default()).await;
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Model(ModelErrorKind::Unreachable));
    assert!(error.to_string().contains("no-such-host.invalid") && error.hint().is_some(), "{error}");
    assert_eq!(store.study("sums-1").unwrap().state, StudyState::Failed);
}

/// A server that is dead for a time: its connections are reset, and so are looks for a sign of life.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_down_is_waited_for_while_others_go_on() {
    let (over, whole) = Over::new().await;
    let server = over.server(Config { down: 60..110, ..Config::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let seen = Arc::new(Seen::default());
    let (_, summary) = searched(folder.path(), &on_server(&server.base_url(), "retries = 5"), &seen).await;
    let summary = summary.unwrap();
    assert_eq!((summary.state, scores(&summary)), (StudyState::Done, scores(&whole)));
    assert!(server.served().arrived > 110);
    let events = seen.0.lock().unwrap();
    let down = events.iter().position(|e| matches!(e, Event::ProviderDown { provider, .. } if provider == "server"));
    let back = events.iter().position(|e| matches!(e, Event::ProviderBack { provider, .. } if provider == "server"));
    assert!(down.expect("it is told") < back.expect("and that it is back"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_that_do_not_need_it_run_while_a_provider_is_down() {
    // The server dies for good after twenty requests; the other models are fakes.
    let server = FaultServer::start(Config { down: 20..usize::MAX, ..Config::default() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let toml = on_server(&server.base_url(), "retries = 5")
        .replacen("provider = \"server\"\nid = \"p55\"", "provider = \"fake\"\nid = \"p55\"", 1)
        .replacen("trials = 4", "trials = 8", 1)
        .replacen("batch = 4", "batch = 8", 1)
        .replacen("\"rules\"\n", "\"random\"\n", 1);
    write_pipeline(folder.path(), &toml);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let stop = StopHandle::new();
    let seen = Arc::new(Seen::default());
    let mut context = quick(&seen);
    context.stop = stop.clone();
    // Until what needs the server is all that is left: the study waits.
    let waits = |archive: &agenttts_core::Archive| {
        let needs = |t: &agenttts_core::Trial| t.plan.choices.iter().any(|c| c.model == "large");
        let open: Vec<_> = archive.trials.iter().filter(|t| t.state == TrialState::Pending).collect();
        !open.is_empty() && open.iter().all(|t| needs(t))
    };
    let down = || seen.0.lock().unwrap().iter().any(|e| matches!(e, Event::ProviderDown { .. }));
    let watched = async {
        for _ in 0..3_000 {
            let study = store.studies().unwrap().pop();
            if study.is_some_and(|study| down() && waits(&store.archive(study.id).unwrap())) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.stop();
        store.archive(store.study("sums-1").unwrap().id).unwrap()
    };
    let search = start_study(&store, load(folder.path()), SearchOptions::default(), context);
    let (ended, archive) = tokio::join!(search, watched);
    assert!(down() && waits(&archive), "{:?}", archive.trials);
    let small = |t: &&agenttts_core::Trial| t.plan.choices.iter().all(|c| c.model == "small");
    assert!(archive.measured().filter(|(t, _)| small(t)).count() > 0);
    assert_eq!(ended.unwrap().state, StudyState::Interrupted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_study_that_is_not_to_wait_stops_and_can_be_gone_on_with() {
    let (over, whole) = Over::new().await;
    let server = over.server(Config { down: 60..90, ..Config::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let toml = on_server(&server.base_url(), "retries = 5").replacen("batch = 4", "batch = 4\non_outage = \"stop\"", 1);
    let (store, ended) = searched(folder.path(), &toml, &Arc::default()).await;
    assert!(matches!(ended.unwrap_err().kind(), EngineErrorKind::Model(_)));
    assert_eq!(store.study("sums-1").unwrap().state, StudyState::Failed);
    let mut summary = None;
    for _ in 0..40 {
        summary = resume_study(&store, "sums-1", ResumeOptions::default(), quick(&Arc::default())).await.ok();
        if summary.is_some() {
            break;
        }
    }
    assert_eq!(scores(&summary.expect("the server is back")), scores(&whole));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_example_that_always_fails_is_left_out_told_and_released() {
    let poison = "sum 7\\n";
    let config = Config { poisoned: vec![(poison.into(), Fault::Status(400))], ..Config::default() };
    let server = FaultServer::start(config).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let toml = on_server(&server.base_url(), "")
        .replacen("trials = 4", "trials = 10", 1)
        .replacen("examples_per_trial = 8\n", "", 1)
        .replacen("\"rules\"\n", "\"random\"\n", 1);
    let seen = Arc::new(Seen::default());
    let (store, summary) = searched(folder.path(), &toml, &seen).await;
    let summary = summary.unwrap();
    let [held] = summary.quarantined.as_slice() else { panic!("{:?}", summary.quarantined) };
    assert!(held.failures >= 3 && held.reason.contains("400"), "{held:?}");
    // It counts as failed in every plan, and nothing was asked of it after it was left out.
    let of = |trial: u32| {
        let outcomes = store.outcomes(store.study("sums-1").unwrap().id, trial).unwrap();
        outcomes.into_iter().find(|o| o.example == held.example).unwrap()
    };
    for (trial, measured) in summary.archive.measured() {
        let outcome = of(trial.number);
        assert_eq!((outcome.objective, outcome.quarantined), (0.0, trial.number > held.trial), "{outcome:?}");
        assert_eq!(measured.failures, 1);
    }
    let asked = |served: agenttts_testkit::Served| {
        served.bodies.iter().filter(|b| b["messages"].to_string().contains(poison)).count()
    };
    assert_eq!(asked(server.served()), held.trial as usize, "once in each of the first trials");
    let warned = |e: &Event| matches!(e, Event::Warning { message } if message.contains("is quarantined after trial"));
    assert_eq!(seen.0.lock().unwrap().iter().filter(|e| warned(e)).count(), 1);

    // The server is mended: what it could not do is drawn, and all is measured as if nothing had been.
    let port = server.port();
    server.stop().await;
    let healed = FaultServer::start(Config { port, ..Config::default() }).await.unwrap();
    let release = ResumeOptions { release: true, ..ResumeOptions::default() };
    let mended = resume_study(&store, "sums-1", release, quick(&seen)).await.unwrap();
    assert!(mended.quarantined.is_empty() && mended.archive.measured().all(|(_, m)| m.failures == 0));
    assert!(asked(healed.served()) > 0);
    assert!(agenttts_store::care::verify(store.path()).unwrap().faults.is_empty());
    let whole = tempfile::tempdir().unwrap();
    let (_, expected) = searched(whole.path(), &toml, &seen).await;
    assert_eq!(scores(&mended), scores(&expected.unwrap()));
}
