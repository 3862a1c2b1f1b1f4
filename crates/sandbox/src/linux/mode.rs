//! The two ways of holding a run.

use std::path::{Path, PathBuf};

use nix::unistd::{Uid, geteuid};

/// Who the program is inside of namespaces.
pub(super) const INNER_ID: u32 = 1000;

/// How a run is held, and where its files are as the program sees them.
#[derive(Debug, Clone)]
pub(super) struct Mode {
    pub(super) namespaces: bool,
    /// The user and group that the program changes to; none where it stays who it is.
    pub(super) switch_to: Option<u32>,
    pub(super) work: PathBuf,
    pub(super) tmp: PathBuf,
}

impl Mode {
    /// In namespaces, with a root folder of its own.
    pub(super) fn namespaces() -> Self {
        Self {
            namespaces: true,
            switch_to: geteuid().is_root().then_some(INNER_ID),
            work: PathBuf::from("/work"),
            tmp: PathBuf::from("/tmp"),
        }
    }

    /// On the system's own root folder, with its files in `place`.
    pub(super) fn plain(place: &Path) -> Self {
        Self {
            namespaces: false,
            switch_to: geteuid().is_root().then(own_id).flatten(),
            work: place.join("work"),
            tmp: place.join("tmp"),
        }
    }
}

/// A user and group number that no one else has, also no other run: they are counted and signalled by it.
pub(super) fn own_id() -> Option<u32> {
    const BASE: u32 = 0x6000_0000;
    let pid = std::process::id();
    // In a container only a part of all numbers may exist.
    [BASE + pid % 0x0100_0000, 20_000 + pid % 40_000].into_iter().find(|id| exists(*id, "uid") && exists(*id, "gid"))
}

fn exists(id: u32, kind: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/self/{kind}_map")) else { return false };
    text.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        matches!(numbers.as_slice(), [first, _, count] if (*first..first + count).contains(&u64::from(id)))
    })
}

/// Whether the kernel counts processes for each user namespace apart, since 5.14.
pub(super) fn counts_by_namespace(release: &str) -> bool {
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= (5, 14)
}

/// The kernel's release.
pub(super) fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map(|text| text.trim().to_string()).unwrap_or_default()
}

/// Whether the caller is root, who can give a run any user.
pub(super) fn is_root() -> bool {
    geteuid() == Uid::from_raw(0)
}

#[cfg(test)]
mod tests {
    use super::counts_by_namespace;

    #[test]
    fn kernels_count_by_namespace_since_5_14() {
        assert!(counts_by_namespace("6.1.0-18-amd64"));
        assert!(counts_by_namespace("5.14"));
        assert!(!counts_by_namespace("5.13.9-generic"));
        assert!(!counts_by_namespace(""));
    }
}
