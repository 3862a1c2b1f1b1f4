//! Spaces and a stand-in for the engine, shared by the tests of this crate.
#![allow(dead_code, unreachable_pub)]

use agenttts_core::{
    Aggregator, Archive, CostModel, Estimate, Exchange, Measurement, ModelSpec, Plan, Space, StageSpace, Temperature,
    Trial, TrialState,
};
use agenttts_search::{Ask, Proposal, Question, Searcher, Settings, StageText, Step, TaskText, place};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub fn model(name: &str, billions: f64) -> ModelSpec {
    ModelSpec { params: Some((billions * 1e9) as u64), ..ModelSpec::named(name, "p", "m") }
}

pub fn stage(name: &str, prompt_tokens: u64, decode_tokens: u64, pool: &[(&str, f64)]) -> StageSpace {
    StageSpace {
        name: name.into(),
        models: pool.iter().map(|(n, b)| model(n, *b)).collect(),
        samples: (1..=100).collect(),
        aggregators: vec![Aggregator::Fuse],
        temperatures: vec![Temperature::new(0.9).unwrap()],
        runs: agenttts_core::Runs::ONCE,
        prompt_tokens,
        decode_tokens,
        judge: None,
        fusion_decode_tokens: None,
    }
}

pub fn space(stages: Vec<StageSpace>, budget: f64) -> Space {
    Space::new(stages, CostModel::PaperFlops, CostModel::PaperFlops.amount(budget).unwrap()).unwrap()
}

/// The paper's 2WikiMultiHopQA.
pub fn two_wiki(budget: f64) -> Space {
    let retrieve = stage("retrieve", 2048, 128, &[("R7", 7.0), ("R32", 32.0), ("R72", 72.0)]);
    let answer = stage("answer", 256, 64, &[("QA3", 3.0), ("QA8", 8.0), ("QA70", 70.0)]);
    space(vec![retrieve, answer], budget)
}

pub fn task() -> TaskText {
    let text = |d: &str, m: &str| StageText { description: d.into(), metric: Some(m.into()) };
    TaskText {
        description: "Answer questions that need facts from two articles.".into(),
        objective: "exact match of the answer".into(),
        stages: vec![text("pick the passages that hold the facts", "F1"), text("write the answer", "exact match")],
    }
}

/// A true score that grows with model size and saturates in samples.
pub fn truth(space: &Space, plan: &Plan) -> f64 {
    let parts = plan.choices.iter().zip(space.stages()).map(|(c, s)| {
        let model = s.stage.models.iter().position(|m| m.name == c.model).unwrap() as f64;
        let size = (model + 1.0) / s.stage.models.len() as f64;
        let samples = 1.0 - (-f64::from(c.samples) / 5.0).exp();
        0.5 * size + 0.4 * samples
    });
    parts.sum::<f64>() / space.stages().len() as f64
}

/// The measurement of a plan on so many examples.
pub fn measure(space: &Space, plan: &Plan, number: u32, examples: u32) -> Measurement {
    let p = truth(space, plan);
    let mut rng = ChaCha8Rng::seed_from_u64(u64::from(number));
    let scores: Vec<f64> = (0..examples).map(|_| f64::from(u8::from(rng.random::<f64>() < p))).collect();
    let cost = space.cost_model().units(space.cost_of(plan).unwrap());
    Measurement::of_scores(scores, Estimate::of_values(&[cost, cost]))
}

/// Puts proposals into the archive as trials of one round, measured.
pub fn run_trials(space: &Space, archive: &mut Archive, proposals: &[Proposal]) {
    let round = archive.trials.iter().map(|t| t.round + 1).max().unwrap_or(0);
    for proposal in proposals {
        let number = archive.trials.len() as u32 + 1;
        let (stream, span) = place(archive, &proposal.plan, proposal.examples, Some(50));
        archive.trials.push(Trial {
            number,
            round,
            nominal_cost: space.cost_of(&proposal.plan).unwrap(),
            plan: proposal.plan.clone(),
            origin: proposal.origin.clone(),
            stream,
            span,
            state: TrialState::Measured(Box::new(measure(space, &proposal.plan, number, span.map_or(50, |s| s.count)))),
        });
    }
}

/// One step of a study whose agent answers by `answer`; false when it is finished.
pub fn step(
    searcher: &dyn Searcher,
    space: &Space,
    settings: &Settings,
    archive: &mut Archive,
    answer: &mut dyn FnMut(&Question) -> Result<String, String>,
) -> bool {
    let task = task();
    loop {
        match searcher.ask(&Ask::new(space, archive, settings, &task)) {
            Step::Propose { guidelines, proposals } => {
                run_trials(space, archive, &proposals);
                archive.guidelines.extend(guidelines);
                return true;
            }
            Step::Question(q) => {
                let reply = answer(&q);
                archive.exchanges.push(Exchange {
                    round: q.round,
                    attempt: q.attempt,
                    purpose: q.purpose,
                    messages: q.messages,
                    error: reply.as_ref().err().cloned(),
                    reply: reply.ok(),
                });
            }
            Step::Finished(_) => return false,
        }
    }
}

/// For methods that ask nothing.
#[allow(clippy::panic, reason = "a test's helper")]
pub fn silent(_: &Question) -> Result<String, String> {
    panic!("this method asks nothing")
}
