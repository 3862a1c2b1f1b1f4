//! The first process of a run: number 1 in its namespace. It builds the root folder, starts the program, and when that has
//! ended, ends all that it left behind.

use std::fs::File;
use std::io::{PipeReader, Read};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, sethostname};

use super::confine;
use super::mode::Mode;
use super::report::{Report, Reporter};
use super::root::{self, Failure};
use super::tree;
use crate::enforcement::Facts;
use crate::outcome::Exit;
use crate::wire::Spec;

/// Serves the run. `go` says that users are mapped; it closes without a word when the launcher is gone.
pub(super) fn serve(
    spec: &Spec,
    mode: &Mode,
    facts: Facts,
    stdin: &File,
    mut go: PipeReader,
    reporter: &Reporter,
) -> i32 {
    let mut word = [0];
    // Before anything else, so that there is no moment in which the launcher could die unnoticed.
    let bound = prctl::set_pdeathsig(Signal::SIGKILL);
    if bound.is_err() || go.read_exact(&mut word).is_err() {
        return 1;
    }
    match run(spec, mode, facts, stdin, reporter) {
        Ok(exit) => reporter.say(&Report::Ended(exit)),
        Err(report) => reporter.say(&report),
    }
    0
}

fn run(spec: &Spec, mode: &Mode, facts: Facts, stdin: &File, reporter: &Reporter) -> Result<Exit, Report> {
    let failed = |what: &'static str| move |error: Errno| Report::Failed(format!("{what}: {error}"));
    // The program may have our user: it must not read our memory.
    prctl::set_dumpable(false).map_err(failed("hiding memory"))?;
    if mode.namespaces {
        sethostname("sandbox").map_err(|error| Report::NoNamespaces(format!("the host name: {error}")))?;
        root::enter(spec, mode).map_err(|failure| match failure {
            Failure::System(reason) => Report::NoNamespaces(reason),
            Failure::Job(what) => Report::Failed(what),
        })?;
    } else {
        // What loses its parent becomes our child, and so is found.
        prctl::set_child_subreaper(true).map_err(failed("adopting processes"))?;
    }
    // SAFETY: this process has one thread.
    match unsafe { fork() }.map_err(failed("fork"))? {
        ForkResult::Child => {
            let report = confine::start(spec, mode, facts, stdin, reporter);
            reporter.say(&report);
            std::process::exit(1)
        }
        ForkResult::Parent { child } => {
            let exit = wait_for(child);
            end_all();
            Ok(exit)
        }
    }
}

/// Waits for the program, and collects others that end before it.
fn wait_for(program: Pid) -> Exit {
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => return Exit::Code(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => return Exit::Signal(signal as i32),
            Err(Errno::ECHILD) => return Exit::Signal(Signal::SIGKILL as i32),
            _ => {}
        }
    }
}

/// Ends all processes of the run but this one, and collects them, so that their use is counted.
fn end_all() {
    let this = getpid();
    if this.as_raw() == 1 {
        // Everybody in this namespace.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        while !matches!(waitpid(None, None), Err(Errno::ECHILD)) {}
        return;
    }
    while tree::any(this) {
        tree::end(this);
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive) {}
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
