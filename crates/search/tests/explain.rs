//! Why a plan won, on truths whose answer is known.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail by panicking.

mod common;

use agenttts_core::{
    Archive, CostModel, Estimate, Explanation, Origin, Part, Plan, Space, StageSpace, Trial, TrialState, Verdict,
};
use agenttts_search::explain;
use common::{measure, model, space, stage};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stage of two models and few counts.
fn small(name: &str, models: usize, samples: &[u32]) -> StageSpace {
    let pool = (0..models).map(|m| model(&format!("{name}{m}"), 1.0 + m as f64)).collect();
    StageSpace { models: pool, samples: samples.to_vec(), ..stage(name, 100, 100, &[]) }
}

/// A space that everything fits into.
fn roomy(stages: Vec<StageSpace>) -> Space {
    space(stages, 1e9)
}

/// Trials of these plans, each on `n` examples drawn with the plan's true score.
fn tried(space: &Space, plans: &[Plan], n: u32, truth: impl Fn(&Plan) -> f64) -> Archive {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let trials = plans.iter().zip(1..).map(|(plan, number)| {
        let p = truth(plan);
        let scores: Vec<f64> = (0..n).map(|_| f64::from(u8::from(rng.random::<f64>() < p))).collect();
        let mut measured = measure(space, plan, number, 50);
        measured.objective = Estimate::of_scores(&scores);
        measured.scores = scores;
        Trial {
            number,
            round: 0,
            plan: plan.clone(),
            nominal_cost: space.cost_of(plan).unwrap(),
            origin: Origin { method: "test".into(), reason: "test".into(), repairs: vec![] },
            stream: 0,
            span: None,
            state: TrialState::Measured(Box::new(measured)),
        }
    });
    Archive { trials: trials.collect(), ..Archive::default() }
}

fn all_plans(space: &Space) -> Vec<Plan> {
    space.feasible_indices().map(|o| space.plan(&o)).collect()
}

fn share(of: &Explanation, stage: &str, part: Part) -> f64 {
    of.importance.iter().find(|i| i.factor.stage == stage && i.factor.part == part).map_or(0.0, |i| i.share.mean)
}

/// Whether the stage uses its second model.
fn second(plan: &Plan, stage: usize) -> f64 {
    f64::from(u8::from(plan.choices[stage].model.ends_with('1')))
}

#[test]
fn shares_of_an_additive_truth_are_those_computed_by_hand() {
    // Two models each, all equally frequent: variances (.30 / 2)² = .0225 and (.15 / 2)² = .0056, so 80% and 20%;
    // samples do nothing.
    let space = roomy(vec![small("a", 2, &[1, 4]), small("b", 2, &[1, 4])]);
    let archive = tried(&space, &all_plans(&space), 2_000, |p| 0.3 + 0.30 * second(p, 0) + 0.15 * second(p, 1));
    let of = explain(&space, &archive, None, 1).unwrap();
    assert_eq!(of.verdict, Verdict::Measured);
    let (a, b) = (share(&of, "a", Part::Model), share(&of, "b", Part::Model));
    assert!((a - 0.8).abs() < 0.05 && (b - 0.2).abs() < 0.05, "{a} {b}");
    assert!(share(&of, "a", Part::Samples) < 0.02 && of.pairs.iter().all(|p| p.share.mean < 0.02), "{:?}", of.pairs);
    let first = &of.importance[0];
    assert_eq!((first.factor.to_string().as_str(), first.best.as_str(), first.worst.as_str()), ("a model", "a1", "a0"));
    assert!(first.effect.low < 0.30 && 0.30 < first.effect.high && first.share.low > 0.7, "{first:?}");
    assert!(of.words[0].starts_with("The model at a matters most: it explains 8"), "{:?}", of.words);
}

#[test]
fn an_exclusive_or_is_told_as_an_interaction() {
    let space = roomy(vec![small("a", 2, &[1, 4]), small("b", 2, &[1, 4])]);
    let archive = tried(&space, &all_plans(&space), 500, |p| 0.3 + 0.4 * (second(p, 0) - second(p, 1)).abs());
    let of = explain(&space, &archive, None, 1).unwrap();
    let pair = &of.pairs[0];
    assert_eq!(pair.factors.each_ref().map(ToString::to_string), ["a model", "b model"]);
    assert!(pair.share.mean > 0.85 && pair.departure.is_measurable(), "{pair:?}");
    assert!(of.importance.iter().all(|i| i.share.mean < 0.05), "{:?}", of.importance);
    let map = &of.interplay[0];
    assert_eq!((map.upstream.as_str(), map.downstream.as_str(), map.measurable), ("a", "b", true));
    assert!(map.departures[0][0].high < -0.15 && map.departures[1][0].low > 0.15, "{:?}", map.departures);
    // Each model upstream wants the other one downstream.
    assert!(map.rows.iter().all(|r| r.best.model.ends_with('1') != r.model.ends_with('1')), "{:?}", map.rows);
    assert!(map.rows.iter().any(|r| r.gain.is_some_and(|g| g.low > 0.2)), "{:?}", map.rows);
    assert!(of.words.iter().any(|w| w.starts_with("a model and b model depend on each other")), "{:?}", of.words);
}

