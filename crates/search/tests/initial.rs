//! The initial trials of insight 1 against the paper's and the released code's golden sets.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail by panicking.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use agenttts_core::{Archive, Cost, CostModel, Space};
use agenttts_search::{Ask, InitialRule, Insights, Settings, Step, TaskText, initial_plans, searcher};
use common::{space, stage, two_wiki};

/// The plans as `R7x100+QA70x1 654`, sorted.
fn shown(space: &Space, rule: InitialRule) -> BTreeSet<String> {
    let plans = initial_plans(space, rule, usize::MAX);
    let texts: BTreeSet<String> = plans
        .iter()
        .map(|(plan, _)| {
            let parts: Vec<String> = plan.choices.iter().map(|c| format!("{}x{}", c.model, c.samples)).collect();
            format!("{} {}", parts.join("+"), CostModel::PaperFlops.display(space.cost_of(plan).unwrap()))
        })
        .collect();
    assert_eq!(texts.len(), plans.len(), "no plan twice");
    texts
}

fn set(plans: &[&str]) -> BTreeSet<String> {
    plans.iter().map(|p| (*p).to_owned()).collect()
}

#[test]
fn the_papers_rule_on_2wiki_at_1000() {
    let expected = [
        "R7x100+QA70x1 654",
        "R32x22+QA70x1 923.33",
        "R72x1+QA70x1 928.67",
        "R72x1+QA3x100 916",
        "R72x1+QA8x39 926.67",
    ];
    assert_eq!(shown(&two_wiki(1000.0), InitialRule::Paper), set(&expected));
}

#[test]
fn the_papers_rule_on_2wiki_at_850() {
    let expected = [
        "R7x100+QA8x1 550.67",
        "R32x22+QA8x1 820",
        "R72x1+QA8x1 825.33",
        "R32x1+QA3x100 462.67",
        "R32x1+QA8x39 473.33",
        "R32x1+QA70x1 475.33",
    ];
    assert_eq!(shown(&two_wiki(850.0), InitialRule::Paper), set(&expected));
}

#[test]
fn the_released_rule_on_2wiki_at_850() {
    let expected = [
        "R7x60+QA3x1 355.67",
        "R32x22+QA3x1 811.67",
        "R72x1+QA3x1 817",
        "R7x1+QA3x60 139.33",
        "R7x1+QA8x39 190",
        "R7x1+QA70x1 192",
    ];
    assert_eq!(shown(&two_wiki(850.0), InitialRule::Released), set(&expected));
}

#[test]
fn the_released_rule_on_2wiki_at_1000() {
    let expected = [
        "R7x60+QA70x1 467.33",
        "R32x22+QA70x1 923.33",
        "R72x1+QA70x1 928.67",
        "R72x1+QA3x60 876",
        "R72x1+QA8x39 926.67",
    ];
    assert_eq!(shown(&two_wiki(1000.0), InitialRule::Released), set(&expected));
}

#[test]
fn the_released_rule_on_cwq_at_550() {
    let retrieve = stage("retrieve", 1024, 64, &[("R7", 7.0), ("R72", 72.0)]);
    let answer = stage("answer", 256, 64, &[("QA8", 8.0), ("QA70", 70.0)]);
    let expected = ["R7x60+QA70x1 290", "R72x1+QA70x1 520.67", "R72x1+QA8x39 518.67"];
    assert_eq!(shown(&space(vec![retrieve, answer], 550.0), InitialRule::Released), set(&expected));
}

#[test]
fn the_released_rule_on_taskbench_at_2000() {
    let decompose = stage("decompose", 1024, 64, &[("D8", 8.0), ("D70", 70.0)]);
    let select = stage("select", 1024, 256, &[("T8", 8.0), ("T70", 70.0)]);
    let fill = stage("fill", 1024, 2048, &[("P8", 8.0), ("P70", 70.0)]);
    let expected = [
        "D8x60+T70x1+P70x1 1783.33",
        "D70x1+T8x39+P70x1 1969.33",
        "D70x1+T70x1+P8x12 1924",
        "D70x1+T70x1+P70x1 1977.33",
    ];
    assert_eq!(shown(&space(vec![decompose, select, fill], 2000.0), InitialRule::Released), set(&expected));
}

#[test]
fn without_insight_1_they_are_as_many_random_plans() {
    let space = two_wiki(850.0);
    let (archive, task) = (Archive::default(), TaskText::default());
    let propose = |insights| {
        let settings = Settings { insights, ..Settings::default() };
        match searcher("rules").unwrap().ask(&Ask::new(&space, &archive, &settings, &task)) {
            Step::Propose { proposals, .. } => proposals,
            other => panic!("{other:?}"),
        }
    };
    let (with, without) = (propose(Insights::ALL), propose(Insights::ALL.without(1)));
    assert_eq!(with.len(), without.len());
    assert!(without.iter().all(|p| space.is_feasible(&p.plan)));
    assert!(without.iter().any(|p| with.iter().all(|w| w.plan != p.plan)));
}

