//! The method `rules` does not stay where its first trials led it.
#![allow(clippy::unwrap_used)] // A test's helpers may fail by panicking.

mod common;

use agenttts_core::{Archive, Estimate, Plan, Space, TrialState};
use agenttts_search::{Settings, recommend, searcher};
use common::{silent, space, stage, step};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A draft by one of six models, and a revision that may leave it as it is: the largest and the smallest reviser do.
fn drafts() -> Space {
    let pool = [("m1", 1.0), ("m2", 2.0), ("m4", 4.0), ("m8", 8.0), ("m16", 16.0), ("m32", 32.0)];
    let [mut draft, mut check, mut revise] = ["draft", "check", "revise"].map(|name| stage(name, 128, 64, &pool));
    for stage in [&mut draft, &mut check, &mut revise] {
        stage.samples = vec![1];
    }
    space(vec![draft, check, revise], 1e3)
}

/// Revisers that do something spoil every draft but those of `m4`, which they make better.
fn truth(plan: &Plan) -> f64 {
    let [draft, _, revise] = &plan.choices[..] else { return 0.0 };
    match (draft.model.as_str(), revise.model.as_str()) {
        (_, "m1" | "m32") => 0.6,
        ("m4", _) => 0.85,
        _ => 0.4,
    }
}

/// The archive of a study of 50 trials, each on 50 examples that are right as often as the plan's true score says.
fn study(space: &Space, seed: u64) -> Archive {
    let settings = Settings { seed, trials: Some(50), ..Settings::default() };
    let mut archive = Archive::default();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut measured = 0;
    while step(&*searcher("rules").unwrap(), space, &settings, &mut archive, &mut silent) {
        for trial in &mut archive.trials[measured..] {
            let p = truth(&trial.plan);
            let scores: Vec<f64> = (0..50).map(|_| f64::from(u8::from(rng.random::<f64>() < p))).collect();
            if let TrialState::Measured(m) = &mut trial.state {
                m.objective = Estimate::of_scores(&scores);
                m.scores = scores;
            }
        }
        measured = archive.trials.len();
    }
    archive
}

#[test]
fn plans_that_look_bad_by_their_parts_are_put_to_the_test() {
    let space = drafts();
    let found = (0..8).filter(|&seed| {
        let archive = study(&space, seed);
        truth(&recommend(&space, &archive).unwrap().plan) > 0.8
    });
    let found = found.count();
    assert!(found >= 4, "{found} of 8");
}

#[test]
fn every_fifth_trial_after_the_initial_ones_explores() {
    let archive = study(&drafts(), 1);
    for trial in archive.trials.iter().filter(|t| t.round > 0) {
        assert!(trial.number % 5 != 0 || trial.origin.reason.starts_with("exploration"), "{}", trial.origin.reason);
    }
}