#[test]
fn equal_scores_mean_that_nothing_matters_measurably() {
    let space = roomy(vec![small("a", 2, &[1, 4]), small("b", 3, &[1, 4])]);
    let mut archive = tried(&space, &all_plans(&space), 50, |_| 0.5);
    let scores: Vec<f64> = (0..50).map(|i| f64::from(i % 2)).collect();
    for t in &mut archive.trials {
        if let TrialState::Measured(m) = &mut t.state {
            m.objective = Estimate::of_scores(&scores);
            m.scores = scores.clone();
        }
    }
    let of = explain(&space, &archive, None, 1).unwrap();
    assert_eq!(of.verdict, Verdict::NothingMeasurable);
    assert!(of.importance.iter().all(|i| !i.effect.is_measurable()));
    assert!(of.words[0].starts_with("Nothing matters measurably: over 24 measured plans"), "{:?}", of.words);
    assert!(of.curves.iter().all(|c| c.enough == Some(1) && !c.falls));
}

#[test]
fn noise_alone_is_rarely_taken_for_an_effect() {
    let space = roomy(vec![small("a", 3, &[1, 2, 4, 8]), small("b", 3, &[1, 2, 4, 8])]);
    let mut plans = all_plans(&space);
    let mut found = 0;
    for seed in 0..12 {
        plans.rotate_left(31);
        let some: Vec<Plan> = plans.iter().step_by(9).cloned().collect();
        let of = explain(&space, &tried(&space, &some, 50, |_| 0.5), None, seed).unwrap();
        found += u32::from(of.verdict == Verdict::Measured);
    }
    assert!(found <= 3, "{found} of 12");
}

#[test]
fn intervals_hold_the_truth_about_as_often_as_they_say() {
    // Additive, so the effect of a model is the same whatever the weights of the other choices.
    let space = roomy(vec![small("a", 2, &[1, 3, 9]), small("b", 2, &[1, 3, 9])]);
    let plans = all_plans(&space);
    let (mut held, mut all) = (0, 0);
    for seed in 0..15 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let some: Vec<Plan> = (0..24).map(|_| plans[rng.random_range(0..plans.len())].clone()).collect();
        let truth = |p: &Plan| 0.3 + 0.15 * second(p, 0) + 0.02 * f64::from(p.choices[1].samples);
        let mut archive = tried(&space, &some, 50, truth);
        for t in &mut archive.trials {
            let p = truth(&t.plan);
            if let TrialState::Measured(m) = &mut t.state {
                m.scores = (0..50).map(|_| f64::from(u8::from(rng.random::<f64>() < p))).collect();
                m.objective = Estimate::of_scores(&m.scores);
            }
        }
        let of = explain(&space, &archive, None, seed).unwrap();
        for (i, effect) in [("a", 0.15), ("b", 0.0)] {
            let found = of.importance.iter().find(|f| f.factor.stage == i && f.factor.part == Part::Model).unwrap();
            // The level that looks best may not be.
            let sign = if found.best.ends_with('1') { 1.0 } else { -1.0 };
            held += u32::from(found.effect.low <= sign * effect && sign * effect <= found.effect.high);
            all += 1;
        }
    }
    assert!(held * 10 >= all * 8, "{held} of {all}");
}

#[test]
fn few_trials_explain_nothing() {
    let space = roomy(vec![small("a", 2, &[1, 4]), small("b", 2, &[1, 4])]);
    assert_eq!(explain(&space, &Archive::default(), None, 1), None);
    let archive = tried(&space, &all_plans(&space)[..3], 50, |p| 0.2 + 0.6 * second(p, 0));
    let of = explain(&space, &archive, None, 1).unwrap();
    assert_eq!((of.verdict, of.importance.len()), (Verdict::TooFewTrials, 0));
    assert_eq!(of.words, ["Too few trials to say what matters: 3 measured plans, and at least 8 are needed."]);
}

#[test]
fn where_there_is_one_plan_there_was_nothing_to_choose() {
    let space = roomy(vec![small("a", 1, &[3]), small("b", 1, &[1])]);
    let archive = tried(&space, &all_plans(&space), 50, |_| 0.5);
    let of = explain(&space, &archive, None, 1).unwrap();
    assert_eq!((of.verdict, of.words.len()), (Verdict::NoChoice, 1));
}

