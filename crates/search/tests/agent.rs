//! The loop of AgentTTS, unaided: what is asked, what becomes of good and bad replies, and what the prompts hold.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail by panicking.

mod common;

use agenttts_core::{Aggregator, Archive, Purpose, Space, Temperature};
use agenttts_search::{AgentStyle, Ask, Insights, Question, Settings, Step, searcher};
use common::{run_trials, silent, space, stage, step, task, two_wiki};
use serde_json::{Value, json};

/// An archive after the initial trials.
fn started(space: &Space, settings: &Settings) -> Archive {
    let mut archive = Archive::default();
    assert!(step(&*searcher("agent").unwrap(), space, settings, &mut archive, &mut silent));
    archive
}

fn plan(retrieve: (&str, f64), answer: (&str, f64)) -> Value {
    json!({
        "retrieve": {"model": retrieve.0, "samples": retrieve.1},
        "answer": {"model": answer.0, "samples": answer.1}
    })
}

fn two_plans() -> String {
    json!({"plans": [plan(("R72", 1.0), ("QA3", 20.0)), plan(("R32", 5.0), ("QA8", 15.0))]}).to_string()
}

/// Answers summaries, and proposals by `replies` in turn; keeps the questions.
fn answering<'a>(
    replies: &'a [Result<String, String>],
    asked: &'a mut Vec<Question>,
) -> impl FnMut(&Question) -> Result<String, String> + 'a {
    let mut next = 0;
    move |q: &Question| {
        asked.push(q.clone());
        match q.purpose {
            Purpose::Summarise => Ok(json!({"guidelines": ["Prefer R72.", "QA3 peaks near 15."]}).to_string()),
            Purpose::Propose => {
                next += 1;
                replies[next - 1].clone()
            }
        }
    }
}

fn settings() -> Settings {
    Settings { batch: 2, agent: AgentStyle::Faithful, ..Settings::default() }
}

#[test]
fn a_round_asks_for_guidelines_then_for_plans() {
    let space = two_wiki(1000.0);
    let mut archive = started(&space, &settings());
    let initial = archive.trials.len();
    let mut asked = Vec::new();
    step(
        &*searcher("agent").unwrap(),
        &space,
        &settings(),
        &mut archive,
        &mut answering(&[Ok(two_plans())], &mut asked),
    );
    let purposes: Vec<Purpose> = asked.iter().map(|q| q.purpose).collect();
    assert_eq!(purposes, [Purpose::Summarise, Purpose::Propose]);
    assert!(asked.iter().all(|q| (q.round, q.attempt) == (1, 0)));
    assert_eq!(archive.guidelines[0].text, "Prefer R72. QA3 peaks near 15.");
    let made = &archive.trials[initial..];
    assert_eq!(made.len(), 2);
    assert!(made.iter().all(|t| t.origin.method == "agent" && t.origin.repairs.is_empty() && t.round == 1));
    assert_eq!(made[0].plan.to_string(), "R72 x1 T=0.9 + QA3 x20 fuse T=0.9");
    // The second prompt holds the new guideline and every trial.
    let prompt = &asked[1].messages[1].content;
    assert!(prompt.contains("QA3 peaks near 15.") && prompt.contains("R72 x1 + QA70 x1 ="), "{prompt}");
}

#[test]
fn wrong_names_ranges_and_budgets_are_repaired_and_noted() {
    let space = two_wiki(1000.0);
    let mut archive = started(&space, &settings());
    let reply = json!({"plans": [plan(("R7O", -3.0), ("QA3", 15.0)), plan(("R72", 50.0), ("QA70", 40.0))]});
    let fenced = format!("Here you are:\n```json\n{reply}\n```\nGood luck!");
    step(&*searcher("agent").unwrap(), &space, &settings(), &mut archive, &mut answering(&[Ok(fenced)], &mut vec![]));
    let made: Vec<_> = archive.trials.iter().filter(|t| t.round == 1).collect();
    assert_eq!(made.len(), 2);
    let notes = made[0].origin.repairs.join("; ");
    assert!(notes.contains("no model \"R7O\"") && notes.contains("-3 samples"), "{notes}");
    assert!(made.iter().all(|t| space.is_feasible(&t.plan)));
    assert!(made[1].origin.repairs.iter().any(|r| r.contains("budget")), "{:?}", made[1].origin);
}

#[test]
fn a_bad_reply_is_asked_again_with_its_error() {
    let space = two_wiki(1000.0);
    for bad in ["I would try more samples.", "{\"plans\": [", "{\"plans\": [{\"retrieve\": 3}]}", "{\"plans\": []}"] {
        let mut archive = started(&space, &settings());
        let mut asked = Vec::new();
        let replies = [Ok(bad.to_owned()), Ok(two_plans())];
        step(&*searcher("agent").unwrap(), &space, &settings(), &mut archive, &mut answering(&replies, &mut asked));
        let again = asked.last().unwrap();
        assert_eq!((again.purpose, again.attempt), (Purpose::Propose, 1));
        assert_eq!(again.messages[2].content, bad);
        assert!(again.messages[3].content.contains("cannot be used"), "{:?}", again.messages[3]);
        let made: Vec<_> = archive.trials.iter().filter(|t| t.round == 1).collect();
        assert!(made.len() == 2 && made.iter().all(|t| t.origin.method == "agent"));
    }
}

