//! Seccomp: which parts of the kernel a program may call.
//!
//! Two filters. One refuses, with "not permitted", what an attack would want; the other lets through what ordinary programs
//! need and says of everything else that this kernel does not have it, so that libraries fall back on older calls.

use std::collections::BTreeMap;

use nix::errno::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::syscalls::{ALLOWED, REFUSED};

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

/// The filters, in the order in which they are applied. Local sockets are allowed only `with_local_sockets`: without a root
/// folder of its own a program could reach servers of the system by their names.
pub(super) fn filters(with_local_sockets: bool) -> Result<Vec<BpfProgram>, String> {
    filters_for(with_local_sockets).map_err(|error| error.to_string())
}

/// Makes a filter hold for this process and all that come of it.
pub(super) fn apply(filter: &BpfProgram) -> Result<(), String> {
    seccompiler::apply_filter(filter).map_err(|error| error.to_string())
}

fn filters_for(with_local_sockets: bool) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let always = Vec::new;
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, always())).collect();
    let on = |argument, operation, value| -> Result<SeccompRule, seccompiler::BackendError> {
        SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value)?])
    };
    let not_local = on(0, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?;
    refused.insert(libc::SYS_socket, if with_local_sockets { vec![not_local.clone()] } else { always() });
    refused.insert(libc::SYS_socketpair, vec![not_local]);
    let mut clone = Vec::new();
    for flag in NAMESPACE_FLAGS {
        clone.push(on(0, SeccompCmpOp::MaskedEq(flag as u64), flag as u64)?);
    }
    refused.insert(libc::SYS_clone, clone);
    // Typing into the terminal of whoever started us.
    let typing = [libc::TIOCSTI as u64, libc::TIOCLINUX as u64];
    let typing: Result<Vec<_>, _> = typing.into_iter().map(|call| on(1, SeccompCmpOp::Eq, call)).collect();
    refused.insert(libc::SYS_ioctl, typing?);

    let allowed: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(REFUSED).chain(refused.keys()).map(|call| (*call, always())).collect();
    let refuse = SeccompFilter::new(refused, SeccompAction::Allow, SeccompAction::Errno(Errno::EPERM as u32), arch)?;
    let allow = SeccompFilter::new(allowed, SeccompAction::Errno(Errno::ENOSYS as u32), SeccompAction::Allow, arch)?;
    Ok(vec![refuse.try_into()?, allow.try_into()?])
}