#[test]
fn one_stage_has_curves_and_no_interplay() {
    // Rises to 8 samples and falls after.
    let counts = [1, 2, 4, 8, 16, 32];
    let height = |samples: u32| 0.8 - 0.08 * (f64::from(samples).log2() - 3.0).powi(2);
    let space = roomy(vec![small("only", 1, &counts)]);
    let archive = tried(&space, &all_plans(&space), 1_000, |p| height(p.choices[0].samples));
    let of = explain(&space, &archive, None, 1).unwrap();
    assert!(of.interplay.is_empty() && of.pairs.is_empty());
    assert!(share(&of, "only", Part::Samples) > 0.95, "{:?}", of.importance);
    let curve = &of.curves[0];
    let peak = curve.peak.unwrap();
    assert_eq!((peak.samples, curve.enough, curve.falls, &curve.tried[..]), (8, Some(8), true, &counts[..]));
    let said = "only samples of only0: beyond 8 nothing measurable is gained, and 32 is clearly worse than 8";
    assert!(of.words.iter().any(|w| w.starts_with(said)), "{:?}", of.words);
}

#[test]
fn counts_beyond_the_budget_are_no_peak() {
    let space = space(vec![small("a", 1, &[1, 2, 4]), small("b", 1, &[1, 2, 4, 8, 16])], 40.0);
    let plans = all_plans(&space);
    let archive = tried(&space, &plans, 200, |p| 0.3 + 0.03 * f64::from(p.choices[1].samples));
    let of = explain(&space, &archive, Some(&plans[0]), 1).unwrap();
    for curve in &of.curves {
        let fits: Vec<u32> = curve.points.iter().filter(|p| p.within_budget).map(|p| p.samples).collect();
        assert!(fits.contains(&curve.peak.unwrap().samples) && fits.contains(&curve.enough.unwrap()), "{curve:?}");
    }
}

#[test]
fn a_rival_that_cannot_be_told_apart_is_said_to_be() {
    let space = roomy(vec![small("a", 2, &[1, 4]), small("b", 2, &[1, 4])]);
    let plans = all_plans(&space);
    let archive = tried(&space, &plans, 100, |p| 0.2 + 0.5 * second(p, 0));
    let of = explain(&space, &archive, Some(plans.last().unwrap()), 1).unwrap();
    assert_eq!(of.rivals.len(), 3);
    assert!(of.rivals.iter().all(|r| r.ahead.low < 0.0 && !r.differs.is_empty()), "{:?}", of.rivals);
    let last = of.words.last().unwrap();
    assert!(last.starts_with("The trials do not tell it from the next best plan (trial "), "{last}");
}

#[test]
fn the_same_archive_is_explained_alike() {
    let space = common::two_wiki(850.0);
    let plans: Vec<Plan> = all_plans(&space).into_iter().step_by(997).collect();
    let archive = tried(&space, &plans, 50, |p| common::truth(&space, p));
    let of = explain(&space, &archive, None, 3);
    assert_eq!(of, explain(&space, &archive, None, 3));
    let json = serde_json::to_string(&of).unwrap();
    assert_eq!(serde_json::from_str::<Option<Explanation>>(&json).unwrap(), of);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn shares_are_shares(
        models in prop::collection::vec(1usize..4, 1..4),
        counts in prop::sample::subsequence(vec![1u32, 2, 3, 5, 8, 13, 40], 1..5),
        tight in 0.0..1.0f64,
        n in 1u32..60,
        seed in 0u64..1000,
    ) {
        let stages = |models: &[usize]| {
            models.iter().enumerate().map(|(i, &m)| small(&format!("s{i}"), m, &counts)).collect::<Vec<_>>()
        };
        let all = roomy(stages(&models));
        let units = |p: &Plan| CostModel::PaperFlops.units(all.cost_of(p).unwrap());
        let (low, high) = (units(&all.cheapest()), units(&all.dearest().unwrap()));
        let space = space(stages(&models), low + (high - low) * tight + 0.01);
        let plans: Vec<Plan> = all_plans(&space).into_iter().step_by(3).take(20).collect();
        // Any truth will do.
        let archive = tried(&space, &plans, n, |p| 0.5 + 0.49 * (seed as f64 + units(p) * 31.0).sin());
        let of = explain(&space, &archive, plans.first(), seed).unwrap();
        let shares = || of.importance.iter().map(|i| i.share).chain(of.pairs.iter().map(|p| p.share)).chain(of.rest);
        prop_assert!(shares().all(|s| 0.0 <= s.low && s.low <= s.high && s.high <= 1.0 + 1e-9), "{of:?}");
        let sum: f64 = shares().map(|s| s.mean).sum();
        prop_assert!(of.importance.is_empty() || (sum - 1.0).abs() < 1e-6, "{sum}");
        prop_assert!(!of.words.is_empty());
        for c in &of.curves {
            prop_assert!(c.points.iter().all(|p| p.score.low <= p.score.mean && p.score.mean <= p.score.high));
        }
    }
}
