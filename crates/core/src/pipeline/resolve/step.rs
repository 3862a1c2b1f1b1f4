//! Steps: what each of them does.

use super::Source;
use super::graph::Graph;
use crate::pipeline::raw::{RawPipeline, RawStep};
use crate::pipeline::{CommandSpec, StepKind, StepSpec, Template};
use crate::problem::Problem;

/// Until a command's answer counts as lost, where the file does not say.
const DEFAULT_TIMEOUT: u32 = 30;

/// The longest that a command may take: an hour.
const MAX_TIMEOUT: u32 = 3_600;

/// All steps in running order. What is wrong goes into `problems`; the result is then to be thrown away.
pub(super) fn resolve_steps(
    raw: &RawPipeline,
    place: &Source,
    graph: &Graph,
    problems: &mut Vec<Problem>,
) -> Vec<StepSpec> {
    let mut steps = Vec::new();
    for (place_in_file, from) in &graph.steps {
        let raw = raw.steps[*place_in_file].get_ref();
        match kind(raw, place) {
            Ok(kind) => steps.push(StepSpec { name: raw.name.get_ref().clone(), from: from.clone(), kind }),
            Err(problem) => problems.push(problem),
        }
    }
    steps
}

fn kind(raw: &RawStep, place: &Source) -> Result<StepKind, Problem> {
    match (&raw.command, &raw.python) {
        (Some(_), Some(python)) => Err(place
            .problem(python.span(), "a step has either a command or a Python program, not both")
            .hint("make two steps of it")),
        (None, Some(python)) => {
            if let Some(seconds) = &raw.timeout_seconds {
                return Err(place
                    .problem(seconds.span(), "`timeout_seconds` is for commands")
                    .hint("leave it out: the sandbox has limits of its own"));
            }
            Ok(StepKind::Python(Template { file: place.file.clone(), text: python.get_ref().clone() }))
        }
        (Some(command), None) => {
            if command.get_ref().first().is_none_or(|program| program.trim().is_empty()) {
                return Err(place
                    .problem(command.span(), "the command is empty")
                    .hint("name a program and its arguments: command = [\"python3\", \"retriever.py\"]"));
            }
            let timeout_seconds = match &raw.timeout_seconds {
                Some(seconds) if !(1..=MAX_TIMEOUT).contains(seconds.get_ref()) => {
                    let message = format!("timeout_seconds must be between 1 and {MAX_TIMEOUT}");
                    return Err(place.problem(seconds.span(), message));
                }
                Some(seconds) => *seconds.get_ref(),
                None => DEFAULT_TIMEOUT,
            };
            Ok(StepKind::Command(CommandSpec { command: command.get_ref().clone(), timeout_seconds }))
        }
        (None, None) => Err(place
            .problem(raw.name.span(), format!("the step {:?} does nothing", raw.name.get_ref()))
            .hint("add what it does: command = [\"python3\", \"retriever.py\"], or python = \"STAGE\" to run a stage's program")),
    }
}
