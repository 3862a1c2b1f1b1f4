//! What a pilot draws of a stage: every model and temperature, and the counts of samples that are looked at.

use agenttts_core::{Aggregator, Choice, PricedStage, Temperature};

/// Counts that are looked at where a stage permits more than [`MOST_COUNTS`].
const USUAL_COUNTS: [u32; 16] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];

/// Where a stage permits at most that many counts, all of them are looked at.
const MOST_COUNTS: usize = 10;

/// A model and a temperature of a stage: what draws are shared by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pair {
    /// The model's place in the stage's pool.
    pub(super) model: usize,
    /// Its name.
    pub(super) name: String,
    pub(super) temperature: Temperature,
    /// The counts that are looked at, ascending; the last is drawn.
    pub(super) counts: Vec<u32>,
    /// The aggregators; one where there is nothing to aggregate.
    pub(super) aggregators: Vec<Aggregator>,
}

impl Pair {
    /// The choice of that many samples.
    pub(super) fn choice(&self, samples: u32, aggregator: Aggregator) -> Choice {
        Choice { model: self.name.clone(), samples, aggregator, temperature: self.temperature }
    }
}

/// The pairs of a stage, smallest model first. Greedy samples are all alike, so one of them is drawn.
pub(super) fn pairs(stage: &PricedStage, most: Option<u32>) -> Vec<Pair> {
    let all = counts(&stage.stage.samples, most);
    let models = stage.by_size.iter().map(|&model| (model, stage.model_name(model).to_owned()));
    let temperatures = &stage.stage.temperatures;
    let pair = |(model, name): (usize, String), temperature: Temperature| {
        let counts = if temperature.is_greedy() { vec![all[0]] } else { all.clone() };
        let several = counts != [1];
        let aggregators = stage.stage.aggregators.iter().copied().take(if several { usize::MAX } else { 1 }).collect();
        Pair { model, name, temperature, counts, aggregators }
    };
    models.flat_map(|m| temperatures.iter().map(move |&t| (m.clone(), t))).map(|(m, t)| pair(m, t)).collect()
}

/// The counts that are looked at: permitted ones up to `most`, at least one.
fn counts(permitted: &[u32], most: Option<u32>) -> Vec<u32> {
    let within: Vec<u32> = permitted.iter().copied().filter(|n| most.is_none_or(|m| *n <= m)).collect();
    if within.is_empty() {
        return permitted.iter().copied().take(1).collect();
    }
    if within.len() <= MOST_COUNTS {
        return within;
    }
    let ends = [within.first(), within.last()];
    within.iter().copied().filter(|n| USUAL_COUNTS.contains(n) || ends.contains(&Some(n))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_counts_are_thinned_and_the_ends_stay() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!(counts(&hundred, None), [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 100]);
        assert_eq!(counts(&hundred, Some(10)), (1..=10).collect::<Vec<_>>());
        assert_eq!(counts(&hundred, Some(20)), [1, 2, 3, 4, 6, 8, 12, 16, 20]);
        assert_eq!(counts(&[4, 8], Some(1)), [4]);
    }
}
