//! A study made again from its store, trial by trial, to hear which samples that takes.

use std::collections::{BTreeMap, HashMap, HashSet};

use agenttts_core::{Archive, Example, Plan, RequestKey, Span, Temperature, Trial, TrialState};
use agenttts_store::{ExampleOutcome, Store};
use serde_json::Value;

use super::brief::Brief;
use super::heard::{Ear, Heard, Samples};
use super::studied::{Earlier, Stream, Studied};
use super::{Recorded, Tape};
use crate::confirm::{Confirm, Lineup};
use crate::error::EngineError;
use crate::event::Observers;
use crate::execute::Executor;
use crate::quarantine::Quarantine;
use crate::rivals::Rivals;
use crate::source::{CallKind, GotSample, Halt};
use crate::steps::Steps;
use crate::streams::{Purpose, stream};
use crate::study::{outcome, parse};
use crate::summary::Standing;

/// A study that is made again.
pub(super) struct Remake<'a> {
    pub(super) store: &'a Store,
    pub(super) standing: &'a Standing,
    pub(super) executor: Executor,
    pub(super) steps: Steps,
    pub(super) ear: Ear<'a>,
}

impl Remake<'_> {
    fn seed(&self) -> u32 {
        self.standing.loaded.pipeline.search.seed
    }

    /// The examples of a trial, each with its place in the split.
    fn examples(&self, span: Option<Span>) -> Vec<(usize, &Example)> {
        let split = &self.standing.loaded.pipeline.search_split.examples;
        let order = self.standing.settings.order.of(split.len(), self.seed());
        let span = span.unwrap_or(Span { first: 0, count: split.len() as u32 });
        let places = order.into_iter().skip(span.first as usize).take(span.count as usize);
        places.filter_map(|place| Some((place, split.get(place)?))).collect()
    }

    /// Makes a trial again.
    pub(super) async fn trial(&self, trial: &Trial, brief: &mut Option<Brief>) -> Result<(), EngineError> {
        if matches!(trial.state, TrialState::Abandoned(_)) {
            return Ok(());
        }
        let stored: HashMap<String, ExampleOutcome> = match trial.state {
            TrialState::Measured(_) => self.store.outcomes(self.standing.row.id, trial.number)?,
            // What a trial had drawn when the study was stopped.
            _ => Vec::new(),
        }
        .into_iter()
        .map(|outcome| (outcome.example.clone(), outcome))
        .collect();
        let draws = stream(self.seed(), Purpose::Trial(trial.stream));
        for (place, example) in self.examples(trial.span) {
            let before = stored.get(&example.id);
            if let Some(before) = before {
                self.learn(example, before);
            }
            // Nothing was drawn for what was quarantined.
            if before.is_some_and(|outcome| outcome.quarantined) {
                continue;
            }
            let source = self.ear.source(before.and_then(|outcome| self.reason(outcome)));
            let execution = self.executor.execute(&trial.plan, example, draws, &source).await.map_err(fault)?;
            if !matches!(trial.state, TrialState::Measured(_)) {
                continue;
            }
            let again = timeless(outcome(&execution, &self.standing.loaded.pipeline, place));
            if before.cloned().map(timeless).as_ref() != Some(&again) {
                return Err(EngineError::input(
                    format!(
                        "trial {} cannot be made again from the store: example {} differs",
                        trial.number, example.id
                    ),
                    "another version of agenttts made it, or a program that it runs has changed: search again, which \
                     reuses the samples of the store",
                ));
            }
            if let Some(brief) = brief {
                brief.take(&self.standing.loaded, &trial.plan, example, &execution)?;
            }
        }
        Ok(())
    }

    /// What the steps gave for an example.
    fn learn(&self, example: &Example, outcome: &ExampleOutcome) {
        let pipeline = &self.standing.loaded.pipeline;
        let outputs = self.outputs(outcome);
        for (index, step) in pipeline.steps.iter().enumerate() {
            if let Some(given) = outcome.steps.get(&step.name) {
                self.steps.learn(index, example, &outputs, &Ok(given.output.clone()));
            } else if let Some(reason) =
                outcome.failure.as_deref().and_then(|f| f.strip_prefix(&format!("{}: ", step.name)))
            {
                self.steps.learn(index, example, &outputs, &Err(reason.to_owned()));
            }
        }
    }

    /// All outputs of an example, by the name of their stage or step.
    fn outputs(&self, outcome: &ExampleOutcome) -> BTreeMap<String, Value> {
        let names = self.standing.loaded.pipeline.stages.iter().map(|stage| &stage.name);
        let done = names.zip(&outcome.stages);
        let reached = |skipped: bool| skipped.then_some(Value::Null);
        let stages = done.filter_map(|(name, s)| Some((name.clone(), s.output.clone().or(reached(s.skipped))?)));
        let steps = outcome.steps.iter().map(|(name, step)| (name.clone(), step.output.clone()));
        stages.chain(steps).collect()
    }

    /// What a model said when it failed an example: the outcome tells it after the stage, and perhaps the item.
    fn reason(&self, outcome: &ExampleOutcome) -> Option<String> {
        let text = outcome.failure.as_deref()?;
        let stages = self.standing.loaded.pipeline.stages.iter();
        let reason = stages.filter_map(|stage| text.strip_prefix(stage.name.as_str())?.strip_prefix(": ")).next()?;
        let item = reason.strip_prefix("item ").and_then(|rest| rest.split_once(": "));
        let reason = match item {
            Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => rest,
            _ => reason,
        };
        Some(reason.strip_prefix("the output cannot be embedded: ").unwrap_or(reason).to_owned())
    }

    /// Makes the confirmation again, or as much of it as was drawn.
    pub(super) async fn confirmation(&self, brief: &mut Option<Brief>) -> Result<(), EngineError> {
        let Some(recommended) = &self.standing.recommended else { return Ok(()) };
        let known = self.standing.confirmation.as_ref();
        let failed = known.is_some_and(|c| c.plans.iter().any(|plan| plan.failures > 0));
        let source = self.ear.source(failed.then(|| "it could not be drawn when the study ran".into()));
        let loaded = &self.standing.loaded;
        let Standing { row, settings, archive, .. } = &self.standing;
        let quarantine = Quarantine::read(self.store, row.id, loaded, archive, settings.released_after)?;
        let confirm = Confirm {
            executor: &self.executor,
            source: &source,
            seed: self.seed(),
            width: 1,
            quarantine: Some(&quarantine),
            observers: &Observers::default(),
            progress: &|_, _| {},
        };
        let rivals = Rivals::of(loaded, settings, archive, &recommended.plan);
        let mut lineup = Lineup::new(&loaded.space, recommended.plan.clone(), rivals);
        // What a limit left out was not drawn, or not to its end.
        if let Some(known) = known {
            lineup.keep(known.plans.len());
        }
        confirm.test(lineup).await.map_err(fault)?;
        let Some(brief) = brief else { return Ok(()) };
        for plan in known.into_iter().flat_map(|confirmation| &confirmation.plans) {
            for (examples, purpose) in [
                (&loaded.pipeline.test_split.examples, Purpose::Confirmation),
                (&loaded.pipeline.search_split.examples, Purpose::Trial(0)),
            ] {
                self.shorten(&plan.plan, examples, purpose, brief).await?;
            }
        }
        for plan in [loaded.space.largest_once(), loaded.space.smallest_once()] {
            let mut greedy = plan.clone();
            greedy.choices.iter_mut().for_each(|c| c.temperature = Temperature::GREEDY);
            for plan in [plan, greedy] {
                self.shorten(&plan, &loaded.pipeline.search_split.examples, Purpose::Trial(0), brief).await?;
            }
        }
        Ok(())
    }

    /// Finds the short texts of a plan's samples, without asking for more than is on the tape already.
    async fn shorten(
        &self,
        plan: &Plan,
        examples: &[Example],
        purpose: Purpose,
        brief: &mut Brief,
    ) -> Result<(), EngineError> {
        let draws = stream(self.seed(), purpose);
        let deaf = Ear::new(self.store, self.executor.models(), self.seed(), 1);
        for example in examples {
            let run = self.executor.execute(plan, example, draws, &deaf.source(None)).await.map_err(fault)?;
            brief.take(&self.standing.loaded, plan, example, &run)?;
        }
        Ok(())
    }

    /// Finds the replies to the questions that the method asked its agent; those that have none, with the reason.
    pub(super) fn questions(&self) -> Result<Vec<(Purpose, String)>, EngineError> {
        let mut silent = Vec::new();
        for exchange in &self.standing.archive.exchanges {
            let purpose = Purpose::Agent(exchange.round * 2 + exchange.attempt);
            if let Some(error) = &exchange.error {
                silent.push((purpose, error.clone()));
                continue;
            }
            let number = stream(self.seed(), purpose);
            let asked = self.store.requests_in(number)?;
            let Some((key, _)) = asked.into_iter().find(|(_, request)| request.messages == exchange.messages) else {
                return Err(EngineError::input(
                    format!("the agent's reply in round {} is not in the store", exchange.round),
                    "`agenttts store verify` tells what else is missing",
                ));
            };
            let samples = self.store.samples(&key, number, 1)?;
            let samples = samples.into_iter().map(|s| GotSample { id: Some(s.id), draw: s.draw }).collect();
            self.ear.take(purpose, key, Heard { samples, ..Heard::default() });
        }
        Ok(silent)
    }

    pub(super) fn tape(&self, silent: Vec<(Purpose, String)>, brief: Option<&Brief>) -> Result<Tape, EngineError> {
        let heard = self.ear.heard();
        let first_own = self.first_own(&heard)?;
        let mut streams: BTreeMap<Purpose, Stream> = BTreeMap::new();
        for (purpose, requests) in heard {
            let number = stream(self.seed(), purpose);
            let to = streams.entry(purpose).or_default();
            for (key, heard) in requests {
                let there = self.store.sample_count_before(&key, number, first_own)?;
                to.requests.insert(key, recorded(heard, there, brief)?);
            }
        }
        for (purpose, error) in silent {
            streams.entry(purpose).or_default().failure = Some(error);
        }
        if first_own > 1 {
            self.add_known(&mut streams, first_own)?;
        }
        let Standing { loaded, settings, row, .. } = self.standing;
        Ok(Tape {
            snapshot: Studied::overridden(loaded.snapshot.clone(), loaded, settings),
            models: settings.models.clone(),
            program: settings.program.clone(),
            requests: HashMap::new(),
            studied: Some(Studied {
                name: row.name.clone(),
                settings: settings.clone(),
                earlier: self.earlier()?,
                streams,
            }),
            steps: self.steps.kept().0,
            fits: self.executor.misfits(),
        })
    }

    /// The id of the first sample that the study drew itself. Ids only grow, so what others had drawn before lies below.
    fn first_own(&self, heard: &Samples) -> Result<i64, EngineError> {
        let spend = self.store.spend(self.standing.row.id)?;
        let own: u64 = spend.by_kind.values().map(|(_, samples)| samples).sum();
        let all = heard.values().flat_map(HashMap::values).flat_map(|heard| &heard.samples);
        let ids: HashSet<i64> = all.filter_map(|sample| sample.id).collect();
        let mut ids: Vec<i64> = ids.into_iter().collect();
        ids.sort_unstable();
        let before = ids.len().saturating_sub(own as usize);
        Ok(ids.get(before).copied().unwrap_or(i64::MAX))
    }

    /// Draws that were there and that the study never took made its trials no cheaper, but it saw that they would have.
    fn add_known(&self, streams: &mut BTreeMap<Purpose, Stream>, first_own: i64) -> Result<(), EngineError> {
        let mut seen: HashSet<(Purpose, RequestKey)> = HashSet::new();
        let mut add = |purpose: Purpose, example: &Example, outputs: &BTreeMap<String, Value>| {
            for stage in 0..self.executor.stage_count() {
                let Some(found) = self.executor.keys(stage, example, outputs, purpose) else { continue };
                for (key, _) in found.keys.into_iter().flat_map(|(_, _, keys)| keys) {
                    if !seen.insert((purpose, key)) {
                        continue;
                    }
                    let there = self.store.sample_count_before(&key, stream(self.seed(), purpose), first_own)?;
                    if there > 0 {
                        let requests = &mut streams.entry(purpose).or_default().requests;
                        requests.entry(key).or_insert_with(|| Recorded { there, ..Recorded::default() });
                    }
                }
            }
            Ok::<(), EngineError>(())
        };
        for (_, example) in self.examples(None) {
            add(Purpose::Trial(0), example, &BTreeMap::new())?;
        }
        for (trial, _) in self.standing.archive.measured() {
            for outcome in self.store.outcomes(self.standing.row.id, trial.number)? {
                let split = &self.standing.loaded.pipeline.search_split.examples;
                if let Some(example) = split.iter().find(|e| e.id == outcome.example) {
                    add(Purpose::Trial(trial.stream), example, &self.outputs(&outcome))?;
                }
            }
        }
        Ok(())
    }

    fn earlier(&self) -> Result<Option<Earlier>, EngineError> {
        let Some(name) = &self.standing.settings.history else { return Ok(None) };
        let row = self.store.study(name)?;
        // What its agent said teaches nothing.
        let archive = Archive { exchanges: Vec::new(), ..self.store.archive(row.id)? };
        Ok(Some(Earlier { name: row.name, snapshot: parse(&row.snapshot)?, archive }))
    }
}

