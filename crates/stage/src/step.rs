//! Steps that run a program: which one.

use std::collections::{BTreeMap, BTreeSet};

use agenttts_core::pipeline::{Node, Pipeline, StepKind};
use agenttts_core::{Example, Problems};
use serde_json::Value;

use crate::stage::context;
use crate::template::{RenderError, Scope, Templates, plain_value};

/// The name of the expression of a step.
const PYTHON: &str = "python";

/// A step's expression, compiled.
#[derive(Clone, Debug)]
pub struct CompiledStep {
    /// The stages and steps whose outputs it sees: name, and name as a variable.
    reads: Vec<(String, String)>,
    templates: Templates,
}

impl CompiledStep {
    /// Compiles the expression of step `index` and checks it against `known_fields`, the fields that occur in any example.
    /// It sees what the templates of a stage in its place would see. `None` for steps that have no expression.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn compile(
        pipeline: &Pipeline,
        index: usize,
        known_fields: &BTreeSet<String>,
    ) -> Result<Option<Self>, Problems> {
        let Some(StepKind::Python(expression)) = pipeline.steps.get(index).map(|step| &step.kind) else {
            return Ok(None);
        };
        let name = &pipeline.steps[index].name;
        let upstream = pipeline.upstream(Node::Step(index));
        let name_of = |&node: &Node| pipeline.node_name(node).to_owned();
        let reads: Vec<(String, String)> =
            upstream.iter().map(name_of).map(|name| (name.clone(), name.replace('-', "_"))).collect();
        let unseen = pipeline.order.iter().filter(|node| !upstream.contains(node) && **node != Node::Step(index));
        let scope = Scope {
            fields: known_fields.clone(),
            stages: reads.clone(),
            unseen_stages: unseen.map(name_of).collect(),
            extra: Vec::new(),
        };
        let mut templates = Templates::new(name, known_fields);
        let file = format!("{} (python of step {name})", expression.file);
        let problems = templates.add_expression(PYTHON, file, &expression.text, &scope);
        if problems.is_empty() { Ok(Some(CompiledStep { reads, templates })) } else { Err(Problems(problems)) }
    }

    /// What the expression gives for an example and the outputs of earlier stages and steps, by name: files or a text.
    ///
    /// # Errors
    /// An expression that cannot be evaluated, or gives what is no plain data.
    pub fn program(&self, example: &Example, outputs: &BTreeMap<String, Value>) -> Result<Value, Box<RenderError>> {
        let value = self.templates.evaluate(PYTHON, &context(&self.reads, example, outputs), example)?;
        plain_value(&value).ok_or_else(|| {
            let message = "`python` gave what is no plain data, and it must give files or a text".to_owned();
            Box::new(self.templates.failure(PYTHON, message, example))
        })
    }
}
