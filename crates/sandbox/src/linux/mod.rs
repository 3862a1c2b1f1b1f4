//! The launcher on Linux. Four processes, of which all but the last are ours:
//!
//! 1. the *library*, in the program that wants something run;
//! 2. the *launcher* ([`supervise`]): outside of the namespaces, watches, and ends the run;
//! 3. the *first* process ([`first`]): the one with number 1 inside, builds the root folder, collects what is left behind;
//! 4. the *program*, after it was confined ([`confine`]).
//!
//! Whoever dies takes those after it along: the launcher sees its socket close, the first process has a parent-death
//! signal, and with number 1 a whole process namespace ends.

mod confine;
mod files;
mod first;
mod landlock;
mod mode;
mod namespaces;
mod report;
mod root;
mod seccomp;
mod supervise;
mod syscalls;
mod tree;

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use crate::wire::{Answer, Spec};

/// Serves one run: what to run comes in over standard input, which is a socket, and the answer goes out there.
pub(crate) fn launch() -> i32 {
    let Ok(control) = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else { return 2 };
    let mut line = String::new();
    let answer = match BufReader::new(&control).read_line(&mut line) {
        // Whoever asked is gone.
        Ok(0) | Err(_) => return 2,
        Ok(_) => match serde_json::from_str::<Spec>(&line) {
            Ok(spec) => supervise::run(&spec, &control),
            Err(error) => Some(Answer::Failed(format!("the launcher does not understand the library: {error}"))),
        },
    };
    let Some(answer) = answer else { return 0 };
    let Ok(mut line) = serde_json::to_vec(&answer) else { return 2 };
    line.push(b'\n');
    i32::from((&control).write_all(&line).is_err())
}