fn recorded(heard: Heard, there: u32, brief: Option<&Brief>) -> Result<Recorded, EngineError> {
    let Heard { samples, failure, kind } = heard;
    let mut draws = Vec::with_capacity(samples.len());
    for GotSample { id, mut draw } in samples {
        match (brief, kind) {
            // What nothing has read is of a run that failed before; its text plays no part.
            (Some(brief), Some(CallKind::Sample)) => draw.text = brief.of(id).unwrap_or_default().to_owned(),
            // An embedding is numbers.
            (None, _) | (_, Some(CallKind::Embedding)) => {}
            (Some(_), _) => {
                return Err(EngineError::input(
                    "the texts cannot be left out: some are a model's verdicts on others",
                    "export the tape with its texts",
                ));
            }
        }
        draws.push(draw);
    }
    Ok(Recorded { draws, failure, there })
}

/// Steps take another time every time; and a failure is told by its reason, whatever kind the store says that it was.
fn timeless(mut outcome: ExampleOutcome) -> ExampleOutcome {
    outcome.fault = None;
    outcome.steps.values_mut().for_each(|step| step.seconds = 0.0);
    outcome
}

fn fault(halt: Halt) -> EngineError {
    match halt {
        Halt::Fatal(error) => error,
        Halt::Stopped | Halt::Limit { .. } => EngineError::Internal("a store has no limits".into()),
    }
}
