//! The paper's data sets as published, turned into the examples of a pipeline.
//!
//! A file is recognised by its content, read as a stream, and every fault is reported with its place. docs/data.md lists
//! the formats and the fields that examples have.

mod bytes;
mod draft;
mod error;
mod format;
mod kg;
mod qa;
mod scan;
mod source;
mod srdd;
mod taskbench;
mod tools;
mod values;

pub use error::DataError;
pub use format::{Dataset, Format};
pub use source::{ReadOptions, Source};
