//! The order of drawing: stage by stage, and in each example by example, so that whenever it ends, what is there is of
//! use.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use agenttts_core::{Example, Level, UpstreamStage};
use futures::StreamExt;

use super::cell::{Cell, Drawer, Given};
use super::measure::{Table, tables};
use super::plan::{Pair, pairs};
use super::setting::{LEVELS, Passed, Passing, Setting, choice, gold, settings};
use crate::error::EngineError;
use crate::execute::Executor;
use crate::load::Loaded;
use crate::source::{Halt, Source};

/// What a pilot draws, and from where.
pub(super) struct Drawing<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) executor: &'a Executor,
    pub(super) source: &'a dyn Source,
    pub(super) stream: u64,
    pub(super) examples: &'a [Example],
    /// The most draws of a cell, below the stage's own.
    pub(super) draws: Option<u32>,
    /// Cells that are drawn at once.
    pub(super) width: usize,
    pub(super) seed: u64,
    pub(super) recorded: bool,
    /// Hears how many cells of a stage are drawn, and of how many.
    pub(super) progress: &'a (dyn Fn(u32, u32) + Send + Sync),
}

/// What was measured of a stage.
#[derive(Clone, Debug)]
pub(super) struct StageData {
    pub(super) stage: usize,
    /// The most samples.
    pub(super) draws: u32,
    pub(super) settings: Vec<SettingData>,
}

/// What was measured under one setting.
#[derive(Clone, Debug)]
pub(super) struct SettingData {
    pub(super) level: Level,
    pub(super) upstream: Vec<UpstreamStage>,
    /// The examples that all tables are of, as places in the pilot's list.
    pub(super) examples: Vec<usize>,
    pub(super) failures: u32,
    pub(super) tables: Vec<Table>,
}

/// All that was measured, and why it ended early where it did.
pub(super) struct Measured {
    pub(super) stages: Vec<StageData>,
    pub(super) halt: Option<Halt>,
}

/// Cells that failed for a provider's reasons in this share or more are no measurement: the provider is down.
const OUTAGE_SHARE: f64 = 0.5;