#[test]
fn after_two_bad_replies_or_failed_calls_random_plans_stand_in() {
    let space = two_wiki(1000.0);
    for bad in [Ok("no".to_owned()), Err("connection refused".to_owned())] {
        let mut archive = started(&space, &settings());
        let replies = [bad.clone(), bad.clone()];
        step(&*searcher("agent").unwrap(), &space, &settings(), &mut archive, &mut answering(&replies, &mut vec![]));
        let made: Vec<_> = archive.trials.iter().filter(|t| t.round == 1).collect();
        assert_eq!(made.len(), 2);
        for trial in made {
            assert!(space.is_feasible(&trial.plan) && trial.origin.reason == "drawn uniformly", "{:?}", trial.origin);
            let note = &trial.origin.repairs[0];
            assert!(note.starts_with("in place of the agent: "), "{note}");
            assert!(bad.is_ok() || note.contains("connection refused"), "{note}");
        }
    }
}

#[test]
fn a_round_goes_on_without_a_guideline_that_cannot_be_had() {
    let space = two_wiki(1000.0);
    let mut archive = started(&space, &settings());
    let mut answer = |q: &Question| match q.purpose {
        Purpose::Summarise => Err("timed out".to_owned()),
        Purpose::Propose => Ok(two_plans()),
    };
    step(&*searcher("agent").unwrap(), &space, &settings(), &mut archive, &mut answer);
    assert_eq!(archive.exchanges.iter().filter(|e| e.purpose == Purpose::Summarise).count(), 2);
    assert!(archive.guidelines.is_empty());
    assert_eq!(archive.trials.iter().filter(|t| t.origin.method == "agent" && t.round == 1).count(), 2);
}

#[test]
fn fewer_plans_than_asked_for_are_run_when_the_second_try_gives_no_more() {
    let space = two_wiki(1000.0);
    let mut archive = started(&space, &settings());
    let one = json!({"plans": [plan(("R72", 1.0), ("QA3", 20.0))]}).to_string();
    let replies = [Ok(one.clone()), Ok(one)];
    step(&*searcher("agent").unwrap(), &space, &settings(), &mut archive, &mut answering(&replies, &mut vec![]));
    assert_eq!(archive.trials.iter().filter(|t| t.round == 1).count(), 1);
}

#[test]
fn what_was_tried_before_is_tried_again_and_the_best_score_wins() {
    let space = two_wiki(1000.0);
    let mut archive = started(&space, &settings());
    let best = searcher("agent").unwrap().recommend(&Ask::new(&space, &archive, &settings(), &task())).unwrap();
    let scores = |a: &Archive| a.measured().map(|(_, m)| m.objective.mean).fold(0.0, f64::max);
    assert_eq!(best.mean, scores(&archive), "no estimate, but the score itself");
    let c = &archive.trials[0].plan.choices;
    let old = plan((&c[0].model, c[0].samples.into()), (&c[1].model, c[1].samples.into()));
    let reply = json!({"plans": [old, old]}).to_string();
    step(&*searcher("agent").unwrap(), &space, &settings(), &mut archive, &mut answering(&[Ok(reply)], &mut vec![]));
    let streams: Vec<u32> = archive.trials.iter().filter(|t| t.round == 1).map(|t| t.stream).collect();
    assert_eq!(streams, [1, 2], "on fresh draws");
}

/// Text that stands in prompts only for one insight.
const TRACES: [&str; 3] = ["compare a large model drawn once", "in which direction more samples", "share one budget"];

#[test]
fn a_switched_off_insight_is_in_no_prompt() {
    let space = two_wiki(1000.0);
    for (off, style) in (0..=3u8).flat_map(|off| [(off, AgentStyle::Faithful), (off, AgentStyle::Portfolio)]) {
        let settings = Settings { insights: Insights::ALL.without(off), agent: style, ..settings() };
        let mut archive = started(&space, &settings);
        let mut seen: Vec<Question> = Vec::new();
        let mut answer = |q: &Question| {
            seen.push(q.clone());
            match q.purpose {
                Purpose::Summarise if q.round % 2 == 1 => Ok("Prefer the large retriever.".to_owned()),
                Purpose::Summarise => Err("down".to_owned()),
                Purpose::Propose => Ok(two_plans()),
            }
        };
        for _ in 0..3 {
            step(&*searcher("agent").unwrap(), &space, &settings, &mut archive, &mut answer);
        }
        let text = |q: &Question| q.messages.iter().map(|m| m.content.as_str()).collect::<String>();
        for (i, trace) in TRACES.iter().enumerate() {
            let holds = seen.iter().any(|q| text(q).contains(trace));
            assert_eq!(holds, i + 1 != usize::from(off), "insight {}", i + 1);
        }
        let late = seen.iter().filter(|q| q.round > 1);
        // Beside the planner the agent is asked more rarely.
        assert_eq!(late.clone().count() > 0, style == AgentStyle::Faithful);
        assert!(late.into_iter().all(|q| !text(q).contains(TRACES[0])));
    }
}

