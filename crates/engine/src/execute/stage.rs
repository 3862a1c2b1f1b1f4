//! One stage for one example: as often as it is to run, with its draws, its aggregator and the code of its samples.

use std::collections::BTreeMap;

use agenttts_core::{
    Aggregator, Choice, CostModel, Decoding, Example, JUDGE_MAX_TOKENS, Message, Request, StageSpec, Temperature, Usage,
};
use agenttts_models::{ModelError, ModelErrorKind, OnText};
use agenttts_stage::{Aggregate, Combine, CompiledStage, Flow, NoOutput, Sample, Verbatim, more_samples};
use futures::StreamExt;
use serde_json::Value;

use super::tally::{Taken, Tally, call_tokens};
use super::{Adaptive, Executor, ItemRun, StageRun};
use crate::error::EngineError;
use crate::fit::{FitError, Fitted, Prompt};
use crate::listener::{Listener, StageListener, Teller};
use crate::source::{CallKind, DrawError, Got, GotSample, Halt, Source, Want};

/// A stage's end: its output, or why it has none, or why everything must stop.
pub(super) enum StageEnd {
    Output(Value),
    Failed {
        reason: String,
        fault: Option<ModelError>,
    },
    /// A prompt is too long for its model.
    TooLong {
        reason: String,
    },
}

/// A stage with a choice for it, and an example.
pub(super) struct StageContext<'a> {
    pub(super) executor: &'a Executor,
    pub(super) index: usize,
    pub(super) choice: &'a Choice,
    pub(super) example: &'a Example,
    pub(super) stream: u64,
    pub(super) source: &'a dyn Source,
    /// Who hears the output while it is decoded.
    pub(super) listener: Option<&'a dyn Listener>,
    /// Who hears of its calls.
    pub(super) heard: Option<&'a dyn StageListener>,
}

/// How many samples a choice really draws: greedy draws are all alike, so one stands for all.
pub(super) fn draws(choice: &Choice) -> u32 {
    if choice.temperature.is_greedy() { 1 } else { choice.samples }
}

/// Items of one stage and example that run at once.
const ITEMS_AT_ONCE: usize = 16;

