use agenttts_core::{
    Aggregator, Cost, CostModel, Estimate, Measurement, ModelSpec, Origin, Runs, StageSpace, Temperature, Trial,
    TrialState,
};
use proptest::prelude::*;

use super::*;

/// Plans are numbers of samples, 1 to 9, that all cost within the budget.
fn space() -> Space {
    let stage = StageSpace {
        name: "answer".into(),
        models: vec![ModelSpec::named("m", "table", "m")],
        samples: (1..=9).collect(),
        aggregators: vec![Aggregator::Vote],
        temperatures: vec![Temperature::from_thousandths(900).unwrap()],
        runs: Runs::ONCE,
        prompt_tokens: 1,
        decode_tokens: 1,
        judge: None,
        fusion_decode_tokens: None,
    };
    Space::new(vec![stage], CostModel::Tokens, Cost(i128::MAX / 4)).unwrap()
}

/// An archive of trials given as plan, first example and scores.
fn archive(space: &Space, trials: &[(usize, u32, &[f64])]) -> Archive {
    let trial = |(number, (plan, first, scores)): (u32, &(usize, u32, &[f64]))| {
        let n = scores.len() as u32;
        let cost = Estimate { mean: 1.0, low: 1.0, high: 1.0, se: 0.0, n };
        Trial {
            number,
            round: 0,
            plan: space.plan(&[*plan]),
            nominal_cost: Cost::ZERO,
            origin: Origin { method: "m".into(), reason: "r".into(), repairs: vec![] },
            stream: 0,
            span: Some(Span { first: *first, count: n }),
            state: TrialState::Measured(Box::new(Measurement::of_scores(scores.to_vec(), cost))),
        }
    };
    Archive { trials: (1..).zip(trials).map(trial).collect(), ..Archive::default() }
}

/// So many examples of which every `k`-th scores 0, the others 1.
fn failing_every(k: usize, n: usize) -> Vec<f64> {
    (1..=n).map(|i| f64::from(u8::from(i % k != 0))).collect()
}

/// Runs a trial of plan 8 with these scores block by block; how it ended, and after how many examples.
fn run(archive: &Archive, scores: &[f64], first: u32) -> (Option<RacedOut>, usize) {
    let space = space();
    let span = Span { first, count: scores.len() as u32 };
    let Some(race) = Race::new(&space, archive, archive.trials.len() as u32 + 1, &space.plan(&[8]), span) else {
        return (None, scores.len());
    };
    let mut done = 0;
    while done < scores.len() {
        done += race.next_block(&scores[..done]) as usize;
        if let Some(out) = race.verdict(&scores[..done]) {
            return (Some(out), done);
        }
    }
    (None, done)
}

#[test]
fn a_hopeless_plan_ends_early_and_a_good_one_does_not() {
    let archive = archive(&space(), &[(0, 0, &failing_every(5, 50))]);
    let (out, examples) = run(&archive, &failing_every(1, 50), 0);
    let out = out.unwrap();
    assert!(examples <= 12, "{examples}");
    assert_eq!((out.planned_end, out.leader), (50, 1));
    // It failed wherever the leader did not.
    assert!(out.behind > 0.7 && out.expected < 0.1, "{out:?}");
    assert_eq!(run(&archive, &failing_every(6, 50), 0), (None, 50));
    // The same scores are no worse.
    assert_eq!(run(&archive, &failing_every(5, 50), 0), (None, 50));
}

#[test]
fn what_even_full_marks_would_not_mend_needs_no_luck() {
    // The leader never fails; one failure is one too many.
    let archive = archive(&space(), &[(0, 0, &[1.0; 40])]);
    let scores: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i != 2))).collect();
    let (out, examples) = run(&archive, &scores, 0);
    assert_eq!(examples, 3);
    assert!((out.unwrap().expected - 2.0 / 3.0).abs() < 1e-12);
}

#[test]
fn nobody_races_without_a_leader_on_the_same_examples_or_against_itself() {
    let space = space();
    let span = Span { first: 0, count: 50 };
    let race = |archive: &Archive, plan: usize, span: Span| Race::new(&space, archive, 9, &space.plan(&[plan]), span);
    let one = archive(&space, &[(0, 0, &[1.0; 50])]);
    assert!(race(&Archive::default(), 8, span).is_none());
    assert!(race(&one, 8, span).is_some() && race(&one, 0, span).is_none());
    assert!(race(&one, 8, Span { first: 50, count: 50 }).is_none());
    // A trial of one block has nothing to end early.
    assert!(race(&one, 8, Span { first: 0, count: 7 }).is_none());
    let few = archive(&space, &[(0, 0, &[1.0; 7])]);
    assert!(race(&few, 8, span).is_none());
}

