//! Plans in words, without what a stage leaves no choice of.

use std::fmt::Write;

use agenttts_core::{Choice, Plan, PricedStage, Space};

/// A choice: `llama-8b x15`, with aggregator and temperature where the stage offers several.
pub(crate) fn choice(choice: &Choice, stage: &PricedStage) -> String {
    let mut text = format!("{} x{}", choice.model, choice.samples);
    if stage.stage.aggregators.len() > 1 && choice.samples > 1 {
        let _ = write!(text, " {}", choice.aggregator);
    }
    if stage.stage.temperatures.len() > 1 {
        let _ = write!(text, " T{}", choice.temperature);
    }
    text
}

/// A plan: its choices in the order of the stages.
pub(crate) fn plan(space: &Space, plan: &Plan) -> String {
    let choices: Vec<String> = plan.choices.iter().zip(space.stages()).map(|(c, s)| choice(c, s)).collect();
    choices.join(" + ")
}

/// At most `most` characters of a text.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A text with every stretch of white space made one blank.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
