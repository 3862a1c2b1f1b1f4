//! The agent beside a method that plans by itself.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail by panicking.

mod common;

use agenttts_core::{Archive, Purpose, Space};
use agenttts_search::{Ask, Question, Settings, searcher};
use common::{silent, step, task, two_wiki};
use serde_json::{Value, json};

fn settings() -> Settings {
    Settings { batch: 4, ..Settings::default() }
}

fn started(space: &Space) -> Archive {
    let mut archive = Archive::default();
    assert!(step(&*searcher("agent").unwrap(), space, &settings(), &mut archive, &mut silent));
    archive
}

/// Answers with these plans, round after round.
fn advising(plans: Vec<Value>) -> impl FnMut(&Question) -> Result<String, String> {
    move |q: &Question| {
        Ok(match q.purpose {
            Purpose::Summarise => json!({"guidelines": ["Prefer R72."]}).to_string(),
            Purpose::Propose => json!({"plans": plans}).to_string(),
        })
    }
}

fn plan(retrieve: (&str, u32), answer: (&str, u32)) -> Value {
    json!({
        "retrieve": {"model": retrieve.0, "samples": retrieve.1},
        "answer": {"model": answer.0, "samples": answer.1}
    })
}

fn origins(archive: &Archive, round: u32) -> Vec<&str> {
    archive.trials.iter().filter(|t| t.round == round).map(|t| t.origin.method.as_str()).collect()
}

/// The plans that the method without an agent would try next.
fn own_next(space: &Space, archive: &Archive) -> Vec<Value> {
    let mut archive = archive.clone();
    let round = archive.trials.iter().map(|t| t.round + 1).max().unwrap();
    step(&*searcher("rules").unwrap(), space, &settings(), &mut archive, &mut silent);
    let made = archive.trials.iter().filter(|t| t.round == round);
    made.map(|t| {
        let c = &t.plan.choices;
        plan((&c[0].model, c[0].samples), (&c[1].model, c[1].samples))
    })
    .collect()
}

#[test]
fn the_initial_trials_need_no_agent() {
    let archive = started(&two_wiki(1000.0));
    assert!(archive.exchanges.is_empty() && !archive.trials.is_empty());
}

#[test]
fn plans_that_promise_little_are_not_tried() {
    let space = two_wiki(1000.0);
    let mut archive = started(&space);
    for _ in 0..4 {
        step(&*searcher("rules").unwrap(), &space, &settings(), &mut archive, &mut silent);
    }
    let own = own_next(&space, &archive);
    let poor = (1..=4).map(|n| plan(("R7", n), ("QA3", 1))).collect();
    step(&*searcher("agent").unwrap(), &space, &settings(), &mut archive, &mut advising(poor));
    assert_eq!(origins(&archive, 5), ["rules"; 4]);
    let first = &archive.trials.iter().find(|t| t.round == 5).unwrap().plan.choices[0];
    assert_eq!(own[0]["retrieve"]["model"], json!(first.model), "what it would have tried alone");
    assert_eq!(archive.guidelines.last().unwrap().text, "Prefer R72.");
}

#[test]
fn plans_as_good_as_its_own_are_tried_but_for_half_of_a_round() {
    let space = two_wiki(1000.0);
    let mut archive = started(&space);
    // Neighbours of what would have been tried anyway are worth about as much.
    let near: Vec<Value> = own_next(&space, &archive)
        .into_iter()
        .map(|mut p| {
            for stage in ["retrieve", "answer"] {
                let n = p[stage]["samples"].as_u64().unwrap();
                if n > 3 {
                    p[stage]["samples"] = json!(n - 1);
                }
            }
            p
        })
        .collect();
    step(&*searcher("agent").unwrap(), &space, &settings(), &mut archive, &mut advising(near));
    let agents = origins(&archive, 1).iter().filter(|o| **o == "agent").count();
    assert!((1..=2).contains(&agents), "{:?}", origins(&archive, 1));
}

#[test]
fn old_plans_and_bad_replies_leave_the_round_as_it_is() {
    let space = two_wiki(1000.0);
    let archive = started(&space);
    let c = &archive.trials[0].plan.choices;
    let old = plan((&c[0].model, c[0].samples), (&c[1].model, c[1].samples));
    let mut again = archive.clone();
    step(&*searcher("agent").unwrap(), &space, &settings(), &mut again, &mut advising(vec![old; 4]));
    assert_eq!(origins(&again, 1), ["rules"; 4]);
    for bad in [Ok("no".to_owned()), Err("connection refused".to_owned())] {
        let mut archive = archive.clone();
        let mut answer = |_: &Question| bad.clone();
        step(&*searcher("agent").unwrap(), &space, &settings(), &mut archive, &mut answer);
        for trial in archive.trials.iter().filter(|t| t.round == 1) {
            assert_eq!(trial.origin.method, "rules");
            assert!(trial.origin.repairs[0].starts_with("in place of the agent: "), "{:?}", trial.origin);
        }
    }
}

#[test]
fn a_guideline_that_cannot_be_had_is_written_by_rule() {
    let space = two_wiki(1000.0);
    let mut archive = started(&space);
    let mut answer = |q: &Question| match q.purpose {
        Purpose::Summarise => Err("timed out".to_owned()),
        Purpose::Propose => Ok(json!({"plans": vec![plan(("R72", 1), ("QA3", 20)); 4]}).to_string()),
    };
    step(&*searcher("agent").unwrap(), &space, &settings(), &mut archive, &mut answer);
    assert_eq!(archive.guidelines[0].author, "rules");
}

#[test]
fn the_recommendation_is_that_of_the_method_without_an_agent() {
    let space = two_wiki(1000.0);
    let (archive, settings, task) = (started(&space), settings(), task());
    let ask = Ask::new(&space, &archive, &settings, &task);
    let of = |name: &str| searcher(name).unwrap().recommend(&ask).unwrap();
    assert_eq!(of("agent"), of("rules"));
}
