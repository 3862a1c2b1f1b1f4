//! The process that starts runs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::SandboxError;

/// The first argument of a program that is to be a launcher.
const ASKED: &str = "--agenttts-sandbox-launcher";

/// Whether this program can be started again as a launcher.
static CAN_RELAUNCH: AtomicBool = AtomicBool::new(false);

/// Makes this process the launcher of one run, if it was started as one, and then never returns. To be called first in
/// `main`, before any thread is started.
pub fn become_launcher_if_asked() {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == ASKED) {
        become_launcher();
    }
    CAN_RELAUNCH.store(true, Ordering::Relaxed);
}

/// Makes this process the launcher of one run. Reads what to run from its standard input, a socket.
pub fn become_launcher() -> ! {
    #[cfg(target_os = "linux")]
    let status = crate::linux::launch();
    #[cfg(not(target_os = "linux"))]
    let status = 1;
    std::process::exit(status)
}

/// How to start a launcher.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    args: Vec<OsString>,
}

impl Launcher {
    /// This very program if it called [`become_launcher_if_asked`], else `agenttts-sandbox` from its folder or the one
    /// above (where tests find it after a build of the workspace).
    ///
    /// # Errors
    /// [`SandboxError::NoLauncher`] where there is neither.
    pub fn find() -> Result<Self, SandboxError> {
        let this = std::env::current_exe().map_err(|_| SandboxError::NoLauncher)?;
        if CAN_RELAUNCH.load(Ordering::Relaxed) {
            return Ok(Self::program(this));
        }
        let name = format!("agenttts-sandbox{}", std::env::consts::EXE_SUFFIX);
        let beside = this.ancestors().skip(1).take(2).map(|folder| folder.join(&name)).find(|path| path.is_file());
        beside.map(Self::program).ok_or(SandboxError::NoLauncher)
    }

    /// The program at `path`, which calls [`become_launcher_if_asked`] or [`become_launcher`].
    #[must_use]
    pub fn program(path: impl Into<PathBuf>) -> Self {
        Self { program: path.into(), args: vec![ASKED.into()] }
    }

    /// Starts the launcher through another program, which replaces itself by it: `via` and its arguments go before.
    #[must_use]
    pub fn through(self, via: impl Into<PathBuf>, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let mut args: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        args.push(self.program.into());
        args.extend(self.args);
        Self { program: via.into(), args }
    }

    /// The command, with an empty environment: the caller's may hold secrets.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear();
        command
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.program.clone()
    }
}
