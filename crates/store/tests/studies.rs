//! Studies: names, states, archives and events survive a restart as they were.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail them")]

mod support;

use agenttts_core::{
    Aggregator, Archive, Choice, Cost, CurvePoint, Estimate, Exchange, Guideline, Measurement, Message, Origin, Plan,
    Purpose, StudyState, Temperature, Trial, TrialState, UnderWay, Usage,
};
use agenttts_store::{ExampleOutcome, NewStudy, StageOutcome, StepOutcome, StoreErrorKind, StudyHead, StudyRow};
use proptest::prelude::*;
use support::*;

fn plan(samples: u32) -> Plan {
    let temperature = Temperature::new(0.7).unwrap();
    let choice = Choice { model: "small".into(), samples, aggregator: Aggregator::VoteSet, temperature };
    Plan { choices: vec![choice.clone(), Choice { aggregator: Aggregator::Fuse, ..choice }] }
}

fn trial(number: u32, state: TrialState) -> Trial {
    Trial {
        number,
        round: number / 2,
        plan: plan(number),
        nominal_cost: Cost(i128::from(i64::MAX) * 10 + i128::from(number)),
        origin: Origin { method: "rules".into(), reason: "insight 1".into(), repairs: vec!["samples 99 -> 8".into()] },
        stream: number,
        span: None,
        state,
    }
}

fn measured(scores: Vec<f64>, seconds: f64) -> TrialState {
    let estimate = Estimate::of_scores(&scores);
    TrialState::Measured(Box::new(Measurement {
        objective: estimate,
        stages: vec![None, Some(estimate)],
        cost: Estimate::of_values(&scores),
        scores,
        failures: 1,
        failure_reasons: vec!["no number in the reply".into()],
        curves: vec![vec![], vec![CurvePoint { samples: 1, score: estimate }]],
        fitting: vec![],
        fresh: Usage { prompt: 10, cached_prompt: 2, decode: 3, calls: 4 },
        drawn: Usage::default(),
        seconds,
        raced_out: None,
    }))
}

fn outcome(example: &str, score: f64) -> ExampleOutcome {
    ExampleOutcome {
        example: example.into(),
        index: Some(3),
        objective: score,
        cost: 0.1 + 0.2,
        failure: (score == 0.0).then(|| "no number in the reply".into()),
        fault: None,
        quarantined: false,
        steps: [("look-up".to_owned(), StepOutcome { output: serde_json::json!(["d1"]), seconds: 0.5 })].into(),
        stages: vec![StageOutcome {
            output: Some(serde_json::json!({"ids": ["b", "a"], "n": 1.5})),
            score: None,
            support: Some(2.0 / 3.0),
            samples: vec![3, 1, 2],
            combined: Some(9),
            items: None,
            skipped: false,
        }],
    }
}

#[tokio::test]
async fn an_archive_is_loaded_as_it_was_written() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    let mut expected = Archive {
        trials: vec![trial(1, TrialState::Pending), trial(2, TrialState::Pending), trial(10, TrialState::Pending)],
        guidelines: vec![Guideline { round: 0, author: "rules".into(), text: "Prefer \"small\".\n".into() }],
        exchanges: vec![
            Exchange {
                round: 1,
                attempt: 0,
                purpose: Purpose::Propose,
                messages: vec![Message::system("s"), Message::user("u")],
                reply: None,
                error: Some("timed out".into()),
            },
            Exchange {
                round: 1,
                attempt: 1,
                purpose: Purpose::Summarise,
                messages: vec![],
                reply: Some("{}".into()),
                error: None,
            },
        ],
    };
    study.append_round(expected.guidelines.clone(), expected.trials.clone()).await.unwrap();
    for exchange in expected.exchanges.clone() {
        study.append_exchange(exchange).await.unwrap();
    }
    assert_eq!(study.store().archive(study.id()).unwrap(), expected);

    expected.trials[0].state = measured(vec![1.0, 0.0, 1.0 / 3.0], 0.1 + 0.2);
    expected.trials[1].state = TrialState::Abandoned("the token limit is reached".into());
    let outcomes = vec![outcome("e1", 1.0), outcome("e2", 0.0), outcome("e3", 1.0 / 3.0)];
    study.put_trial(expected.trials[0].clone(), outcomes.clone()).await.unwrap();
    study.put_trial(expected.trials[1].clone(), vec![]).await.unwrap();
    let id = study.id();
    drop(study);

    let store = place.open();
    assert_eq!(store.archive(id).unwrap(), expected);
    assert_eq!(store.trials(id).unwrap(), expected.trials);
    assert_eq!(store.outcomes(id, 1).unwrap(), outcomes);
    assert_eq!(store.outcomes(id, 2).unwrap(), vec![]);
}

