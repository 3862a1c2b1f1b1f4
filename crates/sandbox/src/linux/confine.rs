//! The last steps before the program: everything is given up, and then it starts.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::sys::stat::{Mode as FileMode, umask};
use nix::unistd::{Gid, Uid, chdir, dup2_stdin, execve, setgroups, setresgid, setresuid, setsid};
use seccompiler::BpfProgram;

use super::mode::Mode;
use super::report::{self, Report, Reporter};
use super::{landlock, seccomp, tree};
use crate::enforcement::{Enforcement, Facts, Layer, Missing};
use crate::wire::Spec;

/// Where the kernel counts the processes of a run together with others of the same user: how many those may become more
/// before the run is refused its own.
const OTHERS_ROOM: u64 = 64;

/// Becomes the program. Returns only with what went wrong.
pub(super) fn start(spec: &Spec, mode: &Mode, mut facts: Facts, stdin: &File, reporter: &Reporter) -> Report {
    match prepare(spec, mode, &mut facts, stdin) {
        Err(what) => Report::Failed(what),
        Ok(ready) => {
            let enforced = Enforcement::of(facts);
            if !spec.allow_weaker && !enforced.unmet().is_empty() {
                return Report::TooWeak(enforced);
            }
            // Limited memory may not suffice for allocating: all that is said from here on is made ready now.
            let said = report::bytes(&Report::Ready(enforced));
            match exec(spec, &ready, reporter, &said) {
                Ok(never) => match never {},
                Err((what, error)) => Report::Failed(format!("{what}: {error}")),
            }
        }
    }
}

struct Ready {
    program: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    limits: Vec<(Resource, u64, u64)>,
    filters: Vec<BpfProgram>,
}

fn prepare(spec: &Spec, mode: &Mode, facts: &mut Facts, stdin: &File) -> Result<Ready, String> {
    let step = |what: &'static str| move |error: Errno| format!("{what}: {error}");
    let ready = Ready {
        program: text(spec.program.as_os_str().as_bytes())?,
        args: spec.args.iter().map(|arg| text(arg.as_bytes())).collect::<Result<_, _>>()?,
        env: environment(spec, mode)?,
        limits: limits(spec, mode, facts.counts_processes),
        filters: if spec.layers.seccomp {
            seccomp::filters(mode).unwrap_or_else(|reason| {
                facts.missing.push(Missing { layer: Layer::Seccomp, reason });
                Vec::new()
            })
        } else {
            facts.missing.push(Missing { layer: Layer::Seccomp, reason: "it was turned off".to_string() });
            Vec::new()
        },
    };
    dup2_stdin(stdin).map_err(step("standard input"))?;
    let _ = setsid();
    umask(FileMode::S_IWGRP | FileMode::S_IWOTH);
    give_up_rights(mode).map_err(step("giving up rights"))?;
    // Set only now: a change of user clears it.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("parent-death signal"))?;
    chdir(&mode.work).map_err(step("entering the program's folder"))?;
    reset_signals().map_err(step("signals"))?;
    close_all_on_exec().map_err(step("closing files"))?;
    nix::sys::prctl::set_no_new_privs().map_err(step("no new privileges"))?;
    if spec.layers.landlock {
        match landlock::confine(spec, mode) {
            Ok(abi) => facts.landlock_abi = Some(abi),
            Err(reason) => facts.missing.push(Missing { layer: Layer::Landlock, reason }),
        }
    } else {
        facts.missing.push(Missing { layer: Layer::Landlock, reason: "it was turned off".to_string() });
    }
    facts.own_user = mode.switch_to.is_some();
    // The filters refuse what is needed until the very end, so they are applied there; that one is there is known by now.
    facts.seccomp = !ready.filters.is_empty();
    Ok(ready)
}

fn exec(spec: &Spec, ready: &Ready, reporter: &Reporter, said: &[u8]) -> Result<Infallible, (String, Errno)> {
    for (resource, soft, hard) in &ready.limits {
        setrlimit(*resource, *soft, *hard).map_err(|error| (format!("the limit {resource:?}"), error))?;
    }
    for filter in &ready.filters {
        seccomp::apply(filter).map_err(|what| (format!("seccomp: {what}"), Errno::last()))?;
    }
    reporter.say_bytes(said);
    execve(&ready.program, &ready.args, &ready.env)
        .map_err(|error| (format!("`{}` cannot be started in the sandbox", spec.program.display()), error))
}

