//! The body of a chat completion request.

use agenttts_core::{Constraint, Request};
use serde_json::{Map, Value, json};

/// What differs between providers, found out while running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Say `max_completion_tokens`: OpenAI's reasoning models refuse `max_tokens`.
    pub(crate) max_completion_tokens: bool,
    /// Leave `seed` out: the provider refuses it.
    pub(crate) no_seed: bool,
    /// Do not ask for events: the provider refuses `stream`.
    pub(crate) no_stream: bool,
    /// Leave `stream_options` out: the provider refuses it.
    pub(crate) no_stream_options: bool,
}

/// The body that asks for `n` choices of a request, the first one with `seed`.
pub(crate) fn body(model: &str, request: &Request, n: u32, seed: u32, dialect: Dialect) -> Value {
    let decoding = &request.decoding;
    let mut body = Map::new();
    body.insert("model".into(), json!(model));
    body.insert("messages".into(), json!(request.messages));
    body.insert("temperature".into(), json!(decoding.temperature));
    if let Some(top_p) = decoding.top_p {
        body.insert("top_p".into(), json!(top_p));
    }
    let max = if dialect.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
    body.insert(max.into(), json!(decoding.max_tokens));
    if !decoding.stop.is_empty() {
        body.insert("stop".into(), json!(decoding.stop));
    }
    // Left out for one sample: some servers refuse the parameter itself.
    if n > 1 {
        body.insert("n".into(), json!(n));
    }
    if !dialect.no_seed {
        body.insert("seed".into(), json!(seed));
    }
    match &decoding.constraint {
        Some(Constraint::JsonSchema(schema)) => {
            let format = json!({"name": "reply", "strict": is_strict(schema), "schema": schema});
            body.insert("response_format".into(), json!({"type": "json_schema", "json_schema": format}));
        }
        // Not part of OpenAI's API: llama.cpp's server takes it.
        Some(Constraint::Grammar(grammar)) => {
            body.insert("grammar".into(), json!(grammar));
        }
        None => {}
    }
    Value::Object(body)
}

/// The same body, which asks for the completion as events, with what it took at their end.
pub(crate) fn streamed(mut body: Value, dialect: Dialect) -> Value {
    body["stream"] = Value::Bool(true);
    if !dialect.no_stream_options {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

/// The body that asks for the embedding of a request's text.
pub(crate) fn embedding(model: &str, request: &Request) -> Value {
    let texts: Vec<&str> = request.messages.iter().map(|m| m.content.as_str()).collect();
    json!({"model": model, "input": texts.join("\n"), "encoding_format": "float"})
}

/// Whether a schema keeps to the subset in which OpenAI guarantees it: every object closed, every property required.
/// Asking for the guarantee outside the subset is refused.
fn is_strict(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            let closed = match map.get("properties") {
                Some(Value::Object(properties)) => {
                    let required = map.get("required").and_then(Value::as_array);
                    map.get("additionalProperties") == Some(&Value::Bool(false))
                        && required.is_some_and(|names| {
                            properties.keys().all(|key| names.iter().any(|name| name.as_str() == Some(key)))
                        })
                }
                _ => map.get("type").and_then(Value::as_str) != Some("object"),
            };
            closed && map.values().all(is_strict)
        }
        Value::Array(items) => items.iter().all(is_strict),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use agenttts_core::{Decoding, Message, Temperature};

    use super::*;

    fn request() -> Request {
        Request {
            messages: vec![Message::system("Be brief."), Message::user("2 + 2?")],
            decoding: Decoding {
                temperature: Temperature::new(0.7).unwrap(),
                top_p: None,
                max_tokens: 16,
                stop: vec![],
                constraint: None,
            },
        }
    }

    #[test]
    fn the_body_holds_what_was_asked_and_nothing_else() {
        let body = body("m", &request(), 3, 7, Dialect::default());
        let expected = json!({
            "model": "m",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}],
            "temperature": 0.7, "max_tokens": 16, "n": 3, "seed": 7,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn an_embedding_is_asked_for_with_its_text_alone() {
        let body = embedding("e", &Request::embedding("a text"));
        assert_eq!(body, json!({"model": "e", "input": "a text", "encoding_format": "float"}));
    }

    #[test]
    fn one_sample_is_asked_for_without_n_and_dialects_are_spoken() {
        let dialect = Dialect { max_completion_tokens: true, no_seed: true, ..Dialect::default() };
        let body = body("m", &request(), 1, 7, dialect);
        assert!(body.get("n").is_none() && body.get("seed").is_none() && body.get("max_tokens").is_none());
        assert_eq!(body["max_completion_tokens"], 16);
    }

    #[test]
    fn events_are_asked_for_with_what_they_took() {
        let asked = |dialect| streamed(body("m", &request(), 1, 7, dialect), dialect);
        let body = asked(Dialect::default());
        assert_eq!((&body["stream"], &body["stream_options"]), (&json!(true), &json!({"include_usage": true})));
        assert!(asked(Dialect { no_stream_options: true, ..Dialect::default() }).get("stream_options").is_none());
    }

    #[test]
    fn constraints_take_their_place_and_strict_is_asked_only_where_it_can_be_kept() {
        let mut request = request();
        let closed = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
            "additionalProperties": false});
        request.decoding.constraint = Some(Constraint::JsonSchema(closed.clone()));
        let sent = body("m", &request, 1, 0, Dialect::default());
        assert_eq!(sent["response_format"]["json_schema"]["strict"], true);
        assert_eq!(sent["response_format"]["json_schema"]["schema"], closed);
        request.decoding.constraint =
            Some(Constraint::JsonSchema(json!({"type": "object", "properties": {"a": {"type": "string"}}})));
        let sent = body("m", &request, 1, 0, Dialect::default());
        assert_eq!(sent["response_format"]["json_schema"]["strict"], false);
        request.decoding.constraint = Some(Constraint::Grammar("root ::= \"a\"".into()));
        assert_eq!(body("m", &request, 1, 0, Dialect::default())["grammar"], "root ::= \"a\"");
    }
}