#[test]
fn the_schema_offers_exactly_the_space() {
    let mut answer = stage("answer", 256, 64, &[("QA3", 3.0), ("QA70", 70.0)]);
    answer.aggregators = vec![Aggregator::Vote, Aggregator::Fuse];
    answer.temperatures = vec![Temperature::new(0.9).unwrap(), Temperature::new(0.2).unwrap()];
    answer.samples = vec![1, 2, 8];
    let retrieve = stage("retrieve", 2048, 128, &[("R7", 7.0)]);
    let space = space(vec![retrieve, answer], 1000.0);
    let mut archive = started(&space, &settings());
    let mut asked = Vec::new();
    let reply = json!({"plans": [
        {"retrieve": {"model": "R7", "samples": 1},
         "answer": {"model": "QA3", "samples": 8, "aggregator": "fuse", "temperature": 0.2}},
        {"retrieve": {"model": "R7", "samples": 2},
         "answer": {"model": "QA70", "samples": 2, "aggregator": "vote", "temperature": 0.9}}
    ]});
    let replies = [Ok(reply.to_string())];
    step(&*searcher("agent").unwrap(), &space, &settings(), &mut archive, &mut answering(&replies, &mut asked));
    let schema = &asked.last().unwrap().schema;
    let valid = |v: &Value| jsonschema::is_valid(schema, v);
    assert!(valid(&reply));
    let with = |pointer: &str, value: Value| {
        let mut v = reply.clone();
        *v.pointer_mut(pointer).unwrap() = value;
        v
    };
    assert!(!valid(&with("/plans/0/answer/model", json!("QA4"))));
    assert!(!valid(&with("/plans/0/answer/samples", json!(9))));
    assert!(!valid(&with("/plans/0/answer/temperature", json!(0.3))));
    assert!(!valid(&with("/plans/0/answer/aggregator", json!("judge"))));
    assert!(!valid(&json!({"plans": [reply["plans"][0]]})), "exactly the batch");
    let made: Vec<String> = archive.trials.iter().filter(|t| t.round == 1).map(|t| t.plan.to_string()).collect();
    assert_eq!(made[0], "R7 x1 T=0.9 + QA3 x8 fuse T=0.2");
}

#[test]
fn the_prompt_stays_short_with_fifty_trials() {
    let space = two_wiki(1000.0);
    let settings = Settings { trials: Some(50), ..Settings::default() };
    let mut archive = Archive::default();
    while step(&*searcher("rules").unwrap(), &space, &settings, &mut archive, &mut silent) {}
    for agent in [AgentStyle::Faithful, AgentStyle::Portfolio] {
        let more = Settings { trials: None, agent, ..settings.clone() };
        let mut longest = 0;
        let mut answer = |q: &Question| {
            longest = longest.max(q.messages.iter().map(|m| m.content.chars().count()).sum::<usize>());
            match q.purpose {
                Purpose::Summarise => Ok("Prefer R72.".to_owned()),
                Purpose::Propose => Err("not needed".to_owned()),
            }
        };
        step(&*searcher("agent").unwrap(), &space, &more, &mut archive.clone(), &mut answer);
        // About 3.3 characters a token for text with many numbers.
        assert!(longest < 6000, "{longest} characters");
    }
}

#[test]
fn the_same_archive_gives_the_same_step() {
    let space = two_wiki(850.0);
    let task = task();
    let agent = searcher("agent").unwrap();
    let styles = [AgentStyle::Portfolio, AgentStyle::Faithful, AgentStyle::Released];
    let mut archives: Vec<Archive> = styles.iter().map(|_| started(&space, &settings())).collect();
    for i in 0..12 {
        let settings = Settings { agent: styles[i % 3], ..settings() };
        let archive = &mut archives[i % 3];
        let ask = Ask::new(&space, archive, &settings, &task);
        let (a, b) = (agent.ask(&ask), agent.ask(&ask));
        assert_eq!(a, b);
        match a {
            Step::Question(q) => archive.exchanges.push(agenttts_core::Exchange {
                round: q.round,
                attempt: q.attempt,
                purpose: q.purpose,
                messages: q.messages,
                reply: Some(if q.purpose == Purpose::Summarise { "Prefer R32.".into() } else { two_plans() }),
                error: None,
            }),
            Step::Propose { proposals, .. } => run_trials(&space, archive, &proposals),
            Step::Finished(reason) => panic!("{reason}"),
        }
    }
}
