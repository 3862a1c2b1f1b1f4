//! The loaders, on the pack of published rows and on rows made by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod bad_input;
mod pack;
mod support;
mod traps;
