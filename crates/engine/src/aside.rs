//! What a search must leave of its budget, so that its result can be confirmed.

use agenttts_core::pipeline::MetricSpec;
use agenttts_core::{Archive, CallTokens, Cost, Plan, PooledPlan, Temperature};
use agenttts_store::Amounts;

use crate::budget::{Aside, Budget, TestTime, amounts};
use crate::forecast::forecast;
use crate::load::Loaded;
use crate::pace::Work;
use crate::study::width;

/// Room for test examples that are longer than search examples.
const MARGIN: f64 = 1.25;

/// Room while nothing is measured and the pipeline's expected lengths are all that is known.
const UNMEASURED: f64 = 1.5;

/// The most plans among which the runner-up is looked for.
const NEAREST: usize = 5;

/// The confirmation's expected spend: the leading plan, the baselines (greedily over the search split, too), the runner-up and a
/// cheaper plan, once over the test split each, and room for the last call, which is reserved at its most. Measured lengths
/// replace expected ones once there are any. Where not all of them fit half of the budget, as many as do, in this order; where
/// not even the leading plan does, nothing is set aside, and all of the budget is for the search. While nothing is measured, any
/// plan may come to lead, so that it is what is expected, and half of the budget at most.
pub(crate) fn set_aside(loaded: &Loaded, archive: &Archive, budget: &Budget) -> Aside {
    let space = &loaded.space;
    let (test, search) =
        (loaded.pipeline.test_split.examples.len() as f64, loaded.pipeline.search_split.examples.len() as f64);
    let leader = archive.best();
    let longer = leader.as_ref().and_then(|leader| longer(loaded, leader));
    let factor = longer.map_or(UNMEASURED, |longer| MARGIN * longer);
    let measured = leader.is_some();
    let winner = leader.map_or_else(|| space.largest_once(), |leader| leader.plan.clone());
    // What each of the plans of the test takes: plans, and examples.
    let mut parts = vec![vec![(winner.clone(), test)]];
    for baseline in [space.largest_once(), space.smallest_once()] {
        let mut part = vec![(baseline.clone(), test)];
        // On the search split greedily, and perhaps at the usual temperature: what no trial has run on yet.
        let mut greedy = baseline.clone();
        greedy.choices.iter_mut().for_each(|c| c.temperature = Temperature::GREEDY);
        if greedy != baseline {
            part.extend([baseline, greedy].map(|plan| (plan.clone(), (search - examples_of(archive, &plan)).max(0.0))));
        }
        parts.push(part);
    }
    // Who comes next is decided at the end: as dear as the dearest of those that may. A cheaper plan costs at most what the
    // leading one does.
    let mut near: Vec<_> = archive.plans().into_iter().filter(|p| p.raced_out().is_none()).collect();
    near.sort_by(|a, b| b.objective.mean.total_cmp(&a.objective.mean));
    let dearest = near.iter().take(NEAREST).max_by_key(|p| query(loaded, p.plan).tokens);
    parts.push(vec![(dearest.map_or_else(|| winner.clone(), |p| p.plan.clone()), test)]);
    parts.push(vec![(winner.clone(), test)]);
    let takes = |sum: Amounts, (plan, examples): &(Plan, f64)| sum.plus(times(query(loaded, plan), factor * examples));
    // What the first part takes, the first two, and so on.
    let sums: Vec<Amounts> = parts
        .iter()
        .scan(Amounts::default(), |sum, part| {
            *sum = part.iter().fold(*sum, takes);
            Some(*sum)
        })
        .collect();
    let last = largest_call(loaded, &winner, factor);
    let fitting = sums.iter().take_while(|sum| budget.is_within_half(sum.plus(last))).count();
    let total = sums.last().copied().unwrap_or_default();
    let (parts, amounts) = if measured {
        let kept = sums[..fitting].last();
        (&parts[..fitting], kept.map_or_else(Amounts::default, |sum| sum.plus(last)))
    } else {
        (&parts[..], budget.at_most_half(total.plus(last)))
    };
    let total = total.tokens as f64;
    let work = |(plan, examples): &(Plan, f64)| Work { examples: *examples, calls: calls(loaded, plan) };
    let time = TestTime {
        core: parts.iter().take(1).flatten().map(work).collect(),
        extra: parts.iter().skip(1).flatten().map(work).collect(),
        width: width(loaded),
        share: total / forecast(&loaded.pipeline, space).tokens.max(total),
        measured,
    };
    Aside { amounts, time }
}