impl Drawing<'_> {
    /// Draws and measures all stages that have a metric.
    ///
    /// # Errors
    /// What every further call would share; limits and stops are part of the result.
    pub(super) async fn run(&self) -> Result<Measured, EngineError> {
        let mut passed: BTreeMap<(usize, Level), Passed> = BTreeMap::new();
        let mut measured = Measured { stages: Vec::new(), halt: None };
        for stage in 0..self.loaded.pipeline.stages.len() {
            let settings = settings(self.loaded, stage, self.examples.len(), &passed);
            let data = if self.loaded.pipeline.stages[stage].metric.is_some() {
                let (data, halt) = self.measure(stage, &settings).await?;
                measured.stages.push(data);
                if halt.is_some() {
                    measured.halt = halt;
                    return Ok(measured);
                }
                measured.stages.last()
            } else {
                None
            };
            // Nobody reads the last stage.
            if stage + 1 == self.loaded.pipeline.stages.len() {
                break;
            }
            match self.pass_on(stage, &settings, data).await {
                Ok(found) => passed.extend(found.into_iter().map(|(level, p)| ((stage, level), p))),
                Err(Halt::Fatal(error)) => return Err(error),
                Err(halt) => {
                    measured.halt = Some(halt);
                    return Ok(measured);
                }
            }
        }
        Ok(measured)
    }

    fn drawer<'b>(&'b self, stage: usize, usual: &'b agenttts_core::Plan) -> Drawer<'b> {
        Drawer {
            executor: self.executor,
            source: self.source,
            stream: self.stream,
            stage,
            usual,
            recorded: self.recorded,
        }
    }

    async fn measure(&self, stage: usize, settings: &[Setting]) -> Result<(StageData, Option<Halt>), EngineError> {
        let pairs = pairs(&self.loaded.space.stages()[stage], self.draws);
        let (mut cells, halt) = self.draw(stage, settings, &pairs).await?;
        let draws = pairs.iter().filter_map(|p| p.counts.last()).max().copied().unwrap_or(0);
        let mut data = StageData { stage, draws, settings: Vec::new() };
        for (place, setting) in settings.iter().enumerate() {
            let mut examples = Vec::new();
            let mut whole: Vec<(&Example, Vec<Cell>)> = Vec::new();
            for (e, example) in self.examples.iter().enumerate() {
                let of_example = (0..pairs.len()).map(|p| cells.remove(&(e, place, p)));
                let of_example: Option<Vec<Cell>> = of_example.collect::<Vec<_>>().into_iter().collect();
                if let Some(found) = of_example {
                    examples.push(e);
                    whole.push((example, found));
                }
            }
            if whole.is_empty() {
                continue;
            }
            let samples = whole.iter().flat_map(|(_, cells)| cells).filter_map(|cell| cell.samples.as_ref());
            let outputs = samples.flat_map(|s| &s.parsed).filter_map(|parsed| parsed.as_ref().ok());
            let ran = self.executor.ran(stage, outputs).await?;
            data.settings.push(SettingData {
                level: setting.level,
                upstream: setting.upstream.clone(),
                examples,
                failures: whole.iter().filter(|(_, cells)| cells.iter().any(|c| c.failed)).count() as u32,
                tables: tables(self.loaded, stage, &pairs, &whole, &ran, self.seed ^ (stage as u64) << 40)?,
            });
        }
        Ok((data, halt))
    }

    /// Draws the cells of a stage, by example, setting and pair. Those of which there is nothing are left out.
    async fn draw(
        &self,
        stage: usize,
        settings: &[Setting],
        pairs: &[Pair],
    ) -> Result<(BTreeMap<(usize, usize, usize), Cell>, Option<Halt>), EngineError> {
        let usual = self.loaded.space.largest_once();
        let drawer = self.drawer(stage, &usual);
        let present = |e: usize, s: usize| settings[s].given[e] != Given::Absent;
        let places: Vec<(usize, usize, usize)> = (0..self.examples.len())
            .flat_map(|e| (0..settings.len()).map(move |s| (e, s)))
            .filter(|&(e, s)| present(e, s))
            .flat_map(|(e, s)| (0..pairs.len()).map(move |p| (e, s, p)))
            .collect();
        let total = places.len() as u32;
        let halted = AtomicBool::new(false);
        let mut cells = BTreeMap::new();
        let mut halt = None;
        let mut done = 0;
        let drawer = &drawer;
        let mut runs = futures::stream::iter(places)
            // After a stop or a limit nothing new begins; what is under way is awaited.
            .take_while(|_| std::future::ready(!halted.load(Ordering::Relaxed)))
            .map(|(e, s, p)| async move {
                ((e, s, p), drawer.cell(&pairs[p], &self.examples[e], &settings[s].given[e]).await)
            })
            .buffer_unordered(self.width.max(1));
        while let Some((place, result)) = runs.next().await {
            match result {
                Ok(cell) => {
                    cells.extend(cell.map(|c| (place, c)));
                    done += 1;
                    (self.progress)(done, total);
                }
                Err(reason) => {
                    halted.store(true, Ordering::Relaxed);
                    reason.note(&mut halt);
                }
            }
        }
        drop(runs);
        if let Some(Halt::Fatal(error)) = halt {
            return Err(error);
        }
        outage(&cells)?;
        Ok((cells, halt))
    }

    /// What a stage gives at every level: the gold outputs, and those of the choices that its scores select. A stage
    /// without a metric has the largest model, once, at every level.
    async fn pass_on(
        &self,
        stage: usize,
        settings: &[Setting],
        data: Option<&StageData>,
    ) -> Result<Vec<(Level, Passed)>, Halt> {
        let usual = self.loaded.space.largest_once();
        let drawer = self.drawer(stage, &usual);
        let mut found = Vec::new();
        for level in LEVELS {
            if level == Level::Gold {
                found.extend(gold(self.loaded, stage, self.examples).map(|p| (level, p)));
                continue;
            }
            // Where a level does not differ from a better one, that stands for both.
            let order = [level, Level::Middle, Level::Best, Level::Example];
            let Some(setting) = order.iter().find_map(|l| settings.iter().find(|s| s.level == *l)) else { continue };
            let measured = data.and_then(|d| d.settings.iter().find(|s| s.level == setting.level));
            let chosen = measured.and_then(|m| choice(&m.tables, level)).or_else(|| usual.choices.get(stage).cloned());
            let Some(chosen) = chosen else { continue };
            let mut outputs = Vec::with_capacity(self.examples.len());
            for (example, given) in self.examples.iter().zip(&setting.given) {
                outputs.push(match given {
                    Given::Outputs(given) => {
                        let mut run = drawer.run(chosen.clone(), example, given).await?;
                        match run.stages.pop().map(|s| (s.output, s.score)) {
                            Some((Some(output), score)) => Passing::Output(output, score),
                            _ => Passing::Failed,
                        }
                    }
                    Given::Failed => Passing::Failed,
                    Given::Absent => Passing::Absent,
                });
            }
            found.push((level, Passed { choice: Some(chosen), outputs }));
        }
        Ok(found)
    }
}

/// An error where most cells failed because of a provider.
fn outage(cells: &BTreeMap<(usize, usize, usize), Cell>) -> Result<(), EngineError> {
    let faults: Vec<_> = cells.values().filter_map(|c| c.provider_fault.as_ref()).collect();
    let Some(first) = faults.first().filter(|_| faults.len() as f64 > OUTAGE_SHARE * cells.len() as f64) else {
        return Ok(());
    };
    let mut error = (*first).clone();
    error.message =
        format!("{} of {} draws failed because of a provider, the first: {}", faults.len(), cells.len(), error.message);
    error.hint = error.hint.or_else(|| Some("what was drawn is kept: the same command goes on".into()));
    Err(error.into())
}
