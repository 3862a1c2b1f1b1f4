//! Models for tests, documentation and first steps: no network, no weights, deterministic per (request, seed).
//!
//! A fake is chosen by its name: one behaviour, then modifiers joined by `-`.
//!
//! | behaviour | what it does |
//! |---|---|
//! | `p70` | gives the right answer with probability 70%, each sample for itself: votes help |
//! | `echo` | repeats the last message |
//! | `agent` | fills a JSON schema with random values; without one, says a guideline |
//! | `bad-json` | breaks off its JSON |
//! | `empty` | says nothing |
//! | `slow` | takes 200 ms a call |
//! | `429-then-ok` | is turned away once per call, then answers (2 calls are booked) |
//! | `fails-first` | fails the first call for every sample with a transient error, then answers |
//! | `flaky` | fails one sample in ten, always the same ones |
//! | `ignores-n` | returns one sample a call, so that every sample pays for the prompt |
//! | `caps-n` | returns at most 4 samples a call |
//! | `down` | cannot be reached |
//! | `unauthorised` | refuses the key |
//!
//! | modifier | what it does |
//! |---|---|
//! | `-p40` | right with probability 40% (100% where not said) |
//! | `-shared` | right or wrong alike in all samples of a request: votes do not help |
//! | `-t20` | decodes 20 tokens, whatever the length of the text |
//! | `-50ms` | the time that `slow` takes |
//!
//! The right answer comes from the prompt: the text after `answer:` on the last line that starts so, in any case.
//! Wrong ones come from a line `wrong: A | B | C`; without one, a number is missed by up to three and other answers
//! are replaced by one of a few phrases. Without an `answer:` line the last line of the prompt is the answer.
//!
//! Under a JSON schema the answer stands in the property `answer` or `verdict`, if that may hold it, and all else is random.
//!
//! Every fake also embeds: its embedding of a text counts the words, so texts that share words are near each other.
//!
//! Four bytes are a token, and a message costs four tokens more.

mod answer;
mod instance;
mod model;
mod name;

pub use answer::FakeText;
pub use model::FakeModel;
pub use name::FakeName;
