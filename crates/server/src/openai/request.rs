//! What clients send.

use agenttts_core::CostModel;
use agenttts_engine::Limits;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::api_error::ApiError;

/// The body of `/v1/chat/completions`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ChatRequest {
    pub(crate) model: String,
    pub(crate) messages: Vec<ChatMessage>,
    #[serde(flatten)]
    pub(crate) common: Common,
}

/// The body of `/v1/completions`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CompletionRequest {
    pub(crate) model: String,
    pub(crate) prompt: Value,
    #[serde(flatten)]
    pub(crate) common: Common,
}

/// What both may say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct Common {
    pub(crate) n: Option<i64>,
    pub(crate) seed: Option<i64>,
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    pub(crate) stream_options: Option<StreamOptions>,
    pub(crate) response_format: Option<Value>,
    pub(crate) tools: Option<Vec<Value>>,
    pub(crate) functions: Option<Vec<Value>>,
    pub(crate) logprobs: Option<Value>,
    pub(crate) echo: Option<bool>,
    pub(crate) suffix: Option<Value>,
    pub(crate) best_of: Option<i64>,
    /// Ours.
    pub(crate) agenttts: Option<Extension>,
    /// Everything else: parameters that are the plan's have no effect and are told in the reply; others are left out.
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct StreamOptions {
    #[serde(default)]
    pub(crate) include_usage: Option<bool>,
}

/// A message of a conversation: its content is a text, or parts of text.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ChatMessage {
    pub(crate) role: String,
    #[serde(default)]
    pub(crate) content: Value,
}

/// What a request may say to us alone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AgentttsExtension")]
pub(crate) struct Extension {
    /// Fields of the input beside the message.
    #[serde(default)]
    pub(crate) input: Map<String, Value>,
    /// Tell what every stage did.
    #[serde(default)]
    pub(crate) trace: bool,
    /// Seconds until the answer must be there.
    pub(crate) deadline_seconds: Option<f64>,
    /// The most that the answer may take.
    #[serde(default)]
    pub(crate) limits: RequestLimits,
}

/// The most that an answer may take.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestLimits {
    pub(crate) tokens: Option<u64>,
    pub(crate) usd: Option<f64>,
    /// In GFLOP.
    pub(crate) flops: Option<f64>,
    pub(crate) calls: Option<u64>,
}

impl RequestLimits {
    /// As the engine takes them.
    pub(crate) fn checked(self) -> Result<Limits, ApiError> {
        let amount = |name: &str, cost_model: CostModel, units: Option<f64>| match units {
            None => Ok(None),
            Some(units) => cost_model.amount(units).filter(|amount| amount.0 >= 0).map(Some).ok_or_else(|| {
                ApiError::invalid("limits are positive numbers").param(&format!("agenttts.limits.{name}"))
            }),
        };
        Ok(Limits {
            tokens: self.tokens,
            usd: amount("usd", CostModel::Usd, self.usd)?,
            flops: amount("flops", CostModel::Flops, self.flops)?,
            calls: self.calls,
        })
    }
}

/// Reads a body, and says where it is wrong.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if let Err(error) = std::str::from_utf8(body) {
        return Err(ApiError::invalid(format!(
            "the body is not UTF-8 text (first bad byte at {})",
            error.valid_up_to()
        )));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let message = format!("the body cannot be read: {}", error.inner());
        let error = ApiError::invalid(message);
        if path == "." { error } else { error.param(&path) }
    })?;
    json.end().map_err(|error| ApiError::invalid(format!("the body goes on after its end: {error}")))?;
    Ok(parsed)
}

/// The most answers to one request.
const MOST_ANSWERS: i64 = 16;

/// Parameters that a plan fixes: its prompts, sampling and lengths are what was measured. Clients send them as a matter of
/// course, so they are told in the reply and not refused.
const FIXED_BY_PLAN: [&str; 12] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "logit_bias",
    "reasoning_effort",
];

impl Common {
    /// How many answers are wanted.
    pub(crate) fn answers(&self) -> Result<u32, ApiError> {
        let n = self.n.unwrap_or(1);
        if self.best_of.is_some_and(|best| best != n) {
            return Err(ApiError::unsupported("best_of", "the plan chooses among samples: leave `best_of` out"));
        }
        match u32::try_from(n) {
            Ok(n) if (1..=MOST_ANSWERS).contains(&i64::from(n)) => Ok(n),
            _ => Err(ApiError::invalid(format!("`n` is from 1 to {MOST_ANSWERS}")).param("n")),
        }
    }

