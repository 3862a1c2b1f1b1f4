//! A model that judges outputs as the metric: its verdicts are drawn once, paid from the ledger, held against labels, and no
//! part of what a plan costs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use agenttts_core::pipeline::{Overrides, SearchBudget};
use agenttts_core::{Judged, StudyState, StudySummary};
use agenttts_engine::{PilotOptions, forecast, pilot_tape};
use agenttts_store::Store;
use support::{PIPELINE, load, piloted_and_recorded, search, write_pipeline};

/// Reads the judge's verdict off the rubric: a fake says what stands after `answer:`, or now and then the other word.
const RUBRIC: &str = "Is it right?\n{% if output == answer %}answer: right\nwrong: wrong{% else %}answer: wrong\nwrong: right{% endif %}";

/// The last stage is judged by a fake model of this name, with further keys.
fn pipeline(judge: &str, keys: &str) -> String {
    let gold = "metric = { kind = \"exact-match\", gold = \"answer\" }";
    let judged = format!("metric = {{ kind = \"llm-judge\", model = \"critic\"{keys} }}");
    let model =
        format!("[models.critic]\nprovider = \"fake\"\nid = \"{judge}\"\nparams_b = 70\n\n[[stages]]\nname = \"pick\"");
    PIPELINE.replace(gold, &judged).replace("[[stages]]\nname = \"pick\"", &model)
}

const WORDS: &str = ", rubric_file = \"rubric.j2\", verdicts = { right = 1, wrong = 0 }";
const LABELS: &str = ", calibrate_with = { kind = \"exact-match\", gold = \"truth\" }";

/// Every third example has a label.
fn folder(judge: &str, keys: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), &pipeline(judge, keys));
    std::fs::write(folder.path().join("rubric.j2"), RUBRIC).unwrap();
    let lines = |range: std::ops::Range<u32>| -> String {
        let line = |i: u32| {
            let truth = if i.is_multiple_of(3) { format!(", \"truth\": \"{}\"", i + 10) } else { String::new() };
            format!("{{\"question\": \"sum {i}\", \"gold\": \"hut{i}\", \"answer\": \"{}\"{truth}}}\n", i + 10)
        };
        range.map(line).collect()
    };
    std::fs::write(folder.path().join("search.jsonl"), lines(0..30)).unwrap();
    std::fs::write(folder.path().join("test.jsonl"), lines(100..160)).unwrap();
    folder
}

async fn searched(judge: &str, keys: &str) -> StudySummary {
    let folder = folder(judge, keys);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    search(&store, load(folder.path())).await.unwrap()
}

fn winner(summary: &StudySummary) -> &Judged {
    &summary.confirmation.as_ref().unwrap().plans[0].judged[0]
}

#[tokio::test]
async fn a_judge_is_paid_apart_and_held_against_the_labels_there_are() {
    let keys = format!("{WORDS}{LABELS}");
    let summary = searched("p80", &keys).await;
    assert_eq!((summary.state, summary.objective.as_str()), (StudyState::Done, "llm-judge of answer"));
    let verdicts = &summary.spend.by_kind["verdict"];
    assert!(verdicts.usage.decode > 0 && verdicts.samples > 0, "{verdicts:?}");
    for confirmed in &summary.confirmation.as_ref().unwrap().plans {
        let judged = &confirmed.judged[0];
        assert_eq!((judged.stage.as_str(), judged.judge.as_str()), ("answer", "critic"));
        assert_eq!((judged.verdicts + judged.unasked, judged.unread, judged.labelled), (60, 0, 20));
        assert_eq!(judged.mean.mean, confirmed.objective.mean);
        let c = judged.calibration.as_ref().unwrap();
        assert!(c.agreement.low < 0.8 && 0.8 < c.agreement.high, "{c:?}");
        assert!(c.bias.low <= c.bias.mean && c.bias.mean <= c.bias.high);
    }
    // Serving needs no judge, so plans cost what they cost by exact match.
    let plain = tempfile::tempdir().unwrap();
    write_pipeline(plain.path(), PIPELINE);
    let other = search(&Store::open(&plain.path().join("store.db")).unwrap(), load(plain.path())).await.unwrap();
    let cost = |s: &StudySummary| s.archive.trials[0].measurement().unwrap().cost.mean;
    assert_eq!(cost(&summary), cost(&other));
}

