//! Reading a chat completion: choices, usage and fingerprint out of whatever a server sends.
//!
//! Read by hand from a JSON value rather than with derived types: servers differ in what they leave out, and one odd
//! field must not lose a reply that was paid for.

use agenttts_core::Finish;
use serde_json::Value;

/// A reply that holds at least one entry in `choices`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Completion {
    /// In the order of their `index`; a choice without a text says what is wrong with it.
    pub(crate) choices: Vec<Result<Choice, String>>,
    /// What the server says it took, where it says so.
    pub(crate) usage: Option<Reported>,
    /// `system_fingerprint`.
    pub(crate) fingerprint: Option<String>,
    /// `id`.
    pub(crate) id: Option<String>,
    /// `model`.
    pub(crate) model: Option<String>,
}

/// One choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) text: String,
    pub(crate) finish: Finish,
    /// Bytes of reasoning that the server keeps apart from the text; they were decoded too.
    pub(crate) reasoning: String,
}

/// Tokens as a server reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) prompt: u64,
    pub(crate) cached_prompt: u64,
    pub(crate) completion: u64,
    /// Tokens decoded by the one slot that `timings` is about (llama.cpp's server).
    pub(crate) one_slot: Option<u64>,
}

/// Why a body is no completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// An `error` object under a status of success, with its code where that is an HTTP status.
    Error { status: Option<u16>, message: String },
    /// Something else than a completion.
    Malformed(String),
}

/// Reads the body of a successful reply.
pub(crate) fn parse(body: &[u8]) -> Result<Completion, Unusable> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|e| Unusable::Malformed(format!("not JSON ({e}): {}", excerpt(&String::from_utf8_lossy(body)))))?;
    of_value(&value)
}

/// Reads a successful reply.
pub(crate) fn of_value(value: &Value) -> Result<Completion, Unusable> {
    let choices = match value.get("choices") {
        Some(Value::Array(choices)) => choices.as_slice(),
        _ => &[],
    };
    if choices.is_empty() {
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            let status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
            return Err(Unusable::Error { status, message: error_message(value) });
        }
        return Err(Unusable::Malformed(format!("no choices: {}", excerpt(&value.to_string()))));
    }
    let text = |key| value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(Completion {
        choices: in_order(choices).into_iter().map(choice).collect(),
        usage: reported(value),
        fingerprint: text("system_fingerprint"),
        id: text("id"),
        model: text("model"),
    })
}

/// Reads the body of a successful reply to a request for an embedding: one choice, whose text is the vector as JSON.
pub(crate) fn parse_embedding(body: &[u8]) -> Result<Completion, Unusable> {
    let malformed = |why: &str, seen: &str| Unusable::Malformed(format!("{why}: {}", excerpt(seen)));
    let value: Value = serde_json::from_slice(body)
        .map_err(|e| malformed(&format!("not JSON ({e})"), &String::from_utf8_lossy(body)))?;
    let vector = value.pointer("/data/0/embedding").and_then(Value::as_array);
    // 32 bits are what servers compute with; more digits would only fill the bank.
    let numbers: Option<Vec<f32>> = vector.map(|v| v.iter().filter_map(|n| Some(n.as_f64()? as f32)).collect());
    match (vector, numbers) {
        (Some(vector), Some(numbers)) if !numbers.is_empty() && numbers.len() == vector.len() => {
            let text = serde_json::to_string(&numbers).unwrap_or_default();
            let choice = Choice { text, finish: Finish::Stop, reasoning: String::new() };
            let model = value.get("model").and_then(Value::as_str).map(str::to_owned);
            Ok(Completion { choices: vec![Ok(choice)], usage: reported(&value), fingerprint: None, id: None, model })
        }
        _ if value.get("error").is_some_and(|error| !error.is_null()) => {
            Err(Unusable::Error { status: None, message: error_message(&value) })
        }
        _ => Err(malformed("no embedding of numbers", &value.to_string())),
    }
}

/// What was reported by a body that is otherwise useless, so that what it took is booked all the same.
pub(crate) fn usage_of(body: &[u8]) -> Option<Reported> {
    reported(&serde_json::from_slice(body).ok()?)
}

