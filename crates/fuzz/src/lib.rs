//! Whatever reads input from outside, as functions of bytes.
//!
//! Nothing that they are given may make them panic, overflow the stack, hang or take memory without bound; some check more than
//! that. `cargo xtask fuzz` feeds them with inputs that grow towards code not reached yet; the tests of this crate feed them with the
//! seeds, with all cases that were ever found, and with some thousand mutations of both.

mod files;
mod replies;
mod texts;

/// Something that reads input from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, under which its seeds and found cases lie.
    pub name: &'static str,
    /// Feeds it.
    pub feed: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 9] = [
    Target { name: "pipeline", feed: files::pipeline },
    Target { name: "template", feed: files::template },
    Target { name: "dataset", feed: files::dataset },
    Target { name: "landscape", feed: files::landscape },
    Target { name: "tape", feed: files::tape },
    Target { name: "completion", feed: replies::completion },
    Target { name: "agent-reply", feed: replies::agent_reply },
    Target { name: "sample", feed: texts::sample },
    Target { name: "request-body", feed: replies::request_body },
];

/// Feeds the target of that name.
///
/// # Panics
/// Where there is none, and where the target fails.
pub fn feed(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    #[allow(clippy::panic, reason = "failing loudly is what this is for")]
    let target = target.unwrap_or_else(|| panic!("there is no target {name:?}"));
    (target.feed)(bytes);
}
