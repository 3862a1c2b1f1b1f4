//! Normalisation of answers: to the letter as the evaluation script of SQuAD does it, for metrics, and with more care, for votes.

use serde_json::Value;

use crate::parse::number::canonical_number;

/// The normalisation of SQuAD's evaluation script (Rajpurkar et al. 2016), which those of HotpotQA and 2WikiMultiHopQA share: in
/// lower case, without ASCII punctuation, then without the words a, an and the, with single blanks.
pub fn squad(text: &str) -> String {
    let lower = text.to_lowercase();
    let without_punctuation: String = lower.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let mut kept = String::with_capacity(without_punctuation.len());
    // An article is a run of letters and digits by itself, whatever other sign is beside it.
    let mut rest = without_punctuation.as_str();
    while let Some(first) = rest.chars().next() {
        let is_word = first.is_alphanumeric();
        let end = rest.find(|c: char| c.is_alphanumeric() != is_word).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        kept.push_str(if is_word && matches!(run, "a" | "an" | "the") { " " } else { run });
        rest = after;
    }
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text without what does not change an answer: case, punctuation, the articles a, an and the, and extra spaces.
///
/// This is [`squad`]'s with three differences, all where that would call different answers equal or equal answers different:
/// a decimal point between digits and a minus before a digit stay ("12.5" is not "125", "-5" is not "5"); typographic
/// quotes, dashes and ellipses count as punctuation; and an answer of nothing but articles or punctuation is kept ("A" is
/// not "the").
pub fn normalise(text: &str) -> String {
    let lower = text.to_lowercase();
    let mut kept = String::with_capacity(lower.len());
    let mut before = None;
    let mut chars = lower.chars().peekable();
    while let Some(c) = chars.next() {
        let digit_follows = chars.peek().is_some_and(char::is_ascii_digit);
        match c {
            '.' if digit_follows && before.is_some_and(|b: char| b.is_ascii_digit()) => kept.push('.'),
            '-' | '\u{2212}' if digit_follows && !before.is_some_and(char::is_alphanumeric) => kept.push('-'),
            _ if is_punctuation(c) => {}
            _ => kept.push(c),
        }
        before = Some(c);
    }
    let words = || kept.split_whitespace();
    let without_articles: Vec<&str> = words().filter(|w| !matches!(*w, "a" | "an" | "the")).collect();
    if !without_articles.is_empty() {
        return without_articles.join(" ");
    }
    let all: Vec<&str> = words().collect();
    if !all.is_empty() { all.join(" ") } else { lower.split_whitespace().collect::<Vec<_>>().join(" ") }
}

/// A key that two outputs share exactly if they are the same answer: texts normalised, numbers canonical, objects in
/// key order. The order of lists counts; sets of ids are sorted by their parser.
pub fn vote_key(value: &Value) -> String {
    match value {
        Value::String(s) => normalise(s),
        Value::Number(n) => canonical_number(n).to_string(),
        Value::Array(items) => {
            let keys: Vec<String> = items.iter().map(|v| format!("{:?}", vote_key(v))).collect();
            format!("[{}]", keys.join(","))
        }
        Value::Object(object) => {
            let mut keys: Vec<String> = object.iter().map(|(k, v)| format!("{k:?}:{:?}", vote_key(v))).collect();
            keys.sort();
            format!("{{{}}}", keys.join(","))
        }
        Value::Null | Value::Bool(_) => value.to_string(),
    }
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation()
        || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2018}'..='\u{201f}' | '\u{2026}' | '\u{2212}' | '«' | '»' | '‹' | '›')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn drops_case_punctuation_articles_and_spaces() {
        assert_eq!(normalise("  The  \"Quick\" brown-Fox!"), "quick brownfox");
        assert_eq!(normalise("U.S.A."), "usa");
        assert_eq!(normalise("$1,234.50."), "1234.50");
        assert_eq!(normalise("Theatre of an idea"), "theatre of idea");
        assert_eq!(normalise("“It’s”"), "its");
    }

    #[test]
    fn keeps_what_makes_answers_differ() {
        assert_ne!(normalise("12.5"), normalise("125"));
        assert_ne!(normalise("-5"), normalise("5"));
        assert_eq!(normalise("\u{2212}5"), "-5");
        assert_eq!(normalise("1990-1995"), "19901995");
        assert_eq!(normalise("A."), "a");
        assert_eq!(normalise("+"), "+");
        assert_eq!(normalise(""), "");
    }

    #[test]
    fn keys_ignore_key_order_and_number_form() {
        assert_eq!(vote_key(&json!({"a": 1, "b": "The X"})), vote_key(&json!({"b": "x", "a": 1.0})));
        assert_ne!(vote_key(&json!(["a", "b"])), vote_key(&json!(["a,b"])));
        assert_ne!(vote_key(&json!(["a", "b"])), vote_key(&json!(["b", "a"])));
    }

    /// What the script of SQuAD (version 1.1) gives for these.
    #[test]
    fn squad_is_as_its_script() {
        for (text, normal) in [
            ("  The  \"Quick\" brown-Fox!", "quick brownfox"),
            ("12.5", "125"),
            ("-5", "5"),
            ("A", ""),
            ("Xi’an, China", "xi’ china"),
            ("1947–91", "1947–91"),
            ("“the” end", "“ ” end"),
            ("an_a the-a", "ana thea"),
            ("L'an 2000", "lan 2000"),
            ("", ""),
        ] {
            assert_eq!(squad(text), normal, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_normalises(text in "\\PC{0,40}") {
            let once = normalise(&text);
            prop_assert_eq!(once.trim(), once.as_str());
            prop_assert_eq!(text.trim().is_empty(), once.is_empty());
        }
    }
}