#[test]
fn large_pools_are_thinned_with_their_ends_kept() {
    let names: Vec<String> = (1..=60).map(|b| format!("m{b}")).collect();
    let pool: Vec<(&str, f64)> = names.iter().zip(1..).map(|(n, b)| (n.as_str(), f64::from(b))).collect();
    let space = space(vec![stage("one", 128, 64, &pool), stage("two", 128, 64, &pool)], 1e6);
    let plans = initial_plans(&space, InitialRule::Paper, 20);
    assert!(plans.len() <= 20 && plans.len() >= 18, "{}", plans.len());
    for end in ["m1", "m60"] {
        assert!(plans.iter().any(|(p, _)| p.choices[0].model == end), "{end}");
    }
}

/// The plans of a space that `keep` keeps, listed at what `cost` says they cost.
fn listed(space: &Space, keep: impl Fn(&[usize]) -> bool, cost: impl Fn(&[usize]) -> f64) -> Space {
    let all = space.with_budget(Cost(i128::MAX / 4)).unwrap();
    let plans = all.feasible_indices().filter(|o| keep(o));
    let table: BTreeMap<Vec<usize>, Cost> =
        plans.map(|o| (o.clone(), CostModel::PaperFlops.amount(cost(&o)).unwrap())).collect();
    all.with_table(table).unwrap().with_budget(space.budget()).unwrap()
}

#[test]
fn a_table_whose_costs_add_up_has_the_same_initial_trials() {
    for (budget, rule) in
        [850.0, 1000.0].into_iter().flat_map(|b| [InitialRule::Paper, InitialRule::Released].map(|r| (b, r)))
    {
        let wiki = two_wiki(budget);
        let hundredths = |o: &[usize]| (CostModel::PaperFlops.units(wiki.cost(o).unwrap()) * 100.0).round() / 100.0;
        let table = listed(&wiki, |_| true, hundredths);
        for most in [usize::MAX, 32, 12, 4] {
            assert_eq!(initial_plans(&table, rule, most), initial_plans(&wiki, rule, most), "{budget} {rule:?} {most}");
        }
    }
}

/// One sample each; what the second stage reads depends on what the first one writes.
fn table_of_prices(keep: impl Fn(&[usize]) -> bool) -> Space {
    let mut draft = stage("draft", 128, 64, &[("terse", 1.0), ("wordy", 2.0), ("huge", 90.0)]);
    let mut answer = stage("answer", 128, 64, &[("small", 1.0), ("middle", 3.0), ("large", 9.0)]);
    (draft.samples, answer.samples) = (vec![1], vec![1]);
    let costs = [[10.0, 20.0, 40.0], [20.0, 90.0, 160.0], [900.0, 900.0, 900.0]];
    listed(&space(vec![draft, answer], 100.0), keep, |o| costs[o[0]][o[1]])
}

#[test]
fn models_are_compared_at_what_listed_plans_cost() {
    let expected = [
        // The largest answer that both affordable drafts can have is "middle".
        "tersex1+middlex1 20",
        "wordyx1+middlex1 90",
        // All answers fit after the terse draft only.
        "tersex1+smallx1 10",
        "tersex1+largex1 40",
    ];
    assert_eq!(shown(&table_of_prices(|_| true), InitialRule::Paper), set(&expected));
}

#[test]
fn plans_that_are_not_listed_are_not_compared() {
    let expected = ["tersex1+smallx1 10", "wordyx1+smallx1 20", "tersex1+largex1 40"];
    assert_eq!(shown(&table_of_prices(|o| o[1] != 1), InitialRule::Paper), set(&expected));
}

#[test]
fn listed_models_get_the_samples_that_the_dearest_single_sample_pays() {
    let wiki = two_wiki(850.0);
    // Answers cost half as much again after the largest retriever.
    let cost = |o: &[usize]| {
        let own = |s: usize| CostModel::PaperFlops.units(wiki.stages()[s].options[o[s]].cost);
        own(0) + own(1) * if wiki.stages()[0].options[o[0]].model == 2 { 1.5 } else { 1.0 }
    };
    let expected = [
        "R7x100+QA8x1 550.67",
        "R32x22+QA8x1 820",
        "R72x1+QA8x1 831",
        "R32x1+QA3x100 462.67",
        "R32x1+QA8x39 473.33",
        "R32x1+QA70x1 475.33",
    ];
    assert_eq!(shown(&listed(&wiki, |_| true, cost), InitialRule::Paper), set(&expected));
}

#[test]
fn large_listed_pools_are_thinned_with_their_ends_kept() {
    let names: Vec<String> = (1..=60).map(|b| format!("m{b}")).collect();
    let pool: Vec<(&str, f64)> = names.iter().zip(1..).map(|(n, b)| (n.as_str(), f64::from(b))).collect();
    let (mut one, mut two) = (stage("one", 128, 64, &pool), stage("two", 128, 64, &pool));
    (one.samples, two.samples) = (vec![1], vec![1]);
    let space = listed(&space(vec![one, two], 1e6), |_| true, |o| ((o[0] + 1) * (o[1] + 1)) as f64);
    let plans = initial_plans(&space, InitialRule::Paper, 20);
    assert!(plans.len() <= 20 && plans.len() >= 18, "{}", plans.len());
    for end in ["m1", "m60"] {
        assert!(plans.iter().any(|(p, _)| p.choices[0].model == end), "{end}");
    }
}
