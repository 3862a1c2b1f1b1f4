//! Few-shot turns: a template whose source is divided by lines of `<<user>>` and `<<assistant>>`.
//!
//! The source is divided before anything is filled in, so a marker in the data is text like any other.

use std::ops::Range;
use std::sync::Arc;

use agenttts_core::{Problem, Role};

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Who speaks.
    pub(crate) role: Role,
    /// Its part of the source.
    pub(crate) span: Range<usize>,
    /// The lines of the source before it.
    pub(crate) lines_before: usize,
}

impl Turn {
    /// The whole of a source that has no markers.
    pub(crate) fn whole(source: &str) -> Self {
        Turn { role: Role::User, span: 0..source.len(), lines_before: 0 }
    }

    fn new(role: Role, source: &str, span: Range<usize>) -> Self {
        let lines_before = source[..span.start].matches('\n').count();
        Turn { role, span, lines_before }
    }
}

/// A line that divides a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    role: Role,
    /// The marker itself.
    pub(crate) span: Range<usize>,
    line: Range<usize>,
}

/// The turns of a source, always at least one and the last of them the user's, or what is wrong with the markers.
/// Blank lines next to a marker belong to no turn.
pub(crate) fn turns(file: &str, source: &Arc<str>) -> Result<Vec<Turn>, Vec<Problem>> {
    let problem = |span: &Range<usize>, message: String| Problem::new(message).at(file, source, span.clone());
    let wrong: Vec<Problem> = lines(source)
        .filter_map(|line| misspelt(source, line))
        .map(|(span, hint)| problem(&span, format!("`{}` is no marker of a turn", &source[span.clone()])).hint(hint))
        .collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let markers = markers(source);
    let Some(first) = markers.first() else { return Ok(vec![Turn::whole(source)]) };
    let mut problems = Vec::new();
    let mut turns = Vec::new();
    if !is_blank(&source[..first.line.start]) {
        turns.push(Turn::new(Role::User, source, 0..source[..first.line.start].trim_end().len()));
    }
    for (i, marker) in markers.iter().enumerate() {
        let next = markers.get(i + 1).map(|next| next.line.start);
        let span = body(source, marker.line.end, next);
        let name = &source[marker.span.clone()];
        if source[span.clone()].trim().is_empty() {
            problems.push(
                problem(&marker.span, format!("the turn after this `{name}` is empty"))
                    .hint("write its text below the marker, or remove the marker"),
            );
        }
        match turns.last().map(|turn: &Turn| turn.role) {
            None if marker.role == Role::Assistant => problems.push(
                problem(&marker.span, format!("there is no user turn before this `{name}`"))
                    .hint("a conversation begins with the user: write the first question above the marker"),
            ),
            Some(before) if before == marker.role => problems.push(
                problem(&marker.span, format!("two turns in a row are the {}'s", spoken_by(before))).hint(
                    "turns alternate between <<user>> and <<assistant>>; text above the first marker is the user's",
                ),
            ),
            _ => {}
        }
        turns.push(Turn::new(marker.role, source, span));
    }
    if let Some(last) = markers.last().filter(|last| last.role == Role::Assistant) {
        problems.push(
            problem(&last.span, "the last turn is the assistant's".into())
                .hint("the model writes that turn: end with <<user>> and what it shall answer"),
        );
    }
    if problems.is_empty() { Ok(turns) } else { Err(problems) }
}

/// The markers of a source.
pub(crate) fn markers(source: &str) -> Vec<Marker> {
    let marker = |line: Range<usize>| {
        let span = trimmed(source, line.clone());
        let role = match &source[span.clone()] {
            "<<user>>" => Role::User,
            "<<assistant>>" => Role::Assistant,
            _ => return None,
        };
        Some(Marker { role, span, line })
    };
    lines(source).filter_map(marker).collect()
}

/// A line that was surely meant as a marker, and advice.
fn misspelt(source: &str, line: Range<usize>) -> Option<(Range<usize>, &'static str)> {
    let span = trimmed(source, line);
    let word = source[span.clone()].strip_prefix("<<")?.strip_suffix(">>")?;
    let lower = word.trim().to_lowercase();
    match lower.as_str() {
        "user" | "assistant" if word == lower => None,
        "user" | "assistant" => Some((span, "markers are written <<user>> and <<assistant>>")),
        "system" => Some((span, "the system message is the stage's `system`, not a turn of its prompt")),
        _ => None,
    }
}

/// Between two markers, without the blank lines next to them.
fn body(source: &str, from: usize, to: Option<usize>) -> Range<usize> {
    let end = to.map_or(source.len(), |to| from + source[from..to].trim_end().len());
    let text = &source[from..end];
    let blank = text.len() - text.trim_start().len();
    // The indentation of the first line with text stays.
    let start = text[..blank].rfind('\n').map_or(from, |newline| from + newline + 1);
    start..end
}

