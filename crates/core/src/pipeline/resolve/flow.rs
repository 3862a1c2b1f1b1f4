//! Conditions and lists of a stage.

use toml::Spanned;

use super::Source;
use crate::pipeline::flow::{Condition, FlowSpec, MAX_ITEMS};
use crate::pipeline::raw::RawStage;
use crate::pipeline::{StageSpec, Template};
use crate::problem::Problem;
use crate::runs::Runs;

/// When a stage runs.
pub(super) fn flow(raw: &RawStage, place: &Source) -> Result<FlowSpec, Problem> {
    let expression = |text: &Spanned<String>| Template { file: place.file.clone(), text: text.get_ref().clone() };
    let condition = match (&raw.when, &raw.otherwise) {
        (Some(when), otherwise) => {
            Some(Condition { when: expression(when), otherwise: otherwise.as_ref().map(expression) })
        }
        (None, Some(otherwise)) => {
            return Err(place
                .problem(
                    otherwise.span(),
                    "`otherwise` is the output of a stage that does not run, and this one always does",
                )
                .hint("add the condition: when = \"...\""));
        }
        (None, None) => None,
    };
    let each = raw.each.as_ref().map(expression);
    let runs = match &raw.expected.runs {
        Some(runs) => self::runs(runs, condition.is_some(), each.is_some(), place)?,
        None => match &raw.each {
            Some(each) => {
                return Err(place
                    .problem(each.span(), "a stage with `each` must say how many items to expect, to price plans")
                    .hint("add their average number: expected = { ..., runs = 3 }"));
            }
            None => Runs::ONCE,
        },
    };
    Ok(FlowSpec { condition, each, runs })
}

fn runs(raw: &Spanned<f64>, is_conditional: bool, is_list: bool, place: &Source) -> Result<Runs, Problem> {
    let n = *raw.get_ref();
    let most = if is_list { f64::from(MAX_ITEMS) } else { 1.0 };
    match Runs::new(n).filter(|_| n <= most) {
        Some(runs) if is_conditional || is_list || runs == Runs::ONCE => Ok(runs),
        Some(_) => Err(place
            .problem(raw.span(), "this stage runs once for every example")
            .hint("leave `runs` out, or add `when` or `each`")),
        None if is_list => Err(place.problem(raw.span(), format!("`runs` must be between 0.001 and {MAX_ITEMS}"))),
        None => Err(place
            .problem(raw.span(), "without `each`, `runs` must be between 0.001 and 1")
            .hint("`runs` is the share of examples for which the condition holds")),
    }
}

/// An objective needs an output for every example.
pub(super) fn check_objective(objective: &StageSpec, raw: &[Spanned<RawStage>], place: &Source) -> Option<Problem> {
    objective.flow.condition.as_ref().filter(|c| c.otherwise.is_none())?;
    let raw = raw.iter().map(Spanned::get_ref).find(|s| s.name.get_ref() == &objective.name)?;
    let message =
        format!("stage {:?} is the objective, so it needs an output where it does not run, too", objective.name);
    Some(
        place
            .problem(raw.when.as_ref()?.span(), message)
            .hint("add `otherwise`, such as the output of an earlier stage"),
    )
}
