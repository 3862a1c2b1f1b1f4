//! The released code's loop, with its faults.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail by panicking.

mod common;

use agenttts_core::{Archive, Estimate, Purpose, Space, TrialState};
use agenttts_search::{AgentStyle, Ask, Insights, Question, Settings, Step, searcher};
use common::{silent, step, task, two_wiki};
use serde_json::json;

fn settings() -> Settings {
    Settings { batch: 2, agent: AgentStyle::Released, ..Settings::default() }
}

fn started(space: &Space, settings: &Settings) -> Archive {
    let mut archive = Archive::default();
    assert!(step(&*searcher("agent").unwrap(), space, settings, &mut archive, &mut silent));
    archive
}

/// One round in which the agent proposes these (model, samples) of both stages; the archive after it and the questions.
fn proposing(plans: &[[(&str, f64); 2]]) -> (Archive, Vec<Question>, bool) {
    let space = two_wiki(1000.0);
    let mut archive = started(&space, &settings());
    let stage = |(model, samples): (&str, f64)| json!({"model": model, "samples": samples});
    let plans: Vec<_> = plans.iter().map(|[r, a]| json!({"retrieve": stage(*r), "answer": stage(*a)})).collect();
    let reply = format!("My plans: {} I hope they help.", json!({"plans": plans}));
    let mut asked = Vec::new();
    let mut answer = |q: &Question| {
        asked.push(q.clone());
        Ok(if q.purpose == Purpose::Propose { reply.clone() } else { "Prefer R72.".to_owned() })
    };
    let went_on = step(&*searcher("agent").unwrap(), &space, &settings(), &mut archive, &mut answer);
    (archive, asked, went_on)
}

fn made(archive: &Archive) -> Vec<String> {
    archive.trials.iter().filter(|t| t.round == 1).map(|t| t.plan.to_string()).collect()
}

#[test]
fn initial_trials_follow_the_released_rule() {
    let archive = started(&two_wiki(850.0), &settings());
    assert_eq!(archive.trials[0].plan.to_string(), "R7 x60 fuse T=0.9 + QA3 x1 T=0.9");
}

#[test]
fn requests_move_to_the_nearest_row_however_far() {
    // A 3B model may move by 450 samples, so 540 become 100, the most that the table has.
    let (archive, ..) = proposing(&[[("R72", 1.0), ("QA3", 540.0)], [("R7", 1.4), ("QA8", 5.0)]]);
    assert_eq!(made(&archive), ["R72 x1 T=0.9 + QA3 x100 fuse T=0.9", "R7 x1 T=0.9 + QA8 x5 fuse T=0.9"]);
}

#[test]
fn plans_over_the_budget_are_dropped_and_an_empty_batch_is_asked_for_again_then_ends_the_search() {
    let over = [("R72", 20.0), ("QA70", 20.0)];
    let (archive, ..) = proposing(&[over, [("R72", 1.0), ("QA3", 20.0)]]);
    assert_eq!(made(&archive), ["R72 x1 T=0.9 + QA3 x20 fuse T=0.9"]);
    let (archive, asked, went_on) = proposing(&[over, [("R99", 1.0), ("QA3", 20.0)]]);
    assert!(!went_on && made(&archive).is_empty());
    assert_eq!(asked.iter().map(|q| q.attempt).collect::<Vec<_>>(), [0, 0, 1]);
}

#[test]
fn the_first_guideline_knows_insights_that_are_switched_off() {
    let space = two_wiki(1000.0);
    let settings = Settings { insights: Insights::ALL.without(2), ..settings() };
    let archive = started(&space, &settings);
    let Step::Question(q) = searcher("agent").unwrap().ask(&Ask::new(&space, &archive, &settings, &task())) else {
        panic!("no question")
    };
    assert!(q.messages[1].content.contains("in which direction more samples"), "{}", q.messages[1].content);
}

#[test]
fn zeros_vanish_from_the_history_and_the_luckiest_draw_wins() {
    let space = two_wiki(1000.0);
    let mut archive = started(&space, &settings());
    let set = |archive: &mut Archive, at: usize, score: f64| {
        let TrialState::Measured(m) = &mut archive.trials[at].state else { panic!("not measured") };
        m.objective = Estimate { mean: score, ..m.objective };
    };
    set(&mut archive, 0, 0.0);
    let mut lucky = archive.trials[1].clone();
    (lucky.number, lucky.stream) = (archive.trials.len() as u32 + 1, 1);
    archive.trials.push(lucky);
    let last = archive.trials.len() - 1;
    set(&mut archive, 1, 0.1);
    set(&mut archive, last, 0.99);
    let (settings, task) = (settings(), task());
    let ask = Ask::new(&space, &archive, &settings, &task);
    let agent = searcher("agent").unwrap();
    assert_eq!(agent.recommend(&ask).unwrap().plan, archive.trials[1].plan);
    let Step::Question(q) = agent.ask(&ask) else { panic!("no question") };
    let history = &q.messages[1].content;
    assert!(!history.contains("\n1: ") && history.contains("\n2: "), "{history}");
    assert!(!history.contains("= 0.10"), "the best score of a plan counts for all its trials: {history}");
}
