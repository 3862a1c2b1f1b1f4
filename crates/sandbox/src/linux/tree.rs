//! All processes below one: what they use, and ending them.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, getuid, sysconf};

/// What the processes below one use together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// Processes and threads.
    pub(super) threads: u64,
    pub(super) resident_bytes: u64,
    /// Processor time, with that of processes which have ended.
    pub(super) cpu: Duration,
}

/// Whether processes can be listed here.
pub(super) fn can_look() -> bool {
    let pid = std::process::id();
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).is_ok()
}

/// What all processes below `root` use.
pub(super) fn look(root: Pid) -> Use {
    let page = number(SysconfVar::PAGE_SIZE, 4096);
    let tick = number(SysconfVar::CLK_TCK, 100);
    let mut sum = Use::default();
    let mut ticks = stat(root).map_or(0, |stat| stat.children_ticks);
    for pid in below(root) {
        let Some(stat) = stat(pid) else { continue };
        sum.threads += stat.threads;
        sum.resident_bytes += stat.resident_pages * page;
        ticks += stat.ticks + stat.children_ticks;
    }
    sum.cpu = Duration::from_millis(ticks * 1000 / tick);
    sum
}

/// Processes and threads of our user on this machine, as far as they are shown to us.
pub(super) fn threads_of_user() -> u64 {
    let user = getuid().as_raw();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let threads = processes.filter_map(|entry| {
        entry.file_name().to_str()?.parse::<u32>().ok()?;
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let first = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        (first("Uid:")?.parse() == Ok(user)).then(|| first("Threads:")?.parse::<u64>().ok()).flatten()
    });
    threads.sum()
}

/// Ends all processes below `root`. They are stopped first, so that none of them can start another unseen.
pub(super) fn end(root: Pid) {
    const ROUNDS: usize = 100;
    let mut stopped = HashSet::new();
    for _ in 0..ROUNDS {
        let new: Vec<Pid> = below(root).into_iter().filter(|pid| !stopped.contains(pid)).collect();
        if new.is_empty() {
            break;
        }
        for pid in new {
            let _ = kill(pid, Signal::SIGSTOP);
            stopped.insert(pid);
        }
    }
    for pid in below(root) {
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// Whether a process below `root` has not ended yet.
pub(super) fn any(root: Pid) -> bool {
    !below(root).is_empty()
}

/// All processes below `root`, without those that ended and were not collected yet.
fn below(root: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut waiting = vec![root];
    while let Some(pid) = waiting.pop() {
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for task in tasks.flatten() {
            let Ok(text) = fs::read_to_string(task.path().join("children")) else { continue };
            for child in text.split_whitespace().filter_map(|word| word.parse().ok()).map(Pid::from_raw) {
                waiting.push(child);
                if stat(child).is_some_and(|stat| !stat.ended) {
                    found.push(child);
                }
            }
        }
    }
    found
}

struct Stat {
    ended: bool,
    ticks: u64,
    children_ticks: u64,
    threads: u64,
    resident_pages: u64,
}

fn stat(pid: Pid) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads a line of `/proc/PID/stat`. The name, in parentheses, may itself hold spaces and parentheses.
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    // Fields are counted from the third of proc_pid_stat(5), the state.
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    Some(Stat {
        ended: matches!(fields.first(), Some(&"Z" | &"X")),
        ticks: number(11)? + number(12)?,
        children_ticks: number(13)? + number(14)?,
        threads: number(17)?,
        resident_pages: number(21)?,
    })
}

fn number(variable: SysconfVar, otherwise: u64) -> u64 {
    sysconf(variable).ok().flatten().and_then(|number| u64::try_from(number).ok()).unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = "7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 11 12 13 14 20 0 3 0 5 4096 21 0";
        let stat = parse(line).unwrap();
        assert_eq!((stat.ticks, stat.children_ticks, stat.threads, stat.resident_pages), (23, 27, 3, 21));
        assert!(!stat.ended);
    }
}
