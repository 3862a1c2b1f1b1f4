//! The classic methods: sequential halving and its rungs, and what all of them do in narrow places.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail by panicking.

mod common;

use std::collections::{BTreeMap, HashMap, HashSet};

use agenttts_core::{Archive, CostModel, Estimate, Measurement, Plan, Space, Trial, TrialState};
use agenttts_search::{Ask, Proposal, Settings, Step, TaskText, place, searcher};
use common::{space, stage, truth, two_wiki};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CLASSIC: [&str; 7] = ["random", "grid", "tpe", "bo", "evolution", "coordinate", "halving"];

/// A search that is paid for by the example, on zero-one scores whose mean is `score`.
struct Search<'a> {
    space: &'a Space,
    settings: Settings,
    budget: u32,
    pool: Option<u32>,
    score: fn(&Space, &Plan) -> f64,
    archive: Archive,
    spent: u32,
}

impl<'a> Search<'a> {
    fn new(space: &'a Space, budget: u32) -> Self {
        let settings = Settings { seed: 3, examples: Some(10), ..Settings::default() };
        Search { space, settings, budget, pool: None, score: truth, archive: Archive::default(), spent: 0 }
    }

    /// Looks at the ask of the present moment.
    fn at<T>(&self, look: impl FnOnce(&Ask<'_>) -> T) -> T {
        let (task, price) = (TaskText::default(), |_: &Plan, n: u32| f64::from(n));
        let left = f64::from(self.budget - self.spent);
        let ask = Ask::new(self.space, &self.archive, &self.settings, &task).with_prices(&price, Some(left));
        look(&match self.pool {
            Some(pool) => ask.with_pool(pool),
            None => ask,
        })
    }

    /// Runs one round; false at the end of the search or of the budget.
    fn round(&mut self, method: &str) -> bool {
        let searcher = searcher(method).unwrap();
        let step = self.at(|ask| searcher.ask(ask));
        assert_eq!(step, self.at(|ask| searcher.ask(ask)), "the same ask, the same step");
        let Step::Propose { proposals, .. } = step else {
            return false;
        };
        assert!(!proposals.is_empty());
        let round = self.at(|ask| ask.round());
        proposals.into_iter().all(|p| self.run(p, round))
    }

    fn run(&mut self, proposal: Proposal, round: u32) -> bool {
        assert!(self.space.is_feasible(&proposal.plan), "{}", proposal.plan);
        let examples = proposal.examples.or(self.settings.examples);
        let (stream, span) = place(&self.archive, &proposal.plan, examples, self.pool);
        let count = span.map_or_else(|| self.pool.unwrap(), |s| s.count);
        if self.spent + count > self.budget {
            return false;
        }
        self.spent += count;
        let number = self.archive.trials.len() as u32 + 1;
        let mut rng = ChaCha8Rng::seed_from_u64(u64::from(number));
        let p = (self.score)(self.space, &proposal.plan);
        let scores: Vec<f64> = (0..count).map(|_| f64::from(u8::from(rng.random::<f64>() < p))).collect();
        let nominal_cost = self.space.cost_of(&proposal.plan).unwrap();
        let cost = self.space.cost_model().units(nominal_cost);
        let measurement = Measurement::of_scores(scores, Estimate::of_values(&[cost, cost]));
        let state = TrialState::Measured(Box::new(measurement));
        let Proposal { plan, origin, .. } = proposal;
        self.archive.trials.push(Trial { number, round, plan, nominal_cost, origin, stream, span, state });
        true
    }

    /// For each visit of plans: how many plans were visited so often, and on how many examples then.
    fn rungs(&self) -> BTreeMap<usize, (usize, u32)> {
        let mut visits: HashMap<&Plan, usize> = HashMap::new();
        let mut rungs: BTreeMap<usize, (usize, u32)> = BTreeMap::new();
        for trial in &self.archive.trials {
            let visit = visits.entry(&trial.plan).or_default();
            let rung = rungs.entry(*visit).or_insert((0, trial.span.map_or(0, |s| s.count)));
            rung.0 += 1;
            *visit += 1;
        }
        rungs
    }
}

#[test]
fn halving_gives_the_better_half_twice_as_many_examples() {
    let space = two_wiki(1000.0);
    let mut search = Search::new(&space, 2500);
    while search.round("halving") {}
    let rungs: Vec<String> = search.rungs().values().map(|(plans, n)| format!("{plans} plans on {n}")).collect();
    insta::assert_snapshot!(rungs.join("\n"), @r"
    128 plans on 2
    64 plans on 5
    32 plans on 12
    16 plans on 24
    8 plans on 48
    4 plans on 96
    2 plans on 194
    ");
    assert!(search.spent <= 2500 && search.spent > 2250, "{}", search.spent);
    let found = search.at(|ask| searcher("halving").unwrap().recommend(ask)).unwrap();
    let last = &search.archive.trials.last().unwrap().plan;
    let visits = |p: &Plan| search.archive.trials.iter().filter(|t| &t.plan == p).count();
    assert_eq!(visits(&found.plan), visits(last), "one of the survivors");
    assert!(found.why.contains("of the survivors with the most examples"), "{}", found.why);
    let best = space.feasible_indices().map(|o| truth(&space, &space.plan(&o))).fold(0.0, f64::max);
    assert!(truth(&space, &found.plan) > 0.95 * best, "{}", found.plan);
}

#[test]
fn halving_fits_into_a_limit_of_trials() {
    let space = two_wiki(1000.0);
    let mut search = Search::new(&space, 100_000);
    search.settings = Settings { trials: Some(50), examples: Some(50), ..Settings::default() };
    while search.round("halving") {}
    let rungs: Vec<String> = search.rungs().values().map(|(plans, n)| format!("{plans} plans on {n}")).collect();
    insta::assert_snapshot!(rungs.join("\n"), @r"
    24 plans on 19
    12 plans on 39
    6 plans on 78
    3 plans on 158
    2 plans on 317
    ");
    assert!(search.archive.trials.len() <= 50 && search.spent <= 2500);
}

#[test]
fn halving_uses_no_example_twice_where_they_are_few() {
    let space = two_wiki(1000.0);
    for budget in [300, 3000, 30_000] {
        let mut search = Search::new(&space, budget);
        search.pool = Some(20);
        search.settings.batch = 100;
        while search.round("halving") {}
        assert!(search.archive.trials.iter().all(|t| t.stream == 0), "no fresh draws of examples that it has seen");
        let rungs: Vec<(usize, u32)> = search.rungs().into_values().collect();
        let examples: u32 = rungs.iter().map(|r| r.1).sum();
        assert!(examples <= 20 || budget == 30_000, "{rungs:?}");
        let plans = search.archive.trials.iter().map(|t| &t.plan).collect::<HashSet<_>>().len();
        assert_eq!(plans > 256, budget == 30_000, "more plans only where all others can be tried on everything");
    }
}

#[test]
fn halving_can_be_cut_short_and_carried_on() {
    let space = two_wiki(1000.0);
    let mut search = Search::new(&space, 600);
    let mut long = Search::new(&space, 600);
    long.settings.batch = 1000;
    while search.round("halving") {
        let found = search.at(|ask| searcher("halving").unwrap().recommend(ask)).unwrap();
        assert!(search.archive.contains(&found.plan));
    }
    while long.round("halving") {}
    let sizes = |s: &Search<'_>| s.rungs().into_values().collect::<Vec<_>>();
    assert_eq!(sizes(&search), sizes(&long), "the size of rounds changes nothing");
    // A larger budget later: the survivors get more examples, or the search is at its end; nothing begins again.
    let before = search.rungs()[&0].0;
    search.budget = 5000;
    while search.round("halving") {}
    assert_eq!(search.rungs()[&0].0, before);
}

#[test]
fn every_method_does_with_one_plan_and_with_equal_scores() {
    let mut only = stage("only", 128, 64, &[("R7", 7.0)]);
    only.samples = vec![1];
    let single = space(vec![only], 1e6);
    let wiki = two_wiki(1000.0);
    for method in CLASSIC {
        let mut search = Search::new(&single, 1000);
        assert_eq!(search.at(|ask| searcher(method).unwrap().recommend(ask)), None, "{method}: nothing is known yet");
        while search.round(method) {}
        assert_eq!(search.archive.trials.len(), 1, "{method}");
        assert_eq!(search.at(|ask| searcher(method).unwrap().recommend(ask)).unwrap().plan, single.cheapest());
        for score in [|_: &Space, _: &Plan| 0.0, |_: &Space, _: &Plan| 1.0] {
            let mut search = Search::new(&wiki, 300);
            search.score = score;
            while search.round(method) {}
            assert!(search.spent >= 270, "{method}: {}", search.spent);
            let found = search.at(|ask| searcher(method).unwrap().recommend(ask)).unwrap();
            assert!(found.within_budget && found.mean.is_finite() && found.sd.is_finite(), "{method}: {found:?}");
        }
    }
}

#[test]
fn every_method_goes_through_a_small_space_and_stops() {
    let mut small = stage("small", 128, 64, &[("R7", 7.0), ("R32", 32.0), ("R72", 72.0)]);
    small.samples = vec![1, 2, 4, 8];
    let space = space(vec![small], 60.0);
    for method in CLASSIC.into_iter().filter(|m| *m != "halving") {
        let mut search = Search::new(&space, 1000);
        while search.round(method) {}
        let plans: HashSet<&Plan> = search.archive.trials.iter().map(|t| &t.plan).collect();
        assert_eq!((plans.len(), search.archive.trials.len()), (space.feasible() as usize, plans.len()), "{method}");
    }
}

#[test]
fn plans_that_are_not_in_the_table_are_not_proposed() {
    // Of 300 x 300 combinations those of equal samples only.
    let wiki = two_wiki(1000.0);
    let samples = |s: usize, o: usize| wiki.stages()[s].options[o].choice.samples;
    let listed: BTreeMap<Vec<usize>, _> = wiki
        .feasible_indices()
        .filter(|o| samples(0, o[0]) == samples(1, o[1]))
        .map(|o| (o.clone(), wiki.cost(&o).unwrap()))
        .collect();
    let count = listed.len();
    let table = wiki.with_table(listed).unwrap();
    for method in CLASSIC {
        let mut search = Search::new(&table, 400);
        while search.round(method) {}
        let plans: HashSet<&Plan> = search.archive.trials.iter().map(|t| &t.plan).collect();
        assert!(plans.len() >= 30 && plans.len() < count, "{method}: {} of {count}", plans.len());
    }
}

#[test]
fn what_cannot_be_paid_is_left_out_while_something_else_can() {
    let space = two_wiki(1000.0);
    let price = |plan: &Plan, n: u32| f64::from(n) * if plan.choices[1].model == "QA70" { 10.0 } else { 1.0 };
    let task = TaskText::default();
    for method in CLASSIC {
        let mut search = Search::new(&space, 2000);
        search.settings.batch = 4;
        for _ in 0..5 {
            search.round(method);
        }
        let searcher = searcher(method).unwrap();
        for left in [45.0, 1e-3] {
            let ask = Ask::new(&space, &search.archive, &search.settings, &task).with_prices(&price, Some(left));
            let Step::Propose { proposals, .. } = searcher.ask(&ask) else { panic!("{method}") };
            let paid: f64 = proposals.iter().map(|p| price(&p.plan, p.examples.unwrap_or(10))).sum();
            assert!(paid <= left || (proposals.len() == 1 && left < 1.0), "{method}: {paid} of {left}");
        }
    }
}

#[test]
fn plans_under_way_are_not_proposed_again() {
    let space = two_wiki(1000.0);
    for method in CLASSIC {
        let mut search = Search::new(&space, 2000);
        for _ in 0..4 {
            search.round(method);
        }
        let open: Vec<Plan> = search.archive.trials[15..].iter().map(|t| t.plan.clone()).collect();
        for trial in &mut search.archive.trials[15..] {
            trial.state = TrialState::Pending;
        }
        let Step::Propose { proposals, .. } = search.at(|ask| searcher(method).unwrap().ask(ask)) else { panic!() };
        assert!(proposals.iter().all(|p| !open.contains(&p.plan)), "{method}");
    }
}

#[test]
fn a_million_plans_and_hundreds_of_trials_are_no_obstacle() {
    // ChatDev of the paper: 759,511 plans within the budget.
    let pool: &[(&str, f64)] = &[("L3", 3.0), ("L70", 70.0)];
    let stages = [("code", 1024, 1024), ("static", 1024, 512), ("dynamic", 1024, 256)];
    let roomy = space(stages.map(|(name, prompt, decode)| stage(name, prompt, decode, pool)).to_vec(), 1e9);
    let space = roomy.with_budget(roomy.cost_of(&roomy.largest_once()).unwrap()).unwrap();
    assert_eq!((space.feasible(), space.cost_model()), (759_511, CostModel::PaperFlops));
    for method in ["tpe", "bo", "evolution", "coordinate", "halving"] {
        let mut search = Search::new(&space, 20_000);
        search.settings.batch = 200;
        search.round("random");
        search.settings.batch = 5;
        assert_eq!(search.archive.trials.len(), 200);
        assert!(search.round(method) && search.archive.trials.len() > 200, "{method}");
    }
}
