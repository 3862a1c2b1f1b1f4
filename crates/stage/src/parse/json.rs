//! JSON in the text of a sample.

use serde_json::{Map, Value};

use super::number::canonical_number;

const MAX_ATTEMPTS: usize = 10_000;

/// The JSON documents in a text: the whole text if it is one, otherwise its objects and lists, in order.
///
/// Models wrap JSON in prose and code fences, so every `{` and `[` outside an earlier document is tried, up to a number
/// that only garbage reaches.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return vec![value];
    }
    let mut found = Vec::new();
    let mut from = 0;
    let mut attempts = 0;
    while attempts < MAX_ATTEMPTS
        && let Some(offset) = text[from..].find(['{', '['])
    {
        let start = from + offset;
        let mut stream = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        from = start + 1;
        attempts += 1;
        if let Some(Ok(value)) = stream.next() {
            from = start + stream.byte_offset().max(1);
            found.push(value);
        }
    }
    found
}

/// The same document in the one form that equal documents share: keys sorted, integers as integers.
pub(crate) fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(n) => Value::Number(canonical_number(n)),
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(object) => {
            let mut entries: Vec<(&String, &Value)> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(entries.into_iter().map(|(k, v)| (k.clone(), canonical(v))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn finds_documents_among_prose() {
        assert_eq!(documents(" 42 "), [json!(42)]);
        assert_eq!(
            documents("Sure {not json}:\n```json\n{\"a\": {\"b\": [1]}}\n``` as in [2]."),
            [json!({"a": {"b": [1]}}), json!([2])]
        );
        assert_eq!(documents("{\"a\": 1"), Vec::<Value>::new());
    }

    #[test]
    fn canonical_documents_are_equal_byte_for_byte() {
        let value: Value = serde_json::from_str(r#"{"b": 1.0, "a": {"d": 2, "c": 0.5}}"#).unwrap();
        assert_eq!(canonical(&value).to_string(), r#"{"a":{"c":0.5,"d":2},"b":1}"#);
    }

    #[test]
    fn long_garbage_holds_no_document() {
        assert_eq!(documents(&"[".repeat(100_000)), Vec::<Value>::new());
        assert_eq!(documents(&"{\"a\":".repeat(20_000)), Vec::<Value>::new());
    }
}