fn text(bytes: &[u8]) -> Result<CString, String> {
    CString::new(bytes).map_err(|_| format!("`{}` holds a zero byte", String::from_utf8_lossy(bytes)))
}

fn environment(spec: &Spec, mode: &Mode) -> Result<Vec<CString>, String> {
    let (work, tmp) = (mode.work.display().to_string(), mode.tmp.display().to_string());
    let own = [("HOME", &work), ("PWD", &work), ("TMPDIR", &tmp)];
    own.into_iter()
        .filter(|(name, _)| !spec.env.contains_key(*name))
        .chain(spec.env.iter().map(|(name, value)| (name.as_str(), value)))
        .map(|(name, value)| text(format!("{name}={value}").as_bytes()))
        .collect()
}

fn limits(spec: &Spec, mode: &Mode, counts_processes: bool) -> Vec<(Resource, u64, u64)> {
    let limits = &spec.limits;
    // The kernel counts whole seconds. At the softer limit it sends a signal that says which one it was.
    let seconds = limits.cpu.as_millis().div_ceil(1000).max(1) as u64;
    let same = |resource, value| (resource, value, value);
    let mut all = vec![
        (Resource::RLIMIT_CPU, seconds, seconds + 1),
        same(Resource::RLIMIT_FSIZE, limits.file_bytes),
        same(Resource::RLIMIT_NOFILE, u64::from(limits.open_files)),
        same(Resource::RLIMIT_CORE, 0),
        same(Resource::RLIMIT_MSGQUEUE, 0),
        same(Resource::RLIMIT_MEMLOCK, 64 << 10),
    ];
    // Without a user of its own, the first process counts too.
    let ours = u64::from(mode.switch_to.is_none());
    // Where all processes of the user count, this only keeps a fork bomb small enough for the launcher to end it.
    let others = if counts_processes { 0 } else { tree::threads_of_user() + OTHERS_ROOM };
    all.push(same(Resource::RLIMIT_NPROC, u64::from(limits.processes) + ours + others));
    // Last: from here on memory is short. What counts is memory that can be written; address space is only reserved by
    // many libraries, and kept within bounds for the sake of memory shared between processes, which does not count.
    all.push(same(Resource::RLIMIT_AS, limits.memory_bytes.saturating_mul(4).saturating_add(1 << 30)));
    all.push(same(Resource::RLIMIT_DATA, limits.memory_bytes));
    all
}

fn give_up_rights(mode: &Mode) -> nix::Result<()> {
    for capability in 0..64 {
        // SAFETY: takes numbers only. Numbers of no capability, and those that we do not have, are refused.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    if let Some(id) = mode.switch_to {
        setgroups(&[])?;
        setresgid(Gid::from_raw(id), Gid::from_raw(id), Gid::from_raw(id))?;
        setresuid(Uid::from_raw(id), Uid::from_raw(id), Uid::from_raw(id))?;
    }
    // Version 3 of the interface, this process; two words for each of the three sets.
    let header = [0x2008_0522_u32, 0];
    let none = [0_u32; 6];
    // SAFETY: both have the layout that this version of the interface reads, and live until the call returns.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) }).map(drop)
}

/// The program begins with all signals as usual; ours ignores broken pipes.
fn reset_signals() -> nix::Result<()> {
    for each in Signal::iterator().filter(|each| !matches!(each, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: the default handler runs no code of ours.
        unsafe { signal(each, SigHandler::SigDfl) }?;
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// Leaves the program nothing but its three streams.
fn close_all_on_exec() -> nix::Result<()> {
    // SAFETY: takes numbers only, and closes nothing before exec.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    match Errno::result(result) {
        Ok(_) => Ok(()),
        // Older kernels: one by one.
        Err(_) => {
            let open = std::fs::read_dir("/proc/self/fd").map_err(|_| Errno::EBADF)?;
            for file in open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
                if file > std::io::stderr().as_raw_fd() {
                    // SAFETY: changes one flag of a file number; numbers that are closed by now are refused.
                    unsafe { libc::fcntl(file, libc::F_SETFD, libc::FD_CLOEXEC) };
                }
            }
            Ok(())
        }
    }
}
