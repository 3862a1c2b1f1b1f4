//! Streams of draws, as numbers derived from the study's seed: studies with one seed share draws, others do not.

use serde::{Deserialize, Serialize};

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Purpose {
    /// A trial's draws, by [`agenttts_core::Trial::stream`]: 0 is shared by all trials, others are replicates.
    Trial(u32),
    /// The final confirmation: fresh draws.
    Confirmation,
    /// The agent's replies in a round.
    Agent(u32),
    /// The order of the examples: no draws.
    Order,
}

/// The stream of a study with this seed for this purpose.
pub(crate) fn stream(seed: u32, purpose: Purpose) -> u64 {
    let (tag, number) = match purpose {
        Purpose::Trial(n) => (1u64, n),
        Purpose::Confirmation => (2, 0),
        Purpose::Agent(round) => (3, round),
        Purpose::Order => (4, 0),
    };
    // Streams are kept as non-negative 63-bit numbers, which every database can hold.
    mix(mix(u64::from(seed)) ^ (tag << 32 | u64::from(number))) >> 1
}

/// SplitMix64's finaliser: distinct inputs give distinct, unrelated outputs.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_and_seeds_have_streams_of_their_own() {
        let purposes =
            [Purpose::Trial(0), Purpose::Trial(1), Purpose::Confirmation, Purpose::Agent(0), Purpose::Agent(1)];
        let mut all: Vec<u64> = (0..50).flat_map(|seed| purposes.map(|p| stream(seed, p))).collect();
        assert_eq!(stream(7, Purpose::Trial(0)), stream(7, Purpose::Trial(0)));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 250);
    }
}
