//! Chat completions: what is asked, whether it is refused, and what is answered. Pure.

use agenttts_core::text::hex;
use agenttts_core::{Constraint, Decoding, Message, Request, Temperature};
use agenttts_models::fake::{FakeName, FakeText};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{ChoiceCount, Config, ServedKey, UsageReport};

/// A completion request as this server understands it.
pub(crate) struct Asked {
    model: String,
    request: Request,
    n: u32,
    seed: u32,
    hash: String,
    /// Whether events are wanted, and with usage.
    pub(crate) stream: Option<Stream>,
}

/// How events are wanted.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    with_usage: bool,
}

/// What is answered.
pub(crate) struct Answered {
    pub(crate) body: Value,
    pub(crate) keys: Vec<ServedKey>,
    pub(crate) decoded: u64,
}

/// A refusal: status and message.
pub(crate) type Refused = (u16, Value);

/// Reads a request and refuses it where the configuration says so. `arrival` stands in for a missing seed.
pub(crate) fn ask(config: &Config, body: &Value, arrival: usize) -> Result<Asked, Refused> {
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    if !config.models.is_empty() && !config.models.contains(&model) {
        let message = format!("The model `{model}` does not exist");
        return Err((404, json!({"error": {"message": message, "code": "model_not_found", "param": "model"}})));
    }
    let max = if config.wants_max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
    if config.wants_max_completion_tokens && body.get("max_tokens").is_some() {
        return refuse("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_tokens");
    }
    if config.refuses_seed && body.get("seed").is_some() {
        return Err((
            422,
            json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"],
            "msg": "Extra inputs are not permitted"}]}),
        ));
    }
    if config.refuses_constraints && (body.get("response_format").is_some() || body.get("grammar").is_some()) {
        return refuse("response_format and grammar are not supported", "response_format");
    }
    if config.refuses_stream_options && body.get("stream_options").is_some() {
        return refuse("Unrecognized request argument supplied: stream_options", "stream_options");
    }
    let streams = body["stream"] == json!(true);
    if config.refuses_stream && streams {
        return refuse("stream is not supported", "stream");
    }
    let with_usage = body["stream_options"]["include_usage"] == json!(true);
    let n = u32::try_from(body["n"].as_u64().unwrap_or(1)).unwrap_or(u32::MAX);
    match config.choices {
        ChoiceCount::RefusesAbove(most) if n > most => {
            return refuse("n_cmpl cannot be greater than the number of slots, please increase -np", "");
        }
        ChoiceCount::NamesLimit(most) if n > most => {
            return refuse(
                &format!("Invalid 'n': integer above maximum value. Expected a value <= {most}, but got {n} instead."),
                "n",
            );
        }
        _ => {}
    }
    let messages: Vec<Message> = serde_json::from_value(body["messages"].clone())
        .map_err(|e| (400, json!({"error": {"message": format!("messages: {e}"), "param": "messages"}})))?;
    let schema = body.pointer("/response_format/json_schema/schema").cloned();
    let grammar = body["grammar"].as_str().map(|grammar| Constraint::Grammar(grammar.to_owned()));
    let decoding = Decoding {
        temperature: body["temperature"].as_f64().and_then(Temperature::new).unwrap_or(Temperature::GREEDY),
        top_p: body["top_p"].as_f64(),
        max_tokens: body[max].as_u64().and_then(|max| u32::try_from(max).ok()).unwrap_or(u32::MAX),
        stop: serde_json::from_value(body["stop"].clone()).unwrap_or_default(),
        constraint: schema.map(Constraint::JsonSchema).or(grammar),
    };
    let request = Request { messages, decoding };
    let needed = FakeName::prompt_tokens(&request).saturating_add(request.decoding.max_tokens);
    if let Some(context) = config.context.filter(|context| needed > *context) {
        return refuse(&format!("This model's maximum context length is {context} tokens, {needed} requested"), "");
    }
    let seed = body["seed"].as_u64().unwrap_or(arrival as u64) as u32;
    let mut named = body.clone();
    if let Some(named) = named.as_object_mut() {
        named.retain(|key, _| !["n", "seed", "stream", "stream_options"].contains(&key.as_str()));
        named.sort_keys();
    }
    let hash = hex(&Sha256::digest(named.to_string()));
    let stream = (streams && !config.ignores_stream).then_some(Stream { with_usage });
    Ok(Asked { model, request, n, seed, hash, stream })
}

fn refuse<T>(message: &str, param: &str) -> Result<T, Refused> {
    Err((400, json!({"error": {"message": message, "type": "invalid_request_error", "param": param}})))
}

