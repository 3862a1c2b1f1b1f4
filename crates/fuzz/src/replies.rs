//! What comes over the network: replies of providers, of the agent, requests of clients.

use std::sync::LazyLock;

use agenttts_core::Space;

use crate::files::template_space;

/// A completion as a provider sends it: whole, and as events that come in two parts, cut where the first byte says. Where it
/// is cut makes no difference.
pub(crate) fn completion(bytes: &[u8]) {
    use agenttts_models::openai::fuzzing::{streamed, whole};
    whole(bytes);
    let Some((cut, events)) = bytes.split_first() else { return };
    let cut = usize::from(*cut).min(events.len());
    let (begins, ends) = events.split_at(cut);
    assert_eq!(streamed(&[events]), streamed(&[begins, ends]), "where a stream is cut makes a difference");
}

/// A reply of the model that proposes plans: whatever it says, only plans of the space come of it.
pub(crate) fn agent_reply(bytes: &[u8]) {
    static SPACE: LazyLock<Option<Space>> = LazyLock::new(template_space);
    let text = String::from_utf8_lossy(bytes);
    if let Some(space) = SPACE.as_ref() {
        for plan in agenttts_search::fuzzing::plans_of_reply(space, &text) {
            assert!(space.is_feasible(&plan), "{plan} is no plan of the space");
        }
    }
}

/// The body of a request to the server, by each of its ways in.
pub(crate) fn request_body(bytes: &[u8]) {
    agenttts_server::fuzzing::request_body(bytes);
}