fn lines(source: &str) -> impl Iterator<Item = Range<usize>> {
    source.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some(start..*at)
    })
}

fn trimmed(source: &str, line: Range<usize>) -> Range<usize> {
    let text = &source[line.clone()];
    let start = line.start + (text.len() - text.trim_start().len());
    start..start + text.trim().len()
}

/// Whether a text says nothing: white space and comments.
fn is_blank(text: &str) -> bool {
    let mut rest = text.trim_start();
    while let Some(comment) = rest.strip_prefix("{#") {
        let Some(end) = comment.find("#}") else { return false };
        rest = comment[end + 2..].trim_start();
    }
    rest.is_empty()
}

fn spoken_by(role: Role) -> &'static str {
    if role == Role::Assistant { "assistant" } else { "user" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(source: &str) -> Vec<(Role, String)> {
        let turns = turns("p.j2", &source.into()).unwrap();
        turns.into_iter().map(|t| (t.role, source[t.span].to_owned())).collect()
    }

    fn problems(source: &str) -> String {
        let problems = turns("p.j2", &source.into()).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    const USER: Role = Role::User;
    const ASSISTANT: Role = Role::Assistant;

    #[test]
    fn markers_on_lines_of_their_own_divide_a_source() {
        let expected = [(USER, "1+1?".into()), (ASSISTANT, "2".into()), (USER, "{{ question }}\n".into())];
        assert_eq!(split("1+1?\n<<assistant>>\n2\n<<user>>\n{{ question }}\n"), expected);
        assert_eq!(split("1+1?\r\n\r\n <<assistant>> \r\n2\r\n<<user>>\t\r\n\r\n{{ question }}\n"), expected);
        assert_eq!(
            split("\n{# examples #}\n<<user>>\n1+1?\n<<assistant>>\n\n2\n\n<<user>>\n{{ question }}\n"),
            expected
        );
        assert_eq!(split("<<user>>\n  a\n"), [(USER, "  a\n".into())]);
    }

    #[test]
    fn a_source_without_markers_is_one_turn_as_it_is() {
        for source in ["", "\n a \n\n", "say <<user>> or\n<<assistant>> here", "<<other>>\n<user>"] {
            assert_eq!(split(source), [(USER, source.to_owned())]);
        }
    }

    #[test]
    fn turns_alternate_and_end_with_the_user() {
        assert_eq!(
            problems("a\n<<user>>\nb"),
            "p.j2:2:1: two turns in a row are the user's\n  hint: turns alternate between <<user>> and <<assistant>>; \
             text above the first marker is the user's"
        );
        assert!(
            problems("a\n<<assistant>>\nb\n  <<assistant>>\nc\n<<user>>\nd")
                .starts_with("p.j2:4:3: two turns in a row")
        );
        assert!(problems("\n<<assistant>>\nb\n<<user>>\nd").starts_with("p.j2:2:1: there is no user turn before this"));
        let text = problems("a\n<<assistant>>\nb");
        assert!(text.starts_with("p.j2:2:1: the last turn is the assistant's\n  hint: the model writes"), "{text}");
        assert!(
            problems("a\n<<assistant>>\n\n<<user>>\nb")
                .starts_with("p.j2:2:1: the turn after this `<<assistant>>` is empty")
        );
    }

    #[test]
    fn a_marker_that_was_surely_meant_is_a_problem() {
        assert!(problems("a\n<<Assistant>>\nb").starts_with("p.j2:2:1: `<<Assistant>>` is no marker of a turn"));
        assert!(problems("<< user >>\nb").contains("markers are written <<user>>"));
        assert!(problems("<<system>>\nb").contains("the stage's `system`"));
    }

    proptest! {
        #[test]
        fn any_source_gives_turns_inside_it_or_a_problem(
            source in "(<<user>>|<<assistant>>|\n|\r\n| |é|\\{#|#\\}|a){0,14}"
        ) {
            if let Ok(turns) = turns("p", &source.as_str().into()) {
                prop_assert_eq!(turns.last().map(|t| t.role), Some(Role::User));
                for pair in turns.windows(2) {
                    prop_assert!(pair[0].role != pair[1].role && pair[0].span.end <= pair[1].span.start);
                }
                for turn in turns {
                    let text = source.get(turn.span.clone());
                    prop_assert!(text.is_some_and(|t| markers(t).is_empty()));
                    prop_assert_eq!(turn.lines_before, source[..turn.span.start].matches('\n').count());
                }
            }
        }
    }
}
