//! Which fields a template needs whatever else an example holds.

use std::collections::BTreeSet;

use minijinja::Environment;

use super::check::{Scope, Tokens};

/// Words that let an expression do without one of its parts.
const LENIENT: [&str; 5] = ["if", "else", "and", "or", "is"];
/// Filters that accept what is not defined.
const LENIENT_FILTERS: [&str; 9] = ["chain", "d", "default", "e", "escape", "indent", "pprint", "tojson", "zip"];

/// The fields of `scope` without which the template can never be filled in.
///
/// A field is left out where there is any doubt: read only inside of a block, an argument or an index, or in an
/// expression with a default, a test, a condition or a chain of comparisons. So an example that lacks a field that is returned
/// cannot be used, and one that has them all may still lack another.
pub(crate) fn needs(text: &str, scope: &Scope, env: &Environment<'_>) -> BTreeSet<String> {
    let tokens = Tokens::of(text);
    let assigned = tokens.assigned();
    let hidden = |name: &str| {
        let is_built_in = matches!(name, "example" | "stages") || scope.extra.contains(&name);
        is_built_in || assigned.contains(name) || env.globals().any(|(global, _)| global == name)
    };
    let mut found = BTreeSet::new();
    let mut blocks = 0usize;
    let mut from = 0;
    for tag in tokens.all.chunk_by(|a, b| a.tag == b.tag) {
        let indices = from..from + tag.len();
        from = indices.end;
        let opener = if tokens.all[indices.start].opens_tag { tokens.at(indices.start) } else { "" };
        if opener.starts_with("end") {
            blocks = blocks.saturating_sub(1);
            continue;
        }
        if blocks == 0 {
            for i in read_for_sure(&tokens, opener, indices.clone()) {
                let name = tokens.word(i);
                let member = if name == "example" && tokens.at(i + 1) == "." { tokens.word(i + 2) } else { "" };
                let field = if hidden(name) { member } else { name };
                if scope.fields.contains(field) {
                    found.insert(field.to_owned());
                }
            }
        }
        let is_block = match opener {
            "if" | "for" | "macro" | "with" | "filter" | "call" | "autoescape" | "block" => true,
            "set" => !indices.clone().any(|i| tokens.at(i) == "="),
            _ => false,
        };
        blocks += usize::from(is_block);
    }
    found
}

/// The words of a tag that are evaluated, and must be defined, whenever the tag is reached.
fn read_for_sure(tokens: &Tokens<'_>, opener: &str, tag: std::ops::Range<usize>) -> Vec<usize> {
    let position = |word: &str| tag.clone().find(|&i| tokens.at(i) == word);
    let expression = match opener {
        "" => tag.clone(),
        "if" => tag.start + 1..tag.end,
        "for" => position("in").map_or(tag.end, |i| i + 1)..position("if").unwrap_or(tag.end),
        _ => return Vec::new(),
    };
    let is_lenient =
        |i: usize| LENIENT.contains(&tokens.at(i)) || (tokens.is_filter(i) && LENIENT_FILTERS.contains(&tokens.at(i)));
    // `a < b < c` does not read `c` unless `a < b`.
    let compares = |i: usize| matches!(tokens.at(i), "<" | ">" | "=" | "!" | "in");
    let goes_on = |i: usize| i > 0 && compares(i - 1) && tokens.all[i - 1].span.end == tokens.all[i].span.start;
    let comparisons = expression.clone().filter(|&i| compares(i) && !goes_on(i)).count();
    if comparisons > 1 || expression.clone().any(is_lenient) {
        return Vec::new();
    }
    let mut nesting = 0usize;
    let mut words = Vec::new();
    for i in expression {
        match tokens.at(i) {
            "(" | "[" | "{" => nesting += 1,
            ")" | "]" | "}" => nesting = nesting.saturating_sub(1),
            _ if nesting == 0 && tokens.all[i].is_word && tokens.before(i) != "." && !tokens.is_filter(i) => {
                words.push(i)
            }
            _ => {}
        }
    }
    words
}
