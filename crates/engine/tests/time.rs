//! A limit of minutes: searching leaves the time that the final test takes, whatever calls are under way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use agenttts_core::{StudyState, TrialState};
use agenttts_store::Store;
use support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_ends_for_its_limit_of_minutes_with_the_final_test_done() {
    let folder = tempfile::tempdir().unwrap();
    // So many plans and so slow calls that no machine tries all of them within the limit.
    let toml = PIPELINE
        .replace("trials = 12", "trials = 1000")
        .replace("\"rules\"", "\"random\"")
        .replace("[1, 2, 4, 8]", "[1, 2, 3, 4, 5, 6, 7, 8]")
        .replace("\"p55\"", "\"slow-p55-60ms\"")
        .replace("\"p75\"", "\"slow-p75-60ms\"")
        .replace("provider = \"fake\"", "provider = \"fakes\"");
    let toml =
        format!("{toml}\n[providers.fakes]\nkind = \"fake\"\nconcurrency = 4\n\n[search_budget]\nminutes = 0.2\n");
    write_pipeline(folder.path(), &toml);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let summary = search(&store, load(folder.path())).await.unwrap();
    assert_eq!(summary.state, StudyState::Limit, "{:?}", summary.stop_reason);
    let reason = summary.stop_reason.as_ref().unwrap();
    assert!(reason.contains("the limit of minutes") && !reason.contains("did not fit"), "{reason}");
    assert_eq!(summary.confirmation.as_ref().map(|c| c.examples), Some(15), "{reason}");
    assert!(summary.archive.measured().count() > 0);
    assert!(summary.spend.limits[0].used <= summary.spend.limits[0].limit, "{:?}", summary.spend.limits);
}

/// One of three models never answers in time. The trial that waits for it is cut short, and can be gone on with.
const HANGING: &str = r#"
version = 1
name = "hang"
plan_budget = { cost_model = "flops", limit = 3000 }
search = { method = "rules", trials = 9 }
search_budget = { minutes = 0.1 }
data = { search = "search.jsonl", test = "test.jsonl" }
models.small = { provider = "fake", id = "p55", params_b = 1 }
models.middle = { provider = "fake", id = "slow-p65-600000ms", params_b = 5 }
models.large = { provider = "fake", id = "p75", params_b = 10 }

[[stages]]
name = "pick"
models = ["small", "middle", "large"]
samples = [1, 2]
prompt = "pick.j2"
max_tokens = 20
metric = { kind = "exact-match", gold = "gold" }
expected = { prompt_tokens = 20, decode_tokens = 4 }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_hang_keep_no_search_from_its_final_test() {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), HANGING);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let summary = search(&store, load(folder.path())).await.unwrap();
    assert_eq!(summary.state, StudyState::Limit, "{:?}", summary.stop_reason);
    assert!(summary.archive.measured().count() > 0);
    let open = summary.archive.trials.iter().find(|t| t.state == TrialState::Pending).expect("one was cut short");
    assert_eq!(open.plan.choices[0].model, "middle");
    assert!(summary.confirmation.is_some(), "{:?}", summary.stop_reason);
    // What was under way at the end may have been billed.
    assert!(summary.spend.lost_tokens > 0);
    assert!(store.open_study("hang-1").await.is_ok(), "nothing holds the study any more");
}
