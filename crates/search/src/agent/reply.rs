//! Reading the agent's replies.

use agenttts_core::{Aggregator, Plan, Space, WantedChoice};
use serde_json::Value;

use super::schema;
use crate::words::{one_line, shortened};

/// The longest guideline that is kept, in characters.
const LONGEST_GUIDELINE: usize = 1200;

/// A plan as the agent wrote it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// In the order of the stages.
    pub(super) choices: Vec<WantedChoice>,
}

/// The guidelines of a reply, as one text. Prose is taken as it is: only its content matters.
pub(super) fn guideline(text: &str, _last: bool) -> Result<String, String> {
    let text = text.trim();
    let sentences = match document(text) {
        Ok(value) => {
            let list = value.get("guidelines").and_then(Value::as_array).ok_or("there is no list \"guidelines\"")?;
            let sentences: Vec<&str> = list.iter().filter_map(Value::as_str).map(str::trim).collect();
            sentences.join(" ")
        }
        Err(error) if text.contains('{') => return Err(error),
        Err(_) => text.to_owned(),
    };
    let sentences = one_line(&sentences);
    if sentences.is_empty() {
        return Err("the reply holds no guideline".to_owned());
    }
    Ok(shortened(&sentences, LONGEST_GUIDELINE))
}

/// The plans of a reply, at most `count`. Fewer are accepted only from the last try.
pub(super) fn plans(space: &Space, text: &str, count: usize, last: bool) -> Result<Vec<Wanted>, String> {
    let value = document(text.trim())?;
    let least = if last { 1 } else { count };
    let schema = schema::understandable_plans(space, least);
    let validator = jsonschema::validator_for(&schema).map_err(|e| e.to_string())?;
    if let Err(error) = validator.validate(&value) {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { String::new() } else { format!("at {place}: ") };
        return Err(shortened(&format!("{place}{}", error.masked()), 300));
    }
    listed(space, &value, count)
}

/// The plans of a reply as the released code reads them: whatever stands from the first brace to the last must be JSON.
/// Unlike there, what it lacks is an error and no crash.
pub(super) fn released_plans(space: &Space, text: &str, count: usize) -> Result<Vec<Wanted>, String> {
    let inner = text.find('{').zip(text.rfind('}')).and_then(|(first, last)| text.get(first..=last));
    let value: Value = serde_json::from_str(inner.unwrap_or_default()).map_err(|e| format!("not JSON: {e}"))?;
    listed(space, &value, count)
}

/// The plans that come of a reply, however it is read.
pub(crate) fn plans_however_read(space: &Space, text: &str) -> Vec<Plan> {
    const ROOM: usize = 4;
    let _ = guideline(text, true);
    let read = [plans(space, text, ROOM, false), plans(space, text, ROOM, true), released_plans(space, text, ROOM)];
    read.into_iter().flatten().flatten().map(|wanted| space.repair(&wanted.choices).0).collect()
}

fn listed(space: &Space, value: &Value, count: usize) -> Result<Vec<Wanted>, String> {
    let list = value.get("plans").and_then(Value::as_array).ok_or("there is no list \"plans\"")?;
    list.iter().take(count).map(|plan| wanted(space, plan)).collect()
}

fn wanted(space: &Space, plan: &Value) -> Result<Wanted, String> {
    let choices = space.stages().iter().map(|s| {
        let name = &s.stage.name;
        let choice = plan.get(name).ok_or_else(|| format!("stage {name:?} is missing"))?;
        let model = choice.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
        let only = s.stage.samples.first().copied().unwrap_or(1);
        let samples = choice.get("samples").and_then(Value::as_f64).unwrap_or(f64::from(only));
        let aggregator = match choice.get("aggregator").and_then(Value::as_str) {
            Some(text) => Some(Aggregator::from_name(text).ok_or_else(|| format!("there is no aggregator {text:?}"))?),
            None => None,
        };
        let temperature = choice.get("temperature").and_then(Value::as_f64);
        Ok(WantedChoice { model, samples, aggregator, temperature })
    });
    Ok(Wanted { choices: choices.collect::<Result<_, String>>()? })
}

/// The JSON document that a reply consists of, or that stands in its only fence.
fn document(text: &str) -> Result<Value, String> {
    let whole = serde_json::from_str(text);
    let error = match whole {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let Some((_, fenced)) = text.split_once("```") else {
        return Err(format!("not JSON: {error}"));
    };
    let fenced = fenced.split("```").next().unwrap_or_default();
    // The rest of the fence's first line names a language.
    let body = fenced.split_once('\n').map_or(fenced, |(_, body)| body);
    serde_json::from_str(body).map_err(|e| format!("not JSON inside the fence: {e}"))
}