#[tokio::test]
async fn names_are_chosen_found_by_prefix_and_unique() {
    let place = Place::new();
    let store = place.open();
    let unnamed = || NewStudy { name: None, ..new_study("") };
    for expected in ["demo-1", "demo-2"] {
        assert_eq!(store.create_study(unnamed()).await.unwrap().name(), expected);
    }
    store.create_study(new_study("my_study")).await.unwrap();

    assert_eq!(store.study("demo-2").unwrap().name, "demo-2");
    assert_eq!(store.study("my").unwrap().name, "my_study");
    for (wanted, said) in [("demo", "demo-1, demo-2"), ("nothing", "nothing"), ("%", "%"), ("myXstudy", "myXstudy")] {
        let error = store.study(wanted).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::NoStudy);
        assert!(error.to_string().contains(said), "{error}");
    }
    assert_eq!(store.create_study(new_study("demo-1")).await.unwrap_err().kind, StoreErrorKind::NameTaken);
    let rows = store.studies().unwrap();
    assert_eq!(rows.len(), 3);
    let heads = store.heads().unwrap();
    let told = |r: &StudyRow| (r.id, r.name.clone(), r.settings.clone(), r.state, r.started_ms);
    let head = |h: &StudyHead| (h.id, h.name.clone(), h.settings.clone(), h.state, h.started_ms);
    assert_eq!(heads.iter().map(head).collect::<Vec<_>>(), rows.iter().map(told).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_name_that_is_no_file_name_is_refused_and_leaves_nothing() {
    let place = Place::new();
    let store = place.open();
    for name in ["", "../evil", "a/b", "..", "-x", "a b", "x\0y", &"n".repeat(101)] {
        let error = store.create_study(new_study(name)).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::BadName, "{name:?}");
        assert!(error.hint().is_some());
    }
    assert!(store.studies().unwrap().is_empty());
    assert!(!place.folder.path().join("evil.lock").exists());
    store.create_study(new_study("Retrieve_2.v1-a")).await.unwrap();
}

