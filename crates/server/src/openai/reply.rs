//! What clients get.

use std::time::{SystemTime, UNIX_EPOCH};

use agenttts_core::Usage;
use agenttts_engine::Answer;
use serde_json::{Map, Value, json};

use crate::plans::Served;

/// What a reply says beside its answers.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) id: String,
    /// The model's name as the client sent it.
    pub(super) model: String,
    pub(super) plan: String,
    pub(super) trial: Option<u32>,
    pub(super) created: u64,
    pub(super) warnings: Vec<String>,
    pub(super) without_effect: Vec<String>,
    pub(super) trace: bool,
}

impl About {
    pub(super) fn new(id: &str, model: &str, plan: &Served) -> Self {
        About {
            id: id.to_owned(),
            model: model.to_owned(),
            plan: plan.id.clone(),
            trial: plan.trial,
            created: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            warnings: Vec::new(),
            without_effect: Vec::new(),
            trace: false,
        }
    }

    /// The frame that every reply and event has.
    pub(super) fn frame(&self, object: &str, choices: Value) -> Map<String, Value> {
        let frame = json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.plan,
            "choices": choices,
        });
        match frame {
            Value::Object(frame) => frame,
            _ => Map::new(),
        }
    }

    /// What is ours in a reply.
    pub(super) fn ours(&self, answers: &[Answer]) -> Value {
        let mut ours = json!({
            "plan": self.plan,
            "trial": self.trial,
            "cost": answers.iter().map(|a| a.cost).sum::<f64>(),
            "cost_text": answers.iter().map(|a| a.cost_text.as_str()).collect::<Vec<_>>(),
            "calls": answers.iter().map(|a| a.usage.calls).sum::<u64>(),
            "seconds": answers.iter().map(|a| a.seconds).fold(0.0, f64::max),
        });
        let mut warnings = self.warnings.clone();
        let shortened = answers.iter().flat_map(Answer::shortened);
        warnings.extend(shortened.map(|s| format!("the prompt of stage {} was too long and was shortened", s.stage)));
        if !warnings.is_empty() {
            ours["warnings"] = json!(warnings);
        }
        if !self.without_effect.is_empty() {
            ours["without_effect"] = json!(self.without_effect);
        }
        if self.trace {
            let trace = |a: &Answer| json!({"stages": a.stages, "steps": a.steps, "seconds": a.seconds});
            ours["trace"] = answers.iter().map(trace).collect();
        }
        ours
    }
}

/// The text of an output.
pub(super) fn text(output: &Value) -> String {
    match output {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Why an answer's text ended, as the OpenAI API tells it.
pub(super) fn finish(answer: &Answer) -> &'static str {
    if answer.cut_off { "length" } else { "stop" }
}

/// The usage of all answers together, as the OpenAI API tells it.
pub(super) fn usage(answers: &[Answer]) -> Value {
    let total: Usage = answers.iter().map(|a| a.usage).sum();
    json!({
        "prompt_tokens": total.prompt,
        "completion_tokens": total.decode,
        "total_tokens": total.tokens(),
        "prompt_tokens_details": {"cached_tokens": total.cached_prompt},
    })
}
