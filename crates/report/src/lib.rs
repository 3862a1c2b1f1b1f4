//! The report of a study, and of a pilot study: one HTML file with everything in it.
//!
//! Reads a [`StudySummary`] or a [`Pilot`] and nothing else, so that a summary written on another machine can be reported on. The page
//! loads nothing, works without its few lines of script, and follows the reader's light or dark setting. Every text of
//! the summary is escaped: names come from files and guidelines from models.

mod chart;
mod facts;
mod number;
mod pilot;
mod svg;
mod view;

use agenttts_core::text::escaped;
use agenttts_core::{Pilot, StudySummary};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};

/// The report as one self-contained HTML page.
///
/// Takes any summary: a study without trials, without a confirmation, or cut short yields a page that says so.
pub fn html(summary: &StudySummary) -> String {
    render(summary).unwrap_or_else(|error| {
        // The template is part of the program and tested; should it fail all the same, the reader is told.
        let (study, error) = (escaped(&summary.study), escaped(&format!("{error:#}")));
        format!("<!doctype html><meta charset=\"utf-8\"><title>{study}</title><p>The report of study {study} could not be drawn: {error}</p>\n")
    })
}

/// A pilot study as one self-contained HTML page.
///
/// Takes any pilot: one that was cut short, or that could not measure a stage, yields a page that says so.
pub fn pilot_html(pilot: &Pilot) -> String {
    render_pilot(pilot).unwrap_or_else(|error| {
        let (name, error) = (escaped(&pilot.pipeline), escaped(&format!("{error:#}")));
        format!("<!doctype html><meta charset=\"utf-8\"><title>{name}</title><p>The pilot of {name} could not be drawn: {error}</p>\n")
    })
}

fn render(summary: &StudySummary) -> Result<String, minijinja::Error> {
    page("page.html", include_str!("page.html"), Value::from(Serde(view::Page::new(summary))))
}

fn render_pilot(pilot: &Pilot) -> Result<String, minijinja::Error> {
    page("pilot.html", include_str!("pilot.html"), Value::from(Serde(pilot::Page::new(pilot))))
}

fn page(name: &str, template: &str, shown: Value) -> Result<String, minijinja::Error> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    // The names' ending switches escaping on.
    env.add_template("frame.html", include_str!("frame.html"))?;
    env.add_template(name, template)?;
    env.get_template(name)?.render(minijinja::context! {
        style => Value::from_safe_string(include_str!("style.css").to_owned()),
        script => Value::from_safe_string(include_str!("page.js").to_owned()),
        program => env!("CARGO_PKG_VERSION"),
        ..shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_summary_has_a_page() {
        let summary: StudySummary = serde_json::from_value(serde_json::json!({
            "version": 1, "study": "s", "pipeline": "p", "description": "", "method": "rules", "agent": null, "seed": 0,
            "state": "running", "stop_reason": null, "cost_model": "flops", "plan_budget": 1.0, "stages": [],
            "objective": "o", "space": [0.0, 0.0], "search_examples": 0, "test_examples": 0,
            "archive": {"trials": [], "guidelines": [], "exchanges": []}, "pareto": [], "curves": [],
            "spend": {"total": {"prompt": 0, "cached_prompt": 0, "decode": 0, "calls": 0}, "by_kind": {}, "usd": null,
                      "gflop": null, "lost_tokens": 0, "seconds": 0.0, "limits": []},
            "reuse": {"drawn": 0, "fresh": 0}, "recommended": null, "confirmation": null
        }))
        .unwrap();
        render(&summary).unwrap();
    }
}