/// Answers a request.
pub(crate) fn answer(config: &Config, asked: &Asked) -> Answered {
    let n = match config.choices {
        ChoiceCount::One => 1,
        ChoiceCount::AtMost(most) => asked.n.min(most),
        ChoiceCount::More(more) => asked.n.saturating_add(more),
        _ => asked.n,
    };
    let seeds: Vec<u32> = (0..n).map(|j| asked.seed.wrapping_add(j)).collect();
    let texts: Vec<FakeText> = seeds.iter().map(|seed| text(&asked.model, &asked.request, *seed)).collect();
    let reasoning = config.reasoning.as_ref().map_or(0, |reasoning| reasoning.len().div_ceil(4) as u64);
    let tokens = |said: &FakeText| u64::from(said.tokens) + reasoning;
    let decoded: u64 = texts.iter().map(tokens).sum();
    let first = texts.first().map(tokens).unwrap_or(0);
    let choices: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, said)| {
            let mut message = json!({"role": "assistant", "content": said.text});
            if let Some(reasoning) = &config.reasoning {
                message["reasoning_content"] = json!(reasoning);
            }
            json!({"index": index, "message": message, "finish_reason": said.finish})
        })
        .collect();
    let mut body = json!({
        "id": format!("chatcmpl-{}-{}", &asked.hash[..8], asked.seed),
        "object": "chat.completion",
        "model": asked.model,
        "choices": choices,
    });
    if let Some(fingerprint) = &config.fingerprint {
        body["system_fingerprint"] = json!(fingerprint);
    }
    let prompt = FakeName::prompt_tokens(&asked.request);
    let usage = |completion: u64| {
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": u64::from(prompt) + completion,
            "prompt_tokens_details": {"cached_tokens": 0}})
    };
    match config.usage {
        UsageReport::AllChoices => body["usage"] = usage(decoded),
        UsageReport::FirstChoice => body["usage"] = usage(first),
        UsageReport::LlamaServer => {
            body["usage"] = usage(first);
            body["timings"] = json!({"prompt_n": prompt, "predicted_n": first});
        }
        UsageReport::Missing => {}
    }
    let keys = seeds.into_iter().map(|seed| ServedKey { request: asked.hash.clone(), seed }).collect();
    Answered { body, keys, decoded }
}

/// A completion as the data of events, word by word.
pub(crate) fn events(whole: &Value, stream: Stream) -> Vec<String> {
    let event = |choices: Value| {
        let mut event = whole.clone();
        event["object"] = json!("chat.completion.chunk");
        event["choices"] = choices;
        if let Some(event) = event.as_object_mut() {
            event.remove("usage");
        }
        event
    };
    let mut events = Vec::new();
    for choice in whole["choices"].as_array().into_iter().flatten() {
        let index = &choice["index"];
        let delta = |delta: Value| event(json!([{"index": index, "delta": delta, "finish_reason": null}]));
        events.push(delta(json!({"role": "assistant", "content": ""})));
        let message = &choice["message"];
        if let Some(reasoning) = message["reasoning_content"].as_str() {
            events.push(delta(json!({"reasoning_content": reasoning})));
        }
        let text = message["content"].as_str().unwrap_or_default();
        events.extend(text.split_inclusive(' ').map(|word| delta(json!({"content": word}))));
        events.push(event(json!([{"index": index, "delta": {}, "finish_reason": choice["finish_reason"]}])));
    }
    if stream.with_usage && whole.get("usage").is_some() {
        let mut last = event(json!([]));
        last["usage"] = whole["usage"].clone();
        events.push(last);
    }
    let mut data: Vec<String> = events.iter().map(Value::to_string).collect();
    data.push("[DONE]".into());
    data
}

/// The words that events bring.
pub(crate) fn words(events: &[String]) -> u64 {
    let text = |event: &&String| {
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        event["choices"][0]["delta"]["content"].as_str().is_some_and(|text| !text.is_empty())
    };
    events.iter().filter(text).count() as u64
}

/// Answers a request for an embedding.
pub(crate) fn embed(body: &Value) -> Value {
    let request = Request::embedding(body["input"].as_str().unwrap_or_default());
    let vector: Value = serde_json::from_str(&text("p50", &request, 0).text).unwrap_or_default();
    let tokens = FakeName::prompt_tokens(&request);
    json!({
        "object": "list", "model": body["model"],
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens}
    })
}

/// The fake of that name; names that are no fake's are always right.
fn text(model: &str, request: &Request, seed: u32) -> FakeText {
    match FakeName::parse(model).or_else(|_| FakeName::parse("p100")) {
        Ok(fake) => fake.text(request, seed),
        Err(_) => FakeText { text: String::new(), finish: agenttts_core::Finish::Other, tokens: 0 },
    }
}
