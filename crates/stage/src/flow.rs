//! Whether a stage runs for an example, and for which items.

use std::collections::BTreeMap;

use agenttts_core::pipeline::MAX_ITEMS;
use agenttts_core::{Example, Message};
use minijinja::value::{Value as TemplateValue, ValueKind};
use serde_json::Value;

use crate::stage::CompiledStage;
use crate::template::{RenderError, plain_value};

/// Names of the expressions of a stage.
pub(crate) const WHEN: &str = "when";
pub(crate) const OTHERWISE: &str = "otherwise";
pub(crate) const EACH: &str = "each";

/// The variable with the item that a stage with `each` runs for.
pub(crate) const ITEM: &str = "item";
/// The variable with the item's place in its list, from 0.
pub(crate) const INDEX: &str = "index";

/// What a stage does for an example.
#[derive(Clone, Debug, PartialEq)]
pub enum Flow {
    /// It does not run; this is its output.
    Skipped(Value),
    /// It runs once.
    Once,
    /// It runs once for each of these items; its output is the list of their outputs.
    Each(Vec<Value>),
}

impl CompiledStage {
    /// Whether the stage runs for this example and these outputs of earlier stages, and for which items.
    ///
    /// # Errors
    /// An expression that cannot be evaluated, `each` that gives no list, or one of more than [`MAX_ITEMS`] items.
    pub fn flow(&self, example: &Example, outputs: &BTreeMap<String, Value>) -> Result<Flow, Box<RenderError>> {
        if !self.templates.has(WHEN) && !self.templates.has(EACH) {
            return Ok(Flow::Once);
        }
        let context = self.context(example, outputs);
        if self.templates.has(WHEN) && !self.templates.evaluate(WHEN, &context, example)?.is_true() {
            if !self.templates.has(OTHERWISE) {
                return Ok(Flow::Skipped(Value::Null));
            }
            let output = self.templates.evaluate(OTHERWISE, &context, example)?;
            return self.plain(OTHERWISE, &output, example).map(Flow::Skipped);
        }
        if !self.templates.has(EACH) {
            return Ok(Flow::Once);
        }
        let list = self.templates.evaluate(EACH, &context, example)?;
        match self.plain(EACH, &list, example)? {
            Value::Array(items) if items.len() > MAX_ITEMS as usize => {
                let message = format!("`each` gave a list of {} items, and {MAX_ITEMS} is the most", items.len());
                Err(Box::new(self.templates.failure(EACH, message, example)))
            }
            Value::Array(items) => Ok(Flow::Each(items)),
            _ => {
                let message = format!("`each` gave {}, and it must be a list", kind(&list));
                Err(Box::new(self.templates.failure(EACH, message, example)))
            }
        }
    }

    /// Whether the output of a stage that does not run is said in the pipeline.
    pub fn has_otherwise(&self) -> bool {
        self.templates.has(OTHERWISE)
    }

    /// `outputs` with an item of [`Flow::Each`] and its place: what [`CompiledStage::render`] and
    /// [`CompiledStage::combine`] take for that item.
    pub fn with_item(outputs: &BTreeMap<String, Value>, item: &Value, index: usize) -> BTreeMap<String, Value> {
        let mut outputs = outputs.clone();
        outputs.insert(ITEM.into(), item.clone());
        outputs.insert(INDEX.into(), index.into());
        outputs
    }

    /// What every run for an example takes for the outputs of earlier stages: none where it does not run.
    ///
    /// # Errors
    /// As [`CompiledStage::flow`].
    pub fn inputs(
        &self,
        example: &Example,
        outputs: &BTreeMap<String, Value>,
    ) -> Result<Vec<BTreeMap<String, Value>>, Box<RenderError>> {
        Ok(match self.flow(example, outputs)? {
            Flow::Skipped(_) => Vec::new(),
            Flow::Once => vec![outputs.clone()],
            Flow::Each(items) => items.iter().enumerate().map(|(i, item)| Self::with_item(outputs, item, i)).collect(),
        })
    }

    /// The messages of every run for an example: none where it does not run.
    ///
    /// # Errors
    /// As [`CompiledStage::flow`] and [`CompiledStage::render`].
    pub fn render_all(
        &self,
        example: &Example,
        outputs: &BTreeMap<String, Value>,
    ) -> Result<Vec<Vec<Message>>, Box<RenderError>> {
        self.inputs(example, outputs)?.iter().map(|outputs| self.render(example, outputs)).collect()
    }

    /// What an expression gave, as data.
    fn plain(&self, name: &'static str, value: &TemplateValue, example: &Example) -> Result<Value, Box<RenderError>> {
        plain_value(value).ok_or_else(|| {
            let message = format!("`{name}` gave {}, which is no plain data", kind(value));
            Box::new(self.templates.failure(name, message, example))
        })
    }
}

fn kind(value: &TemplateValue) -> String {
    match value.kind() {
        ValueKind::None => "null".into(),
        ValueKind::Map => "an object".into(),
        other => format!("a {other}"),
    }
}