/// The choices by their `index`, or as they came where the indices are not a numbering.
fn in_order(choices: &[Value]) -> Vec<&Value> {
    let mut slots: Vec<Option<&Value>> = vec![None; choices.len()];
    for choice in choices {
        let index = choice.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = index.and_then(|index| slots.get_mut(index)) {
            *slot = Some(choice);
        }
    }
    let numbered: Option<Vec<&Value>> = slots.into_iter().collect();
    numbered.unwrap_or_else(|| choices.iter().collect())
}

fn choice(choice: &Value) -> Result<Choice, String> {
    // A gateway may report one failed choice among good ones.
    if let Some(error) = choice.get("error").filter(|error| !error.is_null()) {
        return Err(format!("the choice failed: {}", excerpt(&error.to_string())));
    }
    let reason = choice.get("finish_reason").and_then(Value::as_str);
    let finish = match reason {
        Some("stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence") => Finish::Stop,
        Some("length" | "max_tokens") => Finish::Length,
        _ => Finish::Other,
    };
    let message = choice.get("message").unwrap_or(&Value::Null);
    let reasoning = ["reasoning_content", "reasoning"]
        .iter()
        .find_map(|key| message.get(*key).and_then(Value::as_str))
        .unwrap_or_default()
        .to_owned();
    let (text, finish) = match message.get("content") {
        Some(Value::String(text)) => (text.clone(), finish),
        Some(Value::Array(parts)) => (text_parts(parts), finish),
        _ => match message.get("refusal").and_then(Value::as_str) {
            Some(refusal) => (refusal.to_owned(), Finish::Other),
            // The tokens ran out while the model was still reasoning, or a filter took the text: an empty answer
            // that was paid for, which asking again would not change.
            None if matches!(reason, Some("length" | "max_tokens" | "content_filter")) => (String::new(), finish),
            None => return Err(format!("a choice without content: {}", excerpt(&choice.to_string()))),
        },
    };
    Ok(Choice { text, finish, reasoning })
}

/// The text of a content that comes in typed parts.
fn text_parts(parts: &[Value]) -> String {
    let is_text = |part: &&Value| part.get("type").and_then(Value::as_str).is_none_or(|kind| kind == "text");
    parts.iter().filter(is_text).filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
}

/// What a reply reports that it took.
pub(crate) fn reported(value: &Value) -> Option<Reported> {
    let usage = value.get("usage")?;
    let count = |value: Option<&Value>| value.and_then(Value::as_u64);
    let prompt = count(usage.get("prompt_tokens"))?;
    let completion = count(usage.get("completion_tokens")).unwrap_or(0);
    let details = |group: &str, key: &str| count(usage.get(group).and_then(|group| group.get(key)));
    // Some providers leave reasoning out of `completion_tokens`: the total, or the reasoning alone, tells.
    let beside_prompt = count(usage.get("total_tokens")).map_or(0, |total| total.saturating_sub(prompt));
    let reasoning = details("completion_tokens_details", "reasoning_tokens").unwrap_or(0);
    let with_reasoning = if reasoning > completion { completion.saturating_add(reasoning) } else { completion };
    Some(Reported {
        prompt,
        cached_prompt: details("prompt_tokens_details", "cached_tokens").unwrap_or(0).min(prompt),
        completion: with_reasoning.max(beside_prompt),
        one_slot: count(value.get("timings").and_then(|timings| timings.get("predicted_n"))),
    })
}

/// What an error body says: OpenAI's `error.message`, FastAPI's `detail`, or the body itself.
pub(crate) fn error_message(value: &Value) -> String {
    let error = value.get("error").unwrap_or(&Value::Null);
    let text = [error.get("message"), value.get("error"), value.get("message"), value.get("detail")]
        .into_iter()
        .flatten()
        .find_map(Value::as_str)
        .map_or_else(|| value.to_string(), str::to_owned);
    // Gateways put what the provider behind them said here.
    let behind = error.get("metadata").and_then(|metadata| metadata.get("raw")).and_then(Value::as_str);
    excerpt(&behind.map_or(text.clone(), |behind| format!("{text}: {behind}")))
}

