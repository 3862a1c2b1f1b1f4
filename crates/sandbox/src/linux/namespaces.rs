//! Starting the first process, in namespaces of its own, and saying who is who in them.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::Pid;

use super::mode::{INNER_ID, is_root, own_id};

/// All kinds of namespaces that are made new.
const NEW: CloneFlags = CloneFlags::CLONE_NEWUSER
    .union(CloneFlags::CLONE_NEWNS)
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWCGROUP);

/// Forks, in new namespaces if `namespaces`. `None` in the child.
///
/// # Safety
/// As for `fork`: the process must have one thread only.
pub(super) unsafe fn fork(namespaces: bool) -> nix::Result<Option<Pid>> {
    let flags = if namespaces { NEW } else { CloneFlags::empty() };
    let flags = flags.bits() as libc::c_long | libc::c_long::from(libc::SIGCHLD);
    // SAFETY: no new stack and no shared memory are asked for, so that it is `fork` with flags; one thread, see above.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    let pid = Errno::result(pid)?;
    Ok((pid != 0).then(|| Pid::from_raw(pid as libc::pid_t)))
}

/// Says who the users inside of `pid`'s namespace are outside.
///
/// Started by root, the program is a user that exists nowhere else, since the kernel does not limit the number of root's
/// processes; root is kept inside for building the root folder. Started by anybody else it is that user.
pub(super) fn map_users(pid: Pid) -> io::Result<()> {
    let folder = format!("/proc/{pid}");
    let (users, groups) = if is_root() {
        let id = own_id().ok_or_else(|| io::Error::other("there is no user number to spare"))?;
        let map = format!("0 0 1\n{INNER_ID} {id} 1\n");
        (map.clone(), map)
    } else {
        fs::write(format!("{folder}/setgroups"), "deny")?;
        let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
        (format!("{INNER_ID} {user} 1\n"), format!("{INNER_ID} {group} 1\n"))
    };
    fs::write(format!("{folder}/uid_map"), users)?;
    fs::write(format!("{folder}/gid_map"), groups)
}
