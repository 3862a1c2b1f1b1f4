//! What really held a run: kept with its result, so that a reader knows what the result is worth.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What held a run, by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforcement {
    /// Version of this record.
    pub version: u32,
    /// The kernel's release, as `uname -r` says it.
    pub kernel: String,
    /// For each guard the layers that hold it, the strongest first. Empty: nothing does.
    pub guards: BTreeMap<Guard, Vec<Layer>>,
    /// Version of the kernel's Landlock interface that was used.
    pub landlock_abi: Option<u32>,
    /// Layers that this system did not give, and why.
    pub missing: Vec<Missing>,
}

/// What must be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// It reads and writes no files but its own and the runtime's.
    Files,
    /// It reaches no network, its own machine's included.
    Network,
    /// It does not see, signal or trace processes of others.
    OtherProcesses,
    /// It gains no rights, by setuid programs or otherwise.
    Privileges,
    /// Nothing that it started outlives it.
    Leftovers,
    Memory,
    Cpu,
    Wall,
    Processes,
    Output,
    FileSize,
    /// All of its files together.
    Disk,
}

/// A part of the system that holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Own user, mount, process, network, IPC, host name and cgroup namespaces, with an own root folder.
    Namespaces,
    Landlock,
    Seccomp,
    /// A user of its own, who owns nothing else.
    OwnUser,
    NoNewPrivileges,
    /// The kernel's limits of each process.
    Rlimits,
    /// A file system in memory, of limited size.
    SizedFileSystem,
    /// The launcher, which looks every few milliseconds and ends all processes when there is too much.
    Watcher,
}

/// A layer that this system did not give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    pub layer: Layer,
    pub reason: String,
}

/// What the launcher found; [`Enforcement::of`] says what follows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) kernel: String,
    pub(crate) namespaces: bool,
    pub(crate) own_user: bool,
    pub(crate) landlock_abi: Option<u32>,
    pub(crate) seccomp: bool,
    /// Whether the kernel counts processes of this run alone.
    pub(crate) counts_processes: bool,
    /// Whether the kernel bounds them at all, if only together with all others of the same user.
    pub(crate) bounds_processes: bool,
    /// Whether the launcher can list the run's processes.
    pub(crate) sees_processes: bool,
    pub(crate) missing: Vec<Missing>,
}

impl Enforcement {
    /// The current version of this record.
    pub const VERSION: u32 = 1;

    /// Guards without which no run is started, unless weaker ones were allowed. [`Guard::Disk`] is not among them: the
    /// size of each file is limited anyway.
    pub const MINIMUM: [Guard; 11] = [
        Guard::Files,
        Guard::Network,
        Guard::OtherProcesses,
        Guard::Privileges,
        Guard::Leftovers,
        Guard::Memory,
        Guard::Cpu,
        Guard::Wall,
        Guard::Processes,
        Guard::Output,
        Guard::FileSize,
    ];

    /// Guards of the minimum that nothing holds here.
    #[must_use]
    pub fn unmet(&self) -> Vec<Guard> {
        Self::MINIMUM.into_iter().filter(|guard| self.layers(*guard).is_empty()).collect()
    }

    /// The layers that hold `guard`.
    #[must_use]
    pub fn layers(&self, guard: Guard) -> &[Layer] {
        self.guards.get(&guard).map_or(&[], Vec::as_slice)
    }

    /// Whether `layer` holds `guard`.
    #[must_use]
    pub fn holds(&self, guard: Guard, layer: Layer) -> bool {
        self.layers(guard).contains(&layer)
    }

    pub(crate) fn of(facts: Facts) -> Self {
        let landlock = facts.landlock_abi.unwrap_or(0);
        let pick = |candidates: &[(bool, Layer)]| -> Vec<Layer> {
            candidates.iter().filter(|(held, _)| *held).map(|(_, layer)| *layer).collect()
        };
        let watcher = (facts.sees_processes, Layer::Watcher);
        let guards = BTreeMap::from([
            // Landlock learnt to refuse truncation in version 3; before, files elsewhere could be emptied. It never refuses
            // changes of the rights of one's own files: for that, another user or seccomp is needed.
            (
                Guard::Files,
                pick(&[
                    (facts.namespaces, Layer::Namespaces),
                    (landlock >= 3 && (facts.own_user || facts.seccomp), Layer::Landlock),
                ]),
            ),
            (Guard::Network, pick(&[(facts.namespaces, Layer::Namespaces), (facts.seccomp, Layer::Seccomp)])),
            (
                Guard::OtherProcesses,
                pick(&[
                    (facts.namespaces, Layer::Namespaces),
                    (facts.own_user, Layer::OwnUser),
                    // Version 6 confines signals; tracing outside was always refused, reading /proc is a matter of files,
                    // and limits of others are left to seccomp.
                    (landlock >= 6 && facts.seccomp, Layer::Landlock),
                ]),
            ),
            (Guard::Privileges, pick(&[(true, Layer::NoNewPrivileges), (facts.seccomp, Layer::Seccomp)])),
            (Guard::Leftovers, pick(&[(facts.namespaces, Layer::Namespaces), watcher])),
            (Guard::Memory, pick(&[(true, Layer::Rlimits), watcher])),
            (Guard::Cpu, pick(&[(true, Layer::Rlimits), watcher])),
            (Guard::Wall, vec![Layer::Watcher]),
            (
                Guard::Processes,
                pick(&[
                    (facts.counts_processes, Layer::Rlimits),
                    // A fork bomb that nothing bounds is faster than who counts it.
                    (facts.bounds_processes && facts.sees_processes, Layer::Watcher),
                ]),
            ),
            (Guard::Output, vec![Layer::Watcher]),
            (Guard::FileSize, vec![Layer::Rlimits]),
            (Guard::Disk, pick(&[(facts.namespaces, Layer::SizedFileSystem)])),
        ]);
        Self {
            version: Self::VERSION,
            kernel: facts.kernel,
            guards,
            landlock_abi: facts.landlock_abi,
            missing: facts.missing,
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "files",
            Self::Network => "network",
            Self::OtherProcesses => "other processes",
            Self::Privileges => "privileges",
            Self::Leftovers => "leftover processes",
            Self::Memory => "memory",
            Self::Cpu => "processor time",
            Self::Wall => "wall-clock time",
            Self::Processes => "number of processes",
            Self::Output => "output",
            Self::FileSize => "file size",
            Self::Disk => "disk space",
        })
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "namespaces",
            Self::Landlock => "Landlock",
            Self::Seccomp => "seccomp",
            Self::OwnUser => "own user",
            Self::NoNewPrivileges => "no new privileges",
            Self::Rlimits => "rlimits",
            Self::SizedFileSystem => "sized file system",
            Self::Watcher => "watcher",
        })
    }
}