impl StageContext<'_> {
    /// Runs the stage as often as it is to run.
    pub(super) async fn run_all(
        &self,
        outputs: &BTreeMap<String, Value>,
        run: &mut StageRun,
        tally: &mut Tally,
    ) -> Result<StageEnd, Halt> {
        let items = match self.executor.stages[self.index].flow(self.example, outputs) {
            Ok(Flow::Skipped(output)) => {
                run.skipped = true;
                return Ok(StageEnd::Output(output));
            }
            Ok(Flow::Once) => {
                let mut once = ItemRun::default();
                let end = self.run(outputs, &mut once, tally, self.listener).await;
                run.runs.push(once);
                return end;
            }
            Ok(Flow::Each(items)) => items,
            Err(error) => return Ok(StageEnd::Failed { reason: error.to_string(), fault: None }),
        };
        run.by_item = true;
        let one = |(index, item): (usize, &Value)| {
            let outputs = CompiledStage::with_item(outputs, item, index);
            async move {
                let (mut run, mut tally) = (ItemRun::default(), Tally::default());
                let end = self.run(&outputs, &mut run, &mut tally, None).await;
                (run, tally, end)
            }
        };
        // All are run whatever becomes of one: what is drawn then does not depend on who is first.
        let runs: Vec<_> = items.iter().enumerate().map(one).collect();
        let ended: Vec<_> = futures::stream::iter(runs).buffered(ITEMS_AT_ONCE).collect().await;
        let mut items = Items::default();
        for (index, (done, taken, end)) in ended.into_iter().enumerate() {
            items.tallies.push(taken);
            items.end(index, end);
            run.runs.push(done);
        }
        tally.add_side_by_side(&items.tallies, self.executor.cost_model);
        items.conclude()
    }

    async fn run(
        &self,
        outputs: &BTreeMap<String, Value>,
        run: &mut ItemRun,
        tally: &mut Tally,
        listener: Option<&dyn Listener>,
    ) -> Result<StageEnd, Halt> {
        let stage = &self.executor.stages[self.index];
        let messages = match self.executor.fit(self.index, &self.choice.model, self.example, outputs) {
            Ok(Fitted::Messages { messages, left_out, .. }) => {
                run.left_out = left_out;
                messages
            }
            Ok(Fitted::TooLong(reason)) => return Ok(StageEnd::TooLong { reason }),
            Err(error) => return unfitted(error),
        };
        let request = self.request(messages, self.choice.temperature);
        let n = draws(self.choice);
        let teller = listener.map(Teller::new);
        let tell = |part: &str| teller.iter().for_each(|teller| teller.tell(part));
        let told = teller.as_ref().and_then(|_| stage.verbatim(self.choice.aggregator, n));
        let on_text = |call| (told == Some(call)).then_some(&tell as &OnText<'_>);
        let drawn = match self.draw_until_decided(&request, n, on_text(Verbatim::Sample), tally).await {
            Ok(drawn) => drawn,
            Err(error) => return failed(error),
        };
        let mut samples: Vec<Sample<'_>> = drawn.iter().map(|s| stage.read(&s.draw.text, self.example)).collect();
        let aggregator = self.choice.aggregator;
        if aggregator.runs_code() && samples.len() > 1 {
            self.run_code(&mut samples).await.map_err(Halt::Fatal)?;
        }
        let combined = match stage.combine(aggregator, self.example, outputs, &samples) {
            Ok(Combine::Done(result)) => Ok(result),
            Ok(Combine::Call(messages)) => {
                self.combine(messages, outputs, &samples, run, tally, on_text(Verbatim::Fusion)).await
            }
            Err(error) => Err(Ok(StageEnd::Failed { reason: error.to_string(), fault: None })),
        };
        (run.parsed, run.ran) = samples.into_iter().map(|s| (s.parsed, s.ran)).unzip();
        run.samples = drawn;
        let aggregate = match combined {
            Ok(Ok(aggregate)) => aggregate,
            Ok(Err(none)) => return Ok(StageEnd::Failed { reason: none.to_string(), fault: None }),
            Err(end) => return end,
        };
        run.support = Some(aggregate.support);
        run.fallback = aggregate.fallback;
        Ok(StageEnd::Output(aggregate.output))
    }

    /// All samples at once; or, where the executor may, only as many as it takes until the vote is decided.
    async fn draw_until_decided(
        &self,
        request: &Request,
        n: u32,
        on_text: Option<&OnText<'_>>,
        tally: &mut Tally,
    ) -> Result<Vec<GotSample>, DrawError> {
        let model = &self.choice.model;
        let Some(Adaptive { error }) = self.executor.adaptive else {
            return Ok(self.draw(model, request, (0, n), CallKind::Sample, tally, on_text).await?.samples);
        };
        let stage = &self.executor.stages[self.index];
        let (mut drawn, mut parsed) = (Vec::new(), Vec::new());
        loop {
            let more = more_samples(self.choice.aggregator, &parsed, n as usize, error) as u32;
            if more == 0 {
                return Ok(drawn);
            }
            // A second look comes after all: each further call pays for the prompt and waits once more.
            let more = if drawn.is_empty() { more } else { n - drawn.len() as u32 };
            let place = (drawn.len() as u32, more);
            let got = self.draw(model, request, place, CallKind::Sample, tally, on_text).await?;
            parsed.extend(got.samples.iter().map(|s| stage.read(&s.draw.text, self.example).parsed));
            drawn.extend(got.samples);
        }
    }

    /// Fuses or judges the samples by a call; where that cannot be, the stage's end.
    async fn combine(
        &self,
        messages: Vec<Message>,
        outputs: &BTreeMap<String, Value>,
        samples: &[Sample<'_>],
        run: &mut ItemRun,
        tally: &mut Tally,
        on_text: Option<&OnText<'_>>,
    ) -> Result<Result<Aggregate, NoOutput>, Result<StageEnd, Halt>> {
        let (stage, aggregator) = (&self.executor.stages[self.index], self.choice.aggregator);
        let (model, kind, mut request) = self.combining(messages);
        match self.fit_combining(&model, &request.decoding, outputs, samples) {
            Ok(Fitted::Messages { messages, left_out, .. }) => {
                request.messages = messages;
                run.left_out = run.left_out.max(left_out);
            }
            Ok(Fitted::TooLong(reason)) => {
                return Err(Ok(StageEnd::TooLong { reason: format!("combining the samples: {reason}") }));
            }
            Err(error) => return Err(unfitted(error)),
        }
        let got = self.draw(&model, &request, (0, 1), kind, tally, on_text).await.map_err(failed)?;
        run.combined = got.samples.into_iter().next();
        let reply = run.combined.as_ref().map_or("", |s| s.draw.text.as_str());
        Ok(stage.conclude(aggregator, self.example, samples, reply))
    }

    /// Runs the code of all samples that could be read, side by side.
    async fn run_code(&self, samples: &mut [Sample<'_>]) -> Result<(), EngineError> {
        let code = self.executor.code()?;
        let runs = samples.iter_mut().map(|sample| async move {
            if let Ok(output) = &sample.parsed {
                sample.ran = Some(code.run(output).await?.ran());
            }
            Ok::<_, EngineError>(())
        });
        futures::future::try_join_all(runs).await.map(drop)
    }

    fn spec(&self) -> &StageSpec {
        &self.executor.pipeline.stages[self.index]
    }

    fn request(&self, messages: Vec<Message>, temperature: Temperature) -> Request {
        self.executor.request(self.index, &self.choice.model, messages, temperature)
    }

    /// The model, the purpose and the request of the call that fuses or judges the samples.
    fn combining(&self, messages: Vec<Message>) -> (String, CallKind, Request) {
        let spec = self.spec();
        match (&spec.judge, self.choice.aggregator) {
            (Some(judge), Aggregator::Judge) => {
                let model = &self.executor.pipeline.models[judge.model];
                let decoding = Decoding {
                    temperature: Temperature::GREEDY,
                    top_p: None,
                    max_tokens: JUDGE_MAX_TOKENS,
                    stop: Vec::new(),
                    constraint: None,
                };
                (model.name.clone(), CallKind::Judge, Request { messages, decoding })
            }
            _ => {
                let mut request = self.request(messages, spec.fuse.temperature);
                request.decoding.max_tokens = spec.fuse.max_tokens.unwrap_or(spec.max_tokens);
                (self.choice.model.clone(), CallKind::Fusion, request)
            }
        }
    }

    /// The messages that ask to fuse or judge the samples, as the model can take them.
    fn fit_combining(
        &self,
        model: &str,
        decoding: &Decoding,
        outputs: &BTreeMap<String, Value>,
        samples: &[Sample<'_>],
    ) -> Result<Fitted, FitError> {
        let stage = &self.executor.stages[self.index];
        let prompt = Prompt { stage, model, decoding, example: self.example, outputs };
        self.executor.fits.fit(&self.executor.models, &prompt, &|example, outputs| match self.choice.aggregator {
            Aggregator::Judge => stage.judge_messages(example, outputs, samples),
            _ => stage.fuse_messages(example, outputs, samples),
        })
    }

    async fn draw(
        &self,
        model: &str,
        request: &Request,
        (first, n): (u32, u32),
        kind: CallKind,
        tally: &mut Tally,
        on_text: Option<&OnText<'_>>,
    ) -> Result<Got, DrawError> {
        let want = Want { model, request, first, n, stream: self.stream, kind, on_text, listener: self.heard };
        let got = self.source.samples(want).await?;
        if got.samples.len() != n as usize {
            let message = format!("{model}: asked for {n} samples, got {}", got.samples.len());
            return Err(DrawError::Failed(ModelError::new(ModelErrorKind::BadReply, message)));
        }
        let tokens = call_tokens(got.samples.iter().map(|s| Taken::of(&s.draw)));
        let spec = &self.executor.models.get(model)?.spec;
        let cost = self
            .executor
            .cost_model
            .call(spec, &tokens)
            .map_err(|e| EngineError::input(e.to_string(), "add it to the model's table"))?;
        // The paper counts no call but the sampling itself.
        if kind == CallKind::Sample || self.executor.cost_model != CostModel::PaperFlops {
            tally.cost += cost;
        }
        tally.fresh += Usage {
            prompt: tokens.prompt * u64::from(tokens.prompts),
            cached_prompt: 0,
            decode: tokens.decode,
            calls: u64::from(tokens.prompts),
        };
        tally.drawn += got.drawn;
        Ok(got)
    }
}

/// The ends of the runs for all items.
#[derive(Default)]
struct Items {
    tallies: Vec<Tally>,
    outputs: Vec<Value>,
    /// The first failure.
    failure: Option<StageEnd>,
    halt: Option<Halt>,
}

impl Items {
    fn end(&mut self, index: usize, end: Result<StageEnd, Halt>) {
        match end {
            Ok(StageEnd::Output(output)) => self.outputs.push(output),
            Ok(StageEnd::Failed { reason, fault }) => {
                let reason = format!("item {index}: {reason}");
                self.failure.get_or_insert(StageEnd::Failed { reason, fault });
            }
            Ok(StageEnd::TooLong { reason }) => {
                self.failure.get_or_insert(StageEnd::TooLong { reason: format!("item {index}: {reason}") });
            }
            Err(halt) => halt.note(&mut self.halt),
        }
    }

    fn conclude(self) -> Result<StageEnd, Halt> {
        match (self.halt, self.failure) {
            (Some(halt), _) => Err(halt),
            (None, Some(failure)) => Ok(failure),
            (None, None) => Ok(StageEnd::Output(Value::Array(self.outputs))),
        }
    }
}

fn failed(error: DrawError) -> Result<StageEnd, Halt> {
    match error {
        DrawError::Halt(halt) => Err(halt),
        DrawError::Failed(error) if error.kind == ModelErrorKind::ContextOverflow => {
            Ok(StageEnd::TooLong { reason: error.to_string() })
        }
        DrawError::Failed(error) => Ok(StageEnd::Failed { reason: error.to_string(), fault: Some(error) }),
    }
}

fn unfitted(error: FitError) -> Result<StageEnd, Halt> {
    match error {
        FitError::Render(error) => Ok(StageEnd::Failed { reason: error.to_string(), fault: None }),
        FitError::Model(error) => failed(DrawError::of_model(error)),
    }
}
