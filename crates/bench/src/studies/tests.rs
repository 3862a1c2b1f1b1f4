//! Studies on simulated landscapes and on small tables.

use std::sync::atomic::AtomicBool;

use agenttts_core::{CostModel, Plan, Price, Span};

use super::budget::budgeted;
use super::split::Split;
use super::*;
use crate::environment::Environment;
use crate::landscape::{Table, TableModel, TableRow, TableStage};
use crate::methods::contestant;
use crate::simulate::simulate;

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn run(study: &Study, methods: &str, budget: Option<f64>) -> StudyResults {
    let methods = names(methods);
    let contestants = study.contestants(&methods).unwrap();
    let contestants = contestants.iter().map(|name| contestant(name).unwrap()).collect();
    let options = Options { seeds: 3, budget, threads: 2, racing: false };
    study.run(&methods, contestants, &options, &AtomicBool::new(false), &|_, _| {}).unwrap().unwrap()
}

/// Two stages with known parameters and lengths; the second model of each is larger.
fn table(cost_model: CostModel, lengths: bool) -> Table {
    let stage = |name: &str| TableStage {
        name: name.into(),
        prompt_tokens: lengths.then_some(1000),
        decode_tokens: lengths.then_some(100),
        models: [("small", 3.0), ("large", 70.0)]
            .map(|(name, b)| TableModel { name: name.into(), params_b: Some(b) })
            .to_vec(),
    };
    let row = |(a, b): (usize, usize)| TableRow {
        choices: vec![(a, 1), (b, 1)],
        score: 0.2 + 0.3 * a as f64 + 0.2 * b as f64,
        cost: 1.0 + 10.0 * a as f64 + 20.0 * b as f64,
    };
    Table {
        name: "pair".into(),
        note: String::new(),
        budget: 100.0,
        cost_model,
        noise_examples: 50,
        stages: vec![stage("draft"), stage("check")],
        rows: [(0, 0), (1, 0), (0, 1), (1, 1)].map(row).to_vec(),
    }
}

#[test]
fn a_split_holds_its_examples_and_no_more() {
    let arena = simulate("sim:insights:1").unwrap().arena().unwrap();
    let split = Split { inner: arena.environment, examples: 60, budget: 3000.0 };
    let plan: Plan = split.space().cheapest();
    let mut session = split.session(1);
    assert_eq!((split.pool(), session.price(&plan, 100)), (Some(60), 60.0));
    session.measure(&plan, 0, Span { first: 0, count: 40 }).unwrap();
    assert_eq!(session.price(&plan, 100), 20.0);
    assert!(session.measure(&plan, 0, Span { first: 40, count: 21 }).is_none());
    session.measure(&plan, 0, Span { first: 40, count: 20 }).unwrap();
    assert_eq!(session.price(&plan, 1), f64::INFINITY);
    assert!(session.measure(&plan, 1, Span { first: 0, count: 60 }).is_none(), "there are no fresh draws");
}

#[test]
fn examples_are_compared_with_the_largest_number_on_trials_of_the_whole_split() {
    let study = Study::examples(&names("sim:insights:1 sim:no-insight-2:2"), &[20, 10]).unwrap();
    let results = run(&study, "random grid", None);
    assert_eq!((results.settings.clone(), results.reference.as_str()), (names("10 20"), "20"));
    let [small, large] = &results.landscapes[0].settings[..] else { panic!("two settings") };
    assert_eq!((small.budget, large.budget), (Some(500.0), Some(1000.0)), "50 trials on the whole split");
    assert_eq!(small.methods.iter().map(|m| m.examples).collect::<Vec<_>>(), [Some(10), Some(10)]);
    assert!(small.methods[0].change.is_some() && large.methods[0].change.is_none());
    assert!(small.methods[0].lead.is_none() && small.methods[1].lead.unwrap().n == 3);
    // Landscapes of different families stand alone, and are averaged.
    assert_eq!(results.landscapes.len(), 2);
    let mean = &results.overall.as_ref().unwrap().settings[1].methods[1];
    let of = |l: usize| results.landscapes[l].settings[1].methods[1].ratio.mean;
    assert!((mean.ratio.mean - (of(0) + of(1)) / 2.0).abs() < 1e-12);
    assert_eq!(results, run(&study, "random grid", None), "a study repeats");
}

#[test]
fn budgets_let_in_their_share_of_plans_and_have_best_plans_of_their_own() {
    let table = simulate("sim:insights:3").unwrap();
    let plans = table.rows.len() as f64;
    let source = Source::Table("t".into(), table);
    for share in [0.1, 0.25, 0.5, 1.0] {
        let arena = budgeted(&source, share).unwrap();
        let within = arena.environment.space().feasible() as f64 / plans;
        assert!(within >= share && within < share + 0.05, "{share}: {within}");
    }
    let study = Study::budgets(&names("sim:insights:3"), &[0.25, 0.5, 0.75]).unwrap();
    let results = run(&study, "random@25", Some(500.0));
    assert_eq!((results.settings.clone(), results.reference.as_str()), (names("low medium high"), "medium"));
    for setting in &results.landscapes[0].settings {
        assert!(setting.about.contains("plans; the best: 0."), "{}", setting.about);
        assert!(setting.methods[0].ratios.iter().all(|r| *r > 0.0 && *r <= 1.0));
    }
}

