//! Gold answers, in the forms that metrics need.

use std::collections::BTreeSet;

use agenttts_core::Example;
use agenttts_core::pipeline::{MetricKind, MetricSpec};
use serde_json::Value;

use super::answer::last_number;
use super::graph::{self, Graph};
use crate::field::{id_of, kind_of, listed, lookup};
use crate::judge::shown;

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

pub(super) struct Gold<'a> {
    pub(super) spec: &'a MetricSpec,
    pub(super) example: &'a Example,
}

impl Gold<'_> {
    /// The alternatives of the gold field, at least one, and those of the fields of aliases.
    pub(super) fn texts_and_aliases(&self) -> Result<Vec<String>, MetricError> {
        let mut texts = self.texts()?;
        for field in &self.spec.aliases {
            match lookup(&self.example.fields, field) {
                None | Some(Value::Null) => {}
                Some(Value::Array(items)) if items.is_empty() => {}
                Some(value) => texts.extend(self.texts_of(field, value)?),
            }
        }
        Ok(texts)
    }

    pub(super) fn numbers(&self) -> Result<Vec<f64>, MetricError> {
        const WANTED: &str = "a number, a text with a number, or a list of them";
        let texts = self.texts()?;
        let parsed: Option<Vec<f64>> = texts.iter().map(|t| last_number(&Value::from(t.as_str()))).collect();
        parsed.ok_or_else(|| self.unusable(self.field(), "without a number", WANTED))
    }

    /// The gold set, or the alternatives where the field is a list of lists, at least one.
    pub(super) fn sets(&self) -> Result<Vec<BTreeSet<String>>, MetricError> {
        let value = self.value()?;
        alternatives(value).iter().map(|set| self.set_of(set)).collect()
    }

    fn set_of(&self, value: &Value) -> Result<BTreeSet<String>, MetricError> {
        match value {
            Value::Array(items) if items.is_empty() => Ok(BTreeSet::new()),
            _ => Ok(self.texts_of(self.field(), value)?.into_iter().collect()),
        }
    }

    /// The steps of a plan as one text.
    pub(super) fn steps(&self) -> Result<String, MetricError> {
        const WANTED: &str = "a text, a list of steps, or an object that has such a list as `steps`";
        let value = self.value()?;
        let steps = graph::steps(value).or_else(|| value.as_str().map(str::to_owned));
        steps.ok_or_else(|| self.unusable(self.field(), kind_of(value), WANTED))
    }

    /// The tool graph, with the part that the metric compares.
    pub(super) fn graph(&self) -> Result<Graph, MetricError> {
        const NODES: &str = "an object with `nodes`, a list of objects that have a `task`, or such a list";
        const LINKS: &str =
            "an object with `links`, a list of objects that have a `source` and a `target`, or such a list";
        let value = self.value()?;
        let wanted = if self.spec.kind == MetricKind::EdgeF1 { LINKS } else { NODES };
        let unusable = |found: &str| self.unusable(self.field(), found, wanted);
        let graph = Graph::read(value).filter(|g| g.has(self.spec.kind)).ok_or_else(|| unusable(kind_of(value)))?;
        if graph.is_whole() { Ok(graph) } else { Err(unusable("a tool graph with parts that cannot be read")) }
    }

    /// The name of the gold field. Pipelines whose metrics lack one they need are refused when they are read.
    fn field(&self) -> &str {
        self.spec.gold.as_deref().unwrap_or("gold")
    }

    /// The text that a judge compares with the output.
    pub(super) fn reference(&self, field: &str) -> Result<String, MetricError> {
        let text = shown(self.value_of(field)?);
        match text.trim().is_empty() {
            true => Err(self.unusable(field, "without text", "a text to compare outputs with")),
            false => Ok(text),
        }
    }

    fn value(&self) -> Result<&Value, MetricError> {
        self.value_of(self.field())
    }

    fn value_of(&self, field: &str) -> Result<&Value, MetricError> {
        lookup(&self.example.fields, field).ok_or_else(|| MetricError::MissingGold {
            example: self.example.id.clone(),
            line: self.example.line,
            field: field.to_owned(),
            known: listed(self.example.fields.keys().map(String::as_str)),
        })
    }

    fn unusable(&self, field: &str, found: &str, wanted: &'static str) -> MetricError {
        MetricError::UnusableGold {
            example: self.example.id.clone(),
            line: self.example.line,
            field: field.to_owned(),
            found: found.to_owned(),
            metric: self.spec.kind.name(),
            wanted,
        }
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, MetricError> {
        self.texts_of(self.field(), self.value()?)
    }

    /// The alternatives, at least one.
    fn texts_of(&self, field: &str, value: &Value) -> Result<Vec<String>, MetricError> {
        const WANTED: &str = "a text, a number, or a list of them with at least one";
        let items = match value {
            Value::Array(items) if !items.is_empty() => items.as_slice(),
            Value::Array(_) => return Err(self.unusable(field, kind_of(value), WANTED)),
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
            self.unusable(field, &found, WANTED)
        })
    }
}

/// The sets of ids that a gold field offers: those of a list of lists, or the one that it is.
pub(super) fn alternatives(gold: &Value) -> &[Value] {
    match gold.as_array() {
        Some(sets) if !sets.is_empty() && sets.iter().all(Value::is_array) => sets,
        _ => std::slice::from_ref(gold),
    }
}
