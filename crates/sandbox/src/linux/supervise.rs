//! The launcher itself: starts the first process, watches the run, ends it, and says what came of it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::mode::{self, Mode};
use super::report::{Report, Reports, channel};
use super::{files, first, namespaces, tree};
use crate::enforcement::{Enforcement, Facts, Layer, Missing};
use crate::limits::Limit;
use crate::outcome::Exit;
use crate::wire::{Answer, Finished, Spec, TOO_MUCH_OUTPUT};

/// How long everything may take before the program starts. Only something that hangs takes as long.
const SETUP: Duration = Duration::from_secs(60);

/// How long killed processes may take to be gone. Only one that the kernel holds takes as long.
const DYING: Duration = Duration::from_secs(5);

/// How often the run is looked at: often in the beginning, so that short runs are seen too.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LOOKS: Duration = Duration::from_millis(20);

/// Runs `spec`. `None` when nobody waits for an answer any more.
pub(super) fn run(spec: &Spec, control: &UnixStream) -> Option<Answer> {
    let mut missing = Vec::new();
    if spec.layers.namespaces {
        match attempt(spec, control, &Mode::namespaces(), Vec::new()) {
            Err(Stop::NoNamespaces(reason)) => missing.push(Missing { layer: Layer::Namespaces, reason }),
            other => return answer(other),
        }
    } else {
        missing.push(Missing { layer: Layer::Namespaces, reason: "they were turned off".to_string() });
    }
    answer(plain(spec, control, missing))
}

/// Why there is nothing to say of a finished run.
enum Stop {
    NoNamespaces(String),
    TooWeak(Enforcement),
    Failed(String),
    Cancelled,
}

fn answer(result: Result<Finished, Stop>) -> Option<Answer> {
    match result {
        Ok(finished) => Some(Answer::Finished(finished)),
        Err(Stop::TooWeak(enforced)) => Some(Answer::TooWeak(enforced)),
        Err(Stop::Failed(what)) => Some(Answer::Failed(what)),
        Err(Stop::NoNamespaces(what)) => Some(Answer::Failed(what)),
        Err(Stop::Cancelled) => None,
    }
}

/// Without namespaces, in a temporary folder.
fn plain(spec: &Spec, control: &UnixStream, missing: Vec<Missing>) -> Result<Finished, Stop> {
    let failed = |error: std::io::Error| Stop::Failed(format!("the program's folder: {error}"));
    let place = TempDir::with_prefix("agenttts-sandbox-").map_err(failed)?;
    let mode = Mode::plain(place.path());
    std::fs::create_dir(&mode.work).and_then(|()| std::fs::create_dir(&mode.tmp)).map_err(failed)?;
    files::fill(spec, "/".as_ref(), &mode.work).map_err(Stop::Failed)?;
    if let Some(id) = mode.switch_to {
        files::give(place.path(), id).map_err(failed)?;
    }
    let result = attempt(spec, control, &mode, missing);
    files::open_up(place.path());
    result
}

fn attempt(spec: &Spec, control: &UnixStream, mode: &Mode, missing: Vec<Missing>) -> Result<Finished, Stop> {
    let failed = |error: std::io::Error| Stop::Failed(format!("the launcher: {error}"));
    let facts = facts(mode, missing);
    let stdin = standard_input(&spec.stdin).map_err(failed)?;
    let (reporter, reports) = channel().map_err(|error| failed(error.into()))?;
    let (wait, mut go) = std::io::pipe().map_err(failed)?;
    // SAFETY: the launcher has one thread.
    let forked = unsafe { namespaces::fork(mode.namespaces) };
    let first = match forked {
        Ok(Some(pid)) => pid,
        Ok(None) => {
            drop((go, reports));
            std::process::exit(first::serve(spec, mode, facts, &stdin, wait, &reporter));
        }
        Err(error) if mode.namespaces => return Err(Stop::NoNamespaces(error.to_string())),
        Err(error) => return Err(failed(error.into())),
    };
    drop((reporter, wait));
    let run = Run { first, mode, control, reports, spec };
    if mode.namespaces
        && let Err(error) = namespaces::map_users(first)
    {
        run.end();
        let _ = collect(first);
        return Err(Stop::NoNamespaces(format!("mapping users: {error}")));
    }
    go.write_all(&[1]).map_err(failed)?;
    run.watch()
}

fn facts(mode: &Mode, missing: Vec<Missing>) -> Facts {
    let kernel = mode::kernel();
    let own = mode.switch_to.is_some();
    Facts {
        namespaces: mode.namespaces,
        counts_processes: own || (mode.namespaces && mode::counts_by_namespace(&kernel)),
        bounds_processes: own || !mode::is_root(),
        sees_processes: tree::can_look(),
        kernel,
        missing,
        ..Facts::default()
    }
}