/// The start of a text, on one line.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 400;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Completion {
        parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn choices_come_in_the_order_of_their_index() {
        let reply = read(json!({"choices": [
            {"index": 1, "message": {"content": "b"}, "finish_reason": "length"},
            {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}));
        let texts: Vec<_> = reply.choices.iter().map(|c| c.as_ref().unwrap().text.as_str()).collect();
        assert_eq!(texts, ["a", "b"]);
        assert_eq!(reply.choices[1].as_ref().unwrap().finish, Finish::Length);
        assert_eq!(reply.usage, None);
    }

    #[test]
    fn an_embedding_is_a_choice_whose_text_is_the_vector() {
        let read = |value: Value| parse_embedding(value.to_string().as_bytes());
        let reply =
            read(json!({"data": [{"embedding": [0.5, -1, 0.1]}], "usage": {"prompt_tokens": 3, "total_tokens": 3}}));
        let reply = reply.unwrap();
        assert_eq!(reply.choices[0].as_ref().unwrap().text, "[0.5,-1.0,0.1]");
        assert_eq!(reply.usage.map(|u| (u.prompt, u.completion)), Some((3, 0)));
        for odd in [
            json!({"data": []}),
            json!({"data": [{"embedding": []}]}),
            json!({"data": [{"embedding": "AAAA"}]}),
            json!(7),
        ] {
            assert!(matches!(read(odd), Err(Unusable::Malformed(_))));
        }
        let refused = read(json!({"error": {"message": "this model does not embed"}}));
        assert_eq!(refused, Err(Unusable::Error { status: None, message: "this model does not embed".into() }));
    }

    #[test]
    fn reasoning_is_kept_out_of_the_text() {
        let reply = read(json!({"choices": [{"message": {"content": "4", "reasoning_content": "2 and 2"}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}}));
        let choice = reply.choices[0].as_ref().unwrap();
        assert_eq!((choice.text.as_str(), choice.reasoning.as_str()), ("4", "2 and 2"));
        assert_eq!(reply.usage, Some(Reported { prompt: 9, cached_prompt: 4, completion: 5, one_slot: None }));
    }

    #[test]
    fn reasoning_that_the_completion_tokens_leave_out_is_counted() {
        let usage = |usage: Value| read(json!({"choices": [{}], "usage": usage})).usage.unwrap().completion;
        assert_eq!(usage(json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35})), 25);
        let details = json!({"reasoning_tokens": 20});
        assert_eq!(
            usage(json!({"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": details})),
            25
        );
    }

    #[test]
    fn a_null_content_is_an_answer_only_where_the_server_says_why() {
        let one = |choice: Value| read(json!({"choices": [choice]})).choices.remove(0);
        assert!(one(json!({"message": {"content": null}, "finish_reason": "stop"})).is_err());
        let cut = one(json!({"message": {"content": null, "reasoning": "hm"}, "finish_reason": "length"})).unwrap();
        assert_eq!((cut.text.as_str(), cut.finish), ("", Finish::Length));
        let refused = one(json!({"message": {"content": null, "refusal": "no"}, "finish_reason": "stop"})).unwrap();
        assert_eq!((refused.text.as_str(), refused.finish), ("no", Finish::Other));
    }

    #[test]
    fn an_error_under_status_200_is_an_error() {
        let body = json!({"error": {"code": 502, "message": "upstream", "metadata": {"raw": "overloaded"}}});
        let error = parse(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error, Unusable::Error { status: Some(502), message: "upstream: overloaded".into() });
    }

    /// JSON that looks like a reply in places, so that deep paths are reached.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        let key = prop::sample::select(vec![
            "choices",
            "message",
            "content",
            "finish_reason",
            "index",
            "usage",
            "prompt_tokens",
            "completion_tokens",
            "total_tokens",
            "error",
            "code",
            "text",
            "type",
            "timings",
            "predicted_n",
            "completion_tokens_details",
            "reasoning_tokens",
            "metadata",
            "raw",
        ]);
        leaf.prop_recursive(6, 48, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(key.clone(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body);
            let _ = usage_of(&body);
        }

        #[test]
        fn no_json_panics(value in any_json()) {
            let body = json!({"choices": [value.clone(), value], "usage": {"prompt_tokens": 1}}).to_string();
            let _ = parse(body.as_bytes());
            let _ = error_message(&serde_json::from_str(&body).unwrap());
        }
    }
}
