//! Problems in what a user wrote: message, file, line and column, the text itself, and a hint.

use std::fmt;

use agenttts_core::{Place, Problems};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use super::screen::Screen;

/// A line longer than this is no help on a screen: it is left out, the column still tells where.
const LONGEST_LINE: usize = 200;

/// Shows all problems on stderr.
pub(super) fn show(screen: &Screen, problems: &Problems) {
    for (index, problem) in problems.0.iter().enumerate() {
        if index > 0 {
            screen.say("");
        }
        let at = problem.place.as_ref().map_or_else(String::new, |place| {
            let (line, column) = place.line_and_column();
            format!("{}:{line}:{column}: ", place.file)
        });
        // A problem that was put into words elsewhere carries its hint along.
        let (message, inner) = problem.message.split_once("\n  hint: ").unwrap_or((&problem.message, ""));
        screen.error(&format!("{at}{message}"));
        if let Some(text) = problem.place.as_ref().and_then(|place| snippet(place, screen.stderr_colour())) {
            screen.say(&text);
        }
        let hints = [inner].into_iter().filter(|h| !h.is_empty()).chain(problem.hint.as_deref());
        hints.for_each(|hint| screen.hint(hint));
    }
    if problems.0.len() > 1 {
        screen.say("");
        screen.say(&format!("{} problems", problems.0.len()));
    }
}

/// The lines around the place, with the place marked.
fn snippet(place: &Place, colour: bool) -> Option<String> {
    let source: &str = &place.source;
    let start = boundary(source, place.span.start);
    let end = boundary(source, place.span.end.max(start)).max(start);
    let line_start = source[..start].rfind('\n').map_or(0, |i| i + 1);
    let line_end = source[start..].find('\n').map_or(source.len(), |i| start + i);
    if source.trim().is_empty() || line_end - line_start > LONGEST_LINE {
        return None;
    }
    // A whole table would hide the place among its lines: mark the first line of it.
    let end = end.min(line_end.max(start));
    let shown = Snippet { source: NamedSource::new(&place.file, source.to_owned()), span: start..end };
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_context_lines(1);
    let mut text = String::new();
    handler.render_report(&mut text, &shown).ok()?;
    // The first line would hold the message, which has been said.
    let (_, body) = text.split_once('\n')?;
    Some(body.trim_end().to_owned())
}

/// The nearest character boundary at or below a byte offset.
fn boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

struct Snippet {
    source: NamedSource<String>,
    span: std::ops::Range<usize>,
}

impl fmt::Debug for Snippet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snippet")
    }
}

impl fmt::Display for Snippet {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Snippet {}

impl miette::Diagnostic for Snippet {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = LabeledSpan::underline(self.span.clone());
        Some(Box::new(std::iter::once(span)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn place(source: &str, span: std::ops::Range<usize>) -> Place {
        Place { file: "p.toml".into(), source: Arc::from(source), span }
    }

    #[test]
    fn the_place_is_shown_in_its_text() {
        let text = snippet(&place("a = 1\nmodels = [\"smal\"]\n", 16..22), false).unwrap();
        assert!(text.contains("p.toml:2:11") && text.contains("2 │ models = [\"smal\"]"), "{text}");
    }

    #[test]
    fn odd_places_are_no_fault() {
        for (source, span) in [("", 0..0), ("ä", 1..1), ("a", 5..9), ("a\n", 2..2), ("x\u{feff}\u{1f600}y", 3..5)] {
            let _ = snippet(&place(source, span), true);
        }
        assert_eq!(snippet(&place(&"x".repeat(300), 3..5), true), None);
    }
}
