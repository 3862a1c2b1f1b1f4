//! The agent's prompts, short enough for small local models.

use std::fmt::Write;

use agenttts_core::{Guideline, Message};

use super::describe::{best_plans, example, guidelines, names_of_tried, setting, trials};
use crate::ask::{Ask, History, Insights};
use crate::words::shortened;

/// The paper's insights as instructions for guidelines.
const INSIGHT: [&str; 3] = [
    "Models: per stage, compare a large model drawn once with smaller ones drawn often at equal cost; prefer the large \
     one if clearly better, else the small one.",
    "Samples: per stage, say in which direction more samples helped and from where on the score is flat or falls; \
     prefer the cheaper side of a flat stretch.",
    "Interplay: stages share one budget, and a better earlier stage needs fewer samples later; say which splits to try, \
     putting each stage first in turn.",
];

/// What guidelines are asked for where nothing is known of test-time scaling.
const PLAIN: &str =
    "For each setting of each stage, say which values scored better and which worse, and what to try next.";

const SYSTEM: &str = "You tune a pipeline of language-model stages by choosing a model and a number of samples for each \
                      stage. You answer with one JSON object and nothing else.";

/// Plans of an earlier study that are shown, the best ones.
const OF_HISTORY: usize = 30;

/// Plans of this study that are shown where trials are pooled, the best ones.
const OF_ARCHIVE: usize = 40;

/// What the agent is told to look for in the trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lens {
    /// The insights of the paper: all that are switched on at first, later the second and third of them.
    Insights(Insights),
    /// As [`Lens::Insights`], but the first guideline knows all three, switched on or not: so the released code does.
    Leaking(Insights),
    /// Nothing but the settings and the scores.
    Plain,
}

/// How the trials so far are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Every trial in its order.
    All,
    /// The best plans, each with the mean over its trials.
    Pooled,
    /// Names only.
    Unscored,
}

/// The prompt for guidelines from the trials so far.
pub(super) fn summarise(ask: &Ask<'_>, lens: Lens, view: View) -> Vec<Message> {
    let mut text = setting(ask.space, ask.task);
    text.push_str(&tried(ask, view));
    let first = ask.archive.guidelines.is_empty();
    if !first {
        text.push_str(&guidelines(ask.archive, None));
    }
    text.push_str(REQUEST);
    for instruction in instructions(lens, first) {
        let _ = writeln!(text, "- {instruction}");
    }
    if !first {
        text.push_str("- If scores barely vary, say what has not been explored.\n");
    }
    text.push_str(FORM);
    vec![Message::system(SYSTEM), Message::user(text)]
}

/// The prompt for guidelines from an earlier study.
pub(super) fn distil(ask: &Ask<'_>, history: &History) -> Vec<Message> {
    let mut text = String::from("An earlier study of a similar task:\n");
    text.push_str(&setting(&history.space, &history.task));
    text.push_str(&best_plans(&history.space, &history.archive, OF_HISTORY));
    text.push_str("\nThe task now:\n");
    text.push_str(&setting(ask.space, ask.task));
    text.push_str(REQUEST);
    text.push_str("- Say what the earlier study teaches for the task now, in the names of its stages and models.\n");
    text.push_str(FORM);
    vec![Message::system(SYSTEM), Message::user(text)]
}

const REQUEST: &str = "\nWrite guidelines for choosing the next plans: one short sentence each, with the numbers that \
                       support it. Scores that differ by less than their error are equal.\n";

const FORM: &str = "Answer as {\"guidelines\": [\"...\", ...]}.";

/// The prompt for `count` plans, with the first guideline and the last two.
pub(super) fn propose(ask: &Ask<'_>, newest: Option<&Guideline>, view: View, count: usize) -> Vec<Message> {
    let mut text = setting(ask.space, ask.task);
    text.push_str(&tried(ask, view));
    let guided = newest.is_some() || !ask.archive.guidelines.is_empty();
    if guided {
        text.push_str(&guidelines(ask.archive, newest));
    }
    let fresh =
        if ask.archive.trials.is_empty() { "all different" } else { "none of them tried before and all different" };
    let how = match (view, guided) {
        (View::Unscored, _) => "",
        (_, false) if ask.archive.trials.is_empty() => "",
        (_, false) => VARY,
        (_, true) => FOLLOW,
    };
    let _ = write!(
        text,
        "\nPropose exactly {count} new plans within the budget that are likely to score {}, {fresh}.{how}\nAnswer as \
         {{\"plans\": [{}, ...]}} with {count} plans.",
        if how.is_empty() { "high" } else { "higher" },
        example(ask.space)
    );
    vec![Message::system(SYSTEM), Message::user(text)]
}

const VARY: &str = " If scores barely vary, combine good plans, change one stage of a good plan, or try something new.";

const FOLLOW: &str = " Follow the guidelines; if scores barely vary, combine good plans, change one stage of a good plan, \
                      or try something new.";

/// What to say of a reply that cannot be used.
pub(super) fn complaint(error: &str) -> String {
    format!("That reply cannot be used: {}. Answer again, with the JSON object only.", shortened(error, 300))
}

fn tried(ask: &Ask<'_>, view: View) -> String {
    if ask.archive.trials.is_empty() {
        return String::new();
    }
    match view {
        View::All => trials(ask.space, ask.archive),
        View::Pooled => best_plans(ask.space, ask.archive, OF_ARCHIVE),
        View::Unscored => names_of_tried(ask.space, ask.archive),
    }
}

fn instructions(lens: Lens, first: bool) -> Vec<&'static str> {
    let on = match lens {
        Lens::Plain => return vec![PLAIN],
        Lens::Leaking(_) if first => [true; 3],
        Lens::Insights(on) | Lens::Leaking(on) => [on.models && first, on.samples, on.interplay],
    };
    INSIGHT.into_iter().zip(on).filter_map(|(text, on)| on.then_some(text)).collect()
}
