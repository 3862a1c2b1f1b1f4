//! Scoring what a stage put out, which may take a run of its code, embeddings of its text, or the verdict of a judge.

use std::collections::BTreeMap;
use std::sync::Mutex;

use agenttts_core::{Choice, Example, Request, Usage};
use agenttts_models::{ModelError, ModelErrorKind};
use agenttts_stage::{CompiledStage, MetricError, Seen, aggregate, cosine};
use serde_json::Value;

use crate::budget::lock;
use crate::error::EngineError;
use crate::execute::{Executor, ItemRun, StageRun};
use crate::source::{CallKind, DrawError, GotSample, Halt, Source, Want};

/// Scores the stages of one example. Embeddings and verdicts are draws like others: from the source, once, and paid for;
/// but they are no part of what a plan costs, since serving it needs none.
pub(crate) struct Judging<'a> {
    pub(crate) executor: &'a Executor,
    pub(crate) example: &'a Example,
    pub(crate) stream: u64,
    pub(crate) source: &'a dyn Source,
    /// The outputs of the stages and steps before.
    pub(crate) outputs: &'a BTreeMap<String, Value>,
    /// What had to be drawn.
    pub(crate) drawn: Mutex<Usage>,
}

/// Why an output has no score.
#[derive(Debug)]
pub(crate) enum Unscored {
    /// Nothing more can be drawn.
    Halt(Halt),
    /// The example fails.
    Failed {
        /// Why.
        reason: String,
        /// The provider's error, where it is the provider's fault.
        fault: Option<ModelError>,
    },
}

impl Unscored {
    pub(crate) fn failed(reason: String) -> Self {
        Unscored::Failed { reason, fault: None }
    }

    pub(crate) fn of_model(what: &str, error: ModelError) -> Self {
        let reason = format!("{what}: {error}");
        Unscored::Failed { reason, fault: error.kind.is_transient().then_some(error) }
    }
}

impl From<EngineError> for Unscored {
    fn from(error: EngineError) -> Self {
        Unscored::Halt(Halt::Fatal(error))
    }
}

/// An example that a metric cannot use.
pub(crate) fn unusable(error: MetricError) -> EngineError {
    EngineError::input(error.to_string(), "mend the example, or name another gold field")
}

impl Judging<'_> {
    /// Scores a stage's output and, for aggregators that need no call, what its first samples alone would have given.
    pub(crate) async fn score_stage(
        &self,
        stage: &CompiledStage,
        choice: &Choice,
        run: &mut StageRun,
    ) -> Result<(), Unscored> {
        // Examples that come from a person's input to `run` have no gold answer, and no score.
        if self.example.line == 0 {
            return Ok(());
        }
        // What was not run and has no output said is not the stage's doing.
        if run.skipped && !stage.has_otherwise() {
            return Ok(());
        }
        // A stage that has no output still has a metric, which is then 0.
        self.hear(stage, run.output.as_ref(), &mut run.opinion).await?;
        let seen = Seen { judged: run.opinion.map(|o| o.score), ..Seen::default() };
        let score = self.score(stage, run.output.as_ref().unwrap_or(&Value::Null), seen).await?;
        run.score = score.map(|s| if run.output.is_some() { s } else { 0.0 });
        // Verdicts on what fewer samples would have given are left out as well: each would be another call.
        let takes_calls = run.opinion.is_some() || (choice.aggregator.calls_model() && choice.samples > 1);
        if run.score.is_none() || takes_calls {
            return Ok(());
        }
        let most = run.runs.iter().map(|r| r.parsed.len()).min().unwrap_or(0);
        let mut n = 1;
        while n <= most {
            let first = |r: &ItemRun| {
                let ran = r.ran.get(..n).unwrap_or_default();
                aggregate(choice.aggregator, &r.parsed[..n], ran).map(|a| a.output)
            };
            let outputs: Result<Vec<Value>, _> = run.runs.iter().map(first).collect();
            let value = match outputs {
                Ok(mut outputs) if !run.by_item => {
                    self.score(stage, &outputs.pop().unwrap_or(Value::Null), Seen::default()).await?.unwrap_or(0.0)
                }
                Ok(outputs) => self.score(stage, &Value::Array(outputs), Seen::default()).await?.unwrap_or(0.0),
                Err(_) => 0.0,
            };
            run.prefix_scores.push((n as u32, value));
            n = if n < most { (n * 2).min(most) } else { n + 1 };
        }
        Ok(())
    }

    /// The score of an output of which `seen` is known, and the rest found out here.
    async fn score(&self, stage: &CompiledStage, output: &Value, mut seen: Seen) -> Result<Option<f64>, Unscored> {
        if stage.scores_by_running() {
            seen.passed = Some(self.executor.code()?.run(output).await?.passed);
        }
        for near in stage.near(output, self.example) {
            let (embedder, [a, b]) = (&near.key.0, &near.texts);
            let cosine = cosine(&self.embedding(embedder, a).await?, &self.embedding(embedder, b).await?);
            seen.near.insert(near.key, cosine);
        }
        Ok(stage.score(output, self.example, &seen).transpose().map_err(unusable)?)
    }

    /// The embedding of a text.
    async fn embedding(&self, model: &str, text: &str) -> Result<Vec<f32>, Unscored> {
        let unembedded = |error| Unscored::of_model("the output cannot be embedded", error);
        let samples = match self.draw(model, &Request::embedding(text), 1, CallKind::Embedding).await {
            Ok(samples) => samples,
            Err(DrawError::Halt(halt)) => return Err(Unscored::Halt(halt)),
            Err(DrawError::Failed(error)) => return Err(unembedded(error)),
        };
        let vector = samples.first().and_then(|s| serde_json::from_str(&s.draw.text).ok());
        let message = format!("{model}: an embedding is no list of numbers");
        vector.ok_or_else(|| unembedded(ModelError::new(ModelErrorKind::BadReply, message)))
    }

    /// Draws that scoring takes.
    pub(crate) async fn draw(
        &self,
        model: &str,
        request: &Request,
        n: u32,
        kind: CallKind,
    ) -> Result<Vec<GotSample>, DrawError> {
        let got = self
            .source
            .samples(Want { model, request, first: 0, n, stream: self.stream, kind, on_text: None, listener: None })
            .await?;
        *lock(&self.drawn) += got.drawn;
        if got.samples.len() == n as usize {
            return Ok(got.samples);
        }
        let message = format!("{model}: asked for {n} samples, got {}", got.samples.len());
        Err(DrawError::Failed(ModelError::new(ModelErrorKind::BadReply, message)))
    }
}
