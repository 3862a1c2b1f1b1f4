//! The words of a template, with their places.
//!
//! The template engine tells which variables a template reads, but not where. This reads the tags of a template that
//! the engine has accepted, closely enough to point at a name.

use std::ops::Range;

/// A token inside `{{ }}` or `{% %}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its place in the template.
    pub(crate) span: Range<usize>,
    /// Whether it is a name or keyword; otherwise it is a single symbol.
    pub(crate) is_word: bool,
    /// Whether it is the first word of a `{% %}` tag.
    pub(crate) opens_tag: bool,
    /// Where its tag begins: the same for all tokens of a tag.
    pub(crate) tag: usize,
}

/// The tokens of all tags of a template; comments, raw blocks, strings and numbers have none.
pub(crate) fn scan(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(offset) = text[at..].find('{') {
        let open = at + offset;
        let rest = &text[open..];
        if rest.starts_with("{#") {
            at = text[open..].find("#}").map_or(text.len(), |end| open + end + 2);
        } else if rest.starts_with("{{") || rest.starts_with("{%") {
            let first = tokens.len();
            // White space control: `{%-`.
            let code = open + if matches!(rest.as_bytes().get(2), Some(b'-' | b'+')) { 3 } else { 2 };
            at = scan_code(text, code, &mut tokens);
            let is_tag = rest.starts_with("{%");
            if let Some(token) = tokens.get_mut(first).filter(|_| is_tag) {
                token.opens_tag = token.is_word;
                if &text[token.span.clone()] == "raw" {
                    at = text[at..].find("endraw").map_or(text.len(), |end| at + end);
                }
            }
        } else {
            at = open + 1;
        }
    }
    tokens
}

/// Reads tokens up to the end of a tag, and tells where that is.
pub(crate) fn scan_code(text: &str, from: usize, tokens: &mut Vec<Token>) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut i = from;
    while let Some(&byte) = bytes.get(i) {
        let is_end = matches!((byte, bytes.get(i + 1)), (b'%', Some(b'}')) | (b'}', Some(b'}')));
        if is_end && depth == 0 {
            return i + 2;
        }
        let start = i;
        i += 1;
        match byte {
            b'"' | b'\'' => {
                while let Some(&inner) = bytes.get(i) {
                    i += if inner == b'\\' { 2 } else { 1 };
                    if inner == byte {
                        break;
                    }
                }
            }
            b'0'..=b'9' => {
                while bytes.get(i).is_some_and(u8::is_ascii_alphanumeric) {
                    i += 1;
                }
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                while bytes.get(i).is_some_and(|b| *b == b'_' || b.is_ascii_alphanumeric()) {
                    i += 1;
                }
                tokens.push(Token { span: start..i, is_word: true, opens_tag: false, tag: from });
            }
            b'{' | b'}' => {
                depth = if byte == b'{' { depth + 1 } else { depth.saturating_sub(1) };
                tokens.push(Token { span: start..i, is_word: false, opens_tag: false, tag: from });
            }
            _ if byte.is_ascii_punctuation() => {
                tokens.push(Token { span: start..i, is_word: false, opens_tag: false, tag: from });
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<&str> {
        scan(text).into_iter().filter(|t| t.is_word).map(|t| &text[t.span]).collect()
    }

    #[test]
    fn finds_words_in_tags_only() {
        assert_eq!(
            words("no {{ a.b|f('x}}', \"y\") }} {# c #} {% if d -%} e {{ {'k': v2}}} {g}"),
            ["a", "b", "f", "if", "d", "v2"]
        );
        assert_eq!(words("{% raw %}{{ x }}{% endraw %}{{ y }}"), ["raw", "y"]);
        assert!(scan("{% set a = 1 %}")[0].opens_tag);
        assert!(scan("{%- set a = 1 -%}")[0].opens_tag);
        assert_eq!(words("{%- raw %}{{ x }}{% endraw -%}{{- y -}}"), ["raw", "y"]);
    }

    proptest! {
        #[test]
        fn never_panics_and_spans_are_inside(text in "[{}%#'\"\\\\ae. é]{0,30}|\\PC{0,30}") {
            for token in scan(&text) {
                prop_assert!(text.get(token.span).is_some());
            }
        }
    }
}
