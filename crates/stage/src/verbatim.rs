//! Outputs that are the text of one call, word for word, and so can be told while that text is decoded.

use agenttts_core::Aggregator;

use crate::stage::CompiledStage;

/// The call whose text is a stage's output, but for white space around it, unless it is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbatim {
    /// That of the one sample.
    Sample,
    /// That which fuses the samples.
    Fusion,
}

impl CompiledStage {
    /// The call whose text is the output, where there is one: the output is the whole text, and no vote chooses it.
    pub fn verbatim(&self, aggregator: Aggregator, samples: u32) -> Option<Verbatim> {
        verbatim(aggregator, samples).filter(|_| self.parser.is_verbatim())
    }
}

fn verbatim(aggregator: Aggregator, samples: u32) -> Option<Verbatim> {
    match aggregator {
        // It makes a list even of one text.
        Aggregator::VoteSet => None,
        Aggregator::Fuse if samples > 1 => Some(Verbatim::Fusion),
        _ => (samples == 1).then_some(Verbatim::Sample),
    }
}

/// A text that comes part by part, without the white space around it.
#[derive(Clone, Debug, Default)]
pub struct Trimmed {
    begun: bool,
    /// White space that belongs to the text only if more follows.
    held: String,
}

impl Trimmed {
    /// Takes the next part; returns what is certain to be part of the trimmed text by now.
    pub fn push(&mut self, part: &str) -> String {
        let part = if self.begun { part } else { part.trim_start() };
        let certain = part.trim_end();
        if certain.is_empty() {
            // Nothing is held before the text begins, as that part is empty.
            self.held.push_str(part);
            return String::new();
        }
        self.begun = true;
        let mut text = std::mem::take(&mut self.held);
        text.push_str(certain);
        self.held.push_str(&part[certain.len()..]);
        text
    }
}

#[cfg(test)]
mod tests {
    use agenttts_core::pipeline::ParserSpec;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;
    use crate::{Parser, aggregate};

    #[test]
    fn votes_and_lists_are_told_as_a_whole() {
        assert_eq!(verbatim(Aggregator::Vote, 3), None);
        assert_eq!(verbatim(Aggregator::First, 2), None, "the first may be unreadable");
        assert_eq!(verbatim(Aggregator::Judge, 2), None);
        assert_eq!(verbatim(Aggregator::VoteSet, 1), None);
        assert_eq!(verbatim(Aggregator::Fuse, 1), Some(Verbatim::Sample));
        assert_eq!(verbatim(Aggregator::Fuse, 2), Some(Verbatim::Fusion));
    }

    proptest! {
        #[test]
        fn the_parts_are_the_output(parts in prop::collection::vec("[ \\n\\tab\u{2003}é]{0,4}", 0..8)) {
            let mut trimmed = Trimmed::default();
            let told: String = parts.iter().map(|part| trimmed.push(part)).collect();
            let parser = Parser::compile(&ParserSpec::Text).unwrap();
            let parsed = parser.parse(&parts.concat(), &Map::new());
            for aggregator in Aggregator::ALL.into_iter().filter(|a| verbatim(*a, 1).is_some()) {
                match aggregate(aggregator, std::slice::from_ref(&parsed), &[None]) {
                    Ok(aggregate) => prop_assert_eq!(&aggregate.output, &Value::from(told.clone())),
                    Err(_) => prop_assert_eq!(&told, "", "no output, and nothing was told"),
                }
            }
        }
    }
}