#[tokio::test]
async fn where_a_study_stands_survives() {
    let place = Place::new();
    let study = place.open().create_study(new_study("a")).await.unwrap();
    for state in [StudyState::Done, StudyState::Interrupted, StudyState::Failed, StudyState::Running, StudyState::Limit]
    {
        study.set_state(state, Some(format!("{state:?}"))).await.unwrap();
        assert_eq!(study.store().study("a").unwrap().state, state);
    }
    study.set_elapsed(61_500).await.unwrap();
    study.set_settings(r#"{"version":2}"#.into()).await.unwrap();
    study.set_result(r#"{"plan":null}"#.into()).await.unwrap();
    drop(study);
    let row = place.open().study("a").unwrap();
    assert_eq!((row.state, row.stop_reason.as_deref()), (StudyState::Limit, Some("Limit")));
    assert_eq!((row.elapsed_ms, row.started_ms), (61_500, 1_700_000_000_000));
    assert_eq!((row.snapshot.as_str(), row.settings.as_str()), (r#"{"version":1}"#, r#"{"version":2}"#));
    assert_eq!(row.result.as_deref(), Some(r#"{"plan":null}"#));
}

#[tokio::test]
async fn events_are_numbered_in_order_for_each_study() {
    let place = Place::new();
    let store = place.open();
    let (a, b) = (store.create_study(new_study("a")).await.unwrap(), store.create_study(new_study("b")).await.unwrap());
    for i in 0..5 {
        a.append_event(1_000 + i, format!("{{\"i\":{i}}}")).await.unwrap();
    }
    b.append_event(7, "{}".into()).await.unwrap();
    let after: Vec<_> = store.events(a.id(), 3).unwrap();
    assert_eq!(after, [(4, 1_003, "{\"i\":3}".to_owned()), (5, 1_004, "{\"i\":4}".to_owned())]);
    assert_eq!(store.events(b.id(), 0).unwrap(), [(1, 7, "{}".to_owned())]);
}

#[tokio::test]
async fn others_see_how_far_a_study_is_while_it_runs() {
    let place = Place::new();
    let store = place.open();
    let study = store.create_study(new_study("a")).await.unwrap();
    let other = place.open();
    assert_eq!(other.under_way("a"), None);
    let first = UnderWay { trial: Some(3), done: 1, total: 40 };
    study.note(Some(first));
    // Sooner than anybody looks again: the file is not written for every example.
    study.note(Some(UnderWay { done: 2, ..first }));
    assert_eq!(other.under_way("a"), Some(first));
    study.renew_note();
    assert_eq!(other.under_way("a"), Some(UnderWay { done: 2, ..first }));
    study.note(None);
    study.renew_note();
    assert_eq!(other.under_way("a"), None);
    let test = UnderWay { trial: None, ..first };
    study.note(Some(test));
    assert_eq!(other.under_way("a"), Some(test));
    // What a killed process leaves behind says nothing.
    let left = place.folder.path().join("store.locks").join("a.progress");
    let text = std::fs::read(&left).unwrap();
    drop(study);
    std::fs::write(&left, text).unwrap();
    assert_eq!(other.under_way("a"), None);
    let _study = store.open_study("a").await.unwrap();
    assert_eq!(other.under_way("a"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// A resumed search must see the very numbers that the uninterrupted one saw, or their proposals part ways.
    #[test]
    fn every_score_survives_to_the_last_bit(scores in prop::collection::vec(0.0..=1.0f64, 2..40), seconds in 0.0..1e5f64) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let place = Place::new();
            let study = place.open().create_study(new_study("a")).await.unwrap();
            let written = trial(1, measured(scores.clone(), seconds));
            let outcomes: Vec<_> =
                scores.iter().enumerate().map(|(i, s)| outcome(&format!("e{i:03}"), *s)).collect();
            study.put_trial(written.clone(), outcomes.clone()).await.unwrap();
            assert_eq!(study.store().archive(study.id()).unwrap().trials, [written]);
            assert_eq!(study.store().outcomes(study.id(), 1).unwrap(), outcomes);
        });
    }
}

#[tokio::test]
async fn a_study_is_asked_to_stop_only_while_a_process_runs_it() {
    let place = Place::new();
    let store = place.open();
    let study = store.create_study(new_study("one")).await.unwrap();
    assert!(store.is_run("one") && !store.is_run("none"));
    assert!(!study.is_asked_to_stop());
    assert!(place.open().ask_to_stop("one").unwrap(), "another opening of the store");
    assert!(study.is_asked_to_stop());
    drop(study);
    assert!(!store.is_run("one"));
    assert!(!store.ask_to_stop("one").unwrap());
    // A request that a dead process never saw does not stop the next one.
    std::fs::write(place.folder.path().join("store.locks/one.stop"), "").unwrap();
    assert!(!store.open_study("one").await.unwrap().is_asked_to_stop());
}
