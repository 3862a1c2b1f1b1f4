//! Faults and the requests that they strike.

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Config;

/// What can go wrong with a completion request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A status and an error body.
    Status(u16),
    /// 429, with a `Retry-After` header of this text.
    TooManyRequests(Option<String>),
    /// The connection is reset before a reply.
    Reset,
    /// No reply for this long.
    Hang(Duration),
    /// The reply comes byte by byte, with this pause between them; a streamed one event by event.
    SlowDrip(Duration),
    /// The connection ends in the middle of the body.
    Truncated,
    /// The connection stays open, but nothing more comes after the middle of the body.
    Stalled,
    /// A body that is not JSON, as JSON.
    WrongJson,
    /// A page of HTML under status 200.
    Html,
    /// `"choices": []`, with usage.
    EmptyChoices,
    /// `"content": null` in the first choice.
    NullContent,
    /// An error object under status 200; as an event in mid-stream, where events were asked for.
    ErrorInBody,
    /// A redirect.
    Redirect,
}

impl Fault {
    /// The usual transient ones, for a rate of faults over all of them.
    pub fn transient() -> Vec<Fault> {
        vec![
            Fault::TooManyRequests(None),
            Fault::TooManyRequests(Some("0".into())),
            Fault::Status(500),
            Fault::Status(502),
            Fault::Status(503),
            Fault::Reset,
            Fault::Truncated,
            Fault::WrongJson,
            Fault::EmptyChoices,
        ]
    }
}

/// The fault of a completion request with this text, wherever it may stand.
pub(crate) fn poison_of(config: &Config, body: &Value) -> Option<Fault> {
    let messages = body["messages"].to_string();
    config.poisoned.iter().find(|(text, _)| messages.contains(text)).map(|(_, fault)| fault.clone())
}

/// The fault of the completion request that arrived as number `arrival` (from 0).
pub(crate) fn fault_of(config: &Config, arrival: usize) -> Option<Fault> {
    if let Some(scripted) = config.script.get(arrival) {
        return scripted.clone();
    }
    let digest = Sha256::new()
        .chain_update(config.fault_seed.to_le_bytes())
        .chain_update((arrival as u64).to_le_bytes())
        .finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    let mut drawn = (u64::from_le_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64;
    for (fault, probability) in &config.faults {
        if drawn < *probability {
            return Some(fault.clone());
        }
        drawn -= probability;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_comes_first_and_then_probabilities() {
        let config = Config {
            script: vec![None, Some(Fault::Reset)],
            faults: vec![(Fault::Status(500), 0.2), (Fault::Truncated, 0.1)],
            ..Config::default()
        };
        assert_eq!(fault_of(&config, 0), None);
        assert_eq!(fault_of(&config, 1), Some(Fault::Reset));
        let struck: Vec<_> = (2..2002).filter_map(|arrival| fault_of(&config, arrival)).collect();
        let truncated = struck.iter().filter(|fault| **fault == Fault::Truncated).count();
        assert!((500..700).contains(&struck.len()), "{}", struck.len());
        assert!((140..260).contains(&truncated), "{truncated}");
    }
}
