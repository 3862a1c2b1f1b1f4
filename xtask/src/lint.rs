//! Formatting and lints.

use anyhow::Result;

use crate::run::{cargo, run};
use crate::setup::{self, Need};

/// `cargo fmt --check` and clippy over everything, with warnings as errors.
pub(crate) fn lint() -> Result<()> {
    setup::ensure(&[Need::Cmake, Need::Make, Need::Compiler, Need::Clang])?;
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}
