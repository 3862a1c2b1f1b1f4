//! The harness on small landscapes: budgets, checkpoints, noise, refusals and determinism.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests may panic, as tests do")]

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use agenttts_bench::{
    Arena, Contestant, Entry, Fault, Match, Options, Outside, Peer, PeerFactory, Results, Run, Sizes, Table,
    TableModel, TableRow, TableStage, contestant, play, simulate,
};
use agenttts_core::{CostModel, Plan, Span};
use proptest::prelude::*;

/// One stage with a model for each of these scores; the cost of a plan is its place from 1 on.
fn table(scores: &[f64], budget: f64) -> Table {
    let model = |i: usize| TableModel { name: format!("m{i}"), params_b: None };
    let row = |(i, &score): (usize, &f64)| TableRow { choices: vec![(i, 1)], score, cost: i as f64 + 1.0 };
    Table {
        name: "small".into(),
        note: String::new(),
        budget,
        cost_model: CostModel::Usd,
        noise_examples: 50,
        stages: vec![TableStage {
            name: "s".into(),
            prompt_tokens: None,
            decode_tokens: None,
            models: (0..scores.len()).map(model).collect(),
        }],
        rows: scores.iter().enumerate().map(row).collect(),
    }
}

fn arena(scores: &[f64]) -> Arena {
    table(scores, 1e6).arena().unwrap()
}

/// The plan of the `i`-th score.
fn plan(arena: &Arena, i: usize) -> Plan {
    arena.environment.space().plan(&[i])
}

/// A peer that plays a fixed list of plans, and notes what it is told.
struct Script<'a> {
    plans: Vec<Plan>,
    told: &'a Mutex<Vec<Option<f64>>>,
}

struct Playing<'a> {
    plans: std::vec::IntoIter<Plan>,
    told: &'a Mutex<Vec<Option<f64>>>,
}

impl PeerFactory for Script<'_> {
    fn name(&self) -> &str {
        "script"
    }

    fn start<'a>(&'a self, _: &Entry<'_>) -> Result<Box<dyn Peer + 'a>, Fault> {
        Ok(Box::new(Playing { plans: self.plans.clone().into_iter(), told: self.told }))
    }
}

impl Peer for Playing<'_> {
    fn ask(&mut self) -> Result<Option<Plan>, Fault> {
        Ok(self.plans.next())
    }

    fn tell(&mut self, _: &Plan, score: Option<f64>) -> Result<(), Fault> {
        self.told.lock().unwrap().push(score);
        Ok(())
    }
}

/// Runs a script of plans with trials of `examples`, and gives what it was told too.
fn run_script(arena: &Arena, plans: Vec<Plan>, examples: u32, budget: f64, at: &[f64]) -> (Run, Vec<Option<f64>>) {
    let told = Mutex::new(Vec::new());
    let script = Outside(Script { plans, told: &told }, Sizes::BestOf);
    let of = Match {
        arena,
        contestant: &script,
        seed: 1,
        examples: Some(examples),
        budget,
        checkpoints: at,
        racing: false,
        most_trials: None,
    };
    let run = of.run(&AtomicBool::new(false)).unwrap();
    (run, told.into_inner().unwrap())
}

#[test]
fn a_checkpoint_shows_what_was_known_before_it() {
    // Scores of 0 and 1 have no noise: the first trial finds the worst plan, the second the best.
    let arena = arena(&[0.5, 1.0, 0.0]);
    let plans = vec![plan(&arena, 2), plan(&arena, 1)];
    let (run, _) = run_script(&arena, plans, 10, 30.0, &[9.0, 10.0, 19.0, 20.0, 30.0]);
    let ratios: Vec<f64> = run.points.iter().map(|p| p.ratio).collect();
    // Nothing is recommended before 10; the trial from 10 to 20 counts at 20, not at 19.
    assert_eq!(ratios, [0.0, 0.0, 0.0, 1.0, 1.0]);
    assert_eq!((run.arrived, run.spent, run.trials), (Some(20.0), 20.0, 2));
    assert_eq!(run.ended.as_deref(), Some("the peer has nothing left to propose"));
    // (best - true) / (best - mean of 0.5): twice as far as the mean, then none.
    assert_eq!(run.points[2].normalised_regret, 2.0);
    assert_eq!(run.points[4].normalised_regret, 0.0);
}

#[test]
fn the_last_trial_is_cut_to_what_is_left() {
    let arena = arena(&[1.0, 0.5]);
    let plans = vec![plan(&arena, 0), plan(&arena, 1), plan(&arena, 0)];
    let (run, told) = run_script(&arena, plans, 10, 14.0, &[14.0]);
    assert_eq!((run.spent, run.trials, told.len()), (14.0, 2, 1), "the second ran on 4 examples, the third not at all");
    assert_eq!(run.ended, None);
}

