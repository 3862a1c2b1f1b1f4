//! What an example costs, call by call.

use agenttts_core::{CallTokens, Cost, CostModel, Draw, Usage};

/// Costs and tokens of an example, call by call.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) cost: Cost,
    pub(super) fresh: Usage,
    pub(super) drawn: Usage,
}

impl Tally {
    /// Adds what runs side by side took: together, but for time, of which they take as much as the slowest.
    pub(super) fn add_side_by_side(&mut self, runs: &[Tally], cost_model: CostModel) {
        let costs = runs.iter().map(|r| r.cost);
        self.cost += side_by_side(costs, cost_model);
        self.fresh += runs.iter().map(|r| r.fresh).sum();
        self.drawn += runs.iter().map(|r| r.drawn).sum();
    }
}

/// The cost of what runs side by side: the sum, but of times the longest.
pub(crate) fn side_by_side(costs: impl Iterator<Item = Cost>, cost_model: CostModel) -> Cost {
    if cost_model == CostModel::Seconds { costs.max().unwrap_or(Cost::ZERO) } else { costs.sum() }
}

/// What drawing one sample took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) prompt_tokens: u32,
    pub(crate) decode_tokens: u32,
    pub(crate) latency_us: u64,
    pub(crate) prompt_shared_by: u32,
}

impl Taken {
    pub(crate) fn of(draw: &Draw) -> Self {
        let Draw { prompt_tokens, decode_tokens, latency_us, prompt_shared_by, .. } = *draw;
        Taken { prompt_tokens, decode_tokens, latency_us, prompt_shared_by }
    }
}

/// The tokens that these samples of one request take when drawn afresh.
pub(crate) fn call_tokens(samples: impl Iterator<Item = Taken> + Clone) -> CallTokens {
    let n = samples.clone().count() as u32;
    let shared_by = samples.clone().map(|s| s.prompt_shared_by).filter(|&s| s > 0).min();
    CallTokens {
        prompt: samples.clone().map(|s| u64::from(s.prompt_tokens)).max().unwrap_or(0),
        cached_prompt: 0,
        prompts: shared_by.map_or(1, |s| n.div_ceil(s)),
        samples: n,
        decode: samples.clone().map(|s| u64::from(s.decode_tokens)).sum(),
        latency_us: samples.map(|s| s.latency_us).max(),
    }
}
