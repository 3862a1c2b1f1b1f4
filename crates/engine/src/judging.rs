//! Scoring what a stage put out, which may take a run of its code or embeddings of its text.

use std::sync::Mutex;

use agenttts_core::{Choice, Example, Request, Usage};
use agenttts_models::{ModelError, ModelErrorKind};
use agenttts_stage::{CompiledStage, Seen, aggregate, cosine};
use serde_json::Value;

use crate::budget::lock;
use crate::error::EngineError;
use crate::execute::{Executor, ItemRun, StageRun};
use crate::source::{CallKind, DrawError, Source, Want};

/// Scores the stages of one example. Embeddings are draws like others: from the source, once, and paid for; but they are
/// no part of what a plan costs, since serving it needs none.
pub(crate) struct Judging<'a> {
    pub(crate) executor: &'a Executor,
    pub(crate) example: &'a Example,
    pub(crate) stream: u64,
    pub(crate) source: &'a dyn Source,
    /// What had to be drawn.
    pub(crate) drawn: Mutex<Usage>,
}

impl Judging<'_> {
    /// Scores a stage's output and, for aggregators that need no call, what its first samples alone would have given.
    pub(crate) async fn score_stage(
        &self,
        stage: &CompiledStage,
        choice: &Choice,
        run: &mut StageRun,
    ) -> Result<(), DrawError> {
        // Examples that come from a person's input to `run` have no gold answer, and no score.
        if self.example.line == 0 {
            return Ok(());
        }
        // What was not run and has no output said is not the stage's doing.
        if run.skipped && !stage.has_otherwise() {
            return Ok(());
        }
        // A stage that has no output still has a metric, which is then 0.
        let score = self.score(stage, run.output.as_ref().unwrap_or(&Value::Null)).await?;
        run.score = score.map(|s| if run.output.is_some() { s } else { 0.0 });
        if run.score.is_none() || (choice.aggregator.calls_model() && choice.samples > 1) {
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
                    self.score(stage, &outputs.pop().unwrap_or(Value::Null)).await?.unwrap_or(0.0)
                }
                Ok(outputs) => self.score(stage, &Value::Array(outputs)).await?.unwrap_or(0.0),
                Err(_) => 0.0,
            };
            run.prefix_scores.push((n as u32, value));
            n = if n < most { (n * 2).min(most) } else { n + 1 };
        }
        Ok(())
    }

    async fn score(&self, stage: &CompiledStage, output: &Value) -> Result<Option<f64>, DrawError> {
        let mut seen = Seen::default();
        if stage.scores_by_running() {
            seen.passed = Some(self.executor.code()?.run(output).await?.passed);
        }
        for near in stage.near(output, self.example) {
            let (embedder, [a, b]) = (&near.key.0, &near.texts);
            let cosine = cosine(&self.embedding(embedder, a).await?, &self.embedding(embedder, b).await?);
            seen.near.insert(near.key, cosine);
        }
        let score = stage.score(output, self.example, &seen).transpose();
        let wrong = |e: agenttts_stage::MetricError| {
            EngineError::input(e.to_string(), "mend the example, or name another gold field")
        };
        Ok(score.map_err(wrong)?)
    }

    /// The embedding of a text.
    async fn embedding(&self, model: &str, text: &str) -> Result<Vec<f32>, DrawError> {
        let request = Request::embedding(text);
        let want = Want { model, request: &request, n: 1, stream: self.stream, kind: CallKind::Embedding };
        let got = self.source.samples(want).await?;
        *lock(&self.drawn) += got.drawn;
        let vector = got.samples.first().and_then(|s| serde_json::from_str(&s.draw.text).ok());
        vector.ok_or_else(|| {
            let error =
                ModelError::new(ModelErrorKind::BadReply, format!("{model}: an embedding is no list of numbers"));
            DrawError::Failed(error)
        })
    }
}
