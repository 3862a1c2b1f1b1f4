//! Model files at hand: what is known, what is there, and how it gets there.

mod hash;

pub(crate) use hash::file_sha256;