#[test]
fn an_insight_is_judged_where_it_holds_and_where_it_is_broken() {
    let study = Study::insights(&[], 2).unwrap();
    let results = run(&study, "rules", Some(200.0));
    let families: Vec<_> = results.landscapes.iter().map(|l| (l.landscape.as_str(), l.worlds)).collect();
    let expected = ["sim:insights", "sim:no-insight-1", "sim:no-insight-2", "sim:no-insight-3"];
    assert_eq!(families, expected.map(|f| (f, Some(2))));
    assert_eq!(results.beliefs.iter().map(|b| b.insight).collect::<Vec<_>>(), [1, 2, 3]);
    let family = &results.landscapes[0].settings;
    let worth = family[0].methods[0].ratio.mean - family[1].methods[0].ratio.mean;
    assert!((results.beliefs[0].holds.mean - worth).abs() < 1e-12 && results.beliefs[0].holds.n == 2);
    assert!(results.overall.is_none(), "families are no single landscapes");

    let refused = study.contestants(&names("tpe")).unwrap_err();
    assert!(refused.to_string().contains("tpe"), "{refused}");
}

#[test]
fn dollars_follow_from_lengths_and_prices() {
    let folder = tempfile::tempdir().unwrap();
    let write = |table: &Table| {
        let (csv, toml) = crate::landscape::write_landscape(table);
        let path = folder.path().join(format!("{}.csv", table.name));
        std::fs::write(&path, csv).unwrap();
        std::fs::write(path.with_extension("toml"), toml).unwrap();
        path.display().to_string()
    };
    let flops = write(&table(CostModel::PaperFlops, true));
    let price = |dollars: u64| Price {
        prompt: dollars * 1_000_000,
        cached_prompt: 0,
        decode: dollars * 1_000_000,
        batch: None,
    };

    // 2 stages of 1,100 tokens: at $0.06 and $0.88 a million the plans cost 132, 1034, 1034 and 1936 millionths.
    let study = Study::prices(std::slice::from_ref(&flops), &[], 0.75).unwrap();
    let about: Vec<&str> = study.rows[0].places.iter().map(|p| p.about.as_str()).collect();
    assert!(about[0].starts_with("at most 21 units, 3 of 4 plans"), "{}", about[0]);
    assert!(about[1].starts_with("at most 1.034e-3 USD, 3 of 4 plans"), "{}", about[1]);
    assert!(about[1].ends_with("3 plans are within both budgets"), "{}", about[1]);

    let study = Study::prices(std::slice::from_ref(&flops), &[("small".into(), price(5))], 0.25).unwrap();
    assert!(
        study.rows[0].places[1].about.contains("the best: 0.700, large x1 -> large x1"),
        "the small one is dear now"
    );
    let refused = Study::prices(&[flops], &[("smal".into(), price(5))], 0.5).err().unwrap();
    assert!(refused.0[0].hint.as_deref() == Some("did you mean small?"), "{refused}");

    // Dollars alone, without lengths, say nothing of FLOPs.
    let dollars = write(&Table { name: "paid".into(), ..table(CostModel::Usd, false) });
    let refused = Study::prices(&[dollars], &[], 0.5).err().unwrap().to_string();
    assert!(
        refused.contains("paid is left out: its costs are in usd") && refused.contains("\"draft\" lacks"),
        "{refused}"
    );
}

#[test]
fn what_cannot_be_studied_is_said() {
    let sim = names("sim:insights:1");
    let error = |study: Result<Study, Problems>| study.err().unwrap().to_string();
    assert!(error(Study::examples(&sim, &[0, 5])).contains("numbers of examples"));
    assert!(error(Study::examples(&sim, &[5, 5])).contains("numbers of examples"));
    assert!(error(Study::budgets(&sim, &[f64::NAN])).contains("shares of plans"));
    assert!(error(Study::budgets(&sim, &[0.5, 1.5])).contains("shares of plans"));
    assert!(error(Study::prices(&sim, &[], 0.0)).contains("share of plans"));
    assert!(error(Study::insights(&names("sim:insights:1 sim:insights:1"), 0)).contains("two landscapes"));
    assert!(error(Study::insights(&names("sim:insight:1"), 0)).contains("no family"));
}

#[test]
fn a_study_is_drawn_with_a_panel_for_every_landscape() {
    let study = Study::budgets(&names("sim:insights:3 sim:insights:4 sim:reversed:4"), &[0.25, 0.5, 0.75]).unwrap();
    let results = run(&study, "random@25 grid@25", Some(300.0));
    let (svg, page) = (study_svg(&results), study_html(&results));
    // A family, and a landscape of another: with one single landscape there is no mean.
    assert!(svg.starts_with("<svg") && svg.contains("sim:insights<") && svg.contains("sim:reversed:4<"));
    assert!(!svg.contains("mean of") && svg.matches(">medium<").count() == 2);
    assert!(page.contains("<svg") && page.contains("grid@25") && page.contains("vs medium"));
}
