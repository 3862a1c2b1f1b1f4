//! Exit codes: one for each kind of failure that a script can act on. Documented in docs/cli.md.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// A fault of this program.
    Internal = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A pipeline, its data, a plan file, an input or a model file is wrong.
    Input = 3,
    /// A model or its provider cannot be used.
    Model = 4,
    /// A store, disk or output file cannot be used.
    Store = 5,
    /// A limit was reached before any plan was measured.
    Limit = 6,
    /// Generated code cannot be run here.
    Sandbox = 7,
    /// The server cannot listen, or broke off.
    Server = 8,
    /// Interrupted; a study can be resumed.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
