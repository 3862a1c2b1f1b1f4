//! What went wrong with one attempt, and what follows from it: retry, speak another dialect, ask for less, give up.

use std::error::Error;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::reply::{error_message, excerpt};
use crate::{ModelError, ModelErrorKind as Kind};

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// What happened, without the model and address.
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// The wait that the server asked for.
    pub(crate) retry_after: Option<Duration>,
    /// A change to the request that the server's message suggests.
    pub(crate) remedy: Option<Remedy>,
}

/// How a refused request may be changed so that it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Ask for at most so many choices.
    FewerChoices(u32),
    /// Say `max_completion_tokens` instead of `max_tokens`.
    MaxCompletionTokens,
    /// Leave out `seed`.
    NoSeed,
    /// Leave out `stream_options`.
    NoStreamOptions,
    /// Do not ask for events.
    NoStream,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Failure { kind, message: message.into(), hint: None, retry_after: None, remedy: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(remedy);
        self
    }

    /// The error for the caller; `subject` names the model and address, `attempts` how often it was tried.
    pub(crate) fn into_error(self, subject: &str, attempts: u64) -> ModelError {
        let tried = if attempts > 1 { format!(" ({attempts} attempts)") } else { String::new() };
        ModelError { kind: self.kind, message: format!("{subject}: {}{tried}", self.message), hint: self.hint }
    }
}

/// A request that got no complete reply.
pub(crate) fn from_transport(error: &reqwest::Error, timeout: Duration) -> Failure {
    if error.is_connect() {
        let reason = if error.is_timeout() { "connecting took too long".into() } else { root_cause(error) };
        return Failure::new(Kind::Unreachable, format!("cannot connect: {reason}"))
            .hint("check that the server runs and that the provider's `base_url` is right");
    }
    if error.is_timeout() {
        return Failure::new(Kind::Timeout, format!("no complete reply within {} s", timeout.as_secs_f64()))
            .hint("raise the provider's `timeout_seconds`, or lower `concurrency` if the server is overloaded");
    }
    if error.is_body() || error.is_decode() {
        return Failure::new(Kind::BadReply, format!("the reply broke off: {}", root_cause(error)));
    }
    Failure::new(Kind::Unreachable, format!("the connection broke: {}", root_cause(error)))
}

/// The innermost source: the outer ones repeat the address.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A reply whose status is no success. `asked` is the `n` of the request.
pub(crate) fn from_status(status: StatusCode, headers: &HeaderMap, body: &[u8], asked: u32) -> Failure {
    let text = String::from_utf8_lossy(body);
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let said = json.as_ref().map_or_else(|| excerpt(&text), error_message);
    let said = if said.is_empty() { "no explanation".to_owned() } else { said };
    let line = format!("{status}: {said}");
    match status.as_u16() {
        300..=399 => {
            let to = headers.get("location").and_then(|to| to.to_str().ok()).unwrap_or("another address");
            Failure::new(Kind::Refused, format!("the server redirects to {to}"))
                .hint("put the address that it redirects to into the provider's `base_url`")
        }
        401 | 403 => Failure::new(Kind::Unauthorised, line)
            .hint("check the key in the variable that the provider's `api_key_env` names, and its rights"),
        402 => out_of_credit(line),
        404 => Failure::new(Kind::UnknownModel, line),
        408 => Failure::new(Kind::Timeout, line),
        413 => Failure::new(Kind::ContextOverflow, line),
        429 if has_any(&text.to_lowercase(), &["insufficient_quota", "exceeded your current quota"]) => {
            out_of_credit(line)
        }
        429 => Failure {
            retry_after: retry_after(headers, SystemTime::now()),
            ..Failure::new(Kind::RateLimited, line)
                .hint("set the provider's `requests_per_minute` and `tokens_per_minute` to what it allows")
        },
        501 | 505 => Failure::new(Kind::Refused, line),
        // Some builds of llama.cpp's server refuse n above their slots with a 500.
        500 if asked > 1 && text.contains("n_cmpl") => refused(line, &said, &text.to_lowercase(), json.as_ref(), asked),
        500.. => Failure { retry_after: retry_after(headers, SystemTime::now()), ..Failure::new(Kind::Server, line) },
        _ => refused(line, &said, &text.to_lowercase(), json.as_ref(), asked),
    }
}

fn out_of_credit(line: String) -> Failure {
    Failure::new(Kind::Unauthorised, line).hint("the account has no credit or quota left at this provider")
}

