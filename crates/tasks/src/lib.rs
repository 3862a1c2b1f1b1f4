//! The paper's data sets as published, turned into the examples of a pipeline.
//!
//! A file is recognised by its content, read as a stream, and every fault is reported with its place. docs/data.md lists
//! the formats and the fields that examples have.

mod bytes;
mod corpus;
mod draft;
mod error;
mod example;
mod format;
mod inspect;
mod keep;
mod kg;
mod prepare;
mod qa;
mod scan;
mod source;
mod split;
mod srdd;
mod survey;
mod taskbench;
mod tools;
mod values;

pub use error::DataError;
pub use format::{Dataset, Format};
pub use inspect::{Inspection, Range, inspect};
pub use keep::{Kept, keep};
pub use prepare::{CANDIDATES, PrepareOptions, PrepareReport, Prepared, SEARCH_EXAMPLES, TEST_EXAMPLES, prepare};
pub use source::{ReadOptions, Source};
pub use survey::Note;
