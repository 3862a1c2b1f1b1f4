//! Prices against a bank that is simulated draw by draw.
#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers may fail by panicking.

mod common;

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use agenttts_core::{
    Aggregator, Archive, CostModel, Origin, Plan, Space, Span, StageSpace, Temperature, Trial, TrialState,
};
use agenttts_search::{DrawLog, DrawPrices, Lengths, Prices, Shown, place};
use common::{measure, model};
use proptest::prelude::*;

const POOL: u32 = 12;

/// Three stages in a row; the aggregators of each are given.
fn chain(aggregators: [Aggregator; 3]) -> (Space, Vec<Vec<usize>>) {
    let stage = |(i, aggregator): (usize, Aggregator)| StageSpace {
        name: format!("s{i}"),
        models: vec![model("small", 1.0), model("large", 8.0)],
        samples: vec![1, 2, 4, 8],
        aggregators: vec![aggregator],
        temperatures: vec![Temperature::new(0.7).unwrap()],
        runs: agenttts_core::Runs::ONCE,
        prompt_tokens: 100 + i as u64,
        decode_tokens: 10,
        judge: None,
        fusion_decode_tokens: None,
    };
    let stages = aggregators.into_iter().enumerate().map(stage).collect();
    let space = Space::new(stages, CostModel::Tokens, CostModel::Tokens.amount(1e9).unwrap()).unwrap();
    (space, vec![vec![], vec![0], vec![0, 1]])
}

/// A pipeline that really runs: outputs depend on the prompt, the model and the samples, with few values, so that
/// different choices upstream often say the same.
#[derive(Default)]
struct World {
    /// Whether the stage in the middle runs more or less than once.
    varies: bool,
    samples: HashMap<(usize, u32, u32, u64, usize), u32>,
    combined: HashSet<(usize, u32, u32, u64, usize)>,
}

impl World {
    /// How often a stage runs: the one in the middle perhaps not at all, once or twice, by what it reads.
    fn runs(&self, stage: usize, prompt: u64) -> u32 {
        if stage == 1 && self.varies { (prompt % 3) as u32 } else { 1 }
    }

    /// The prompts of all stages for an example.
    fn prompts(space: &Space, plan: &Plan, stream: u32, example: u32) -> Vec<u64> {
        let options = space.indices(plan).unwrap();
        let mut prompt = u64::from(example);
        options
            .iter()
            .map(|option| {
                let shown = prompt;
                let mut hasher = DefaultHasher::new();
                (shown, option, stream).hash(&mut hasher);
                prompt = hasher.finish() % 3;
                shown
            })
            .collect()
    }

    /// Tokens that running the plan on these examples draws now; they are there afterwards.
    fn run(&mut self, space: &Space, plan: &Plan, stream: u32, span: Span, log: &mut DrawLog) -> f64 {
        let options = space.indices(plan).unwrap();
        let mut tokens = 0.0;
        for example in span.first..span.end() {
            let prompts = World::prompts(space, plan, stream, example);
            for (stage, &prompt) in prompts.iter().enumerate() {
                let priced = &space.stages()[stage];
                let option = &priced.options[options[stage]];
                let runs = f64::from(self.runs(stage, prompt));
                let there = self.samples.entry((stage, stream, example, prompt, option.model)).or_default();
                let lacking = option.choice.samples.saturating_sub(*there);
                *there = (*there).max(option.choice.samples);
                let spec = &priced.stage.models[option.model];
                let (sampling, combining) =
                    priced.stage.planned_calls(spec, option.choice.samples, option.choice.aggregator);
                if lacking > 0 {
                    tokens += runs * (sampling.prompt + u64::from(lacking) * priced.stage.decode_tokens) as f64;
                }
                if let Some((_, call)) = combining
                    && self.combined.insert((stage, stream, example, prompt, options[stage]))
                {
                    tokens += runs * (call.prompt + call.decode) as f64;
                }
            }
            let shown = |(stage, prompt)| Some(Shown { prompt, runs: self.runs(stage, prompt) });
            let known: Vec<Option<Shown>> = prompts.into_iter().enumerate().map(shown).collect();
            log.record(space, plan, stream, example, &known);
        }
        tokens
    }
}

