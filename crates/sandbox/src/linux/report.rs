//! What the processes inside say to the launcher.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use serde::{Deserialize, Serialize};

use crate::enforcement::Enforcement;
use crate::outcome::Exit;

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The system does not give namespaces; nothing was run.
    NoNamespaces(String),
    /// Everything is held as said; the program starts now.
    Ready(Enforcement),
    TooWeak(Enforcement),
    Failed(String),
    Ended(Exit),
}

/// The inner end: closed by exec.
#[derive(Debug)]
pub(super) struct Reporter(OwnedFd);

/// The launcher's end.
#[derive(Debug)]
pub(super) struct Reports(OwnedFd);

/// A pair of ends. Messages keep their borders, and the end of all writers is seen.
pub(super) fn channel() -> nix::Result<(Reporter, Reports)> {
    let (inner, outer) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    Ok((Reporter(inner), Reports(outer)))
}

impl Reporter {
    /// Says something. Nobody listens any more when the run is being ended, so failures do not matter.
    pub(super) fn say(&self, report: &Report) {
        self.say_bytes(&bytes(report));
    }

    pub(super) fn say_bytes(&self, bytes: &[u8]) {
        let _ = send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL);
    }
}

/// A report as it is sent, for a moment in which nothing can be allocated any more.
pub(super) fn bytes(report: &Report) -> Vec<u8> {
    serde_json::to_vec(report).unwrap_or_default()
}

impl Reports {
    /// The next report, to be called when there is one. `None` when no process is left that could say anything.
    pub(super) fn next(&self) -> nix::Result<Option<Report>> {
        let mut buffer = vec![0; 64 * 1024];
        let count = loop {
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => return Ok(None),
                other => break other?,
            }
        };
        if count == 0 {
            return Ok(None);
        }
        let garbled = |_| Errno::EBADMSG;
        serde_json::from_slice(&buffer[..count]).map(Some).map_err(garbled)
    }
}

impl AsFd for Reports {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
