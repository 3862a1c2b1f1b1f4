//! What became of a program, from the outcome of its run.

use std::time::Duration;

use agenttts_core::text::hex;
use agenttts_sandbox::{Exit, Limit, Outcome};
use sha2::{Digest, Sha256};

use super::CodeRun;

/// What the driver writes first, and how it exits, where a file is not valid Python.
const NOT_VALID: &str = "agenttts: not valid Python\n";
const NOT_VALID_STATUS: i32 = 213;

const TRACEBACK: &str = "Traceback (most recent call last):";

/// The last line of a traceback of a program that asked for input, of which there is none.
const NO_INPUT: &str = "EOFError: EOF when reading a line";

/// The most characters that are kept of each stream and of a traceback: what a prompt can hold.
const KEPT: usize = 2_000;

/// A program that has not ended by the wall-clock limit was waiting if it computed for less than this share of it.
const WAITING_SHARE: u32 = 5;

/// A program that was not started.
pub(super) fn not_started(why: String) -> CodeRun {
    CodeRun {
        passed: false,
        is_valid: false,
        exit: None,
        killed_by: None,
        stdout: String::new(),
        stderr: String::new(),
        traceback: None,
        enforced: Vec::new(),
        behaviour: String::new(),
        why,
    }
}

/// What became of a program that ran.
pub(super) fn of(outcome: &Outcome) -> CodeRun {
    let stderr = outcome.stderr.text();
    let exit = match outcome.exit {
        Exit::Code(status) if outcome.killed_by.is_none() => Some(status),
        _ => None,
    };
    let invalid = stderr.strip_prefix(NOT_VALID).filter(|_| exit == Some(NOT_VALID_STATUS));
    let traceback = invalid.or_else(|| last_traceback(&stderr));
    let (passed, why) = judge(outcome, exit, invalid, traceback);
    let held = outcome.enforced.guards.iter().filter(|(_, layers)| !layers.is_empty());
    CodeRun {
        passed,
        is_valid: invalid.is_none(),
        exit,
        killed_by: outcome.killed_by.map(|limit| name(limit).to_owned()),
        stdout: end_of(outcome.stdout.text()),
        stderr: end_of(&stderr),
        // What asks for input did nothing wrong, so there is nothing to mend.
        traceback: traceback.filter(|_| !passed).map(end_of),
        enforced: held.map(|(guard, _)| guard.to_string()).collect(),
        behaviour: behaviour(outcome),
        why,
    }
}

/// Whether it ran without a traceback, and why that is said.
fn judge(outcome: &Outcome, exit: Option<i32>, invalid: Option<&str>, traceback: Option<&str>) -> (bool, String) {
    if let Some(message) = invalid {
        return (false, format!("not valid Python: {}", last_line(message)));
    }
    match (outcome.killed_by, outcome.exit) {
        (Some(Limit::Wall), _) => {}
        (Some(limit), _) => return (false, format!("ended at the limit of {}", name(limit))),
        (None, Exit::Signal(signal)) => return (false, format!("ended by signal {signal}")),
        (None, Exit::Code(_)) => {}
    }
    match traceback.map(last_line) {
        Some(NO_INPUT) => return (true, "ran until it asked for input".into()),
        Some(error) => return (false, format!("ended with a traceback: {error}")),
        None => {}
    }
    match exit {
        Some(status) => (true, format!("ended with status {status}")),
        None if is_waiting(outcome.cpu, outcome.wall) => {
            (true, format!("still waiting after {} s", outcome.wall.as_secs()))
        }
        None => (false, format!("still computing after {} s", outcome.wall.as_secs())),
    }
}

fn is_waiting(cpu: Duration, wall: Duration) -> bool {
    cpu * WAITING_SHARE < wall
}

/// What programs share that do the same: how they end and what they print. Of one that waits only the first line, since
/// how much it prints depends on the clock.
fn behaviour(outcome: &Outcome) -> String {
    let stdout = outcome.stdout.text();
    let (end, printed) = match (outcome.killed_by, outcome.exit) {
        (Some(limit), _) => (name(limit).to_owned(), stdout.lines().next().unwrap_or_default()),
        (None, Exit::Code(status)) => (status.to_string(), stdout.trim_end()),
        (None, Exit::Signal(signal)) => (format!("signal {signal}"), stdout.trim_end()),
    };
    format!("{end} {}", hex(&Sha256::digest(printed.as_bytes())))
}

fn name(limit: Limit) -> &'static str {
    match limit {
        Limit::Memory => "memory",
        Limit::Cpu => "processor time",
        Limit::Wall => "wall-clock time",
        Limit::Processes => "processes",
        Limit::Output => "output",
        Limit::FileSize => "file size",
    }
}

/// From the last traceback on, to the end.
fn last_traceback(stderr: &str) -> Option<&str> {
    stderr.rfind(TRACEBACK).map(|start| stderr[start..].trim_end())
}

fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

/// The end of a text, marked where something is left out.
fn end_of(text: impl AsRef<str>) -> String {
    let text = text.as_ref().trim_end();
    match text.char_indices().rev().nth(KEPT) {
        Some((at, c)) => format!("[...]{}", &text[at + c.len_utf8()..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_is_kept() {
        assert_eq!(end_of("short\n"), "short");
        let long = "é".repeat(KEPT + 10);
        assert_eq!(end_of(&long), format!("[...]{}", "é".repeat(KEPT)));
        assert_eq!(end_of("é".repeat(KEPT)), "é".repeat(KEPT));
    }

    #[test]
    fn the_last_traceback_counts() {
        let stderr =
            format!("warning\n{TRACEBACK}\n  a\nKeyError: 1\n\nDuring ...\n\n{TRACEBACK}\n  b\nValueError: 2\n");
        let found = last_traceback(&stderr).unwrap();
        assert_eq!((found.lines().count(), last_line(found)), (3, "ValueError: 2"));
        assert_eq!(last_traceback("nothing"), None);
    }
}
