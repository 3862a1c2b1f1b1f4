//! Standard output for data, standard error for everything else, and whether they take colour.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::problem;
use crate::args::ColorArg;
use crate::failure::Failure;

/// How a piece of text stands out. Never the only carrier of a meaning.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Paint {
    Bold,
    Good,
    Warn,
    Bad,
}

/// The two streams of the program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    stdout_colour: bool,
    stderr_colour: bool,
    live: bool,
    terminal: bool,
}

impl Screen {
    /// The process's streams.
    pub(crate) fn new(color: ColorArg, verbose: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colour = |terminal: bool| match color {
            ColorArg::Always => true,
            ColorArg::Never => false,
            ColorArg::Auto => terminal && !dumb && !set("NO_COLOR"),
        };
        let terminal = io::stderr().is_terminal();
        Screen {
            stdout_colour: colour(io::stdout().is_terminal()),
            stderr_colour: colour(terminal),
            // Log lines would tear a live display apart.
            live: terminal && !dumb && !verbose,
            terminal: io::stdout().is_terminal() && io::stdin().is_terminal() && !dumb,
        }
    }

    /// Whether stderr can show a display that redraws itself.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// Whether stdout can be drawn on while keys are pressed.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether stdout takes colour.
    pub(crate) fn stdout_colour(&self) -> bool {
        self.stdout_colour
    }

    /// Whether stderr takes colour.
    pub(crate) fn stderr_colour(&self) -> bool {
        self.stderr_colour
    }

    /// Text for stdout, painted where that takes colour.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        painted(self.stdout_colour, paint, text)
    }

    /// Text for stderr, painted where that takes colour.
    pub(crate) fn paint_err(&self, paint: Paint, text: &str) -> String {
        painted(self.stderr_colour, paint, text)
    }

    /// Writes data.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        Ok(stdout.flush()?)
    }

    /// Writes data as indented JSON.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.print(&serde_json::to_string_pretty(value).map_err(|e| Failure::Internal(e.to_string()))?)
    }

    /// Writes data as one line of JSON.
    pub(crate) fn print_json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.print(&serde_json::to_string(value).map_err(|e| Failure::Internal(e.to_string()))?)
    }

    /// Tells the person something.
    pub(crate) fn say(&self, line: &str) {
        // When stderr is gone nobody is left to tell.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Warns the person.
    pub(crate) fn warn(&self, message: &str) {
        self.say(&format!("{} {message}", self.paint_err(Paint::Warn, "warning:")));
    }

    /// Tells the person of an error.
    pub(crate) fn error(&self, message: &str) {
        self.say(&format!("{} {message}", self.paint_err(Paint::Bad, "error:")));
    }

    /// Advises the person.
    pub(crate) fn hint(&self, hint: &str) {
        self.say(&format!("{} {hint}", self.paint_err(Paint::Bold, "hint:")));
    }

    /// Tells why a command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        match failure {
            Failure::Said(_) => return,
            Failure::Stopped { study, error } => {
                self.failure(error);
                return self.hint(&format!("the study can go on: agenttts search --resume {study}"));
            }
            Failure::Engine(error) if error.problems().is_some() => {
                if let Some(problems) = error.problems() {
                    problem::show(self, problems);
                }
            }
            other => self.error(&other.to_string()),
        }
        if let Some(hint) = failure.hint() {
            self.hint(&hint);
        }
    }
}

fn painted(colour: bool, paint: Paint, text: &str) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match paint {
        Paint::Bold => "1",
        Paint::Good => "32",
        Paint::Warn => "1;33",
        Paint::Bad => "1;31",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
