//! Questions and their replies, which are looked up in the archive.

use agenttts_core::{Exchange, Message, Purpose};

use super::prompt;
use crate::ask::{Ask, Question, Step};
use crate::words::shortened;

/// Tries for each question: the second quotes the error of the first.
const TRIES: u32 = 2;

/// How far a question of this round has come.
pub(super) enum Settled<T> {
    /// It is to be asked.
    Open(Step),
    /// A usable reply.
    Answered(T),
    /// No try gave a usable reply; what was wrong with the last.
    GivenUp(String),
}

/// A usable reply to the question of this round, or the question where it is still to be asked. `parse` is told whether
/// there will be another try. After an unusable reply the prompt is followed by it and by what is wrong with it; after a
/// failed call it is asked as it was.
pub(super) fn settle<T>(
    ask: &Ask<'_>,
    purpose: Purpose,
    messages: impl FnOnce() -> Vec<Message>,
    schema: impl FnOnce() -> serde_json::Value,
    parse: impl Fn(&str, bool) -> Result<T, String>,
) -> Settled<T> {
    let mut before: Option<(Option<&str>, String)> = None;
    for attempt in 0..TRIES {
        let Some(exchange) = exchange(ask, purpose, attempt) else {
            let mut messages = messages();
            if let Some((Some(reply), error)) = before {
                messages.push(Message::assistant(shortened(reply, 600)));
                messages.push(Message::user(prompt::complaint(&error)));
            }
            let question = Question { round: ask.round(), attempt, purpose, messages, schema: schema() };
            return Settled::Open(Step::Question(question));
        };
        let parsed = match &exchange.reply {
            Some(text) => parse(text, attempt + 1 == TRIES),
            None => Err(format!("the call failed: {}", exchange.error.as_deref().unwrap_or("no reply"))),
        };
        match parsed {
            Ok(value) => return Settled::Answered(value),
            Err(error) => before = Some((exchange.reply.as_deref(), error)),
        }
    }
    Settled::GivenUp(before.map_or_else(String::new, |(_, error)| error))
}

fn exchange<'a>(ask: &Ask<'a>, purpose: Purpose, attempt: u32) -> Option<&'a Exchange> {
    let round = ask.round();
    let mine = |e: &&Exchange| e.round == round && e.purpose == purpose && e.attempt == attempt;
    ask.archive.exchanges.iter().rev().find(mine)
}
