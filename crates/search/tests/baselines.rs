//! What AgentTTS is compared with in its paper: zero-shot proposals, AgentHPO and MLCopilot.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail by panicking.

mod common;

use agenttts_core::{Archive, Exchange, Purpose};
use agenttts_search::{Ask, History, METHODS, Question, Settings, Step, needs_agent, needs_history, searcher};
use common::{run_trials, silent, step, task, two_wiki};
use serde_json::json;

const PLANS: [(&str, u32, &str, u32); 6] = [
    ("R72", 1, "QA3", 20),
    ("R32", 5, "QA8", 15),
    ("R7", 9, "QA8", 3),
    ("R7", 2, "QA70", 1),
    ("R32", 1, "QA3", 50),
    ("R72", 1, "QA8", 4),
];

fn settings() -> Settings {
    Settings { batch: 2, trials: Some(6), ..Settings::default() }
}

/// A whole study whose agent proposes [`PLANS`] in turn; the archive and the prompts, each with its round.
fn study(method: &str, history: Option<&History>) -> (Archive, Vec<(u32, Purpose, String)>) {
    let (space, settings, task) = (two_wiki(1000.0), settings(), task());
    let (mut archive, mut prompts) = (Archive::default(), Vec::new());
    let plan = |&(r, n, a, m): &(&str, u32, &str, u32)| json!({"retrieve": {"model": r, "samples": n}, "answer": {"model": a, "samples": m}});
    loop {
        let mut ask = Ask::new(&space, &archive, &settings, &task);
        ask.history = history;
        let next = searcher(method).unwrap().ask(&ask);
        assert_eq!(next, searcher(method).unwrap().ask(&ask), "a pure function of the ask");
        match next {
            Step::Propose { guidelines, proposals } => {
                assert!(proposals.iter().all(|p| p.origin.method == method));
                run_trials(&space, &mut archive, &proposals);
                archive.guidelines.extend(guidelines);
            }
            Step::Question(Question { round, attempt, purpose, messages, .. }) => {
                prompts.push((round, purpose, messages[1].content.clone()));
                let at = archive.trials.len();
                let reply = match purpose {
                    Purpose::Summarise => json!({"guidelines": ["Small answerers do well."]}),
                    Purpose::Propose => json!({"plans": PLANS[at..at + 2].iter().map(plan).collect::<Vec<_>>()}),
                };
                let reply = Some(reply.to_string());
                archive.exchanges.push(Exchange { round, attempt, purpose, messages, reply, error: None });
            }
            Step::Finished(_) => return (archive, prompts),
        }
    }
}

/// An earlier study of another budget.
fn earlier() -> History {
    let (space, mut archive) = (two_wiki(850.0), Archive::default());
    let random = Settings { trials: Some(8), ..Settings::default() };
    while step(&*searcher("random").unwrap(), &space, &random, &mut archive, &mut silent) {}
    let mut task = task();
    task.description = "Answer questions about films.".into();
    History { task, space, archive }
}

fn purposes(prompts: &[(u32, Purpose, String)]) -> Vec<(u32, Purpose)> {
    prompts.iter().map(|(round, purpose, _)| (*round, *purpose)).collect()
}

#[test]
fn zero_shot_sees_the_task_and_its_own_plans_but_no_scores() {
    let (archive, prompts) = study("llm-zs", None);
    assert_eq!(archive.trials.len(), 6);
    assert!(archive.guidelines.is_empty() && prompts.iter().all(|(_, purpose, _)| *purpose == Purpose::Propose));
    assert!(prompts[0].2.contains("facts from two articles") && !prompts[0].2.contains("R72 x1"));
    let last = &prompts[2].2;
    assert!(last.contains("R72 x1 + QA3 x20\n") && !last.contains(" = 0.") && !last.contains('±'), "{last}");
}

#[test]
fn agent_hpo_writes_guidelines_without_insights() {
    let (_, prompts) = study("agent-hpo", None);
    use Purpose::{Propose, Summarise};
    assert_eq!(purposes(&prompts), [(0, Propose), (1, Summarise), (1, Propose), (2, Summarise), (2, Propose)]);
    assert!(prompts[4].2.contains("Small answerers do well.") && prompts[4].2.contains("R72 x1 + QA3 x20 = 0."));
    for (_, _, prompt) in &prompts {
        for trace in ["drawn once", "in which direction more samples", "share one budget"] {
            assert!(!prompt.contains(trace), "{prompt}");
        }
    }
}

#[test]
fn mlcopilot_learns_from_an_earlier_study_once() {
    use Purpose::{Propose, Summarise};
    let (archive, prompts) = study("mlcopilot", Some(&earlier()));
    assert_eq!(purposes(&prompts), [(0, Summarise), (0, Propose), (1, Propose), (2, Propose)]);
    assert!(prompts[0].2.contains("questions about films") && prompts[0].2.contains("facts from two articles"));
    assert_eq!(archive.guidelines.len(), 1);
    assert!(prompts[3].2.contains("Small answerers do well.") && !prompts[3].2.contains("films"));
}

#[test]
fn mlcopilot_says_when_there_is_nothing_to_learn_from() {
    let (space, archive, settings, task) = (two_wiki(1000.0), Archive::default(), settings(), task());
    let step = searcher("mlcopilot").unwrap().ask(&Ask::new(&space, &archive, &settings, &task));
    assert!(matches!(step, Step::Finished(why) if why.contains("earlier study")));
}

#[test]
fn which_methods_need_what() {
    let asking: Vec<&str> = METHODS.iter().copied().filter(|m| needs_agent(m)).collect();
    assert_eq!(asking.len(), 4);
    assert_eq!(METHODS.iter().copied().filter(|m| needs_history(m)).collect::<Vec<_>>(), ["mlcopilot"]);
}

#[test]
fn a_model_that_repeats_itself_ends_when_all_plans_were_tried() {
    let space = common::space(vec![common::stage("answer", 256, 64, &[("QA3", 3.0)])], 3.0);
    let settings = Settings { batch: 1, ..Settings::default() };
    let (mut archive, mut rounds) = (Archive::default(), 0);
    let mut answer = |_: &Question| Ok(json!({"plans": [{"answer": {"model": "QA3", "samples": 1}}]}).to_string());
    while step(&*searcher("llm-zs").unwrap(), &space, &settings, &mut archive, &mut answer) && rounds < 5 {
        rounds += 1;
    }
    assert_eq!(space.feasible(), 1);
    assert_eq!(rounds, 1);
}
