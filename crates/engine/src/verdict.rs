//! Asking a model that judges outputs for its verdicts, and what they come to over all examples of a plan.

use agenttts_core::pipeline::{LlmJudge, MetricSpec};
use agenttts_core::{Heard, Judged, Opinion, Request};
use agenttts_stage::{CompiledStage, ask_again, read_verdict};
use serde_json::Value;

use crate::execute::{Execution, Executor};
use crate::judging::{Judging, Unscored, unusable};
use crate::source::{CallKind, DrawError};

impl Judging<'_> {
    /// What the stage's judge says of an output; `None` where the stage has none. Until there is a verdict, `heard` holds
    /// that there is none, so that it tells that much where this fails.
    pub(crate) async fn hear(
        &self,
        stage: &CompiledStage,
        output: Option<&Value>,
        heard: &mut Option<Opinion>,
    ) -> Result<(), Unscored> {
        let Some(judge) = stage.llm_judge() else { return Ok(()) };
        let nothing = Value::Null;
        let label = stage.label(output.unwrap_or(&nothing), self.example).transpose().map_err(unusable)?;
        // Whatever a metric says of nothing, a stage without an output scores 0.
        let label = label.map(|label| if output.is_some() { label } else { 0.0 });
        let opinion = |score, heard| Some(Opinion { score, label, heard });
        *heard = opinion(0.0, Heard::Unread);
        let requests = match output {
            Some(output) => stage.ask_judge(output, self.example, self.outputs),
            None => Ok(Vec::new()),
        };
        let requests = requests.map_err(|e| Unscored::failed(format!("the judge cannot be asked: {e}")))?;
        let answers = requests.iter().enumerate().map(|(question, request)| self.verdict(judge, question, request));
        // All are awaited whatever becomes of one, so that no call is dropped under way.
        let answers: Result<Vec<f64>, Unscored> = futures::future::join_all(answers).await.into_iter().collect();
        *heard = match answers?.as_slice() {
            [] => opinion(0.0, Heard::Nothing),
            [score] => opinion(*score, Heard::Verdict { swayed: None }),
            [first, last, ..] => {
                let side = |score: &f64| score.total_cmp(&0.5);
                opinion((first + last) / 2.0, Heard::Verdict { swayed: Some(side(first) != side(last)) })
            }
        };
        Ok(())
    }

    /// The mean of the judge's verdicts. Those that cannot be read are asked for once more.
    async fn verdict(&self, judge: &LlmJudge, question: usize, request: &Request) -> Result<f64, Unscored> {
        let read = |reply: &String| read_verdict(&judge.scale, question, reply);
        let drawn = self.replies(judge, request, judge.samples).await?;
        let mut scores: Vec<f64> = drawn.iter().filter_map(|reply| read(reply).ok()).collect();
        let missing = judge.samples - scores.len() as u32;
        if missing > 0 {
            let again = match ask_again(request) {
                Some(other) => self.replies(judge, &other, missing).await?,
                None => self.replies(judge, request, judge.samples + missing).await?.split_off(drawn.len()),
            };
            for reply in &again {
                let score = read(reply).map_err(|reason| {
                    Unscored::failed(format!("the judge {} gave no verdict, asked twice: {reason}", judge.model))
                })?;
                scores.push(score);
            }
        }
        Ok(scores.iter().sum::<f64>() / scores.len().max(1) as f64)
    }

    async fn replies(&self, judge: &LlmJudge, request: &Request, n: u32) -> Result<Vec<String>, Unscored> {
        let got = self.draw(&judge.model, request, n, CallKind::Verdict).await.map_err(|error| match error {
            DrawError::Halt(halt) => Unscored::Halt(halt),
            DrawError::Failed(error) => Unscored::of_model("the judge cannot be asked", error),
        })?;
        Ok(got.into_iter().map(|sample| sample.draw.text).collect())
    }
}

/// What judges said of a plan's outputs, for each stage that has one.
pub(crate) fn judged(executor: &Executor, executions: &[Execution]) -> Vec<Judged> {
    let of_stage = |(index, spec): (usize, &agenttts_core::StageSpec)| {
        let judge = spec.metric.as_ref()?.llm_judge()?;
        let opinions: Vec<Opinion> = executions.iter().filter_map(|e| e.stages.get(index)?.opinion).collect();
        let labels = judge.calibrate_with.as_deref().map(MetricSpec::name);
        Some(Judged::of(&spec.name, &judge.model, labels, &opinions))
    };
    executor.pipeline().stages.iter().enumerate().filter_map(of_stage).collect()
}