#[test]
fn plans_outside_cost_nothing_but_fifty_rounds_of_them_are_enough() {
    let arena = table(&[0.5, 0.9], 1.5).arena().unwrap();
    let dear = plan(&arena, 1);
    let mut unknown = dear.clone();
    unknown.choices[0].model = "nobody".into();
    let few = vec![dear.clone(), unknown.clone(), plan(&arena, 0)];
    let (run, told) = run_script(&arena, few, 10, 100.0, &[100.0]);
    assert_eq!((run.spent, run.refused, run.trials), (10.0, 2, 1));
    assert_eq!(told[..2], [None, None]);
    assert_eq!(run.points[0].ratio, 1.0, "the best plan within the budget is the only one there");
    let (run, _) = run_script(&arena, vec![unknown; 60], 10, 100.0, &[100.0]);
    assert_eq!((run.refused, run.points[0].ratio), (50, 0.0));
    assert!(run.ended.unwrap().contains("50 rounds"));
}

#[test]
fn a_plans_draw_number_k_is_the_same_whatever_draws_it_and_plans_are_independent() {
    let arena = arena(&[0.5, 0.5]);
    let scores = |seed: u64, plan: &Plan, first: u32, count: u32| {
        let mut session = arena.environment.session(seed);
        session.measure(plan, 0, Span { first, count }).unwrap().scores
    };
    let (a, b) = (plan(&arena, 0), plan(&arena, 1));
    let whole = scores(3, &a, 0, 400);
    assert_eq!(scores(3, &a, 120, 30), whole[120..150]);
    for other in [scores(4, &a, 0, 400), scores(3, &b, 0, 400)] {
        let alike = whole.iter().zip(&other).filter(|(x, y)| x == y).count();
        assert!((140..260).contains(&alike), "{alike} of 400 alike: independent fair coins agree in about 200");
    }
    let mean = whole.iter().sum::<f64>() / 400.0;
    assert!((mean - 0.5).abs() < 0.1, "{mean}");
}

#[test]
fn a_space_of_one_plan_is_won_at_once() {
    for method in ["random", "rules", "grid"] {
        let (results, _) = compare(&[arena(&[0.3])], &[method], 2, Some(40.0), 1);
        let summary = &results.summary[0].methods[0];
        assert_eq!(summary.points.last().unwrap().ratio.mean, 1.0, "{method}");
        assert_eq!(summary.points.last().unwrap().normalised_regret.mean, 0.0, "{method}");
    }
}

#[test]
fn where_all_plans_score_alike_nobody_regrets_anything() {
    for score in [0.0, 0.4] {
        let (results, _) = compare(&[arena(&[score; 5])], &["random"], 2, Some(60.0), 1);
        let last = *results.summary[0].methods[0].points.last().unwrap();
        assert_eq!((last.ratio.mean, last.normalised_regret.mean), (1.0, 0.0));
    }
}

