//! A plan over a split: every example through all stages, side by side, and what that measures.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use agenttts_core::{CurvePoint, Estimate, Example, Fitting, Measurement, Plan, Usage};
use agenttts_search::Race;
use futures::StreamExt;

use crate::execute::{Execution, Executor, ItemRun};
use crate::quarantine::Quarantine;
use crate::source::{Halt, Source};

/// A plan that was run over a split.
pub(crate) struct PlanRun {
    /// What it measured.
    pub(crate) measurement: Measurement,
    /// Every example, in the order of the split.
    pub(crate) executions: Vec<Execution>,
}

/// Failures of this share of a trial's examples, all for reasons of a provider, are no measurement of the plan: the
/// provider is down.
const OUTAGE_SHARE: f64 = 0.5;

/// The most reasons of failure that a measurement lists.
const REASONS: usize = 3;

/// What a plan runs with.
#[derive(Clone, Copy)]
pub(crate) struct With<'a> {
    pub(crate) executor: &'a Executor,
    /// Where samples come from.
    pub(crate) source: &'a dyn Source,
    /// Which draws.
    pub(crate) stream: u64,
    /// Examples that run at once.
    pub(crate) width: usize,
    /// Examples that are left out.
    pub(crate) quarantine: Option<&'a Quarantine>,
}

/// Runs a plan over examples, several at once; in a race block by block, until it is raced out. `progress` hears
/// how many are done.
///
/// # Errors
/// [`Halt`] when a call was refused or cannot succeed; what was drawn until then is kept by the source. Calls under way
/// are awaited first, so nothing that was paid for is lost.
pub(crate) async fn run_plan(
    with: With<'_>,
    plan: &Plan,
    examples: &[Example],
    race: Option<&Race>,
    progress: &(dyn Fn(u32) + Send + Sync),
) -> Result<PlanRun, Halt> {
    let start = Instant::now();
    let done = AtomicU32::new(0);
    let progress = || progress(done.fetch_add(1, Ordering::Relaxed) + 1);
    let mut executions: Vec<Execution> = Vec::with_capacity(examples.len());
    let mut raced_out = None;
    while executions.len() < examples.len() && raced_out.is_none() {
        let scores: Vec<f64> = executions.iter().map(|e| e.objective).collect();
        let block = race.map_or(examples.len(), |race| race.next_block(&scores) as usize).max(1);
        let block = examples.iter().skip(executions.len()).take(block);
        executions.extend(run_block(with, plan, block, &progress).await?);
        // A provider that is down says nothing of the plan.
        if outage(&executions).is_none() {
            let scores: Vec<f64> = executions.iter().map(|e| e.objective).collect();
            raced_out = race.and_then(|race| race.verdict(&scores));
        }
    }
    if let Some(error) = outage(&executions) {
        return Err(error);
    }
    let measurement = measure(with.executor, &executions, start.elapsed().as_secs_f64());
    Ok(PlanRun { measurement: Measurement { raced_out, ..measurement }, executions })
}

/// Runs a plan over some examples side by side; their executions in the order of the examples, whichever ends first.
async fn run_block<'a>(
    with: With<'_>,
    plan: &Plan,
    examples: impl Iterator<Item = &'a Example>,
    progress: &(dyn Fn() + Send + Sync),
) -> Result<Vec<Execution>, Halt> {
    let mut runs = futures::stream::iter(examples.enumerate().collect::<Vec<_>>())
        .map(|(index, example)| async move {
            let result = match with.quarantine.and_then(|quarantine| quarantine.holds(&example.id)) {
                Some(held) => Ok(with.executor.left_out(example, &held.reason)),
                None => with.executor.execute(plan, example, with.stream, with.source).await,
            };
            progress();
            (index, result)
        })
        .buffer_unordered(with.width.max(1));
    let mut executions: BTreeMap<usize, Execution> = BTreeMap::new();
    let mut halt = None;
    while let Some((index, result)) = runs.next().await {
        match result {
            Ok(execution) => drop(executions.insert(index, execution)),
            // Others under way go on to their next call, are refused there too, and so drain.
            Err(reason) => reason.note(&mut halt),
        }
    }
    match halt {
        Some(reason) => Err(reason),
        None => Ok(executions.into_values().collect()),
    }
}

