//! The spaces of the AgentTTS paper (arXiv 2508.00890, tables of tasks and lengths), counted exactly.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail by panicking.

use agenttts_core::{Aggregator, Cost, CostModel, ModelSpec, Space, StageSpace, Temperature};

/// Prompt tokens, decoded tokens, and the pool in billions of parameters.
type Stage<'a> = (u64, u64, &'a [f64]);

fn space(stages: &[Stage<'_>]) -> Space {
    let stages = stages.iter().enumerate().map(|(i, &(prompt_tokens, decode_tokens, pool))| StageSpace {
        name: format!("stage{i}"),
        models: pool.iter().map(|&b| model(b)).collect(),
        samples: (1..=100).collect(),
        aggregators: vec![Aggregator::Fuse],
        temperatures: vec![Temperature::new(0.9).unwrap()],
        runs: agenttts_core::Runs::ONCE,
        prompt_tokens,
        decode_tokens,
        judge: None,
        fusion_decode_tokens: None,
    });
    Space::new(stages.collect(), CostModel::PaperFlops, CostModel::PaperFlops.amount(1e9).unwrap()).unwrap()
}

fn model(billions: f64) -> ModelSpec {
    ModelSpec { params: Some((billions * 1e9) as u64), ..ModelSpec::named(format!("{billions}b"), "p", "m") }
}

/// Checks the default budget (one pass of the largest model at every stage), given in thirds of a unit, and the number
/// of plans within it and within it rounded up to whole units.
fn check(stages: &[Stage<'_>], default_in_thirds: i128, exact: u128, rounded_up: u128) {
    const THIRD: i128 = 64_000;
    let space = space(stages);
    let default = space.cost_of(&space.largest_once()).unwrap();
    assert_eq!(default, Cost(default_in_thirds * THIRD));
    assert_eq!(CostModel::PaperFlops.units(default), default_in_thirds as f64 / 3.0);
    assert_eq!(space.count_within(default), exact);
    let whole = CostModel::PaperFlops.amount(CostModel::PaperFlops.units(default).ceil()).unwrap();
    assert_eq!(space.count_within(whole), rounded_up);
    assert_eq!(space.with_budget(default).unwrap().feasible(), exact);
}

#[test]
fn two_wiki_and_hotpot() {
    check(&[(2048, 128, &[7.0, 32.0, 72.0]), (256, 64, &[3.0, 8.0, 70.0])], 928 * 3 + 2, 27_186, 27_190);
}

#[test]
fn cwq() {
    check(&[(1024, 64, &[7.0, 72.0]), (256, 64, &[8.0, 70.0])], 520 * 3 + 2, 11_184, 11_195);
}

#[test]
fn web_qsp() {
    check(&[(1024, 64, &[7.0, 72.0]), (128, 64, &[8.0, 70.0])], 474 * 3, 10_815, 10_815);
}

#[test]
fn task_bench() {
    let pool: &[f64] = &[8.0, 70.0];
    check(&[(1024, 64, pool), (1024, 256, pool), (1024, 2048, pool)], 1977 * 3 + 1, 176_065, 176_478);
}

#[test]
fn chat_dev() {
    let pool: &[f64] = &[3.0, 70.0];
    check(&[(1024, 1024, pool), (1024, 512, pool), (1024, 256, pool)], 1767 * 3 + 1, 759_511, 759_511);
}

#[test]
fn counting_agrees_with_listing() {
    let pool: &[f64] = &[8.0, 70.0];
    let space = space(&[(1024, 64, pool), (1024, 256, pool)]);
    let budget = CostModel::PaperFlops.amount(900.0).unwrap();
    let within = space.with_budget(budget).unwrap();
    assert_eq!(within.feasible_indices().count() as u128, space.count_within(budget));
}
