//! A random document for a JSON Schema.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

/// Nesting beyond which nothing optional is written any more, and beyond which a value is `null`.
const DEEP: usize = 8;
const TOO_DEEP: usize = 24;
const WORDS: [&str; 6] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"];

/// A document that satisfies the schema, as far as it uses `type`, `properties`, `required`, `items`, `prefixItems`,
/// numeric and length bounds, `uniqueItems`, `enum`, `const`, `anyOf`, `oneOf`, `allOf` and local `$ref`s.
pub(super) fn instance(schema: &Value, rng: &mut ChaCha8Rng) -> Value {
    Generator { root: schema, rng }.value(schema, 0)
}

struct Generator<'a> {
    root: &'a Value,
    rng: &'a mut ChaCha8Rng,
}

impl Generator<'_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if depth > TOO_DEEP {
            return Value::Null;
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(choice) = self.one_of(schema.get("enum")) {
            return choice;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = self.root.pointer(target.trim_start_matches('#')).unwrap_or(&Value::Null).clone();
            return self.value(&target, depth + 1);
        }
        if let Some(schema) = self.one_of(schema.get("anyOf").or_else(|| schema.get("oneOf"))) {
            return self.value(&schema, depth + 1);
        }
        if let Some(Value::Array(parts)) = schema.get("allOf") {
            let values: Vec<Value> = parts.iter().map(|part| self.value(part, depth + 1)).collect();
            let merged: Map<String, Value> =
                values.iter().filter_map(Value::as_object).flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
            return if merged.is_empty() { values.into_iter().next().unwrap_or_default() } else { merged.into() };
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "integer" => json!(self.integer(schema)),
            "number" => json!(self.number(schema)),
            "boolean" => json!(self.rng.random::<bool>()),
            "null" => Value::Null,
            _ => json!(self.string(schema)),
        }
    }

    fn one_of(&mut self, choices: Option<&Value>) -> Option<Value> {
        let choices = choices?.as_array().filter(|choices| !choices.is_empty())?;
        Some(choices[self.rng.random_range(0..choices.len())].clone())
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let mut object = Map::new();
        for (name, property) in properties {
            if required.contains(&name.as_str()) || (depth < DEEP && self.rng.random()) {
                object.insert(name.clone(), self.value(property, depth + 1));
            }
        }
        for name in required {
            if !object.contains_key(name) {
                object.insert(name.to_owned(), self.value(&Value::Null, depth + 1));
            }
        }
        object.into()
    }

    fn array(&mut self, schema: &Value, depth: usize) -> Value {
        let fixed = schema.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let least = count(schema, "minItems").unwrap_or(0).max(fixed.len());
        let open = if depth < DEEP && schema.get("items").is_some_and(|items| *items != json!(false)) { 2 } else { 0 };
        let most = count(schema, "maxItems").unwrap_or(least + open).clamp(least, least + 4);
        let length = self.rng.random_range(least..=most);
        let unique = schema.get("uniqueItems") == Some(&json!(true));
        let mut items: Vec<Value> = Vec::with_capacity(length);
        for i in 0..length {
            let item = fixed.get(i).or_else(|| schema.get("items")).unwrap_or(&Value::Null);
            let mut value = self.value(item, depth + 1);
            for _ in 0..50 {
                if !unique || !items.contains(&value) {
                    break;
                }
                value = self.value(item, depth + 1);
            }
            items.push(value);
        }
        items.into()
    }

    fn integer(&mut self, schema: &Value) -> i64 {
        let (low, high) = bounds(schema);
        // Exclusive bounds and fractional ones both shrink to whole numbers inside.
        let low = if low.1 { low.0.floor() + 1.0 } else { low.0.ceil() } as i64;
        let high = if high.1 { high.0.ceil() - 1.0 } else { high.0.floor() } as i64;
        self.rng.random_range(low..=high.max(low))
    }

    fn number(&mut self, schema: &Value) -> f64 {
        let (low, high) = bounds(schema);
        let inside: f64 = self.rng.random_range(0.001..0.999);
        low.0 + (high.0 - low.0).max(0.0) * inside
    }

    fn string(&mut self, schema: &Value) -> String {
        let least = count(schema, "minLength").unwrap_or(0).min(10_000);
        let most = count(schema, "maxLength").unwrap_or(usize::MAX);
        let mut text = WORDS[self.rng.random_range(0..WORDS.len())].to_owned();
        while text.len() < least {
            text.push(' ');
            text.push_str(WORDS[self.rng.random_range(0..WORDS.len())]);
        }
        text.truncate(most);
        text
    }
}

/// The type of a schema's values; the first other than `null` of several.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

fn count(schema: &Value, key: &str) -> Option<usize> {
    schema.get(key).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok())
}

/// Lower and upper bound, each with whether it is exclusive; a range of 100 where one is open.
fn bounds(schema: &Value) -> ((f64, bool), (f64, bool)) {
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let low = number("exclusiveMinimum").map(|n| (n, true)).or_else(|| number("minimum").map(|n| (n, false)));
    let high = number("exclusiveMaximum").map(|n| (n, true)).or_else(|| number("maximum").map(|n| (n, false)));
    match (low, high) {
        (Some(low), Some(high)) => (low, high),
        (Some(low), None) => (low, (low.0 + 100.0, false)),
        (None, Some(high)) => (((high.0 - 100.0).min(0.0), false), high),
        (None, None) => ((0.0, false), (100.0, false)),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn many(schema: &Value) -> Vec<Value> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        (0..200).map(|_| instance(schema, &mut rng)).collect()
    }

    #[test]
    fn proposals_fit_their_schema() {
        let schema = json!({
            "type": "object",
            "required": ["plans"],
            "properties": {
                "plans": {"type": "array", "minItems": 2, "maxItems": 3, "uniqueItems": true,
                    "items": {"$ref": "#/$defs/plan"}},
                "why": {"type": ["string", "null"]},
            },
            "$defs": {"plan": {
                "type": "object", "required": ["model", "samples"],
                "properties": {"model": {"enum": ["small", "large"]},
                    "samples": {"type": "integer", "minimum": 1, "maximum": 100}},
            }},
        });
        let mut lengths = [0; 4];
        for document in many(&schema) {
            let plans = document["plans"].as_array().unwrap();
            lengths[plans.len()] += 1;
            for plan in plans {
                assert!(["small", "large"].contains(&plan["model"].as_str().unwrap()));
                assert!((1..=100).contains(&plan["samples"].as_i64().unwrap()));
            }
            assert!(plans[0] != plans[1]);
        }
        assert!(lengths[2] > 20 && lengths[3] > 20, "{lengths:?}");
    }

    #[test]
    fn numbers_keep_their_bounds() {
        for n in many(&json!({"type": "integer", "exclusiveMinimum": 2, "exclusiveMaximum": 4})) {
            assert_eq!(n, json!(3));
        }
        for n in many(&json!({"type": "number", "minimum": -1, "maximum": 0.5})) {
            assert!((-1.0..=0.5).contains(&n.as_f64().unwrap()));
        }
    }

    #[test]
    fn endless_schemas_end() {
        let tree = json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]});
        assert_eq!(many(&tree).len(), 200);
        assert_eq!(many(&json!({"$ref": "#"}))[0], Value::Null);
    }
}
