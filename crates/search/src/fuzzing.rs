//! A way in for fuzzing: what reads the agent's replies, without a search.

use agenttts_core::{Plan, Space};

/// The plans that come of a reply, however it is read.
pub fn plans_of_reply(space: &Space, text: &str) -> Vec<Plan> {
    crate::agent::plans_however_read(space, text)
}