#[test]
fn a_plan_that_was_raced_out_or_is_above_the_budget_does_not_lead() {
    let space = space();
    let mut archive = archive(&space, &[(0, 0, &[0.5; 50]), (1, 0, &[1.0; 50])]);
    let span = Span { first: 0, count: 50 };
    let leader = |archive: &Archive| Race::new(&space, archive, 3, &space.plan(&[8]), span).map(|race| race.leader);
    assert_eq!(leader(&archive), Some(2));
    let TrialState::Measured(m) = &mut archive.trials[1].state else { panic!("not measured") };
    m.raced_out = Some(RacedOut { planned_end: 60, leader: 1, behind: 0.1, expected: 0.4 });
    assert_eq!(leader(&archive), Some(1));
    let TrialState::Measured(m) = &mut archive.trials[1].state else { panic!("not measured") };
    m.raced_out = None;
    m.cost.mean = 1e40;
    assert_eq!(leader(&archive), Some(1));
}

#[test]
fn earlier_examples_of_the_plan_count() {
    // Equal on the next twenty; behind by ten on the first twenty, which can be made up by no more than the leader's failures.
    let theirs = [vec![1.0; 20], failing_every(4, 20)].concat();
    let behind = archive(&space(), &[(0, 0, &theirs), (8, 0, &[failing_every(2, 20)].concat())]);
    let (out, _) = run(&behind, &failing_every(4, 20), 20);
    assert!(out.unwrap().behind > 0.3);
    let level = archive(&space(), &[(0, 0, &theirs), (8, 0, &[1.0; 20])]);
    assert_eq!(run(&level, &failing_every(4, 20), 20), (None, 20));
}

#[test]
fn the_error_of_all_trials_together_is_bounded_however_many_are_raced_out() {
    let none = Archive::default();
    assert!((1..100_000).map(|n| error(&none, n)).sum::<f64>() < FALSE_SHARE);
    let mut all = archive(&space(), &[(0, 0, &[1.0; 9][..]); 30]);
    for trial in &mut all.trials {
        if let TrialState::Measured(m) = &mut trial.state {
            m.raced_out = Some(RacedOut { planned_end: 50, leader: 1, behind: 0.5, expected: 0.5 });
        }
    }
    for n in 1..=30 {
        assert!(error(&all, n) <= FALSE_SHARE / (f64::from(n) + 1.0) + 1e-12);
    }
}

proptest! {
    /// Blocks cover the trial whatever it scores, and a plan that is level with the leader everywhere is never raced out.
    #[test]
    fn every_example_has_its_block(scores in prop::collection::vec(0.0..=1.0f64, 8..120), lower in 0.0..0.5f64) {
        let leader: Vec<f64> = scores.iter().map(|s| (s - lower).max(0.0)).collect();
        let known = archive(&space(), &[(0, 0, &leader)]);
        prop_assert_eq!(run(&known, &scores, 0), (None, scores.len()));
        let (out, examples) = run(&archive(&space(), &[(0, 0, &scores)]), &leader, 0);
        prop_assert!(examples <= scores.len() && out.is_none() == (examples == scores.len()));
    }

    /// In whatever order the examples come, at most one in `1/error` races of a plan that is as good as the leader over
    /// all of them is lost; the leader's scores and the plan's may hang together or not.
    #[test]
    fn orders_in_which_an_equal_plan_is_lost_are_rare(failures in 3..20usize, shared in 0..20usize, seed: u64) {
        use rand::SeedableRng;
        use rand::seq::SliceRandom;
        let n = 40;
        let shared = shared.min(failures);
        let mut pairs: Vec<(f64, f64)> = (0..n)
            .map(|i| {
                let theirs = f64::from(u8::from(i >= failures));
                let mine = f64::from(u8::from(!(failures - shared..2 * failures - shared).contains(&i)));
                (theirs, mine)
            })
            .collect();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let orders = 400;
        let lost = (0..orders).filter(|_| {
            pairs.shuffle(&mut rng);
            let theirs: Vec<Option<f64>> = pairs.iter().map(|p| Some(p.0)).collect();
            let mut bets = Bets::new(&theirs, 0.0);
            pairs.iter().any(|&(theirs, mine)| {
                bets.see(theirs, mine);
                bets.refute(0.05)
            })
        });
        // 20 are expected at most; 45 is far beyond chance.
        prop_assert!(lost.count() < 45);
    }
}
