//! Metrics: how good an output is, in `0..=1`.

use std::collections::{BTreeMap, BTreeSet};

use agenttts_core::Example;
use agenttts_core::pipeline::{MetricKind, MetricSpec};
use serde_json::Value;

use crate::field::{id_of, kind_of, listed, lookup, plain_text};
use crate::normalise::normalise;
use crate::parse::number::numbers;

/// Two numbers are the same if they differ by no more than this share of the larger one.
const TOLERANCE: f64 = 1e-9;

/// Why an output cannot be scored: the example's gold answer is at fault, never the output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// The example has no such field.
    #[error("example {example:?} (line {line}) has no gold field {field:?}\n  hint: its fields are {known}")]
    MissingGold {
        /// The example's id.
        example: String,
        /// Its line in its file.
        line: u32,
        /// The field that the metric names.
        field: String,
        /// The fields that the example has.
        known: String,
    },
    /// The field is of no use to the metric.
    #[error(
        "example {example:?} (line {line}): the gold field {field:?} is {found}\n  hint: the metric {metric} needs {wanted}"
    )]
    UnusableGold {
        /// The example's id.
        example: String,
        /// Its line in its file.
        line: u32,
        /// The field that the metric names.
        field: String,
        /// What it holds.
        found: String,
        /// The metric's name.
        metric: &'static str,
        /// What the metric needs there.
        wanted: &'static str,
    },
}

/// Scores an output against the example's gold answer, in `0..=1`, higher is better.
///
/// Gold answers are strings, numbers, booleans, objects with an `id`, or a list of these. For all but the set metrics a
/// list holds alternatives, and the best counts; for the set metrics it is the gold set.
///
/// * `exact-match`, `f1`: SQuAD's, over [`normalise`]d texts; F1 is over the multiset of tokens.
/// * `contains`: 1 if the tokens of a gold answer occur one after another in the output.
/// * `number`: 1 if the output's last number equals the gold answer's last number within a relative 1e-9.
/// * `set-precision`, `set-recall`, `set-f1`: of ids, compared exactly. If both sets are empty all three are 1. With an
///   empty output and a gold set all are 0 (saying nothing is not precise). With an output and an empty gold set
///   precision and F1 are 0, and recall is 1 (nothing was missed).
pub fn score(spec: &MetricSpec, output: &Value, example: &Example) -> Result<f64, MetricError> {
    let gold = Gold { spec, example };
    match spec.kind {
        MetricKind::ExactMatch => {
            let answer = normalise(&plain_text(output));
            Ok(share(gold.texts()?.iter().any(|g| normalise(g) == answer)))
        }
        MetricKind::F1 => {
            let answer = normalise(&plain_text(output));
            Ok(gold.texts()?.iter().map(|g| token_f1(&answer, &normalise(g))).fold(0.0, f64::max))
        }
        MetricKind::Contains => {
            let answer = normalise(&plain_text(output));
            Ok(share(gold.texts()?.iter().any(|g| contains_tokens(&answer, &normalise(g)))))
        }
        MetricKind::Number => {
            let golds = gold.numbers()?;
            let answer = last_number(output);
            Ok(share(answer.is_some_and(|a| golds.iter().any(|&g| is_same_number(a, g)))))
        }
        MetricKind::SetF1 | MetricKind::SetPrecision | MetricKind::SetRecall => {
            Ok(set_score(spec.kind, &set_of(output), &gold.set()?))
        }
    }
}

struct Gold<'a> {
    spec: &'a MetricSpec,
    example: &'a Example,
}

