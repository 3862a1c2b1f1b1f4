//! Planning again from what a study has drawn.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod support;

use agenttts_core::{CostModel, Price, StudySummary};
use agenttts_engine::{
    EngineErrorKind, PlanFile, Replan, ReplanOptions, Runner, SearchOptions, StopHandle, Workshop, replan, start_study,
};
use agenttts_store::Store;
use support::*;

async fn studied(toml: &str) -> (tempfile::TempDir, Store, StudySummary) {
    let folder = tempfile::tempdir().unwrap();
    write_pipeline(folder.path(), toml);
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let summary = search(&store, load(folder.path())).await.unwrap();
    (folder, store, summary)
}

fn again(store: &Store, options: &ReplanOptions) -> Replan {
    replan(store, "sums-1", options).unwrap_or_else(|e| panic!("{e}")).0
}

fn price(prompt: u64, decode: u64) -> Price {
    Price { prompt, cached_prompt: prompt, decode, batch: None }
}

/// `a` and `b` are equal but for rounding.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

#[tokio::test]
async fn under_the_same_terms_costs_are_those_that_were_measured() {
    // Fusion and a judge as well, whose calls are part of a query's cost.
    let toml = PIPELINE.replace(
        "max_tokens = 20",
        "max_tokens = 20\naggregator = [\"vote\", \"fuse\", \"judge\"]\njudge = { model = \"large\" }",
    );
    let (_folder, store, summary) = studied(&toml.replace("limit = 3000", "limit = 9000")).await;
    let calls = summary.spend.total.calls;
    let found = again(&store, &ReplanOptions::default());
    for c in [Some(&found.recommended), found.runner_up.as_ref().map(|r| &r.candidate)].into_iter().flatten() {
        if let Some(told) = summary.plans.iter().find(|p| p.plan == c.plan) {
            assert!(near(c.cost.mean, told.cost.mean), "{}: {} and {}", c.plan, c.cost.mean, told.cost.mean);
            assert_eq!(c.objective, Some(told.objective));
        }
    }
    assert_eq!(found.measured[0] as usize, summary.plans.len());
    assert!(found.before.is_none() || found.recommended.trial.is_none());
    assert!(found.surer.iter().all(|s| s.tokens > 0.0), "{:?}", found.surer);
    assert_eq!(agenttts_engine::summary(&store, "sums-1").unwrap().spend.total.calls, calls, "no call is made");
}

#[tokio::test]
async fn a_smaller_budget_recommends_a_cheaper_plan_that_runs() {
    let (_folder, store, summary) = studied(PIPELINE).await;
    let costs: Vec<f64> = summary.plans.iter().map(|p| p.cost.mean).collect();
    let cheap = costs.iter().copied().fold(f64::INFINITY, f64::min) * 1.05;
    let (found, file) =
        replan(&store, "sums-1", &ReplanOptions { budget: Some(cheap), ..ReplanOptions::default() }).unwrap();
    assert!(found.recommended.cost.mean <= cheap, "{found:?}");
    assert!(found.measured[1] < found.measured[0]);
    let [mean, low, high] = found.recommended.estimate;
    assert!((0.0..=mean).contains(&low) && (mean..=1.0).contains(&high));
    let text = file.to_toml();
    let runner =
        Runner::new(&PlanFile::parse("p.toml", &text).unwrap(), &Workshop::new("no-models".into())).await.unwrap();
    let input = serde_json::json!({"question": "sum 7", "gold": "hut7", "answer": "17"});
    runner.run(input.as_object().unwrap().clone()).await.unwrap();
}

