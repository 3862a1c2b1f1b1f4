//! A model's vocabulary as a tree: which tokens begin with the text of which others.

use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

/// Every token below the longest other token that its text begins with.
///
/// A grammar that refuses a text refuses all that begin with it, so what lies below a refused token need not be shown to the grammar.
/// Where it allows few tokens, as between the strings of JSON, that is some hundred tokens out of a hundred thousand.
pub(super) struct Vocabulary {
    /// In the order of their texts, so that the tokens below one follow it.
    tokens: Vec<u32>,
    /// For each place in `tokens`, the place after those below it.
    ends: Vec<usize>,
}

impl Vocabulary {
    /// The tree of a model's tokens.
    pub(super) fn of(vocabulary: &LlamaVocab<'_>) -> Self {
        let count = vocabulary.n_tokens();
        // An end of text is allowed by where the grammar stands, not by what its token is called: none is above it or below it.
        let (apart, texts): (Vec<i32>, Vec<i32>) = (0..count).partition(|id| vocabulary.is_eog(LlamaToken(*id)));
        let text = |id: i32| (vocabulary.token_to_piece(LlamaToken(id), true, None), id.cast_unsigned());
        let mut tree = Self::from_texts(texts.into_iter().map(text).collect());
        apart.into_iter().for_each(|id| tree.push(id.cast_unsigned()));
        tree
    }

    /// Tokens none of which is below another, for grammars that speak of tokens rather than of text.
    pub(super) fn flat(count: u32) -> Self {
        let mut tree = Vocabulary { tokens: Vec::new(), ends: Vec::new() };
        (0..count).for_each(|token| tree.push(token));
        tree
    }

    fn push(&mut self, token: u32) {
        self.tokens.push(token);
        self.ends.push(self.tokens.len());
    }

    fn from_texts(mut texts: Vec<(Vec<u8>, u32)>) -> Self {
        // A token without text is none that a grammar allows.
        texts.retain(|(text, _)| !text.is_empty());
        texts.sort_unstable();
        let mut ends = vec![texts.len(); texts.len()];
        // The places whose end is not found yet, each below the one before.
        let mut open: Vec<usize> = Vec::new();
        for (at, (text, _)) in texts.iter().enumerate() {
            while let Some(above) = open.pop_if(|above| !text.starts_with(&texts[*above].0)) {
                ends[above] = at;
            }
            open.push(at);
        }
        Vocabulary { tokens: texts.into_iter().map(|(_, token)| token).collect(), ends }
    }

    /// All tokens that a grammar allows, by asking it level by level: `allowed` leaves of some tokens those that it allows.
    pub(super) fn allowed(&self, mut allowed: impl FnMut(Vec<u32>) -> Vec<u32>) -> Vec<u32> {
        let mut good = Vec::new();
        let mut shown: Vec<usize> = self.level(0, self.tokens.len()).collect();
        while !shown.is_empty() {
            let kept = allowed(shown.iter().map(|at| self.tokens[*at]).collect());
            // What is left comes in the order in which it was shown.
            let mut rest = kept.iter().peekable();
            shown = shown
                .into_iter()
                .filter(|at| rest.next_if(|kept| **kept == self.tokens[*at]).is_some())
                .flat_map(|at| self.level(at + 1, self.ends[at]))
                .collect();
            good.extend(kept);
        }
        good
    }

    /// The places from `from` on that lie below no other of them.
    fn level(&self, from: usize, end: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(from), |at| self.ends.get(*at).copied()).take_while(move |at| *at < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(texts: &[&str]) -> Vocabulary {
        Vocabulary::from_texts((0..).zip(texts).map(|(id, text)| (text.as_bytes().to_vec(), id)).collect())
    }

    #[test]
    fn what_lies_below_a_refused_token_is_not_shown() {
        let texts = ["a", "b", "ab", "abc", "ba", "", "a", "1", "12"];
        let mut shown = Vec::new();
        let mut good = tree(&texts).allowed(|tokens| {
            shown.extend(tokens.iter().map(|t| texts[*t as usize]));
            tokens.into_iter().filter(|t| !texts[*t as usize].starts_with('b')).collect()
        });
        good.sort_unstable();
        assert_eq!(good, [0, 2, 3, 6, 7, 8]);
        assert!(!shown.contains(&"ba") && !shown.contains(&""), "{shown:?}");
    }

    #[test]
    fn a_flat_one_shows_everything_at_once() {
        let mut rounds = 0;
        let good = Vocabulary::flat(5).allowed(|tokens| {
            rounds += 1;
            tokens.into_iter().filter(|t| t % 2 == 0).collect()
        });
        assert_eq!((good, rounds), (vec![0, 2, 4], 1));
    }

    proptest::proptest! {
        #[test]
        fn it_allows_what_asking_for_each_token_does(texts in proptest::collection::vec("[ab]{0,5}", 0..40), refused in "[ab]{1,3}") {
            let good = |text: &str| !text.is_empty() && !text.starts_with(refused.as_str());
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let mut found = tree(&texts).allowed(|tokens| tokens.into_iter().filter(|t| good(texts[*t as usize])).collect());
            found.sort_unstable();
            let each: Vec<u32> = (0..).zip(&texts).filter(|(_, text)| good(text)).map(|(id, _)| id).collect();
            proptest::prop_assert_eq!(found, each);
        }
    }
}
