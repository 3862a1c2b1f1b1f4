//! Choosing the next token from the model's distribution.
//!
//! Without `top_p` in the request the usual defaults of llama.cpp apply: the 40 likeliest tokens, of these the nucleus
//! of mass 0.95, of these the ones at least 0.05 times as likely as the likeliest; then the temperature. With `top_p`
//! the nucleus of exactly that mass is used and nothing else cuts the distribution, so 1 samples it whole.
//! Temperature 0 takes the likeliest token. As in llama.cpp the nucleus is taken before the temperature is applied.

use llama_cpp_2::token::LlamaToken;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::grammar::Grammar;

/// Default number of candidates.
const TOP_K: usize = 40;
/// Default nucleus.
const TOP_P: f32 = 0.95;
/// Default least probability, relative to the likeliest token's.
const MIN_P: f32 = 0.05;
/// Names these rules in a model's revision.
pub(super) const SAMPLER_VERSION: &str = "sampler 1";
/// The likeliest tokens that are shown to the grammar when one was rejected, before all.
const SHOWN_FIRST: usize = 256;
/// A token whose logit is this many temperatures below the best has no chance that could be noticed.
const NEGLIGIBLE: f32 = 24.0;

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampling {
    /// Temperature; 0 is greedy.
    pub(super) temperature: f32,
    /// The request's nucleus, if it states one.
    pub(super) top_p: Option<f32>,
}

/// One sample's chain: its own random numbers and its own state of the grammar.
pub(super) struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
    grammar: Option<Grammar>,
}

/// No token can continue the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeadEnd;

type Candidate = (u32, f32);

impl Sampler {
    pub(super) fn new(sampling: Sampling, seed: u32, grammar: Option<Grammar>) -> Self {
        Sampler { sampling, random: ChaCha8Rng::seed_from_u64(u64::from(seed)), grammar }
    }

    /// Chooses the next token and advances the grammar.
    pub(super) fn next(&mut self, logits: &[f32]) -> Result<LlamaToken, DeadEnd> {
        let chosen = choose(self.sampling, likeliest(logits, self.sampling), &mut self.random).ok_or(DeadEnd)?;
        let Some(grammar) = &mut self.grammar else { return token(chosen) };
        // Sampled first and filtered only on rejection, as llama.cpp does: showing the grammar the whole vocabulary at every step halves
        // the throughput. Without truncation the distribution is that of filtering first; with it a draw that is allowed comes
        // from the truncated distribution of all tokens.
        let chosen = if grammar.allowed([chosen.0]).is_empty() {
            choose(self.sampling, likeliest_allowed(logits, self.sampling, grammar), &mut self.random).ok_or(DeadEnd)?
        } else {
            chosen
        };
        let chosen = token(chosen)?;
        if grammar.accept(chosen) { Ok(chosen) } else { Err(DeadEnd) }
    }
}

fn token((id, _): Candidate) -> Result<LlamaToken, DeadEnd> {
    i32::try_from(id).map(LlamaToken::new).map_err(|_| DeadEnd)
}

/// How many of the likeliest tokens the rules can look at.
fn width(sampling: Sampling) -> usize {
    match sampling {
        Sampling { temperature, .. } if temperature <= 0.0 => 1,
        Sampling { top_p: None, .. } => TOP_K,
        Sampling { .. } => usize::MAX,
    }
}

/// The candidates that the rules need, likeliest first; ties by id.
fn likeliest(logits: &[f32], sampling: Sampling) -> Vec<Candidate> {
    match (width(sampling), sampling.top_p) {
        (usize::MAX, Some(p)) => nucleus(logits, p),
        (k, _) => top(logits, k),
    }
}

