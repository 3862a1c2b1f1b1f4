//! Fields of examples by dotted path, and plain texts of values.

use serde_json::{Map, Value};

use crate::parse::number::canonical_number;

/// The value at a dotted path, such as `answer` or `gold.ids`. A field whose own name holds the dots comes first.
pub(crate) fn lookup<'a>(fields: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = fields.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| match fields.get(&path[..dot]) {
        Some(Value::Object(inner)) => lookup(inner, &path[dot + 1..]),
        _ => None,
    })
}

/// A value as a person would write it: strings as they are, lists joined by `, `, objects as JSON, null as nothing.
pub(crate) fn plain_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        Value::Number(n) => canonical_number(n).to_string(),
        Value::Array(items) => items.iter().map(plain_text).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Object(_) => value.to_string(),
    }
}

/// The id that a candidate or a member of a set stands for: a string or number itself, or an object's `id`.
pub(crate) fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.trim().to_owned()),
        Value::Number(n) => Some(canonical_number(n).to_string()),
        Value::Object(object) => match object.get("id")? {
            inner @ (Value::String(_) | Value::Number(_)) => id_of(inner),
            _ => None,
        },
        _ => None,
    }
}

/// What kind of JSON value this is, in words.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(items) if items.is_empty() => "an empty list",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Names joined for a message: quoted, and cut where there are many.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let all: Vec<&str> = names.into_iter().collect();
    let mut text = all.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN {
        text.push_str(&format!(" and {} more", all.len() - SHOWN));
    }
    if all.is_empty() { "(none)".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dots_lead_into_objects() {
        let example = json!({"answer": "x", "gold": {"ids": ["a"], "deep": {"er": 1}}, "a.b": 2});
        let fields = example.as_object().unwrap();
        assert_eq!(lookup(fields, "answer"), Some(&json!("x")));
        assert_eq!(lookup(fields, "gold.ids"), Some(&json!(["a"])));
        assert_eq!(lookup(fields, "gold.deep.er"), Some(&json!(1)));
        assert_eq!(lookup(fields, "a.b"), Some(&json!(2)));
        assert_eq!(lookup(fields, "gold.none"), None);
        assert_eq!(lookup(fields, "answer.x"), None);
    }

    #[test]
    fn ids_come_from_strings_numbers_and_objects() {
        assert_eq!(id_of(&json!(" d1 ")).as_deref(), Some("d1"));
        assert_eq!(id_of(&json!(3.0)).as_deref(), Some("3"));
        assert_eq!(id_of(&json!({"id": 7, "title": "x"})).as_deref(), Some("7"));
        assert_eq!(id_of(&json!({"title": "x"})), None);
    }
}
