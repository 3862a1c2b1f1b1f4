//! Drawing: one example, model and temperature of a stage under one setting upstream. Nothing is estimated here.

use std::collections::BTreeMap;

use agenttts_core::{Aggregator, Example, Plan};
use agenttts_models::ModelErrorKind;
use agenttts_stage::{ParseFailure, aggregate};
use serde_json::Value;

use super::plan::Pair;
use crate::error::EngineError;
use crate::execute::{Execution, Executor, StageRun, Taken};
use crate::source::{Halt, Source};

/// What stages upstream gave for an example.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    /// The outputs by stage; stages that the later one does not read have none.
    Outputs(BTreeMap<String, Value>),
    /// A stage failed, and so does whatever reads it.
    Failed,
    /// The example has no such outputs.
    Absent,
}

/// What was drawn of a cell.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// The largest number of samples, where subsets of them can be scored without a call.
    pub(super) samples: Option<Samples>,
    /// Runs with the first `n` samples, for aggregators that call a model and stages whose samples are not all alike.
    pub(super) runs: Vec<Run>,
    /// Whether the example failed in any run.
    pub(super) failed: bool,
    /// Whether that was a provider's fault.
    pub(super) provider_fault: Option<agenttts_models::ModelError>,
}

/// Samples in the order of their draw.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) parsed: Vec<Result<Value, ParseFailure>>,
    pub(super) taken: Vec<Taken>,
}

/// A run of the stage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) aggregator: Aggregator,
    pub(super) samples: u32,
    pub(super) score: f64,
    /// In units of the cost model.
    pub(super) cost: f64,
}

/// Draws the cells of one stage.
pub(super) struct Drawer<'a> {
    pub(super) executor: &'a Executor,
    pub(super) source: &'a dyn Source,
    pub(super) stream: u64,
    pub(super) stage: usize,
    /// A choice for every stage of the pipeline: those upstream do not count, as their outputs are given.
    pub(super) usual: &'a Plan,
    /// Whether a tape plays the models: it lacks what no plan of the pipeline asks for.
    pub(super) recorded: bool,
}

impl Drawer<'_> {
    /// Draws a cell; `None` where the example has no outputs upstream of that setting, or a tape has no draws for them.
    pub(super) async fn cell(&self, pair: &Pair, example: &Example, given: &Given) -> Result<Option<Cell>, Halt> {
        let given = match given {
            Given::Outputs(outputs) => outputs,
            Given::Failed => return Ok(Some(self.failed(pair))),
            Given::Absent => return Ok(None),
        };
        match self.draw(pair, example, given).await {
            Err(Halt::Fatal(EngineError::Model(e))) if self.recorded && e.kind == ModelErrorKind::NotOnTape => Ok(None),
            other => other.map(Some),
        }
    }

    /// The stage's output with a choice, and its score where it has a metric.
    pub(super) async fn run(
        &self,
        choice: agenttts_core::Choice,
        example: &Example,
        given: &BTreeMap<String, Value>,
    ) -> Result<Execution, Halt> {
        let mut plan = Plan { choices: self.usual.choices[..self.stage].to_vec() };
        plan.choices.push(choice);
        self.executor.execute_part(&plan, example, self.stream, self.source, given).await
    }

    async fn draw(&self, pair: &Pair, example: &Example, given: &BTreeMap<String, Value>) -> Result<Cell, Halt> {
        let mut cell = Cell::default();
        let most = pair.counts.last().copied().unwrap_or(1);
        // The first sample that can be read needs no call to find, even where the stage does not offer that.
        let pure = pair.aggregators.iter().copied().find(|a| is_pure(*a)).unwrap_or(Aggregator::First);
        let mut execution = self.run(pair.choice(most, pure), example, given).await?;
        cell.note(&execution);
        // Where scoring takes a call of its own, only what was run is scored.
        let by_call = self.executor.scores_by_call(self.stage);
        if let Some(run) = execution.stages.pop().filter(|_| !by_call) {
            cell.samples = samples(run, pure, most);
        }
        for &aggregator in &pair.aggregators {
            for &samples in &pair.counts {
                // One sample is its own aggregate.
                if cell.samples.is_some() && (samples == 1 || is_pure(aggregator)) {
                    continue;
                }
                let execution = self.run(pair.choice(samples, aggregator), example, given).await?;
                cell.note(&execution);
                let score = execution.stages.last().and_then(|s| s.score).unwrap_or(0.0);
                cell.runs.push(Run { aggregator, samples, score, cost: execution.cost_units });
            }
        }
        Ok(cell)
    }

    /// The cell of an example that failed upstream: nothing is drawn, and every score is 0.
    fn failed(&self, pair: &Pair) -> Cell {
        let run = |(aggregator, samples)| Run { aggregator, samples, score: 0.0, cost: 0.0 };
        let all = pair.aggregators.iter().flat_map(|&a| pair.counts.iter().map(move |&n| (a, n)));
        Cell { runs: all.map(run).collect(), failed: true, ..Cell::default() }
    }
}

impl Cell {
    fn note(&mut self, execution: &Execution) {
        if let Some(failure) = &execution.failure {
            self.failed = true;
            self.provider_fault = self.provider_fault.take().or_else(|| failure.provider_fault().cloned());
        }
    }
}

/// Whether an aggregator's output follows, without a call, from what the samples parse to and what their code does.
fn is_pure(aggregator: Aggregator) -> bool {
    matches!(aggregator, Aggregator::First | Aggregator::Vote | Aggregator::VoteSet | Aggregator::Execution)
}

/// The samples of a run, if aggregating them gives the run's output: not so for a stage that made no call or several.
fn samples(mut run: StageRun, aggregator: Aggregator, most: u32) -> Option<Samples> {
    let output = run.output;
    let run = run.runs.pop().filter(|_| !run.by_item)?;
    let same = run.parsed.len() == most as usize
        && run.samples.len() == run.parsed.len()
        && aggregate(aggregator, &run.parsed, &run.ran).ok().map(|a| a.output) == output;
    same.then(|| Samples { parsed: run.parsed, taken: run.samples.iter().map(|s| Taken::of(&s.draw)).collect() })
}