/// A 400 or the like: the message tells what the server minds.
fn refused(line: String, said: &str, text: &str, json: Option<&Value>, asked: u32) -> Failure {
    let param = json.and_then(|json| json.get("error")?.get("param")?.as_str());
    let overflow = [
        "context length",
        "context_length",
        "context size",
        "context_size",
        "context window",
        "maximum context",
        "max_model_len",
        "prompt is too long",
        "input is too long",
        "too many tokens",
        "longer than the maximum",
    ];
    if has_any(text, &overflow) {
        return Failure::new(Kind::ContextOverflow, line)
            .hint("shorten the prompt, lower `max_tokens`, or serve the model with a longer context");
    }
    let about_n = [
        "n_cmpl",
        "number of slots",
        "parallel slots",
        "`n`",
        "'n'",
        "\"n\"",
        "n > 1",
        "n must",
        "n=1",
        "n = 1",
        "only one completion",
        "only one choice",
        "multiple completions",
        "multiple choices",
        "value of n ",
        "parameter n ",
        "n is not supported",
        "best_of",
    ];
    if asked > 1 && (param == Some("n") || has_any(text, &about_n)) {
        let most = named_limit(said, asked).unwrap_or(asked / 2).max(1);
        return Failure::new(Kind::Refused, line).remedy(Remedy::FewerChoices(most));
    }
    if text.contains("max_completion_tokens") {
        return Failure::new(Kind::Refused, line).remedy(Remedy::MaxCompletionTokens);
    }
    let refuses = ["not supported", "unsupported", "not permitted", "not allowed", "unknown", "unrecognized", "extra"];
    if param == Some("seed") || (text.contains("seed") && has_any(text, &refuses)) {
        return Failure::new(Kind::Refused, line).remedy(Remedy::NoSeed);
    }
    if param == Some("stream_options") || text.contains("stream_options") {
        return Failure::new(Kind::Refused, line).remedy(Remedy::NoStreamOptions);
    }
    if param == Some("stream") || (text.contains("stream") && has_any(text, &refuses)) {
        return Failure::new(Kind::Refused, line).remedy(Remedy::NoStream);
    }
    let no_model = ["not found", "not exist", "unknown model", "invalid model", "not a valid model", "no such model"];
    if text.contains("model_not_found") || (text.contains("model") && has_any(text, &no_model)) {
        return Failure::new(Kind::UnknownModel, line);
    }
    if has_any(text, &["response_format", "json_schema", "grammar"]) {
        return Failure::new(Kind::Refused, line).hint(
            "the provider does not take this output constraint: use a server that does (llama.cpp, vLLM, SGLang) or \
             a prompt that asks for the form",
        );
    }
    Failure::new(Kind::Refused, line)
}

fn has_any(text: &str, needles: &[&str]) -> bool {
    needles.iter().any(|needle| text.contains(needle))
}

/// The largest number below `asked` in a message such as "Expected a value <= 128, but got 200".
fn named_limit(text: &str, asked: u32) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .filter(|number| (1..asked).contains(number))
        .max()
}

/// `Retry-After` in seconds or as an HTTP date, or OpenAI's `retry-after-ms`.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |text: &str, unit: f64| {
        let value: f64 = text.parse().ok()?;
        Duration::try_from_secs_f64((value / unit).max(0.0)).ok()
    };
    if let Some(wait) = header("retry-after-ms").and_then(|text| seconds(text, 1000.0)) {
        return Some(wait);
    }
    let text = header("retry-after")?;
    seconds(text, 1.0).or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str, asked: u32) -> Failure {
        from_status(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), asked)
    }

    /// What real servers say (abridged), the `n` that was asked for, and what is made of it.
    #[test]
    fn messages_of_real_servers() {
        let cases: &[(&str, u32, Kind, Option<Remedy>)] = &[
            (
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, you requested 9000 tokens","code":"context_length_exceeded"}}"#,
                4,
                Kind::ContextOverflow,
                None,
            ),
            (
                r#"{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":600,"n_ctx":512}}"#,
                4,
                Kind::ContextOverflow,
                None,
            ),
            (
                r#"{"error":{"message":"Invalid 'n': integer above maximum value. Expected a value <= 128, but got 200 instead.","param":"n"}}"#,
                200,
                Kind::Refused,
                Some(Remedy::FewerChoices(128)),
            ),
            (
                r#"{"error":{"code":400,"message":"n_cmpl cannot be greater than the number of slots, please increase -np","type":"invalid_request_error"}}"#,
                8,
                Kind::Refused,
                Some(Remedy::FewerChoices(4)),
            ),
            (
                r#"{"error":{"message":"'n' : number must be at most 1"}}"#,
                8,
                Kind::Refused,
                Some(Remedy::FewerChoices(1)),
            ),
            (
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","param":"max_tokens"}}"#,
                1,
                Kind::Refused,
                Some(Remedy::MaxCompletionTokens),
            ),
            (
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted"}]}"#,
                1,
                Kind::Refused,
                Some(Remedy::NoSeed),
            ),
            (
                r#"{"error":{"message":"Unknown parameter: 'stream_options'.","param":"stream_options"}}"#,
                1,
                Kind::Refused,
                Some(Remedy::NoStreamOptions),
            ),
            (
                r#"{"error":{"message":"streaming is not supported for this model"}}"#,
                1,
                Kind::Refused,
                Some(Remedy::NoStream),
            ),
            (
                r#"{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","code":"model_not_found"}}"#,
                1,
                Kind::UnknownModel,
                None,
            ),
            ("not even JSON", 1, Kind::Refused, None),
        ];
        for (body, asked, kind, remedy) in cases {
            let failure = failure(400, body, *asked);
            assert_eq!((failure.kind, failure.remedy), (*kind, *remedy), "{body}");
        }
    }

    #[test]
    fn statuses_decide_the_kind() {
        assert_eq!(failure(401, "", 1).kind, Kind::Unauthorised);
        assert_eq!(failure(404, r#"{"detail":"Not Found"}"#, 1).kind, Kind::UnknownModel);
        assert_eq!(failure(408, "", 1).kind, Kind::Timeout);
        assert_eq!(failure(429, "slow down", 1).kind, Kind::RateLimited);
        assert_eq!(failure(429, r#"{"error":{"code":"insufficient_quota"}}"#, 1).kind, Kind::Unauthorised);
        assert_eq!(failure(503, r#"{"error":{"message":"Loading model"}}"#, 1).kind, Kind::Server);
        assert_eq!(failure(308, "", 1).kind, Kind::Refused);
    }

    #[test]
    fn waits_are_read_in_all_their_forms() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let wait = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(wait("retry-after", "12"), Some(Duration::from_secs(12)));
        assert_eq!(wait("retry-after", "0.25"), Some(Duration::from_millis(250)));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(wait("retry-after", "soon"), None);
        assert_eq!(wait("retry-after", "1e999"), None);
    }
}
