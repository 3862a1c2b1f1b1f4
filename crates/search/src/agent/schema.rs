//! JSON Schemas of the agent's replies.

use agenttts_core::{PricedStage, Space};
use serde_json::{Map, Value, json};

/// A reply to `Summarise`: a list of sentences.
pub(super) fn guidelines(space: &Space) -> Value {
    json!({
        "type": "object",
        "properties": {
            "guidelines": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "maxItems": 2 * space.stages().len() + 2
            }
        },
        "required": ["guidelines"],
        "additionalProperties": false
    })
}

/// A reply to `Propose`: exactly `count` plans of the space.
pub(super) fn plans(space: &Space, count: usize) -> Value {
    reply(space, count, Some(count), strict_choice)
}

/// What a reply must satisfy to be understood at all: names and numbers that the space does not offer can be repaired,
/// and too many plans can be cut off.
pub(super) fn understandable_plans(space: &Space, least: usize) -> Value {
    reply(space, least, None, loose_choice)
}

fn reply(space: &Space, least: usize, most: Option<usize>, choice: fn(&PricedStage) -> Value) -> Value {
    let names: Vec<&str> = space.stages().iter().map(|s| s.stage.name.as_str()).collect();
    let properties: Map<String, Value> = space.stages().iter().map(|s| (s.stage.name.clone(), choice(s))).collect();
    let mut plans = json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": properties,
            "required": names,
            "additionalProperties": false
        },
        "minItems": least
    });
    if let Some(most) = most {
        plans["maxItems"] = json!(most);
    }
    json!({
        "type": "object",
        "properties": {"plans": plans},
        "required": ["plans"],
        "additionalProperties": false
    })
}

fn strict_choice(stage: &PricedStage) -> Value {
    let s = &stage.stage;
    let names: Vec<&str> = s.models.iter().map(|m| m.name.as_str()).collect();
    let mut properties = json!({"model": {"enum": names}});
    if s.samples.len() > 1 {
        properties["samples"] = json!({"type": "integer", "minimum": s.samples.first(), "maximum": s.samples.last()});
    }
    if s.aggregators.len() > 1 {
        let names: Vec<&str> = s.aggregators.iter().map(|a| a.name()).collect();
        properties["aggregator"] = json!({"enum": names});
    }
    if s.temperatures.len() > 1 {
        let values: Vec<f64> = s.temperatures.iter().map(|t| t.get()).collect();
        properties["temperature"] = json!({"enum": values});
    }
    let required: Vec<String> = properties.as_object().map(|p| p.keys().cloned().collect()).unwrap_or_default();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn loose_choice(stage: &PricedStage) -> Value {
    let required: &[&str] = if stage.stage.samples.len() > 1 { &["model", "samples"] } else { &["model"] };
    json!({
        "type": "object",
        "properties": {
            "model": {"type": "string"},
            "samples": {"type": "number"},
            "aggregator": {"type": "string"},
            "temperature": {"type": "number"}
        },
        "required": required,
        "additionalProperties": false
    })
}