/// Puts the plan's next trial into the archive.
fn put(space: &Space, archive: &mut Archive, plan: Plan, examples: u32) {
    let number = archive.trials.len() as u32 + 1;
    let (stream, span) = place(archive, &plan, Some(examples), Some(POOL));
    archive.trials.push(Trial {
        number,
        round: number,
        nominal_cost: space.cost_of(&plan).unwrap(),
        origin: Origin { method: "m".into(), reason: "r".into(), repairs: vec![] },
        stream,
        span,
        state: TrialState::Measured(Box::new(measure(space, &plan, number, 50))),
        plan,
    });
}

fn any_plan() -> impl Strategy<Value = [usize; 3]> {
    // Few choices upstream, so that they are often the same.
    [0usize..3, 0usize..3, 0usize..8]
}

fn any_aggregators() -> impl Strategy<Value = [Aggregator; 3]> {
    let one = || prop::sample::select(vec![Aggregator::Vote, Aggregator::Fuse]);
    [one(), one(), one()]
}

fn tokens(prices: &DrawPrices<'_>, plan: &Plan, stream: u32, span: Span) -> f64 {
    prices.missing(plan, stream, span).iter().map(|m| m.tokens()).sum()
}

/// The plan one step up in the samples of a stage, if there is one.
fn more(space: &Space, options: &[usize], stage: usize) -> Option<Plan> {
    let priced = &space.stages()[stage];
    let now = &priced.options[options[stage]];
    let up = (0..priced.options.len())
        .filter(|&o| priced.options[o].model == now.model && priced.options[o].choice.samples > now.choice.samples)
        .min_by_key(|&o| priced.options[o].choice.samples)?;
    let mut options = options.to_vec();
    options[stage] = up;
    Some(space.plan(&options))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn prices_are_what_would_be_drawn(
        aggregators in any_aggregators(),
        trials in prop::collection::vec((any_plan(), 1u32..=POOL), 0..8),
        next in any_plan(),
        examples in 1u32..=POOL,
        varies in any::<bool>(),
    ) {
        let (space, ancestors) = chain(aggregators);
        let (mut world, mut log, mut archive) = (World { varies, ..World::default() }, DrawLog::new(ancestors), Archive::default());
        for (options, count) in &trials {
            let plan = space.plan(options);
            let (stream, span) = place(&archive, &plan, Some(*count), Some(POOL));
            let span = span.unwrap_or(Span { first: 0, count: POOL });
            let priced = DrawPrices::new(&space, &archive, Some(POOL), &log).price(&plan, *count);
            let drawn = world.run(&space, &plan, stream, span, &mut log);
            let again = DrawPrices::new(&space, &archive, Some(POOL), &log);
            prop_assert_eq!(tokens(&again, &plan, stream, span), 0.0, "what was run costs nothing");
            let all: f64 = again.from_nothing(&plan, span.count).iter().map(|m| m.tokens()).sum();
            // What takes twice as long as most can take more than the mean of all.
            prop_assert!(varies || (priced <= all + 1e-6 && drawn <= all + 1e-6));
            put(&space, &mut archive, plan, *count);
        }

        let prices = DrawPrices::new(&space, &archive, Some(POOL), &log);
        let plan = space.plan(&next);
        let price = prices.price(&plan, examples);
        let (stream, span) = prices.next(&plan, examples);
        prop_assert_eq!((stream, Some(span).filter(|s| s.count < POOL)), place(&archive, &plan, Some(examples), Some(POOL)));
        let all: f64 = prices.from_nothing(&plan, span.count).iter().map(|m| m.tokens()).sum();
        prop_assert!(price >= 0.0 && (varies || price <= all + 1e-6), "{} of {}", price, all);
        prop_assert_eq!(price, prices.price(&plan, examples), "the table says what was computed");
        if examples > 1 {
            prop_assert!(prices.price(&plan, examples - 1) <= price + 1e-6, "more examples cost no less");
        }
        if aggregators == [Aggregator::Vote; 3] {
            for stage in 0..3 {
                // A later stage sees another prompt then, so only the last stage is compared with itself.
                let Some(up) = more(&space, &next, stage) else { continue };
                let (a, b) = (prices.missing(&plan, stream, span)[stage], prices.missing(&up, stream, span)[stage]);
                prop_assert!(a.tokens() <= b.tokens() + 1e-6, "more samples cost no less");
            }
        }
        if stream == 0 {
            let covered = |e: u32| archive.trials.iter().any(|t| {
                let options = space.indices(&t.plan).unwrap();
                let span = t.span.unwrap_or(Span { first: 0, count: POOL });
                t.stream == 0 && options[..2] == next[..2] && (span.first..span.end()).contains(&e)
            });
            if (span.first..span.end()).all(covered) {
                let drawn = world.run(&space, &plan, stream, span, &mut log.clone());
                prop_assert!((price - drawn).abs() < 1e-6, "known prompts: {} is exactly {}", price, drawn);
            }
        }
    }

    #[test]
    fn a_replicate_of_a_plan_costs_all_of_it(options in any_plan(), aggregators in any_aggregators()) {
        let (space, ancestors) = chain(aggregators);
        let (mut world, mut log, mut archive) = (World::default(), DrawLog::new(ancestors), Archive::default());
        let plan = space.plan(&options);
        world.run(&space, &plan, 0, Span { first: 0, count: POOL }, &mut log);
        put(&space, &mut archive, plan.clone(), POOL);
        let prices = DrawPrices::new(&space, &archive, Some(POOL), &log);
        prop_assert_eq!(prices.next(&plan, POOL), (1, Span { first: 0, count: POOL }));
        let all: f64 = prices.from_nothing(&plan, POOL).iter().map(|m| m.tokens()).sum();
        prop_assert!((prices.price(&plan, POOL) - all).abs() < 1e-6);
    }
}

