//! How much a run may use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a run may use at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Resident memory of all its processes together, and writable memory of each one, in bytes. A process that asks for
    /// more is told that there is none (`MemoryError` in Python); all of them are ended when their sum is above it. A
    /// thread's stack counts with 8 MiB.
    pub memory_bytes: u64,
    /// Processor time of all its processes together.
    pub cpu: Duration,
    /// From the start of the program until it is ended.
    pub wall: Duration,
    /// Processes and threads at one time, the program itself included.
    pub processes: u32,
    /// Bytes kept of stdout, and of stderr. A program that writes more is ended.
    pub output_bytes: u64,
    /// Bytes of any one file it writes.
    pub file_bytes: u64,
    /// Bytes of all its files together, its folder included.
    pub disk_bytes: u64,
    /// Files open at one time, in each process.
    pub open_files: u32,
}

impl Default for Limits {
    /// Enough for a small program and its tests.
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            cpu: Duration::from_secs(10),
            wall: Duration::from_secs(20),
            processes: 32,
            output_bytes: 1 << 20,
            file_bytes: 16 << 20,
            disk_bytes: 64 << 20,
            open_files: 256,
        }
    }
}

/// The limit for which a run was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    Memory,
    Cpu,
    Wall,
    /// Only where the kernel cannot refuse further processes: see [`Layer::Watcher`](crate::Layer::Watcher).
    Processes,
    Output,
    FileSize,
}