impl Gold<'_> {
    fn value(&self) -> Result<&Value, MetricError> {
        lookup(&self.example.fields, &self.spec.gold).ok_or_else(|| MetricError::MissingGold {
            example: self.example.id.clone(),
            line: self.example.line,
            field: self.spec.gold.clone(),
            known: listed(self.example.fields.keys().map(String::as_str)),
        })
    }

    fn unusable(&self, found: &str, wanted: &'static str) -> MetricError {
        MetricError::UnusableGold {
            example: self.example.id.clone(),
            line: self.example.line,
            field: self.spec.gold.clone(),
            found: found.to_owned(),
            metric: self.spec.kind.name(),
            wanted,
        }
    }

    /// The alternatives, at least one.
    fn texts(&self) -> Result<Vec<String>, MetricError> {
        const WANTED: &str = "a text, a number, or a list of them with at least one";
        let value = self.value()?;
        let items = match value {
            Value::Array(items) if !items.is_empty() => items.as_slice(),
            Value::Array(_) => return Err(self.unusable(kind_of(value), WANTED)),
            one => std::slice::from_ref(one),
        };
        let text = |v: &Value| match v {
            Value::Bool(b) => Some(b.to_string()),
            other => id_of(other),
        };
        let texts: Option<Vec<String>> = items.iter().map(text).collect();
        texts.ok_or_else(|| {
            let bad = items.iter().find(|v| text(v).is_none()).unwrap_or(value);
            let found =
                if value.is_array() { format!("a list with {}", kind_of(bad)) } else { kind_of(bad).to_owned() };
            self.unusable(&found, WANTED)
        })
    }

    fn numbers(&self) -> Result<Vec<f64>, MetricError> {
        const WANTED: &str = "a number, a text with a number, or a list of them";
        let texts = self.texts()?;
        let parsed: Option<Vec<f64>> = texts.iter().map(|t| last_number(&Value::from(t.as_str()))).collect();
        parsed.ok_or_else(|| self.unusable("without a number", WANTED))
    }

    fn set(&self) -> Result<BTreeSet<String>, MetricError> {
        match self.value()? {
            Value::Array(items) if items.is_empty() => Ok(BTreeSet::new()),
            _ => Ok(self.texts()?.into_iter().collect()),
        }
    }
}

fn share(is_met: bool) -> f64 {
    f64::from(u8::from(is_met))
}

/// SQuAD's token F1 of two normalised texts: the harmonic mean of the shares of shared tokens, repeats counted.
fn token_f1(answer: &str, gold: &str) -> f64 {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    gold.split(' ').filter(|t| !t.is_empty()).for_each(|t| *left.entry(t).or_default() += 1);
    let gold_tokens: usize = left.values().sum();
    let (mut tokens, mut shared) = (0usize, 0usize);
    for token in answer.split(' ').filter(|t| !t.is_empty()) {
        tokens += 1;
        if let Some(count) = left.get_mut(token).filter(|c| **c > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    f1(shared, tokens, gold_tokens)
}

/// `2 shared / (found + wanted)`: the harmonic mean of precision and recall; 1 where there is nothing on either side.
fn f1(shared: usize, found: usize, wanted: usize) -> f64 {
    if found + wanted == 0 { 1.0 } else { 2.0 * shared as f64 / (found + wanted) as f64 }
}

fn contains_tokens(answer: &str, gold: &str) -> bool {
    if gold.is_empty() { answer.is_empty() } else { format!(" {answer} ").contains(&format!(" {gold} ")) }
}

fn last_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        other => numbers(&plain_text(other)).last()?.1.as_f64(),
    }
}

fn is_same_number(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

fn set_of(output: &Value) -> BTreeSet<String> {
    let id = |v: &Value| id_of(v).unwrap_or_else(|| plain_text(v));
    match output {
        Value::Array(items) => items.iter().map(id).collect(),
        Value::Null => BTreeSet::new(),
        one => BTreeSet::from([id(one)]),
    }
}

fn set_score(kind: MetricKind, output: &BTreeSet<String>, gold: &BTreeSet<String>) -> f64 {
    let shared = output.intersection(gold).count();
    let of = |total: usize, if_none: bool| if total == 0 { share(if_none) } else { shared as f64 / total as f64 };
    match kind {
        MetricKind::SetPrecision => of(output.len(), gold.is_empty()),
        MetricKind::SetRecall => of(gold.len(), true),
        _ => f1(shared, output.len(), gold.len()),
    }
}

#[cfg(test)]
mod tests;