    /// The number of the first draw. Equal seeds give equal draws where the models are reproducible.
    pub(crate) fn first_draw(&self) -> u32 {
        // Spread over the numbers, so that near seeds share no draws when several answers are wanted.
        let seed = self.seed.unwrap_or(0).unsigned_abs();
        (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as u32
    }

    /// Refuses what a plan cannot do.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        let set = |value: &Option<Value>| value.as_ref().is_some_and(|v| !v.is_null() && v != &Value::Bool(false));
        if self.tools.as_ref().is_some_and(|t| !t.is_empty()) || self.functions.as_ref().is_some_and(|f| !f.is_empty())
        {
            return Err(ApiError::unsupported("tools", "a plan calls no tools of its clients"));
        }
        let format = self.response_format.as_ref().filter(|format| !format.is_null());
        if format.is_some_and(|format| format.get("type").unwrap_or(format) != "text") {
            let message = "the form of the answer is the plan's: leave `response_format` out";
            return Err(ApiError::unsupported("response_format", message));
        }
        if set(&self.logprobs) {
            return Err(ApiError::unsupported(
                "logprobs",
                "an answer made of several samples has no log-probabilities",
            ));
        }
        if self.stream != Some(true) && self.stream_options.is_some() {
            return Err(ApiError::invalid("`stream_options` is for streams: set `stream` too").param("stream_options"));
        }
        if self.rest.get("top_logprobs").is_some_and(|top| !top.is_null()) {
            return Err(
                ApiError::invalid("`top_logprobs` is for `logprobs`, which a plan has not").param("top_logprobs")
            );
        }
        let choice = self.rest.get("tool_choice").filter(|choice| !choice.is_null());
        if choice.is_some_and(|choice| !["none", "auto"].iter().any(|none| choice == none)) {
            return Err(ApiError::invalid("`tool_choice` names a tool, and there is none").param("tool_choice"));
        }
        if self.echo == Some(true) || set(&self.suffix) {
            return Err(ApiError::unsupported("echo", "a plan answers; it does not continue a text"));
        }
        Ok(())
    }

    /// The parameters that were sent and change nothing.
    pub(crate) fn without_effect(&self) -> Vec<String> {
        let sent = self.rest.iter().filter(|(name, value)| FIXED_BY_PLAN.contains(&name.as_str()) && !value.is_null());
        sent.map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(json: Value) -> Common {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_a_plan_cannot_do_is_refused_by_name() {
        for (json, param) in [
            (serde_json::json!({"tools": [{}]}), "tools"),
            (serde_json::json!({"response_format": {"type": "json_object"}}), "response_format"),
            (serde_json::json!({"logprobs": true}), "logprobs"),
            (serde_json::json!({"echo": true}), "echo"),
            (serde_json::json!({"stream_options": {"include_usage": true}}), "stream_options"),
            (serde_json::json!({"top_logprobs": 3}), "top_logprobs"),
            (serde_json::json!({"tool_choice": "required"}), "tool_choice"),
        ] {
            let error = common(json).check().unwrap_err();
            assert_eq!(error.json()["error"]["param"], param);
        }
        let usual = serde_json::json!({"tools": [], "response_format": {"type": "text"}, "logprobs": false,
            "temperature": 0.2, "stop": null, "tool_choice": "auto", "user": "x"});
        let usual = common(usual);
        assert!(usual.check().is_ok());
        assert_eq!(usual.without_effect(), ["temperature"]);
    }

    #[test]
    fn counts_of_answers_are_positive_and_bounded() {
        for n in [-1, 0, 17, i64::MAX] {
            let error = common(serde_json::json!({ "n": n })).answers().unwrap_err();
            assert_eq!(error.json()["error"]["param"], "n");
        }
        assert_eq!(common(serde_json::json!({})).answers().unwrap(), 1);
        assert_eq!(common(serde_json::json!({"n": 2, "best_of": 2})).answers().unwrap(), 2);
        assert!(common(serde_json::json!({"n": 1, "best_of": 4})).answers().is_err());
    }

    #[test]
    fn a_wrong_body_is_told_with_its_place() {
        let said = |body: &[u8]| parse::<ChatRequest>(body).unwrap_err().json()["error"].clone();
        assert!(said(b"{\"model\": \"m\", \"messages\": [").to_string().contains("line 1 column"));
        assert_eq!(said(br#"{"model": "m", "messages": [{"role": 3}]}"#)["param"], "messages[0].role");
        assert!(said(b"{\"model\": \"\xff\"}")["message"].as_str().unwrap().contains("not UTF-8"));
        assert!(said(b"{\"model\": \"m\", \"messages\": []} x")["message"].as_str().unwrap().contains("after its end"));
    }
}