/// A file with what the program reads, that it cannot write.
fn standard_input(bytes: &[u8]) -> std::io::Result<File> {
    if bytes.is_empty() {
        return File::open("/dev/null");
    }
    let mut file = File::from(memfd_create("stdin", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

struct Run<'a> {
    first: Pid,
    mode: &'a Mode,
    control: &'a UnixStream,
    reports: Reports,
    spec: &'a Spec,
}

/// What is known of a run while it is watched.
#[derive(Default)]
struct Seen {
    started: Option<(Instant, Enforcement)>,
    exit: Option<Exit>,
    ended: Option<Instant>,
    killed_by: Option<Limit>,
    peak: u64,
    cpu: Duration,
}

impl Run<'_> {
    fn watch(&self) -> Result<Finished, Stop> {
        let mut seen = Seen::default();
        let result = self.follow(&mut seen);
        if result.is_err() {
            self.end();
        }
        let ended = seen.ended.unwrap_or_else(Instant::now);
        let used = collect(self.first);
        result?;
        let Some((started, enforced)) = seen.started else {
            return Err(Stop::Failed("the first process of the run was ended from outside".to_string()));
        };
        let exit = seen.exit.unwrap_or(Exit::Signal(Signal::SIGKILL as i32));
        let cpu = used.cpu.max(seen.cpu);
        Ok(Finished {
            exit,
            wall: ended.duration_since(started),
            cpu,
            peak_memory_bytes: seen.peak.max(used.peak_bytes),
            killed_by: seen.killed_by.or_else(|| self.kernel_ended(exit, cpu)),
            enforced,
        })
    }

    /// Until no process of the run is left.
    fn follow(&self, seen: &mut Seen) -> Result<(), Stop> {
        let begun = Instant::now();
        let mut interval = FIRST_LOOK;
        loop {
            let (asked, reported) = self.wait(interval)?;
            interval = (interval * 2).min(LOOKS);
            if asked {
                let (mut word, mut control) = ([0], self.control);
                match control.read(&mut word) {
                    Ok(1) if word[0] == TOO_MUCH_OUTPUT => self.exceeded(seen, Limit::Output),
                    _ => return Err(Stop::Cancelled),
                }
            }
            if reported && self.hear(seen)? {
                return Ok(());
            }
            match &seen.started {
                Some((started, _)) => {
                    let started = *started;
                    self.look(seen, started);
                }
                None if begun.elapsed() > SETUP => {
                    return Err(Stop::Failed("it took too long to set the run up".to_string()));
                }
                None => {}
            }
        }
    }

    /// Waits for a word of the library and for a report.
    fn wait(&self, longest: Duration) -> Result<(bool, bool), Stop> {
        let mut files = [
            PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.reports.as_fd(), PollFlags::POLLIN),
        ];
        let longest = PollTimeout::try_from(longest).unwrap_or(PollTimeout::ZERO);
        match poll(&mut files, longest) {
            Ok(_) => Ok((files[0].any() == Some(true), files[1].any() == Some(true))),
            Err(nix::errno::Errno::EINTR) => Ok((false, false)),
            Err(error) => Err(Stop::Failed(format!("the launcher: {error}"))),
        }
    }

    /// Takes one report. Whether it was the last.
    fn hear(&self, seen: &mut Seen) -> Result<bool, Stop> {
        let report = self.reports.next().map_err(|error| Stop::Failed(format!("the launcher: {error}")))?;
        match report {
            None => return Ok(true),
            Some(Report::Ready(enforced)) => seen.started = Some((Instant::now(), enforced)),
            Some(Report::Ended(exit)) => {
                seen.exit = Some(exit);
                seen.ended = Some(Instant::now());
            }
            Some(Report::NoNamespaces(reason)) => return Err(Stop::NoNamespaces(reason)),
            Some(Report::TooWeak(enforced)) => return Err(Stop::TooWeak(enforced)),
            Some(Report::Failed(what)) => return Err(Stop::Failed(what)),
        }
        Ok(false)
    }

    /// Looks at what the run uses, and ends it if that is too much.
    fn look(&self, seen: &mut Seen, started: Instant) {
        let now = tree::look(self.first);
        let limits = &self.spec.limits;
        seen.peak = seen.peak.max(now.resident_bytes);
        seen.cpu = seen.cpu.max(now.cpu);
        // Too many processes first: seen late, they have used up the others as well.
        let over = [
            (now.threads > u64::from(limits.processes), Limit::Processes),
            (now.resident_bytes > limits.memory_bytes, Limit::Memory),
            (now.cpu > limits.cpu, Limit::Cpu),
            (started.elapsed() > limits.wall, Limit::Wall),
        ];
        if seen.killed_by.is_none()
            && let Some((_, limit)) = over.into_iter().find(|(over, _)| *over)
        {
            self.exceeded(seen, limit);
        }
    }

    fn exceeded(&self, seen: &mut Seen, limit: Limit) {
        if seen.exit.is_none() {
            seen.killed_by.get_or_insert(limit);
            seen.ended.get_or_insert_with(Instant::now);
            self.end();
        }
    }

    /// Ends all processes of the run, the first one included.
    fn end(&self) {
        if !self.mode.namespaces {
            // The first process may start none while the others are ended, and must live as long, since it adopts them.
            let _ = kill(self.first, Signal::SIGSTOP);
            let begun = Instant::now();
            while tree::any(self.first) && begun.elapsed() < DYING {
                tree::end(self.first);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let _ = kill(self.first, Signal::SIGKILL);
    }

    /// The limit for which the kernel itself ended the program.
    fn kernel_ended(&self, exit: Exit, cpu: Duration) -> Option<Limit> {
        let Exit::Signal(signal) = exit else { return None };
        match Signal::try_from(signal) {
            Ok(Signal::SIGXCPU) => Some(Limit::Cpu),
            Ok(Signal::SIGXFSZ) => Some(Limit::FileSize),
            Ok(Signal::SIGKILL) if cpu >= self.spec.limits.cpu => Some(Limit::Cpu),
            _ => None,
        }
    }
}

struct Used {
    cpu: Duration,
    peak_bytes: u64,
}

/// Waits for the first process, and says what it and all processes that it collected have used.
fn collect(first: Pid) -> Used {
    let mut status = 0;
    // SAFETY: all zeros is a value of this type of numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both places live until the call returns.
    while unsafe { libc::wait4(first.as_raw(), &raw mut status, 0, &raw mut usage) } < 0 {
        if nix::errno::Errno::last() != nix::errno::Errno::EINTR {
            break;
        }
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.try_into().unwrap_or(0))
            + Duration::from_micros(time.tv_usec.try_into().unwrap_or(0))
    };
    Used {
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
    }
}
