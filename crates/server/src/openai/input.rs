//! From messages to the fields of an input.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::request::ChatMessage;
use crate::api_error::ApiError;

/// An input, and what of the request does not reach the plan.
#[derive(Debug, PartialEq)]
pub(crate) struct Input {
    pub(crate) fields: Map<String, Value>,
    pub(crate) warnings: Vec<String>,
}

/// The input of a conversation: its one user message, with the fields given beside it.
///
/// A plan has prompts of its own. So a system message is left out, and told; a conversation of several turns is refused,
/// as the plan would not see what went before.
pub(crate) fn of_messages(
    messages: &[ChatMessage],
    beside: Map<String, Value>,
    wanted: &BTreeSet<String>,
) -> Result<Input, ApiError> {
    let mut warnings = Vec::new();
    let mut asked = None;
    for (index, message) in messages.iter().enumerate() {
        match message.role.as_str() {
            "system" | "developer" => warnings.push(format!(
                "messages[{index}]: the plan has prompts of its own, so the {} message is left out",
                message.role
            )),
            "user" if asked.is_none() => asked = Some((index, text(&message.content, index)?)),
            "user" | "assistant" | "tool" | "function" => {
                let message = "a plan answers one message and does not see earlier turns: send the last one alone, with all \
                               that it needs";
                return Err(ApiError::invalid(message).param(&format!("messages[{index}]")));
            }
            role => {
                return Err(ApiError::invalid(format!("{role:?} is no role")).param(&format!("messages[{index}].role")));
            }
        }
    }
    let Some((index, text)) = asked else {
        return Err(ApiError::invalid("there is no user message").param("messages"));
    };
    let fields = of_text(&text, beside, wanted).map_err(|error| error.param(&format!("messages[{index}].content")))?;
    Ok(Input { fields, warnings })
}

/// The input of a text: the one field that is not given beside it, or all such fields where it is a JSON object of them.
pub(crate) fn of_text(
    text: &str,
    beside: Map<String, Value>,
    wanted: &BTreeSet<String>,
) -> Result<Map<String, Value>, ApiError> {
    let missing: Vec<&String> = wanted.iter().filter(|field| !beside.contains_key(*field)).collect();
    let mut fields = beside;
    if let Ok(Value::Object(object)) = serde_json::from_str::<Value>(text)
        && !missing.is_empty()
        && missing.iter().all(|field| object.contains_key(*field))
    {
        // What the application gave beside the text is not for the text's author to change.
        object.into_iter().for_each(|(field, value)| {
            fields.entry(field).or_insert(value);
        });
        return Ok(fields);
    }
    match missing.as_slice() {
        [field] => {
            fields.insert((*field).clone(), Value::String(text.to_owned()));
            Ok(fields)
        }
        [] => Err(ApiError::invalid("all fields are given already, so there is no place for a text")),
        several => {
            let names: Vec<String> = several.iter().map(|field| format!("`{field}`")).collect();
            Err(ApiError::invalid(format!(
                "the plan reads several fields: {}. Send them as a JSON object in the message, all but one in \
                 `agenttts.input`, or use /v1/run",
                names.join(", ")
            )))
        }
    }
}

/// The text of a message's content: a string, or parts of text.
fn text(content: &Value, index: usize) -> Result<String, ApiError> {
    let wrong = |message: &str| ApiError::invalid(message).param(&format!("messages[{index}].content"));
    match content {
        Value::String(text) if text.trim().is_empty() => Err(wrong("the message is empty")),
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            let part = |part: &Value| match (part.get("type").and_then(Value::as_str), part.get("text")) {
                (Some("text" | "input_text"), Some(Value::String(text))) => Ok(text.clone()),
                _ => Err(wrong("a plan reads text only")),
            };
            let texts = parts.iter().map(part).collect::<Result<Vec<_>, _>>()?;
            let text = texts.concat();
            if text.trim().is_empty() { Err(wrong("the message is empty")) } else { Ok(text) }
        }
        _ => Err(wrong("the content is a text, or parts of text")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn messages(json: Value) -> Vec<ChatMessage> {
        serde_json::from_value(json).unwrap()
    }

    fn map(json: Value) -> Map<String, Value> {
        json.as_object().unwrap().clone()
    }

    #[test]
    fn a_message_fills_the_one_field_that_is_open() {
        let user = messages(json!([{"role": "user", "content": [{"type": "text", "text": "how much?"}]}]));
        let one = of_messages(&user, Map::new(), &wanted(&["question"])).unwrap();
        assert_eq!(one.fields, map(json!({"question": "how much?"})));
        let beside = map(json!({"records": ["r1"]}));
        let two = of_messages(&user, beside, &wanted(&["question", "records"])).unwrap();
        assert_eq!(two.fields, map(json!({"records": ["r1"], "question": "how much?"})));
        let error = of_messages(&user, Map::new(), &wanted(&["question", "records"])).unwrap_err().json();
        assert!(error.to_string().contains("`question`, `records`"), "{error}");
    }

    #[test]
    fn a_message_may_be_an_object_of_all_fields() {
        let text = r#"{"question": "how much?", "records": []}"#;
        let fields = of_text(text, Map::new(), &wanted(&["question", "records"])).unwrap();
        assert_eq!(fields, map(json!({"question": "how much?", "records": []})));
        // Fields that are given beside it stay as they are.
        let beside = map(json!({"records": ["trusted"]}));
        let forged =
            of_text(r#"{"question": "?", "records": ["forged"]}"#, beside.clone(), &wanted(&["question", "records"]));
        assert_eq!(forged.unwrap(), map(json!({"question": "?", "records": ["trusted"]})));
        assert!(of_text(r#"{"records": []}"#, beside, &wanted(&["records"])).is_err(), "there is no place for it");
        // An object that is not one of the fields is a text like any other.
        let other = of_text(r#"{"a": 1}"#, Map::new(), &wanted(&["question"])).unwrap();
        assert_eq!(other["question"], r#"{"a": 1}"#);
    }

    #[test]
    fn what_the_plan_would_not_see_is_told_or_refused() {
        let system = messages(json!([{"role": "system", "content": "be kind"}, {"role": "user", "content": "x"}]));
        assert_eq!(of_messages(&system, Map::new(), &wanted(&["q"])).unwrap().warnings.len(), 1);
        for (bad, param) in [
            (json!([]), "messages"),
            (json!([{"role": "user", "content": " "}]), "messages[0].content"),
            (json!([{"role": "user", "content": [{"type": "text", "text": " "}]}]), "messages[0].content"),
            (json!([{"role": "user", "content": [{"type": "image_url"}]}]), "messages[0].content"),
            (json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]), "messages[1]"),
            (json!([{"role": "king", "content": "a"}]), "messages[0].role"),
        ] {
            let error = of_messages(&messages(bad), Map::new(), &wanted(&["q"])).unwrap_err().json();
            assert_eq!(error["error"]["param"], param);
        }
    }
}
