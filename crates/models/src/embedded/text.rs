//! From tokens' bytes to text: characters that are split over tokens, and stop strings.

/// Collects the bytes of one sample's tokens.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    text: String,
    /// The beginning of a character whose other bytes have not come yet.
    partial: Vec<u8>,
    stop: Vec<String>,
    /// Bytes of the text that were taken as certain.
    told: usize,
}

impl Assembler {
    /// Text that ends before the first of the stop strings; empty ones are ignored.
    pub(super) fn new(stop: &[String]) -> Self {
        Assembler { stop: stop.iter().filter(|s| !s.is_empty()).cloned().collect(), ..Assembler::default() }
    }

    /// Adds a token's bytes; true when a stop string was reached, which ends the text before it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        let known = self.text.len();
        self.partial.extend_from_slice(bytes);
        self.take_whole_characters();
        self.stop_from(known)
    }

    /// The text since the last time that nothing can take away any more: what may be the beginning of a stop string is held
    /// back.
    pub(super) fn certain(&mut self) -> Option<&str> {
        let held = |stop: &String| {
            let beginnings = stop.char_indices().map(|(at, _)| at).skip(1);
            beginnings.filter(|at| self.text.ends_with(&stop[..*at])).max()
        };
        let end = self.text.len() - self.stop.iter().filter_map(held).max().unwrap_or(0);
        let from = self.told;
        self.told = from.max(end);
        self.text.get(from..end).filter(|part| !part.is_empty())
    }

    /// The text. A character that never became whole is left out.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn take_whole_characters(&mut self) {
        loop {
            match std::str::from_utf8(&self.partial) {
                Ok(text) => {
                    self.text.push_str(text);
                    self.partial.clear();
                    return;
                }
                Err(error) => {
                    let (whole, rest) = self.partial.split_at(error.valid_up_to());
                    self.text.push_str(&String::from_utf8_lossy(whole));
                    let Some(bad) = error.error_len() else {
                        self.partial = rest.to_vec();
                        return;
                    };
                    self.text.push(char::REPLACEMENT_CHARACTER);
                    self.partial = rest[bad..].to_vec();
                }
            }
        }
    }

    fn stop_from(&mut self, known: usize) -> bool {
        let longest = self.stop.iter().map(String::len).max().unwrap_or(0);
        let mut from = known.saturating_sub(longest);
        while !self.text.is_char_boundary(from) {
            from -= 1;
        }
        let found = self.stop.iter().filter_map(|s| self.text[from..].find(s.as_str())).min();
        if let Some(at) = found {
            self.text.truncate(from + at);
        }
        found.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assemble(stop: &[&str], pieces: &[&[u8]]) -> (String, bool) {
        let stop: Vec<String> = stop.iter().map(|s| (*s).to_owned()).collect();
        let mut a = Assembler::new(&stop);
        let stopped = pieces.iter().any(|p| a.push(p));
        (a.finish(), stopped)
    }

    #[test]
    fn characters_may_be_split_over_tokens() {
        let euro = "€".as_bytes();
        assert_eq!(assemble(&[], &[b"5 ", &euro[..1], &euro[1..], b"!"]), ("5 €!".into(), false));
        assert_eq!(assemble(&[], &[b"5 ", &euro[..2]]), ("5 ".into(), false));
        assert_eq!(assemble(&[], &[b"a\xffb"]), ("a\u{fffd}b".into(), false));
    }

    #[test]
    fn stop_strings_may_be_split_over_tokens() {
        assert_eq!(assemble(&["\n\n"], &[b"one\n", b"\ntwo"]), ("one".into(), true));
        assert_eq!(assemble(&["END", "ND"], &[b"the E", b"ND"]), ("the ".into(), true));
        assert_eq!(assemble(&[""], &[b"x"]), ("x".into(), false));
        assert_eq!(assemble(&["é."], &["né".as_bytes(), b"."]), ("n".into(), true));
    }

    #[test]
    fn what_may_begin_a_stop_string_is_held_back() {
        let mut a = Assembler::new(&["\n\nQ".into()]);
        a.push(b"one\n");
        assert_eq!(a.certain(), Some("one"));
        assert_eq!(a.certain(), None);
        a.push(b"\n");
        assert_eq!(a.certain(), None);
        a.push(b"two\n");
        assert_eq!(a.certain(), Some("\n\ntwo"));
    }

    proptest! {
        #[test]
        fn what_was_certain_begins_the_text(pieces in prop::collection::vec("[abé]{1,3}", 0..8), stop in "[abé]{0,4}") {
            let mut a = Assembler::new(&[stop]);
            let mut told = String::new();
            for piece in &pieces {
                if a.push(piece.as_bytes()) {
                    break;
                }
                told.push_str(a.certain().unwrap_or_default());
            }
            let text = a.finish();
            prop_assert!(text.starts_with(&told), "{text:?} {told:?}");
        }

        #[test]
        fn any_split_gives_the_same_text(text in "\\PC{0,30}", stop in "[a-c]{0,2}", cuts in prop::collection::vec(0usize..90, 0..6)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.push(0);
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let expected = match text.find(&stop) {
                Some(at) if !stop.is_empty() => (text[..at].to_owned(), true),
                _ => (text.clone(), false),
            };
            prop_assert_eq!(assemble(&[&stop], &pieces), expected);
        }
    }
}