fn order(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// The `k` likeliest tokens in order. NaN counts as impossible.
fn top(logits: &[f32], k: usize) -> Vec<Candidate> {
    let mut best: Vec<Candidate> = Vec::with_capacity(k.saturating_mul(2).min(logits.len()));
    let mut bar = f32::NEG_INFINITY;
    for (id, &logit) in (0u32..).zip(logits) {
        if logit > bar {
            best.push((id, logit));
            if best.len() >= k.saturating_mul(2) {
                best.select_nth_unstable_by(k - 1, order);
                best.truncate(k);
                bar = best[k - 1].1;
            }
        }
    }
    best.sort_unstable_by(order);
    best.truncate(k);
    best
}

/// The smallest set of likeliest tokens with at least mass `p`, in order.
fn nucleus(logits: &[f32], p: f32) -> Vec<Candidate> {
    if p < 1.0 {
        let most = logits.iter().copied().filter(|l| !l.is_nan()).fold(f32::NEG_INFINITY, f32::max);
        let total: f64 = logits.iter().filter(|l| !l.is_nan()).map(|l| f64::from((l - most).exp())).sum();
        // Usually few tokens carry the mass: look at ever more of them.
        for k in [64, 1024, 16384] {
            let best = top(logits, k);
            let mut mass = 0.0;
            for (i, c) in best.iter().enumerate() {
                mass += f64::from((c.1 - most).exp());
                if mass >= f64::from(p) * total {
                    return best[..=i].to_vec();
                }
            }
            if best.len() < k {
                return best;
            }
        }
    }
    // The whole distribution: its order does not matter as long as it is fixed.
    (0u32..).zip(logits.iter().copied()).filter(|c| !c.1.is_nan()).collect()
}

/// Draws one of the candidates.
fn choose(sampling: Sampling, mut candidates: Vec<Candidate>, random: &mut ChaCha8Rng) -> Option<Candidate> {
    candidates.retain(|c| c.1 > f32::NEG_INFINITY);
    let most = candidates.iter().map(|c| c.1).fold(f32::NEG_INFINITY, f32::max);
    let first = *candidates.first()?;
    if sampling.temperature <= 0.0 {
        return Some(first);
    }
    if sampling.top_p.is_none() {
        truncate_to_defaults(&mut candidates, most);
    }
    let weights: Vec<f64> = candidates.iter().map(|c| f64::from((c.1 - most) / sampling.temperature).exp()).collect();
    let mut rest = random.random::<f64>() * weights.iter().sum::<f64>();
    for (candidate, weight) in candidates.iter().zip(&weights) {
        rest -= weight;
        if rest < 0.0 {
            return Some(*candidate);
        }
    }
    candidates.last().copied()
}

fn truncate_to_defaults(candidates: &mut Vec<Candidate>, most: f32) {
    let weights: Vec<f32> = candidates.iter().map(|c| (c.1 - most).exp()).collect();
    let total: f32 = weights.iter().sum();
    let mut mass = 0.0;
    let nucleus = weights.iter().take_while(|w| {
        let before = mass;
        mass += *w;
        before < TOP_P * total
    });
    let keep = nucleus.take_while(|w| **w >= MIN_P).count().max(1);
    candidates.truncate(keep);
}

/// As [`likeliest`], of the tokens that the grammar allows.
fn likeliest_allowed(logits: &[f32], sampling: Sampling, grammar: &mut Grammar) -> Vec<Candidate> {
    let with_logits = |ids: Vec<u32>| -> Vec<Candidate> {
        let logit = |id: u32| logits.get(id as usize).filter(|logit| !logit.is_nan()).map(|logit| (id, *logit));
        ids.into_iter().filter_map(logit).collect()
    };
    let first = top(logits, SHOWN_FIRST);
    let lowest = first.last().map_or(f32::NEG_INFINITY, |c| c.1);
    let mut good = with_logits(grammar.allowed(first.iter().map(|c| c.0)));
    // A nucleus is taken at a temperature of 1, before a lower one sharpens what is left.
    let negligible = NEGLIGIBLE * sampling.temperature.max(1.0);
    let settled = good.first().is_some_and(|best| best.1 - lowest > negligible);
    if !settled && good.len() < width(sampling) {
        good = with_logits(grammar.all_allowed());
        good.sort_unstable_by(order);
    }
    match sampling.top_p {
        Some(p) if sampling.temperature > 0.0 => masked_nucleus(good, p),
        _ => {
            good.truncate(width(sampling));
            good
        }
    }
}

fn masked_nucleus(good: Vec<Candidate>, p: f32) -> Vec<Candidate> {
    let logits: Vec<f32> = good.iter().map(|c| c.1).collect();
    nucleus(&logits, p).into_iter().map(|(i, _)| good[i as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(sampling: Sampling, logits: &[f32], seed: u32) -> i32 {
        Sampler::new(sampling, seed, None).next(logits).unwrap().0
    }

    #[test]
    fn greedy_takes_the_likeliest_and_the_lowest_id_of_equals() {
        let greedy = Sampling { temperature: 0.0, top_p: None };
        assert_eq!(draw(greedy, &[0.0, 3.0, f32::NAN, 3.0], 1), 1);
    }

    #[test]
    fn frequencies_follow_the_distribution() {
        let logits: Vec<f32> = [0.5f32, 0.3, 0.2].iter().map(|p| p.ln()).collect();
        let whole = Sampling { temperature: 1.0, top_p: Some(1.0) };
        let mut counts = [0; 3];
        for seed in 0..4000 {
            counts[draw(whole, &logits, seed) as usize] += 1;
        }
        for (count, p) in counts.iter().zip([0.5, 0.3, 0.2]) {
            assert!((f64::from(*count) / 4000.0 - p).abs() < 0.04, "{counts:?}");
        }
    }

    #[test]
    fn a_nucleus_is_the_smallest_set_with_its_mass() {
        let logits: Vec<f32> = [0.2f32, 0.5, 0.3].iter().map(|p| p.ln()).collect();
        let ids = |p| nucleus(&logits, p).iter().map(|c| c.0).collect::<Vec<_>>();
        assert_eq!(ids(0.4), [1]);
        assert_eq!(ids(0.6), [1, 2]);
        assert_eq!(ids(0.9), [1, 2, 0]);
        assert_eq!(ids(1.0), [0, 1, 2]);
    }

    #[test]
    fn the_top_is_what_sorting_gives() {
        let logits: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1009) as f32 / 10.0).collect();
        let mut all: Vec<Candidate> = (0u32..).zip(logits.iter().copied()).collect();
        all.sort_by(order);
        for k in [1, 2, 40, 999, 1000, 2000] {
            assert_eq!(top(&logits, k), all[..k.min(1000)]);
        }
    }

    #[test]
    fn a_seed_fixes_the_draws() {
        let warm = Sampling { temperature: 0.8, top_p: None };
        let logits: Vec<f32> = (0..200).map(|i| (i as f32).sin()).collect();
        let texts = |seed| {
            let mut s = Sampler::new(warm, seed, None);
            (0..20).map(|_| s.next(&logits).unwrap().0).collect::<Vec<_>>()
        };
        assert_eq!(texts(7), texts(7));
        assert_ne!(texts(7), texts(8));
    }

    #[test]
    fn nothing_possible_is_a_dead_end() {
        let warm = Sampling { temperature: 0.8, top_p: None };
        assert_eq!(Sampler::new(warm, 0, None).next(&[f32::NEG_INFINITY; 4]), Err(DeadEnd));
    }
}
