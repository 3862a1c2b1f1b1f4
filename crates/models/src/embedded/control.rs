//! Control tokens: those that structure a conversation, such as `<|im_end|>`, and where a text writes them.

use std::ops::Range;

use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;
use llama_cpp_2::vocab::LlamaVocab;

/// Put into the text of a control token to make it ordinary text: takes no room on a screen.
const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// All control tokens of a vocabulary.
pub(super) struct Controls {
    /// The longest first: where two could begin, the longer one is meant.
    tokens: Vec<Control>,
    /// The bytes with which one of them begins.
    begins: [bool; 256],
}

struct Control {
    text: String,
    token: LlamaToken,
    /// Whether it swallows white space before and after it.
    strips: (bool, bool),
}

/// A control token in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its place.
    pub(super) span: Range<usize>,
    index: usize,
}

impl Controls {
    /// Those of a model. Tokens that a model's makers added as ordinary words (user-defined ones) are not among them:
    /// the engine reads them everywhere.
    pub(super) fn of(vocabulary: &LlamaVocab<'_>) -> Self {
        let control = |token: LlamaToken| {
            let attributes = vocabulary.attr(token);
            let has = |attribute| attributes.contains(attribute);
            if !has(LlamaTokenAttr::Control) && !has(LlamaTokenAttr::Unknown) {
                return None;
            }
            let text = vocabulary.text(token)?.to_str().ok()?.to_owned();
            Some(Control { text, token, strips: (has(LlamaTokenAttr::LStrip), has(LlamaTokenAttr::RStrip)) })
        };
        Self::new((0..vocabulary.n_tokens()).map(LlamaToken::new).filter_map(control).collect())
    }

    fn new(mut tokens: Vec<Control>) -> Self {
        tokens.retain(|control| !control.text.is_empty());
        tokens.sort_by_key(|control| std::cmp::Reverse(control.text.len()));
        let mut begins = [false; 256];
        tokens.iter().for_each(|control| begins[usize::from(control.text.as_bytes()[0])] = true);
        Controls { tokens, begins }
    }

    /// The control tokens that a part of a text writes, in order.
    pub(super) fn find(&self, text: &str, part: Range<usize>) -> Vec<Found> {
        let bytes = &text.as_bytes()[..part.end];
        let mut found = Vec::new();
        let mut at = part.start;
        while at < bytes.len() {
            let begins = self.begins[usize::from(bytes[at])];
            let here = |control: &Control| bytes[at..].starts_with(control.text.as_bytes());
            match begins.then(|| self.tokens.iter().position(here)).flatten() {
                Some(index) => {
                    let end = at + self.tokens[index].text.len();
                    found.push(Found { span: at..end, index });
                    at = end;
                }
                None => at += 1,
            }
        }
        found
    }

    /// The tokens of a text in which only the control tokens in `meant` are such, and all else is ordinary text. With
    /// all of them it is what the engine itself makes of the text.
    pub(super) fn tokenise(&self, vocabulary: &LlamaVocab<'_>, text: &str, meant: &[Found]) -> Vec<LlamaToken> {
        // As the engine's own partition of texts does.
        let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r');
        let mut tokens = Vec::new();
        let push = |tokens: &mut Vec<LlamaToken>, words: &str| {
            if !words.is_empty() {
                tokens.extend(vocabulary.tokenize(words.as_bytes(), false, false));
            }
        };
        // A template that writes the beginning-of-text token itself must not get a second one.
        let begins = |first: &Found| first.span.start == 0 && self.tokens[first.index].token == vocabulary.bos();
        if vocabulary.should_add_bos() && !meant.first().is_some_and(begins) {
            tokens.push(vocabulary.bos());
        }
        let mut rest = 0;
        for found in meant {
            let control = &self.tokens[found.index];
            let before = text.get(rest..found.span.start).unwrap_or_default();
            push(&mut tokens, if control.strips.0 { before.trim_end_matches(is_space) } else { before });
            tokens.push(control.token);
            rest = found.span.end;
            if control.strips.1 {
                rest += text[rest..].len() - text[rest..].trim_start_matches(is_space).len();
            }
        }
        push(&mut tokens, &text[rest..]);
        if vocabulary.should_add_eos() {
            tokens.push(vocabulary.eos());
        }
        tokens
    }

    /// The text with every control token broken up; `None` if it has none.
    pub(super) fn broken(&self, text: &str) -> Option<String> {
        let found = self.find(text, 0..text.len());
        if found.is_empty() {
            return None;
        }
        let mut broken = text.to_owned();
        for Found { span, .. } in found.iter().rev() {
            let first = text[span.start..].chars().next().map_or(0, char::len_utf8);
            broken.insert(span.start + first, ZERO_WIDTH_SPACE);
        }
        Some(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controls(texts: &[&str]) -> Controls {
        let token = |(i, text): (i32, &&str)| Control {
            text: (*text).to_owned(),
            token: LlamaToken::new(i),
            strips: (false, false),
        };
        Controls::new((0..).zip(texts).map(token).collect())
    }

    #[test]
    fn the_longest_token_is_found_and_only_inside_the_part() {
        let controls = controls(&["<s>", "<|end|>", "<|end|>x", "", "é>"]);
        let spans =
            |text, part| controls.find(text, part).into_iter().map(|f| (f.span.start, f.span.end)).collect::<Vec<_>>();
        assert_eq!(spans("a<s><|end|>xé><|end|>", 0..22), [(1, 4), (4, 12), (12, 15), (15, 22)]);
        assert_eq!(spans("a<s><|end|>xé><|end|>", 2..11), [(4, 11)]);
        assert_eq!(spans("<|end <s", 0..8), []);
    }

    #[test]
    fn a_broken_token_is_none() {
        let controls = controls(&["<s>", "<|end|>"]);
        let broken = controls.broken("a <s> é<|end|><s>").unwrap();
        assert_eq!(broken.replace(ZERO_WIDTH_SPACE, ""), "a <s> é<|end|><s>");
        assert_eq!(controls.broken(&broken), None);
    }
}