fn compare(arenas: &[Arena], methods: &[&str], seeds: u32, budget: Option<f64>, threads: usize) -> (Results, usize) {
    let contestants: Vec<Box<dyn Contestant>> = methods.iter().map(|m| contestant(m).unwrap()).collect();
    let options = Options { seeds, budget, threads, racing: false };
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let progress = |_: usize, _: usize| {
        calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let series = play(arenas, &contestants, &options, &AtomicBool::new(false), &progress).unwrap().unwrap();
    (Results::new(arenas, &contestants, &options, &series), calls.into_inner())
}

#[test]
fn the_number_of_threads_changes_nothing_but_the_times() {
    let arenas = || [simulate("sim:insights:1").unwrap().arena().unwrap(), arena(&[0.2, 0.9, 0.5, 0.7])];
    let methods = ["random", "rules@25"];
    let without_times = |threads| {
        let (mut results, calls) = compare(&arenas(), &methods, 3, Some(200.0), threads);
        results.times.clear();
        (serde_json::to_string(&results).unwrap(), calls)
    };
    let (one, runs) = without_times(1);
    assert_eq!((one, runs), without_times(3));
    // Random with 5, 10, 25 and 50 examples a trial, rules with 25: five series of three seeds in two arenas.
    assert_eq!(runs, 5 * 3 * 2);
}

#[test]
fn the_field_gets_its_best_number_of_examples_and_differences_are_paired_with_its_best() {
    let (results, _) = compare(&[arena(&[0.2, 0.9, 0.5, 0.7])], &["random", "grid@10", "rules"], 4, Some(200.0), 2);
    let landscape = &results.summary[0];
    let of = |name: &str| landscape.methods.iter().find(|m| m.method == name).unwrap();
    let tried: HashMap<u32, f64> = of("random").tried_examples.iter().copied().collect();
    let best = of("random").points.last().unwrap().ratio.mean;
    assert!(tried.len() == 4 && tried.values().all(|r| *r <= best), "{tried:?} {best}");
    assert_eq!(tried[&of("random").examples.unwrap()], best);
    assert_eq!((of("grid@10").examples, of("rules").examples), (Some(10), Some(50)));
    let rival = of(landscape.best_outside.as_deref().unwrap());
    assert!(rival.outside && rival.difference.is_none());
    let mean = |m: &str| of(m).last.iter().sum::<f64>() / 4.0;
    let difference = of("rules").difference.unwrap().mean;
    assert!((difference - (mean("rules") - mean(&rival.method))).abs() < 1e-12);
}

#[test]
fn nothing_to_compare_is_said() {
    let error = |seeds, budget| {
        let contestants = vec![contestant("random").unwrap()];
        let options = Options { seeds, budget: Some(budget), threads: 1, racing: false };
        play(&[arena(&[0.5])], &contestants, &options, &AtomicBool::new(false), &|_, _| {}).unwrap_err().to_string()
    };
    assert!(error(5, 0.0).contains("zero evaluations") && error(0, 10.0).contains("zero seeds"));
    assert!(contestant("randon").err().unwrap().to_string().contains("did you mean `random`"));
    for (typed, meant) in [("agent-faithfull", "agent-faithful"), ("optuna-tep", "optuna-tpe"), ("orakle", "oracle")] {
        assert!(contestant(typed).err().unwrap().to_string().contains(&format!("did you mean `{meant}`")), "{typed}");
    }
    assert!(contestant("planner@25").err().unwrap().to_string().contains("planner chooses the examples"));
    assert!(contestant("random@0").err().unwrap().to_string().contains("after the @"));
}

#[test]
fn a_comparison_stops_when_asked() {
    let contestants = vec![contestant("random").unwrap()];
    let options = Options { seeds: 3, budget: None, threads: 2, racing: false };
    assert_eq!(play(&[arena(&[0.5])], &contestants, &options, &AtomicBool::new(true), &|_, _| {}), Ok(None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is proposed: never more is spent than the budget, there is one point for every checkpoint, the path is
    /// ascending, and the last point is the path's end.
    #[test]
    fn budgets_and_checkpoints_hold(
        scores in prop::collection::vec(0.0..=1.0f64, 1..8),
        picks in prop::collection::vec(0usize..10, 0..40),
        examples in 1u32..30,
        budget in 1.0..300.0f64,
        mut at in prop::collection::vec(0.0..300.0f64, 0..6),
    ) {
        let arena = arena(&scores);
        let budget = budget.floor();
        at.retain(|c| *c < budget);
        at.sort_by(f64::total_cmp);
        at.push(budget);
        let plans = picks.iter().map(|&i| {
            let mut plan = plan(&arena, i % scores.len());
            if i == 9 {
                plan.choices[0].samples = 7;
            }
            plan
        });
        let (run, _) = run_script(&arena, plans.collect(), examples, budget, &at);
        prop_assert!(run.spent <= budget);
        prop_assert_eq!(run.points.iter().map(|p| p.evaluations).collect::<Vec<_>>(), at);
        prop_assert!(run.path.windows(2).all(|w| w[0].0 < w[1].0));
        prop_assert!(run.points.iter().all(|p| (0.0..=1.0).contains(&p.ratio)));
        prop_assert_eq!(run.points.last().unwrap().ratio, run.path.last().unwrap().1);
        for point in &run.points {
            let known = run.path.iter().take_while(|p| p.0 <= point.evaluations).last().unwrap();
            prop_assert_eq!(known.1, point.ratio);
        }
        let arrived = run.path.iter().rposition(|p| p.1 < 0.98).map_or(Some(&run.path[0]), |i| run.path.get(i + 1));
        prop_assert_eq!(run.arrived, arrived.map(|p| p.0));
    }

    /// Intervals hold their means, and a curve lies within 0 and 1.
    #[test]
    fn summaries_hold_their_means(scores in prop::collection::vec(0.0..=1.0f64, 1..6), seeds in 1u32..5) {
        let (results, _) = compare(&[arena(&scores)], &["random@5"], seeds, Some(60.0), 1);
        let method = &results.summary[0].methods[0];
        for point in &method.points {
            prop_assert!(point.ratio.low <= point.ratio.mean && point.ratio.mean <= point.ratio.high);
            prop_assert_eq!(point.ratio.n, seeds);
        }
        prop_assert!(method.curve.iter().all(|p| (0.0..=1.0).contains(&p.regret)));
        prop_assert!((0.0..=1.0).contains(&method.arrived));
        prop_assert_eq!(method.arrived_at.is_some(), method.arrived > 0.5 || method.arrived == 1.0);
    }
}
