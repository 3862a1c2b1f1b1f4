//! Seccomp: which parts of the kernel a program may call.
//!
//! Two filters. One refuses, with "not permitted", what an attack would want; the other lets through what ordinary programs
//! need and says of everything else that this kernel does not have it, so that libraries fall back on older calls.

use std::collections::BTreeMap;

use nix::errno::Errno;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::mode::Mode;
use super::syscalls::{ALLOWED, ALLOWED_OLD, REFUSED, REFUSED_AS_SAME_USER, REFUSED_AS_SAME_USER_OLD};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Flags of `clone` that make a new namespace; the user inside of one would be its root.
const NAMESPACE_FLAGS: [libc::c_int; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    // A time namespace has no constant in libc's type.
    0x80,
];

/// Requests of `ioctl` that type into the terminal of whoever started us: TIOCSTI and TIOCLINUX, whose type in libc differs
/// between systems.
const TYPING: [u64; 2] = [0x5412, 0x541c];

/// The filters, in the order in which they are applied.
pub(super) fn filters(mode: &Mode) -> Result<Vec<BpfProgram>, String> {
    filters_for(mode).map_err(|error| error.to_string())
}

/// Makes a filter hold for this process and all that come of it.
pub(super) fn apply(filter: &BpfProgram) -> Result<(), String> {
    seccompiler::apply_filter(filter).map_err(|error| error.to_string())
}

fn filters_for(mode: &Mode) -> Result<Vec<BpfProgram>, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refused = refused(mode)?;
    let known = ALLOWED.iter().chain(ALLOWED_OLD).chain(REFUSED).chain(refused.keys());
    let allowed: Rules = known.map(|call| (*call, Vec::new())).collect();
    let refuse = SeccompFilter::new(refused, SeccompAction::Allow, SeccompAction::Errno(Errno::EPERM as u32), arch)?;
    let allow = SeccompFilter::new(allowed, SeccompAction::Errno(Errno::ENOSYS as u32), SeccompAction::Allow, arch)?;
    Ok(vec![refuse.try_into()?, allow.try_into()?])
}

/// For each call the conditions of which one must hold for it to be refused; none: always.
fn refused(mode: &Mode) -> Result<Rules, BackendError> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let not_local = when(0, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?;
    // Without a root folder of its own a program could reach servers of the system by the names of their local sockets.
    rules.insert(libc::SYS_socket, if mode.namespaces { vec![not_local.clone()] } else { Vec::new() });
    rules.insert(libc::SYS_socketpair, vec![not_local]);
    let clone: Result<Vec<_>, _> =
        NAMESPACE_FLAGS.into_iter().map(|flag| when(0, SeccompCmpOp::MaskedEq(flag as u64), flag as u64)).collect();
    rules.insert(libc::SYS_clone, clone?);
    let typing: Result<Vec<_>, _> = TYPING.into_iter().map(|call| when(1, SeccompCmpOp::Eq, call)).collect();
    rules.insert(libc::SYS_ioctl, typing?);
    if !mode.namespaces && mode.switch_to.is_none() {
        rules.extend(REFUSED_AS_SAME_USER.iter().chain(REFUSED_AS_SAME_USER_OLD).map(|call| (*call, Vec::new())));
        // Limits and processors of others; 0 is the caller.
        for call in [libc::SYS_prlimit64, libc::SYS_sched_setaffinity] {
            rules.insert(call, vec![when(0, SeccompCmpOp::Ne, 0)?]);
        }
    }
    Ok(rules)
}

fn when(argument: u8, operation: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value)?])
}
