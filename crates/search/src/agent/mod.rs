//! Methods that ask a language model: AgentTTS (arXiv 2508.00890) in three styles, and what it is compared with.
//!
//! Sans-IO: each prompt is returned as a question, and its reply is looked up in the archive when the method is asked
//! again. What the model proposes wrongly is repaired, and the trial's origin says so.

mod describe;
mod portfolio;
mod prompt;
mod released;
mod reply;
mod schema;
mod talk;
mod unaided;

use crate::ask::{AgentStyle, Ask, Searcher, Step};
use crate::recommend::Recommendation;
use portfolio::Portfolio;
use released::Released;
pub(crate) use reply::plans_however_read;
pub(crate) use unaided::{AGENT_HPO, ML_COPILOT, Unaided, ZERO_SHOT};

/// The loop of AgentTTS, in the style that the settings name.
pub(crate) struct Agent;

pub(crate) const NAME: &str = "agent";

impl Searcher for Agent {
    fn name(&self) -> &str {
        NAME
    }

    fn ask(&self, ask: &Ask<'_>) -> Step {
        of(ask).ask(ask)
    }

    fn recommend(&self, ask: &Ask<'_>) -> Option<Recommendation> {
        of(ask).recommend(ask)
    }
}

fn of(ask: &Ask<'_>) -> &'static dyn Searcher {
    match ask.settings.agent {
        AgentStyle::Portfolio => &Portfolio,
        AgentStyle::Faithful => &Unaided::AgentTts,
        AgentStyle::Released => &Released,
    }
}

/// How many plans to ask for: the batch, or what is left of the trials and of the budget.
fn room(ask: &Ask<'_>) -> usize {
    let room = ask.room();
    let (Some(prices), Some(left)) = (ask.prices, ask.remaining) else { return room };
    let examples = ask.settings.examples.or(ask.pool).unwrap_or(1);
    let least = prices.price(&ask.space.cheapest(), examples);
    let payable = if least > 0.0 { (left / least).ceil().max(1.0) as usize } else { room };
    room.min(payable)
}
