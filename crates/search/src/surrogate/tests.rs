//! Shrinkage on hand-made archives.

use agenttts_core::{
    Aggregator, Archive, Cost, CostModel, Estimate, Measurement, ModelSpec, Origin, Price, Space, Span, StageSpace,
    Temperature, Trial, TrialState,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Surrogate;
use crate::ask::Insights;

/// One stage with `models` models, drawn once.
fn space(models: u64) -> Space {
    let model = |i: u64| ModelSpec {
        price: Some(Price { prompt: 0, cached_prompt: 0, decode: 10 + i, batch: None }),
        ..ModelSpec::named(format!("m{i}"), "p", "m")
    };
    let stage = StageSpace {
        name: "only".into(),
        models: (0..models).map(model).collect(),
        samples: vec![1],
        aggregators: vec![Aggregator::First],
        temperatures: vec![Temperature::new(0.9).unwrap()],
        runs: agenttts_core::Runs::ONCE,
        prompt_tokens: 1,
        decode_tokens: 1,
        judge: None,
        fusion_decode_tokens: None,
    };
    Space::new(vec![stage], CostModel::Usd, Cost(1_000_000)).unwrap()
}

fn trial(space: &Space, number: u32, option: usize, scores: Vec<f64>) -> Trial {
    let measured = Measurement::of_scores(scores, Estimate::of_values(&[1.0, 1.0]));
    Trial {
        number,
        round: 0,
        plan: space.plan(&[option]),
        nominal_cost: Cost(1),
        origin: Origin { method: "test".into(), reason: "test".into(), repairs: vec![] },
        stream: 0,
        span: None,
        state: TrialState::Measured(Box::new(measured)),
    }
}

fn learn(space: &Space, trials: Vec<Trial>) -> Surrogate {
    let archive = Archive { trials, ..Archive::default() };
    Surrogate::new(space, &archive, Insights::ALL, &mut ChaCha8Rng::seed_from_u64(1))
}

fn successes(of: u32, n: u32) -> Vec<f64> {
    (0..n).map(|i| f64::from(u8::from(i * 7 % n < of))).collect()
}

#[test]
fn a_lucky_score_is_shrunk_and_a_confirmed_one_less() {
    let space = space(8);
    // Each plan fails on examples of its own: the scores are noisy.
    let turned = |i: u32| {
        let mut scores = successes(25, 50);
        scores.rotate_left(i as usize * 5 % 50);
        scores
    };
    let rest = |n0: u32| (1..8).map(move |i| (n0 + i, i as usize, turned(i))).collect::<Vec<_>>();
    let build = |first: Vec<Vec<f64>>| {
        let mut trials: Vec<Trial> = first.into_iter().zip(1..).map(|(s, n)| trial(&space, n, 0, s)).collect();
        trials.extend(rest(10).into_iter().map(|(n, o, s)| trial(&space, n, o, s)));
        learn(&space, trials).belief(&[0])
    };
    let mut other = successes(40, 50);
    other.rotate_left(3);
    let once = build(vec![successes(40, 50)]);
    let twice = build(vec![successes(40, 50), other]);
    assert!(once.mean < 0.79 && once.mean > 0.5, "{once:?}");
    assert!(twice.mean > once.mean && twice.sd < once.sd, "{once:?} {twice:?}");
}

#[test]
fn difficulty_that_all_plans_share_is_not_noise() {
    let space = space(6);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    // Half of the examples are hopeless for every plan; each plan differs from the others in few of the rest.
    let paired: Vec<Trial> = (0..6)
        .map(|o| {
            let scores = (0..60).map(|i| f64::from(u8::from(i % 2 == 0 && rng.random::<f64>() < 0.95)));
            trial(&space, o as u32 + 1, o, scores.collect())
        })
        .collect();
    let alone = paired[0].measurement().unwrap().objective.se.powi(2);
    let surrogate = learn(&space, paired);
    assert!(surrogate.observations[0].noise < 0.4 * alone, "{} {alone}", surrogate.observations[0].noise);
}

#[test]
fn replicates_that_repeat_themselves_are_no_new_evidence() {
    let space = space(6);
    let base = |o: usize| {
        let mut scores = successes(30, 60);
        scores.rotate_left(o * 5);
        scores
    };
    let learned = |again: [usize; 3]| {
        let mut trials: Vec<Trial> = (0..6).map(|o| trial(&space, o as u32 + 1, o, base(o))).collect();
        trials.extend(again.iter().zip(7..).map(|(&shift, n)| trial(&space, n, 0, base(shift))));
        learn(&space, trials)
    };
    let (repeated, independent) = (learned([0, 0, 0]), learned([7, 8, 9]));
    assert!(repeated.lasting > 0.6 && independent.lasting < 0.3, "{} {}", repeated.lasting, independent.lasting);
    let (stuck, sure) = (repeated.observations[0].noise, independent.observations[0].noise);
    assert!(stuck > 1.5 * sure, "four equal trials count as little more than one: {stuck} {sure}");
}

#[test]
fn trials_on_other_examples_are_no_replicates_and_the_rest_stay_paired() {
    let space = space(6);
    // All plans fail on the same examples; those of the second lot of trials are other ones.
    let scores: Vec<f64> = (0..30).map(|i| f64::from(i % 2)).collect();
    let lot = |apart: bool| {
        let first: Vec<Trial> = (0..6).map(|o| trial(&space, o as u32 + 1, o, scores.clone())).collect();
        let mut trials = first;
        let mut again = trial(&space, 7, 0, scores.clone());
        again.span = apart.then_some(Span { first: 30, count: 30 });
        trials.push(again);
        learn(&space, trials)
    };
    let (same, other) = (lot(false), lot(true));
    let unpaired = 0.25 / 30.0;
    assert!(same.observations[1].noise < 0.1 * unpaired && other.observations[1].noise < 0.4 * unpaired);
    assert_eq!(other.lasting, 0.0);
}

#[test]
fn a_few_examples_that_agree_are_no_proof() {
    let space = space(4);
    let trials = (0..4).map(|o| trial(&space, o as u32 + 1, o, vec![1.0; 3])).collect();
    let noise = learn(&space, trials).observations[0].noise;
    assert!(noise > 0.02, "{noise}");
}

#[test]
fn an_empty_archive_believes_in_nothing() {
    let space = space(2);
    let belief = learn(&space, vec![]).belief(&[0]);
    assert!(belief.mean.is_finite() && belief.sd > 0.3, "{belief:?}");
}
