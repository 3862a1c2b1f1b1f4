//! A model's vocabulary as a tree: which tokens begin with the text of which others.

use std::collections::HashSet;

use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

/// Every token below the longest other token that its text begins with.
///
/// A grammar that refuses a text refuses all that begin with it, so what lies below a refused token need not be shown to the grammar.
/// Where it allows few tokens, as between the strings of JSON, that is some hundred tokens out of a hundred thousand. A text that ends
/// within a character may be refused because of one of the characters that it may become, so nothing lies below such a token.
///
/// Control tokens have names but give no text. A grammar would take the name for text that nobody sees, so they are left out.
pub(super) struct Vocabulary {
    /// In the order of their texts, so that the tokens below one follow it.
    tokens: Vec<u32>,
    /// For each place in `tokens`, the place after those below it.
    ends: Vec<usize>,
    /// What is left out.
    silent: HashSet<u32>,
}

impl Vocabulary {
    /// The tree of a model's tokens.
    pub(super) fn of(vocabulary: &LlamaVocab<'_>) -> Self {
        let (apart, texts): (Vec<u32>, Vec<u32>) = ids(vocabulary).partition(|id| is_eog(vocabulary, *id));
        let (silent, texts): (Vec<u32>, Vec<u32>) = texts.into_iter().partition(|id| is_silent(vocabulary, *id));
        let mut tree = Self::from_texts(texts.into_iter().map(|id| (name(vocabulary, id), id)).collect());
        // An end of text is allowed by where the grammar stands, not by what its token is called: none is above it or below it.
        apart.into_iter().for_each(|id| tree.push(id));
        tree.silent.extend(silent);
        tree
    }

    /// The same tokens with none below another, for a grammar that may speak of tokens, as `<[7]>` or `<name>`, rather than of text:
    /// the control tokens that its text names are not left out.
    pub(super) fn flat(&self, vocabulary: &LlamaVocab<'_>, grammar: &str) -> Self {
        let is_named = |id: u32| {
            let name = name(vocabulary, id);
            std::str::from_utf8(&name).is_ok_and(|name| grammar.contains(name))
                || grammar.contains(&format!("<[{id}]>"))
        };
        let silent: HashSet<u32> = self.silent.iter().copied().filter(|id| !is_named(*id)).collect();
        Self::side_by_side(ids(vocabulary).filter(|id| !silent.contains(id)).collect(), silent)
    }

    fn side_by_side(tokens: Vec<u32>, silent: HashSet<u32>) -> Self {
        Vocabulary { ends: (1..=tokens.len()).collect(), tokens, silent }
    }

    /// Whether a token is one that is left out.
    pub(super) fn leaves_out(&self, token: u32) -> bool {
        self.silent.contains(&token)
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
            match std::str::from_utf8(text) {
                Ok(_) => open.push(at),
                Err(_) => ends[at] = at + 1,
            }
        }
        let tokens = texts.into_iter().map(|(_, token)| token).collect();
        Vocabulary { tokens, ends, silent: HashSet::new() }
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

fn ids(vocabulary: &LlamaVocab<'_>) -> impl Iterator<Item = u32> {
    (0..vocabulary.n_tokens()).map(i32::cast_unsigned)
}

fn is_eog(vocabulary: &LlamaVocab<'_>, id: u32) -> bool {
    vocabulary.is_eog(LlamaToken(id.cast_signed()))
}

/// A token's text, or what a control token is called.
fn name(vocabulary: &LlamaVocab<'_>, id: u32) -> Vec<u8> {
    vocabulary.token_to_piece(LlamaToken(id.cast_signed()), true, None)
}

/// Whether a token is called something, but gives no text.
fn is_silent(vocabulary: &LlamaVocab<'_>, id: u32) -> bool {
    vocabulary.token_to_piece(LlamaToken(id.cast_signed()), false, None).is_empty() && !name(vocabulary, id).is_empty()
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
        let good = Vocabulary::side_by_side((0..5).collect(), HashSet::new()).allowed(|tokens| {
            rounds += 1;
            tokens.into_iter().filter(|t| t % 2 == 0).collect()
        });
        assert_eq!((good, rounds), (vec![0, 2, 4], 1));
    }

    #[test]
    fn nothing_lies_below_part_of_a_character() {
        // A grammar of every character but é refuses its first byte, with which other letters begin, too.
        let texts: [&[u8]; 5] = [b"\xc3", b"\xc3\xa0", b"\xc3\xa9", b"\xc3\xa0x", b"e\xcc"];
        let tree = Vocabulary::from_texts((0..).zip(texts).map(|(id, text)| (text.to_vec(), id)).collect());
        let mut good = tree.allowed(|tokens| tokens.into_iter().filter(|t| ![0, 2].contains(t)).collect());
        good.sort_unstable();
        assert_eq!(good, [1, 3, 4]);
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