#[tokio::test]
async fn prices_that_are_given_are_what_costs_are_counted_by() {
    let (_folder, store, _) = studied(PIPELINE).await;
    let prices = |small: u64, large: u64| ReplanOptions {
        prices: vec![("small".into(), price(small, small)), ("large".into(), price(large, large))],
        ..ReplanOptions::default()
    };
    let found = again(&store, &prices(1_000_000, 1_000_000));
    assert_eq!((found.cost_model, found.budget), (CostModel::Usd, None));
    // A dollar a million tokens for every token: dollars and tokens are the same number.
    let tokens = again(&store, &ReplanOptions { cost_model: Some(CostModel::Tokens), ..ReplanOptions::default() });
    let same = |c: &agenttts_engine::Candidate| {
        let of = |r: &Replan| {
            [Some(&r.recommended), r.runner_up.as_ref().map(|r| &r.candidate)]
                .into_iter()
                .flatten()
                .find(|d| d.plan == c.plan)
                .map(|d| d.cost.mean)
        };
        of(&tokens)
    };
    if let Some(in_tokens) = same(&found.recommended) {
        assert!(near(found.recommended.cost.mean * 1e6, in_tokens));
    }
    assert!(
        found
            .surer
            .iter()
            .all(|s| s.usd.is_some_and(|d| near(d * 1e6, s.tokens.round()) || (d * 1e6 - s.tokens).abs() < 1.0))
    );

    // Where the large model costs a fortune, a budget leaves none of it.
    let budget = ReplanOptions { budget: Some(0.001), ..prices(1_000_000, 1_000_000_000) };
    let thrifty = again(&store, &budget);
    assert!(thrifty.recommended.plan.choices.iter().all(|c| c.model == "small"), "{}", thrifty.recommended.plan);
}

#[tokio::test]
async fn a_limit_on_time_leaves_out_plans_that_took_longer() {
    let (_folder, store, _) = studied(PIPELINE).await;
    let free = again(&store, &ReplanOptions::default());
    let seconds = free.recommended.seconds.unwrap();
    assert!(seconds >= 0.0);
    let none = replan(&store, "sums-1", &ReplanOptions { max_latency: Some(0.0), ..ReplanOptions::default() });
    match none {
        Ok((found, _)) => assert_eq!(found.recommended.seconds, Some(0.0)),
        Err(error) => assert!(error.to_string().contains("no plan is known to fit"), "{error}"),
    }
}

#[tokio::test]
async fn what_cannot_be_planned_again_says_why() {
    let (folder, store, _) = studied(PIPELINE).await;
    let error = |options: ReplanOptions| {
        let error = replan(&store, "sums-1", &options).unwrap_err();
        assert_eq!(error.kind(), EngineErrorKind::Input, "{error}");
        error.to_string()
    };
    let usd = ReplanOptions { cost_model: Some(CostModel::Usd), ..ReplanOptions::default() };
    assert!(error(usd.clone()).contains("has no `price`"));
    let one = ReplanOptions { prices: vec![("smal".into(), price(1, 1))], ..ReplanOptions::default() };
    assert!(error(one.clone()).contains("did you mean \"small\"?"));
    assert!(
        error(ReplanOptions {
            prices: vec![("small".into(), price(1, 1))],
            cost_model: Some(CostModel::Tokens),
            ..ReplanOptions::default()
        })
        .contains("--price does not matter")
    );
    assert!(
        error(ReplanOptions { budget: Some(1.0), ..ReplanOptions::default() })
            .contains("no plan is known to fit (at most 1 GFLOP)")
    );
    assert!(
        error(ReplanOptions { budget: Some(f64::NAN), ..ReplanOptions::default() }).contains("is not a plan budget")
    );

    let stop = StopHandle::new();
    stop.stop();
    start_study(&store, load(folder.path()), SearchOptions::default(), context(vec![], stop)).await.unwrap();
    let empty = replan(&store, "sums-2", &ReplanOptions::default()).unwrap_err().to_string();
    assert!(empty.contains("has not measured a plan yet"), "{empty}");
    assert!(replan(&store, "nothing", &ReplanOptions::default()).is_err());
}

#[tokio::test]
async fn a_plan_that_was_tried_in_part_can_be_made_surer_on_the_rest() {
    let toml = PIPELINE.replacen("trials = 12\nbatch = 4", "trials = 3\nbatch = 4\nexamples_per_trial = 10", 1);
    let (_folder, store, _) = studied(&toml).await;
    let found = again(&store, &ReplanOptions::default());
    let rest = found.surer.iter().find(|s| s.what.contains("rest of the search split"));
    assert!(rest.is_some_and(|s| s.examples > 0 && s.examples <= 20 && s.tokens > 0.0), "{:?}", found.surer);
}