/// What the test of a plan alone is expected to take at least: nothing of it is begun where less is left. A plan that was not measured
/// is expected to be as long as the pipeline says.
pub(crate) fn least_of_test(loaded: &Loaded, archive: &Archive, plan: &Plan) -> Amounts {
    let measured = archive.plans().into_iter().find(|p| p.plan == plan);
    let factor = measured.and_then(|measured| longer(loaded, &measured)).unwrap_or(1.0);
    times(query(loaded, plan), factor * loaded.pipeline.test_split.examples.len() as f64)
}

/// How many times as long as the pipeline expects a plan's queries were.
fn longer(loaded: &Loaded, measured: &PooledPlan<'_>) -> Option<f64> {
    let nominal = query(loaded, measured.plan).tokens as f64;
    (nominal > 0.0).then(|| measured.tokens_per_query() / nominal)
}

/// The most that a call of a plan may reserve.
fn largest_call(loaded: &Loaded, plan: &Plan, factor: f64) -> Amounts {
    let stages = plan.choices.iter().zip(loaded.space.stages()).zip(&loaded.pipeline.stages);
    let calls = stages.filter_map(|((choice, priced), stage)| {
        let model = loaded.pipeline.model(&choice.model)?;
        let (sampling, _) = priced.stage.planned_calls(model, choice.samples, choice.aggregator);
        let prompt = (sampling.prompt as f64 * factor).ceil() as u64;
        let decode = u64::from(stage.max_tokens) * u64::from(choice.samples);
        Some(amounts(model, &CallTokens { prompt, decode, ..sampling }))
    });
    calls.fold(Amounts::default(), |most, call| Amounts {
        tokens: most.tokens.max(call.tokens),
        usd: most.usd.max(call.usd),
        flops: most.flops.max(call.flops),
        calls: most.calls.max(call.calls),
    })
}

/// Search examples that a plan has run on with the study's shared draws.
fn examples_of(archive: &Archive, plan: &Plan) -> f64 {
    let trials = archive.measured().filter(|(trial, _)| &trial.plan == plan && trial.stream == 0);
    trials.map(|(_, measured)| measured.scores.len() as f64).sum()
}

/// The calls of one example: the model, the samples of a call, and how many such calls.
fn calls(loaded: &Loaded, plan: &Plan) -> Vec<(String, u32, f64)> {
    let mut calls = Vec::new();
    for (stage, (choice, priced)) in plan.choices.iter().zip(loaded.space.stages()).enumerate() {
        let Some(model) = loaded.pipeline.model(&choice.model) else { continue };
        let runs = priced.stage.runs.as_f64();
        let (sampling, combining) = priced.stage.planned_calls(model, choice.samples, choice.aggregator);
        calls.push((choice.model.clone(), sampling.samples, runs));
        calls.extend(combining.map(|(reader, call)| (reader.name.clone(), call.samples, runs)));
        let metric = loaded.pipeline.stages[stage].metric.as_ref();
        calls.extend(metric.and_then(MetricSpec::llm_judge).map(|judge| (judge.model.clone(), judge.samples, 1.0)));
    }
    calls
}

/// One query of a plan by expected lengths.
fn query(loaded: &Loaded, plan: &Plan) -> Amounts {
    let stages = plan.choices.iter().zip(loaded.space.stages());
    stages.fold(Amounts::default(), |sum, (choice, priced)| {
        let Some(model) = loaded.pipeline.model(&choice.model) else { return sum };
        let (sampling, combining) = priced.stage.planned_calls(model, choice.samples, choice.aggregator);
        let combining = combining.map_or_else(Amounts::default, |(reader, call)| amounts(reader, &call));
        sum.plus(times(amounts(model, &sampling).plus(combining), priced.stage.runs.as_f64()))
    })
}

fn times(amounts: Amounts, factor: f64) -> Amounts {
    let scaled = |n: u64| (n as f64 * factor).ceil() as u64;
    let cost = |c: Cost| Cost((c.0 as f64 * factor).ceil() as i128);
    Amounts {
        tokens: scaled(amounts.tokens),
        usd: cost(amounts.usd),
        flops: cost(amounts.flops),
        calls: scaled(amounts.calls),
    }
}
