//! Leaving texts out: in place of each reply the shortest text that its stage reads in the same way.

use std::collections::HashMap;

use agenttts_core::pipeline::ParserSpec;
use agenttts_core::{Example, Plan, StageSpec};
use agenttts_stage::{CompiledStage, ParseFailure};
use serde_json::{Value, json};

use crate::error::EngineError;
use crate::execute::Execution;
use crate::load::Loaded;

/// Short texts by the id of the sample that they stand for.
#[derive(Default)]
pub(super) struct Brief {
    texts: HashMap<i64, String>,
}

impl Brief {
    /// Takes the samples of a plan's run.
    ///
    /// # Errors
    /// Stages for which the whole text matters.
    pub(super) fn take(
        &mut self,
        loaded: &Loaded,
        plan: &Plan,
        example: &Example,
        execution: &Execution,
    ) -> Result<(), EngineError> {
        let stages = loaded.pipeline.stages.iter().zip(loaded.stages.iter()).zip(&plan.choices).zip(&execution.stages);
        for (((spec, stage), choice), run) in stages {
            if choice.samples > 1 && choice.aggregator.calls_model() {
                let why = format!("`{}` shows them to a model", choice.aggregator);
                return Err(needed(spec, &why));
            }
            for run in &run.runs {
                for (sample, parsed) in run.samples.iter().zip(&run.parsed) {
                    let Some(id) = sample.id else { continue };
                    self.shorten(id, &sample.draw.text, parsed, (spec, stage, example))?;
                }
            }
        }
        Ok(())
    }

    fn shorten(
        &mut self,
        id: i64,
        text: &str,
        parsed: &Result<Value, ParseFailure>,
        (spec, stage, example): (&StageSpec, &CompiledStage, &Example),
    ) -> Result<(), EngineError> {
        let reads_alike = |short: &str| stage.read(short, example).parsed == *parsed;
        if let Some(known) = self.texts.get(&id) {
            // Two stages or examples may share a prompt, and so its replies.
            return if reads_alike(known) { Ok(()) } else { Err(needed(spec, "two readers take them differently")) };
        }
        let short = candidates(spec, text, parsed)?.into_iter().find(|short| reads_alike(short));
        let why = "its parser finds the same in no shorter text";
        self.texts.insert(id, short.ok_or_else(|| needed(spec, why))?);
        Ok(())
    }

    /// The text that stands for a sample's.
    pub(super) fn of(&self, id: Option<i64>) -> Option<&str> {
        self.texts.get(&id?).map(String::as_str)
    }
}

/// Texts that a stage may read as it read this one, the shortest first.
fn candidates(spec: &StageSpec, text: &str, parsed: &Result<Value, ParseFailure>) -> Result<Vec<String>, EngineError> {
    let Ok(output) = parsed else {
        let marker = match &spec.parser {
            ParserSpec::After { after } => after.as_str(),
            _ => "",
        };
        return Ok(vec![String::new(), "-".into(), "{}".into(), marker.into()]);
    };
    let plain = match output {
        Value::String(text) => text.clone(),
        Value::Array(ids) => ids.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    };
    Ok(match &spec.parser {
        ParserSpec::Text => return Err(needed(spec, "its output is the whole text (parser `text`)")),
        ParserSpec::Code => return Err(needed(spec, "its output is the program in it (parser `code`)")),
        ParserSpec::LastLine | ParserSpec::Ids { .. } | ParserSpec::Choice { .. } => vec![plain],
        ParserSpec::After { after } => vec![format!("{after} {plain}")],
        ParserSpec::Number { after: Some(after) } => vec![plain.clone(), format!("{after} {plain}")],
        ParserSpec::Number { after: None } => vec![plain],
        ParserSpec::Json { pointer } => {
            let parts = pointer.as_deref().unwrap_or_default().split('/').skip(1);
            let names: Vec<String> = parts.map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
            let whole = names.iter().rev().fold(output.clone(), |inner, name| json!({ name.as_str(): inner }));
            vec![whole.to_string()]
        }
        // What stands around the match may be part of the pattern: at least the other lines can go.
        ParserSpec::Regex { .. } => std::iter::once(plain).chain(text.lines().rev().map(str::to_owned)).collect(),
    })
}

fn needed(spec: &StageSpec, why: &str) -> EngineError {
    EngineError::input(
        format!("the texts of stage {:?} cannot be left out: {why}", spec.name),
        "export the tape with its texts, or give the stage a parser that reads an answer out of them",
    )
}
