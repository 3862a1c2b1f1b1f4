//! From a draft to an example: the pool is filled, shuffled and numbered.

use std::collections::HashSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::corpus::Corpus;
use crate::draft::{Candidate, Candidates, Draft, Pool};

/// How pools of candidates are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolRule {
    /// The size of a pool that is filled from the whole file, gold included; of a pool that comes with the example, the
    /// most candidates that are not gold.
    pub(crate) size: usize,
    /// Of the order of candidates.
    pub(crate) seed: u64,
}

/// The fields of an example, its id among them.
pub(crate) fn finish(draft: Draft, rule: PoolRule, corpus: Option<&Corpus>) -> rusqlite::Result<Map<String, Value>> {
    let mut fields = Map::new();
    fields.insert("id".into(), draft.id.as_str().into());
    fields.extend(draft.fields);
    let mut rng = rng(rule.seed, &draft.id);
    let (gold, others) = match draft.pool {
        Pool::None => return Ok(fields),
        Pool::Fixed(own) => {
            let (gold, mut others) = parted(own);
            others.truncate(rule.size);
            (gold, others)
        }
        Pool::Open { own, barred } => {
            let (gold, own_others) = parted(own);
            match corpus {
                None => (gold, own_others),
                Some(corpus) => {
                    let mut all = gold.clone();
                    corpus.fill(&mut all, &barred, &draft.query, rule.size, &mut rng)?;
                    let others = all.split_off(gold.len());
                    (gold, others)
                }
            }
        }
    };
    let count = gold.len();
    let mut order: Vec<(bool, Candidate)> =
        gold.into_iter().chain(others).enumerate().map(|(i, c)| (i < count, c)).collect();
    order.shuffle(&mut rng);
    let mut gold_ids = Vec::with_capacity(count);
    let mut candidates = Vec::with_capacity(order.len());
    for (index, (is_gold, candidate)) in order.iter().enumerate() {
        let id = format!("{}{}", candidate.letter(), index + 1);
        candidates.push(candidate.to_json(&id));
        if *is_gold {
            gold_ids.push(id);
        }
    }
    fields.insert("candidates".into(), candidates.into());
    fields.insert("gold_ids".into(), gold_ids.into());
    Ok(fields)
}

fn parted(own: Candidates) -> (Vec<Candidate>, Vec<Candidate>) {
    let gold: HashSet<usize> = own.gold.into_iter().collect();
    let (gold, others): (Vec<_>, Vec<_>) = own.list.into_iter().enumerate().partition(|(i, _)| gold.contains(i));
    let plain = |list: Vec<(usize, Candidate)>| list.into_iter().map(|(_, c)| c).collect();
    (plain(gold), plain(others))
}

/// A stream of random numbers of its own for every example, whichever others are chosen.
fn rng(seed: u64, id: &str) -> ChaCha8Rng {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(id.as_bytes());
    ChaCha8Rng::from_seed(hasher.finalize().into())
}