#[tokio::test]
async fn a_judge_that_is_always_right_agrees_with_the_labels() {
    let keys = format!("{WORDS}{LABELS}");
    let summary = searched("p100", &keys).await;
    for confirmed in &summary.confirmation.unwrap().plans {
        let c = confirmed.judged[0].calibration.as_ref().unwrap();
        assert_eq!((c.agreement.mean, c.bias.mean), (1.0, 0.0));
        // Its verdicts are as good as labels where plans are right and wrong; so the interval of all is nearly reached.
        let width = |e: agenttts_core::Estimate| e.high - e.low;
        assert!(c.weight == 0.0 || width(c.corrected) < 1.3 * width(c.judged), "{c:?}");
    }
}

#[tokio::test]
async fn without_labels_the_summary_says_that_the_judge_is_uncalibrated() {
    let summary = searched("p80", WORDS).await;
    assert_eq!((winner(&summary).labelled, &winner(&summary).calibration), (0, &None));
    assert!(winner(&summary).sentences().join(" ").contains("uncalibrated"));
}

#[tokio::test]
async fn a_pairwise_judge_that_does_not_look_is_swayed_by_the_order() {
    // Its verdicts are random, so the two orders often contradict each other.
    let summary = searched("p100", ", against = \"answer\", samples = 2").await;
    let swayed = winner(&summary).swayed.unwrap();
    assert!(swayed.mean > 0.2 && swayed.n == winner(&summary).verdicts, "{swayed}");
}

#[tokio::test]
async fn a_verdict_that_cannot_be_read_fails_its_example_with_a_reason() {
    let summary = searched("bad-json", WORDS).await;
    let measured = summary.archive.trials[0].measurement().unwrap();
    assert_eq!((measured.failures, measured.objective.mean), (30, 0.0));
    let reason = measured.failure_reasons.iter().find(|r| r.contains("critic")).unwrap();
    assert!(reason.contains("gave no verdict, asked twice: the reply has no JSON object"), "{reason}");
    let judged = winner(&summary);
    assert_eq!((judged.verdicts, judged.unread + judged.unasked), (0, 60));
    // Asked twice, and no more.
    let verdicts = &summary.spend.by_kind["verdict"];
    assert_eq!(verdicts.usage.calls % 2, 0);
}

#[tokio::test]
async fn verdicts_are_drawn_once_and_kept_on_a_tape() {
    let folder = folder("p80", WORDS);
    let (_, tape) = piloted_and_recorded(folder.path()).await;
    assert!(pilot_tape(&tape, tape.load().unwrap(), PilotOptions::default()).await.is_ok());
}

#[tokio::test]
async fn verdicts_count_against_the_search_budget_and_in_the_forecast() {
    let folder = folder("p80", WORDS);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let loaded = load(folder.path());
    let expected = forecast(&loaded.pipeline, &loaded.space);
    assert!(expected.verdicts > 60.0 * 3.0 && expected.verdicts < expected.calls, "{expected:?}");
    let search_budget = Some(SearchBudget { calls: Some(400), ..SearchBudget::default() });
    let loaded = loaded.with_overrides(Overrides { search_budget, ..Overrides::default() }).unwrap();
    let ended = search(&store, loaded).await;
    let heads = store.heads().unwrap();
    let spent = store.spend(store.study(&heads[0].name).unwrap().id).unwrap();
    assert!(spent.usage.calls <= 400 && spent.by_kind["verdict"].0.calls > 0, "{spent:?} {ended:?}");
}

#[tokio::test]
async fn a_judge_that_is_down_stops_a_study() {
    let folder = folder("down", WORDS);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let error = search(&store, load(folder.path())).await.unwrap_err().to_string();
    assert!(error.contains("down"), "{error}");
}