/// A halt where most examples failed because of a provider.
fn outage(executions: &[Execution]) -> Option<Halt> {
    let failed = executions.iter().filter_map(|e| e.failure.as_ref()?.provider_fault());
    let count = failed.clone().count();
    let error = failed.clone().next()?;
    (executions.len() > 1 && count as f64 > OUTAGE_SHARE * executions.len() as f64).then(|| {
        let mut error = error.clone();
        error.message = format!(
            "{count} of {} examples failed because of a provider, the first: {}",
            executions.len(),
            error.message
        );
        error.hint = error.hint.or_else(|| {
            Some("nothing was counted against the plan; go on later with `agenttts search --resume STUDY`".into())
        });
        Halt::Fatal(error.into())
    })
}

/// What these executions of one plan measure.
pub(crate) fn measure<E: Borrow<Execution>>(executor: &Executor, executions: &[E], seconds: f64) -> Measurement {
    let executions: Vec<&Execution> = executions.iter().map(Borrow::borrow).collect();
    let scores: Vec<f64> = executions.iter().map(|e| e.objective).collect();
    let stages = (0..executor.stage_count())
        .map(|i| {
            let stages = executions.iter().map(|e| &e.stages[i]);
            let values: Option<Vec<f64>> =
                stages.filter(|s| !s.skipped || s.score.is_some()).map(|s| s.score).collect();
            // A stage that never ran has no score.
            values.filter(|v| !v.is_empty() || executions.is_empty()).map(|v| Estimate::of_scores(&v))
        })
        .collect();
    let costs: Vec<f64> = executions.iter().map(|e| e.cost_units).collect();
    let reasons: BTreeSet<String> = executions.iter().filter_map(|e| Some(e.failure.as_ref()?.to_string())).collect();
    Measurement {
        objective: Estimate::of_scores(&scores),
        stages,
        cost: Estimate::of_values(&costs),
        scores,
        failures: executions.iter().filter(|e| e.failure.is_some()).count() as u32,
        failure_reasons: reasons.into_iter().take(REASONS).collect(),
        curves: (0..executor.stage_count()).map(|i| curve(&executions, i)).collect(),
        fitting: fitting(executor, &executions),
        fresh: executions.iter().map(|e| e.fresh).sum(),
        drawn: executions.iter().map(|e| e.drawn).sum::<Usage>(),
        seconds,
        raced_out: None,
    }
}

/// How the prompts of each stage fitted; nothing where all did as they were.
fn fitting(executor: &Executor, executions: &[&Execution]) -> Vec<Fitting> {
    let of_stage = |stage: usize| {
        let runs = executions.iter().map(|e| &e.stages[stage]);
        let shares: Vec<f64> = runs.clone().filter_map(|s| share_left_out(&s.runs)).collect();
        Fitting {
            shortened: shares.len() as u32,
            left_out: shares.iter().sum::<f64>() / shares.len().max(1) as f64,
            too_long: runs.filter(|s| s.too_long).count() as u32,
        }
    };
    let all: Vec<Fitting> = (0..executor.stage_count()).map(of_stage).collect();
    if all.iter().all(|f| *f == Fitting::default()) { Vec::new() } else { all }
}

/// The share that the runs which were shortened lost together.
fn share_left_out(runs: &[ItemRun]) -> Option<f64> {
    let shortened = runs.iter().filter_map(|run| run.left_out);
    let (count, of) = shortened.fold((0, 0), |(count, of), left_out| (count + left_out.count, of + left_out.of));
    (count > 0).then(|| f64::from(count) / f64::from(of))
}

/// The stage's metric with the first 1, 2, 4, ... samples, without the examples for which it had nothing to draw.
fn curve(executions: &[&Execution], stage: usize) -> Vec<CurvePoint> {
    let Some(counts) = executions.iter().map(|e| &e.stages[stage].prefix_scores).find(|p| !p.is_empty()) else {
        return Vec::new();
    };
    let counts: Vec<u32> = counts.iter().map(|(n, _)| *n).collect();
    let point = |(k, &samples): (usize, &u32)| {
        let at = |e: &&Execution| e.stages[stage].prefix_scores.get(k).map_or(0.0, |(_, s)| *s);
        let drew = |e: &&&Execution| e.stages[stage].output.is_none() || !e.stages[stage].runs.is_empty();
        let values: Vec<f64> = executions.iter().filter(drew).map(at).collect();
        CurvePoint { samples, score: Estimate::of_scores(&values) }
    };
    counts.iter().enumerate().map(point).collect()
}
