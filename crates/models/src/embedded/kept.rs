//! Prompts of finished requests that stay in the cache, because others may begin alike.
//!
//! What is kept is not free: attention looks at all cells up to the last one in use, so every decoded token pays for it. A
//! prompt that nobody has begun with again may take little room, one that has may take more; cells that two kept prompts
//! share are there once and count once.

use std::collections::VecDeque;

use llama_cpp_2::token::LlamaToken;

/// Prompts, whatever their length.
const MOST: usize = 8;
/// A common beginning shorter than this is not worth sharing.
pub(super) const LEAST_PREFIX: usize = 16;

/// The kept prompts of a context, in order of their last use.
pub(super) struct KeptPrompts {
    prompts: VecDeque<Kept>,
    /// Cells for all of them.
    most: usize,
    /// Cells of this for prompts that were not used again.
    most_unused: usize,
}

struct Kept {
    sequence: i32,
    tokens: Vec<LlamaToken>,
    /// Whether it and another prompt began alike, for a good part.
    used: bool,
}

/// A kept prompt, and how many tokens of its beginning a request shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alike {
    pub(super) sequence: i32,
    pub(super) common: usize,
}

impl KeptPrompts {
    /// For a context of so many cells.
    pub(super) fn new(cells: usize) -> Self {
        KeptPrompts { prompts: VecDeque::new(), most: cells / 4, most_unused: cells / 16 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.prompts.is_empty()
    }

    /// An upper bound of the cells that they take.
    pub(super) fn cells(&self) -> usize {
        self.prompts.iter().map(|k| k.tokens.len()).sum()
    }

    /// The prompts with their sequences.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[LlamaToken], i32)> {
        self.prompts.iter().map(|k| (&k.tokens[..], k.sequence))
    }

    /// The prompt with which another has the longest beginning in common.
    pub(super) fn most_alike(&self, prompt: &[LlamaToken]) -> Option<Alike> {
        let alike = self.iter().map(|(tokens, sequence)| Alike { common: common_prefix(prompt, tokens), sequence });
        alike.filter(|a| a.common >= LEAST_PREFIX).max_by_key(|a| a.common)
    }

    /// Notes that another prompt began with so many tokens of the one of this sequence, if it is a kept one.
    pub(super) fn used(&mut self, Alike { sequence, common }: Alike) {
        let place = self.prompts.iter().position(|k| k.sequence == sequence);
        if let Some(kept) = place.and_then(|at| self.prompts.remove(at)) {
            let used = kept.used || is_good_part(common, &kept.tokens);
            self.prompts.push_back(Kept { used, ..kept });
        }
    }

    /// Gives up the prompt that was used longest ago, another than that of `spared` if there is another: its sequence.
    pub(super) fn give_up(&mut self, spared: Option<i32>) -> Option<i32> {
        let other = self.prompts.iter().position(|k| Some(k.sequence) != spared);
        self.prompts.remove(other.unwrap_or(0)).map(|k| k.sequence)
    }

    /// Keeps a prompt, of which so many tokens were there from another one, and returns the sequences of those that are
    /// given up for it. The latest stays whatever its length, for a conversation that grows with every call.
    pub(super) fn keep(&mut self, sequence: i32, tokens: Vec<LlamaToken>, cached: usize) -> Vec<i32> {
        let mut freed = Vec::new();
        let mut used = is_good_part(cached, &tokens);
        // What begins the new prompt, or is the same, is of no more use.
        self.prompts.retain(|old| {
            let covered = tokens.starts_with(&old.tokens);
            if covered {
                freed.push(old.sequence);
                used |= old.used;
            }
            !covered
        });
        self.prompts.push_back(Kept { sequence, tokens, used });
        while let Some(at) = self.superfluous() {
            freed.extend(self.prompts.remove(at).map(|k| k.sequence));
        }
        freed
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.prompts.clear();
    }

    /// The prompt to give up next, where there are too many.
    fn superfluous(&self) -> Option<usize> {
        let older = self.prompts.len().checked_sub(1).filter(|older| *older > 0)?;
        let own: Vec<usize> = (0..=older).map(|at| self.own_cells(at)).collect();
        let unused = |at: &usize| !self.prompts[*at].used;
        let oldest_unused = (0..older).find(unused);
        if (0..older).filter(unused).map(|at| own[at]).sum::<usize>() > self.most_unused {
            return oldest_unused;
        }
        if own.iter().sum::<usize>() > self.most {
            return oldest_unused.or(Some(0));
        }
        // One that is mostly there a second time is given up first: then different beginnings stay.
        let repeated = || (0..older).find(|&at| own[at] * 4 < self.prompts[at].tokens.len());
        (older >= MOST).then(|| repeated().unwrap_or(0))
    }

    /// Cells that no later prompt shares.
    fn own_cells(&self, at: usize) -> usize {
        let tokens = &self.prompts[at].tokens;
        let shared = self.prompts.iter().skip(at + 1).map(|later| common_prefix(tokens, &later.tokens)).max();
        tokens.len() - shared.unwrap_or(0)
    }
}

/// A system prompt that all requests begin with does not make every one of them worth keeping.
fn is_good_part(common: usize, tokens: &[LlamaToken]) -> bool {
    common * 4 >= tokens.len()
}

/// How many tokens two prompts have in common from their start.
pub(super) fn common_prefix(a: &[LlamaToken], b: &[LlamaToken]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prompt of `beginning` tokens of a kind, and an ending of its own.
    fn prompt(kind: i32, beginning: usize, ending: i32) -> Vec<LlamaToken> {
        let mut tokens = vec![LlamaToken::new(kind); beginning];
        tokens.extend((0..30).map(|i| LlamaToken::new(1_000 + 100 * ending + i)));
        tokens
    }

    fn sequences(kept: &KeptPrompts) -> Vec<i32> {
        kept.iter().map(|(_, sequence)| sequence).collect()
    }

    #[test]
    fn a_prompt_that_nobody_needs_again_is_soon_given_up() {
        let mut kept = KeptPrompts::new(16_000);
        for i in 0..5 {
            kept.keep(i, prompt(i, 600, i), 20);
        }
        // The latest, and one of the others within a sixteenth of the cells.
        assert_eq!(sequences(&kept), [3, 4]);
    }

    #[test]
    fn prompts_that_are_used_again_stay_up_to_a_quarter_of_the_cells() {
        let mut kept = KeptPrompts::new(16_000);
        for i in 0..10 {
            kept.keep(i, prompt(i, 600, i), 0);
            kept.used(Alike { sequence: i, common: 600 });
        }
        assert_eq!(sequences(&kept), [4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn many_endings_of_one_beginning_do_not_push_out_another_beginning() {
        let mut kept = KeptPrompts::new(16_000);
        kept.keep(0, prompt(7, 500, 0), 500);
        for i in 1..40 {
            kept.keep(i, prompt(8, 500, i), 500);
        }
        assert!(sequences(&kept).contains(&0), "{:?}", sequences(&kept));
        assert_eq!(kept.most_alike(&prompt(7, 500, 9)), Some(Alike { sequence: 0, common: 500 }));
    }

    #[test]
    fn a_prompt_that_grows_replaces_what_it_grew_from() {
        let mut kept = KeptPrompts::new(2_000);
        kept.keep(0, vec![LlamaToken::new(1); 900], 0);
        assert_eq!(kept.keep(1, vec![LlamaToken::new(1); 1_200], 899), [0]);
        assert_eq!(sequences(&kept), [1]);
    }
}
