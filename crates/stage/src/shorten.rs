//! Shortening what a prompt is rendered from, where the context of a model does not hold it.

use std::collections::BTreeMap;

use agenttts_core::pipeline::{StageSpec, TooLong};
use agenttts_core::text::nearest;
use agenttts_core::{Example, Problem};
use serde_json::Value;

use crate::field::listed;
use crate::flow::ITEM;
use crate::stage::CompiledStage;
use crate::template::{Scope, Templates};

/// What a stage shortens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shortens {
    /// A field of the example.
    Field(String),
    /// The output of an earlier stage or step, or the item.
    Output(String),
}

impl CompiledStage {
    /// How much there is that can be shortened for this example: the items of a list, or the characters of a text. 0 where
    /// the stage shortens nothing, or what it shortens is neither here.
    pub fn length(&self, example: &Example, outputs: &BTreeMap<String, Value>) -> usize {
        let value = match &self.shortens {
            Some(Shortens::Field(name)) => example.fields.get(name),
            Some(Shortens::Output(name)) => outputs.get(name),
            None => None,
        };
        match value {
            Some(Value::Array(items)) => items.len(),
            Some(Value::String(text)) => text.chars().count(),
            _ => 0,
        }
    }

    /// The example and the outputs with no more than the first `kept` items or characters of what the stage shortens, to
    /// render a shorter prompt from. Samples are read and scored with the whole ones.
    pub fn shortened(
        &self,
        example: &Example,
        outputs: &BTreeMap<String, Value>,
        kept: usize,
    ) -> (Example, BTreeMap<String, Value>) {
        let (mut example, mut outputs) = (example.clone(), outputs.clone());
        let value = match &self.shortens {
            Some(Shortens::Field(name)) => example.fields.get_mut(name),
            Some(Shortens::Output(name)) => outputs.get_mut(name),
            None => None,
        };
        match value {
            Some(Value::Array(items)) => items.truncate(kept),
            Some(Value::String(text)) => {
                let end = text.char_indices().nth(kept).map_or(text.len(), |(at, _)| at);
                text.truncate(end);
            }
            _ => {}
        }
        (example, outputs)
    }
}

/// What a stage shortens, found among what its templates see, or what is wrong with it.
pub(crate) fn shortens(spec: &StageSpec, scope: &Scope, templates: &Templates) -> Result<Option<Shortens>, Problem> {
    let TooLong::Shorten { variable } = &spec.too_long else { return Ok(None) };
    // A field that hides behind a variable of `each` is not what templates see by that name.
    let found = if spec.flow.each.is_some() && variable == ITEM {
        Shortens::Output(ITEM.into())
    } else if let Some((name, _)) = scope.stages.iter().find(|(_, seen)| seen == variable) {
        Shortens::Output(name.clone())
    } else if scope.fields.contains(variable) {
        Shortens::Field(variable.clone())
    } else {
        let mut known: Vec<&str> = scope.stages.iter().map(|(_, seen)| seen.as_str()).collect();
        known.extend(scope.fields.iter().map(String::as_str));
        let near = nearest(variable, &known).map_or_else(String::new, |n| format!("did you mean `{n}`? "));
        let message = format!("`too_long` shortens {variable:?}, which its templates do not see");
        return Err(Problem::new(message).hint(format!("{near}They see {}", listed(known))));
    };
    if !templates.mention(variable) {
        return Err(Problem::new(format!("`too_long` shortens {variable:?}, which its templates do not show"))
            .hint("name what makes the prompt long"));
    }
    Ok(Some(found))
}
