//! Known names in free text.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Finds which of a list of names occur in a text.
///
/// Case, runs of white space and typographic quotes and dashes make no difference. A name must stand at word boundaries,
/// and where names overlap the longest one wins: "Corner Shop 2" is not also "Corner Shop".
#[derive(Clone, Debug)]
pub(crate) struct NameMatcher {
    /// Folded names, longest first, and what each stands for.
    names: Vec<(String, Vec<usize>)>,
}

impl NameMatcher {
    /// A matcher of these names; each stands for a number of the caller's. Empty names are left out; a name given
    /// several times stands for several numbers.
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = (&'a str, usize)>) -> Self {
        let mut targets: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (name, target) in names {
            let all = targets.entry(fold(name)).or_default();
            if !all.contains(&target) {
                all.push(target);
            }
        }
        targets.remove("");
        let mut names: Vec<(String, Vec<usize>)> = targets.into_iter().collect();
        names.sort_by_key(|(name, _)| Reverse(name.len()));
        NameMatcher { names }
    }

    /// What the names in the text stand for, in the order of the text.
    pub(crate) fn find(&self, text: &str) -> Vec<usize> {
        let text = fold(text);
        let mut claims: Vec<(usize, usize, &[usize])> = Vec::new();
        for (name, targets) in &self.names {
            let mut from = 0;
            while let Some(offset) = text[from..].find(name.as_str()) {
                let (start, end) = (from + offset, from + offset + name.len());
                let is_free = claims.iter().all(|&(s, e, _)| end <= s || e <= start);
                if is_free && stands_alone(&text, start, end) {
                    claims.push((start, end, targets));
                    from = end;
                } else {
                    from = start + text[start..].chars().next().map_or(1, char::len_utf8);
                }
            }
        }
        claims.sort_unstable();
        claims.into_iter().flat_map(|(_, _, targets)| targets.iter().copied()).collect()
    }
}

fn fold(text: &str) -> String {
    let plain = text.chars().map(|c| match c {
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        _ => c,
    });
    let plain: String = plain.flat_map(char::to_lowercase).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let name = &text[start..end];
    let (mut before, mut after) = (text[..start].chars().rev(), text[end..].chars());
    let joined = |outside: Option<char>, edge: Option<char>| matches!((outside, edge), (Some(o), Some(e)) if is_word(o) && is_word(e));
    let (first, last) = (name.chars().next(), name.chars().next_back());
    let (outside_before, outside_after) = (before.next(), after.next());
    // "3.5" names neither 3 nor 5.
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let decimal_before = is_digit(first) && outside_before == Some('.') && is_digit(before.next());
    let decimal_after = is_digit(last) && outside_after == Some('.') && is_digit(after.next());
    !joined(outside_before, first) && !joined(outside_after, last) && !decimal_before && !decimal_after
}

/// Whether a letter next to this one continues the same word. Scripts that put no spaces between words have no such
/// boundaries to respect.
fn is_word(c: char) -> bool {
    let is_unspaced = matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{9fff}');
    c == '_' || (c.is_alphanumeric() && !is_unspaced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(names: &[&str], text: &str) -> Vec<usize> {
        NameMatcher::new(names.iter().enumerate().map(|(i, n)| (*n, i))).find(text)
    }

    #[test]
    fn the_longest_name_wins() {
        let shops = ["Corner Shop", "Corner Shop 2"];
        assert_eq!(find(&shops, "I pick corner  shop 2."), [1]);
        assert_eq!(find(&shops, "Corner Shop 2 and\nCorner Shop"), [1, 0]);
        assert_eq!(find(&["entailed", "not entailed"], "It is not entailed"), [1]);
    }

    #[test]
    fn names_stand_at_word_boundaries() {
        assert_eq!(find(&["art"], "a party"), Vec::<usize>::new());
        assert_eq!(find(&["d1", "d12"], "d12,d1"), [1, 0]);
        assert_eq!(find(&["C", "C++"], "C++ it is"), [1]);
        assert_eq!(find(&["3", "5"], "3.5 of 13"), Vec::<usize>::new());
        assert_eq!(find(&["3", "5"], "3, 5."), [0, 1]);
        assert_eq!(find(&["東京"], "答えは東京です"), [0]);
    }

    #[test]
    fn a_shared_name_stands_for_all_that_bear_it() {
        let matcher = NameMatcher::new([("Paris", 0), ("paris", 1), ("Paris, Texas", 2)]);
        assert_eq!(matcher.find("Paris"), [0, 1]);
        assert_eq!(matcher.find("Paris, Texas"), [2]);
    }

    #[test]
    fn typographic_quotes_are_plain_ones() {
        assert_eq!(find(&["Joe's Bar"], "JOE\u{2019}S BAR"), [0]);
    }

    proptest! {
        #[test]
        fn never_panics(names in proptest::collection::vec("[a-cA-C .İß’]{0,4}|\\PC{0,4}", 0..6), text in "[a-cA-C .İß’]{0,30}|\\PC{0,30}") {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            find(&names, &text);
        }
    }
}
