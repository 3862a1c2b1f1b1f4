//! Runs untrusted code on Linux: a folder of files and a command, with no network, no files but its own, and limits of
//! memory, processor time, wall-clock time, processes, output and files. What holds a run is reported with its outcome.
//!
//! A run is started by a *launcher*, a fresh single-threaded process, since namespaces cannot be entered from a program
//! with threads, and nothing but the simplest code is safe between its fork and its exec. The launcher is this very
//! program started again ([`become_launcher_if_asked`] first thing in `main`), or the small program `agenttts-sandbox`.
//!
//! ```no_run
//! use agenttts_sandbox::{Job, Limits, Runtime, Sandbox};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::new(Runtime::python()?)?;
//! let job = Job::new(["python3", "main.py"]).file("main.py", "print(6 * 7)").limits(Limits::default());
//! let outcome = sandbox.run(&job).await?;
//! assert_eq!(outcome.stdout.text(), "42\n");
//! # Ok(())
//! # }
//! ```

mod enforcement;
mod error;
mod job;
mod launcher;
mod limits;
#[cfg(target_os = "linux")]
mod linux;
mod outcome;
mod runtime;
mod sandbox;
mod wire;

pub use enforcement::{Enforcement, Guard, Layer, Missing};
pub use error::SandboxError;
pub use job::Job;
pub use launcher::{Launcher, become_launcher, become_launcher_if_asked};
pub use limits::{Limit, Limits};
pub use outcome::{Exit, Outcome, Output};
pub use runtime::Runtime;
pub use sandbox::Sandbox;