#[test]
fn a_shared_first_stage_is_paid_once_and_measured_lengths_replace_expected_ones() {
    let (space, ancestors) = chain([Aggregator::Vote; 3]);
    let mut log = DrawLog::new(ancestors);
    let archive = Archive::default();
    let plan = |samples: [usize; 3]| space.plan(&samples);
    // Options 0 to 3 are 1, 2, 4 and 8 samples of the small model.
    log.record(&space, &plan([2, 0, 0]), 0, 0, &[1, 2, 3].map(|p| Some(Shown::once(p))));
    let one = Span { first: 0, count: 1 };
    let stage = |log: &DrawLog, options: [usize; 3], stage: usize| {
        DrawPrices::new(&space, &archive, Some(POOL), log).missing(&plan(options), 0, one)[stage].tokens()
    };
    assert_eq!(stage(&log, [0, 0, 0], 0), 0.0, "one of four samples that are there");
    assert_eq!(stage(&log, [3, 0, 0], 0), 100.0 + 4.0 * 10.0, "four more than are there");
    assert_eq!(stage(&log, [4, 0, 0], 0), 100.0 + 10.0, "another model shares nothing");
    // Half of the time, until more is seen, other choices upstream lead to the prompt that is there.
    assert_eq!(stage(&log, [3, 0, 0], 1), 0.5 * (101.0 + 10.0));
    log.set_lengths(0, 0, Lengths { prompt: 50.0, decode: 5.0, shared_by: 2 });
    assert_eq!(stage(&log, [3, 0, 0], 0), 2.0 * 50.0 + 4.0 * 5.0, "two samples share a prompt");
    // What another study of the store drew is there as well.
    log.found(0, 0, 0, 1, 0, Temperature::new(0.7).unwrap(), 8);
    assert_eq!(stage(&log, [3, 0, 0], 0), 0.0);
    // A stage that was not reached is not reached again on the same draws.
    log.record(&space, &plan([0, 5, 0]), 0, 0, &[Some(Shown::once(1)), Some(Shown::once(2)), None]);
    assert_eq!(stage(&log, [0, 5, 3], 2), 0.0);
}
