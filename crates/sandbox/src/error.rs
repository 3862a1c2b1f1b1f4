//! Why a run did not take place. What the program itself did wrong is no error: it is in the outcome.

use std::path::PathBuf;

use crate::enforcement::Enforcement;

/// Why a run did not take place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    #[error("the sandbox needs Linux; this system has neither namespaces nor Landlock")]
    Unsupported,
    #[error("this system cannot hold untrusted code: nothing guards {}{}", list(.0), reasons(.0))]
    TooWeak(Box<Enforcement>),
    #[error(
        "no sandbox launcher: this program did not call `become_launcher_if_asked`, and `agenttts-sandbox` is not beside it"
    )]
    NoLauncher,
    #[error("the sandbox launcher {} cannot be started: {source}", path.display())]
    Launch { path: PathBuf, source: std::io::Error },
    #[error("no python3 was found: {0}")]
    NoPython(String),
    #[error("the command is empty")]
    NoCommand,
    #[error("`{program}` is not in the sandbox: it was looked for in {}", places.join(", "))]
    NoProgram { program: String, places: Vec<String> },
    #[error("the run cannot be prepared: {0}")]
    Prepare(String),
    #[error("the sandbox launcher stopped without an answer: {0}")]
    Broken(String),
}

impl SandboxError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unsupported => Some("run it on Linux, for example in a virtual machine"),
            Self::TooWeak(_) => Some(
                "allow unprivileged user namespaces (in a container: `--security-opt seccomp=unconfined`; on Ubuntu: \
                 `sysctl kernel.apparmor_restrict_unprivileged_userns=0`), or use a kernel with Landlock, or allow weaker \
                 guards if you trust the code",
            ),
            Self::NoLauncher => Some("build it with `cargo build -p agenttts-sandbox`"),
            Self::NoPython(_) => Some("install Python 3, or put it on PATH"),
            Self::NoProgram { .. } => Some("give the runtime the program's folder"),
            _ => None,
        }
    }
}

fn list(enforcement: &Enforcement) -> String {
    let names: Vec<String> = enforcement.unmet().iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn reasons(enforcement: &Enforcement) -> String {
    enforcement.missing.iter().map(|missing| format!("; {}: {}", missing.layer, missing.reason)).collect()
}
