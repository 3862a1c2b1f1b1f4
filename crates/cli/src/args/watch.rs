//! What can be typed after `watch`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The study [default: the newest]
    pub(crate) study: Option<String>,
    /// Print what the terminal would show now, as text, and end; COLUMNS and LINES say how large it is where stdout is no
    /// terminal
    #[arg(long)]
    pub(crate) once: bool,
}
