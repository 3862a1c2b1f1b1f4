//! The agent beside the planner.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail by panicking.

mod common;

use agenttts_core::{Archive, Estimate, Plan, Purpose, Space, StageSpace, Trial, TrialState};
use agenttts_search::{Ask, Question, Settings, Step, searcher};
use common::{measure, silent, space, stage, step, task, truth};
use serde_json::{Value, json};

fn settings() -> Settings {
    Settings { batch: 4, ..Settings::default() }
}

/// The models of the paper's 2WikiMultiHopQA, with few numbers of samples, so that a round takes no time.
fn few_samples() -> Space {
    let mut retrieve = stage("retrieve", 2048, 128, &[("R7", 7.0), ("R32", 32.0), ("R72", 72.0)]);
    let mut answer = stage("answer", 256, 64, &[("QA3", 3.0), ("QA8", 8.0), ("QA70", 70.0)]);
    retrieve.samples = vec![1, 2, 4];
    answer.samples = vec![1, 2, 4, 8];
    space(vec![retrieve, answer], 1000.0)
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

fn plans(archive: &Archive, round: u32) -> Vec<Plan> {
    archive.trials.iter().filter(|t| t.round == round).map(|t| t.plan.clone()).collect()
}

/// The archive after one more round of the planner alone.
fn alone(space: &Space, archive: &Archive) -> Archive {
    let mut archive = archive.clone();
    step(&*searcher("planner").unwrap(), space, &settings(), &mut archive, &mut silent);
    archive
}

/// The archive after one more round with such an agent.
fn advised(space: &Space, archive: &Archive, mut answer: impl FnMut(&Question) -> Result<String, String>) -> Archive {
    let mut archive = archive.clone();
    step(&*searcher("agent").unwrap(), space, &settings(), &mut archive, &mut answer);
    archive
}

/// As an agent writes it.
fn written(p: &Plan) -> Value {
    plan((&p.choices[0].model, p.choices[0].samples), (&p.choices[1].model, p.choices[1].samples))
}

#[test]
fn the_initial_trials_are_the_planners_and_need_no_agent() {
    let space = few_samples();
    let archive = started(&space);
    assert!(archive.exchanges.is_empty());
    assert_eq!(archive, alone(&space, &Archive::default()));
}

#[test]
fn plans_that_promise_little_are_not_tried() {
    let space = few_samples();
    let mut archive = started(&space);
    for _ in 0..4 {
        archive = alone(&space, &archive);
    }
    let poor = advising([1, 2, 4].into_iter().map(|n| plan(("R7", n), ("QA3", 1))).cycle().take(8).collect());
    let after = advised(&space, &archive, poor);
    assert_eq!(after.trials, alone(&space, &archive).trials, "what the planner would have tried alone");
    assert_eq!(after.guidelines.last().unwrap().text, "Prefer R72.");
}

#[test]
fn plans_as_good_as_its_own_are_tried_but_for_half_of_a_round() {
    let space = few_samples();
    let archive = started(&space);
    let own = plans(&alone(&space, &archive), 1);
    // Neighbours of what would have been tried anyway are worth about as much.
    let near = own.iter().map(|p| {
        let mut p = p.clone();
        p.choices.iter_mut().for_each(|c| c.samples = (c.samples / 2).max(1));
        written(&p)
    });
    let after = advised(&space, &archive, advising(near.collect()));
    let agents: Vec<&Trial> = after.trials.iter().filter(|t| t.origin.method == "agent").collect();
    assert!((1..=2).contains(&agents.len()), "{:?}", origins(&after, 1));
    for trial in agents {
        assert!(trial.origin.reason.starts_with("proposed by the agent; the planner expects 0."), "{:?}", trial.origin);
        assert!(trial.span.is_some(), "on as many examples as are worth it");
    }
}

#[test]
fn old_plans_and_bad_replies_leave_the_round_as_it_is() {
    let space = few_samples();
    let archive = started(&space);
    let own = plans(&alone(&space, &archive), 1);
    let old = written(&archive.trials[0].plan);
    assert_eq!(plans(&advised(&space, &archive, advising(vec![old; 8])), 1), own);
    for bad in [Ok("no".to_owned()), Err("connection refused".to_owned())] {
        let after = advised(&space, &archive, |_| bad.clone());
        assert_eq!(plans(&after, 1), own);
        for trial in after.trials.iter().filter(|t| t.round == 1) {
            assert_eq!(trial.origin.method, "planner");
            assert!(trial.origin.repairs[0].starts_with("in place of the agent: "), "{:?}", trial.origin);
        }
    }
}

#[test]
fn a_guideline_that_cannot_be_had_is_missing_and_plans_are_asked_for_all_the_same() {
    let space = few_samples();
    let after = advised(&space, &started(&space), |q: &Question| match q.purpose {
        Purpose::Summarise => Err("timed out".to_owned()),
        Purpose::Propose => Ok(json!({"plans": vec![plan(("R72", 1), ("QA3", 20)); 8]}).to_string()),
    });
    assert!(after.guidelines.is_empty());
    assert_eq!(after.exchanges.iter().filter(|e| e.purpose == Purpose::Propose).count(), 1);
}

#[test]
fn what_is_left_to_spend_and_of_the_examples_is_respected() {
    let space = few_samples();
    let (settings, task) = (Settings { trials: Some(4), ..settings() }, task());
    let many = [1, 2, 4, 8].into_iter().flat_map(|n| [plan(("R72", 1), ("QA8", n)), plan(("R72", 2), ("QA8", n))]);
    let mut archive = advised(&space, &started(&space), advising(many.collect()));
    // The reply of round 1 competes in later ones, too.
    archive.trials.retain(|t| t.round == 0);
    let price =
        |plan: &Plan, examples: u32| f64::from(examples) * if plan.choices[1].model == "QA8" { 1.0 } else { 2.0 };
    for left in [3.0, 12.0, 40.0, 200.0] {
        let ask = Ask::new(&space, &archive, &settings, &task).with_pool(50).with_prices(&price, Some(left));
        let Step::Propose { proposals, .. } = searcher("agent").unwrap().ask(&ask) else { panic!("{left}") };
        let paid: f64 = proposals.iter().map(|p| price(&p.plan, p.examples.unwrap())).sum();
        assert!(paid <= left, "{paid} of {left}");
        let examples: u32 = proposals.iter().map(|p| p.examples.unwrap()).sum();
        assert!(examples <= 4 * 50 - 16 * 4, "{examples}");
        assert!(proposals.iter().all(|p| p.plan.choices.len() == 2 && space.is_feasible(&p.plan)));
    }
}

#[test]
fn the_agent_is_asked_less_and_less_often_and_its_plans_compete_meanwhile() {
    let space = few_samples();
    let mut archive = started(&space);
    let mut seed = 0;
    for _ in 0..12 {
        archive = advised(&space, &archive, |q: &Question| {
            seed += 7;
            let plans =
                (0..8).map(|i| plan(("R72", 1 << ((seed + i) % 3)), ("QA8", 1 << ((seed + 5 * i) % 4)))).collect();
            advising(plans)(q)
        });
    }
    let asked: Vec<u32> = archive.exchanges.iter().filter(|e| e.purpose == Purpose::Propose).map(|e| e.round).collect();
    assert!((3..=6).contains(&asked.len()), "{asked:?}");
    let gaps: Vec<u32> = asked.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(gaps.is_sorted(), "{asked:?}");
    let meanwhile = archive.trials.iter().filter(|t| t.origin.method == "agent" && !asked.contains(&t.round));
    assert!(meanwhile.count() > 0);
}

/// An agent that answers.
type Answers<'a> = dyn FnMut(&Question) -> Result<String, String> + 'a;

/// What the planner's rounds miss of the best true score in the end, with an agent that answers so or alone.
fn regret(space: &Space, seed: u64, agent: Option<&mut Answers<'_>>) -> f64 {
    let (settings, task) = (Settings { seed, ..settings() }, task());
    let method = searcher(if agent.is_some() { "agent" } else { "planner" }).unwrap();
    let mut nobody = silent;
    let answer = agent.unwrap_or(&mut nobody);
    let mut archive = Archive::default();
    for _ in 0..8 {
        let before = archive.trials.len();
        step(&*method, space, &settings, &mut archive, answer);
        // Other noise for every seed.
        for trial in &mut archive.trials[before..] {
            let examples = trial.span.map_or(50, |s| s.count);
            let noise = trial.number + 1000 * (seed as u32 + 1);
            trial.state = TrialState::Measured(Box::new(measure(space, &trial.plan, noise, examples)));
        }
    }
    let chosen = method.recommend(&Ask::new(space, &archive, &settings, &task)).unwrap();
    let best = space.feasible_indices().map(|o| truth(space, &space.plan(&o))).fold(0.0, f64::max);
    best - truth(space, &chosen.plan)
}

#[test]
fn an_agent_that_knows_the_worst_plans_does_no_harm() {
    let pool = |a, b, c| [(a, 7.0), (b, 32.0), (c, 72.0)];
    let stages =
        [stage("retrieve", 512, 64, &pool("R7", "R32", "R72")), stage("answer", 512, 64, &pool("QA3", "QA8", "QA70"))];
    let stages = stages.map(|s| StageSpace { samples: vec![1, 4], ..s });
    let space = space(stages.to_vec(), 1000.0);
    let mut all: Vec<Plan> = space.feasible_indices().map(|o| space.plan(&o)).collect();
    all.sort_by(|a, b| truth(&space, a).total_cmp(&truth(&space, b)));
    let mut differences = Vec::new();
    for seed in 0..6 {
        let mut next = seed as usize;
        // Other ones of the worse half every time: the planner does not see at once that they are bad.
        let mut worse = |q: &Question| {
            next += 8;
            let bad = (0..8).map(|i| written(&all[(next + i) * 7919 % (all.len() / 2)])).collect();
            advising(bad)(q)
        };
        differences.push(regret(&space, seed, Some(&mut worse)) - regret(&space, seed, None));
    }
    let lost = Estimate::of_values(&differences);
    assert!(lost.mean <= 0.02 + 2.0 * lost.se, "{differences:?}");
}

#[test]
fn the_recommendation_is_the_planners() {
    let space = few_samples();
    let (archive, settings, task) = (started(&space), settings(), task());
    let ask = Ask::new(&space, &archive, &settings, &task);
    let of = |name: &str| searcher(name).unwrap().recommend(&ask).unwrap();
    assert_eq!(of("agent"), of("planner"));
}
