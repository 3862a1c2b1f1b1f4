//! What benchmarks share: servers in processes of their own, and measuring programs that print one line of JSON.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::run::{cargo, run, target_dir};
use crate::setup::{self, Need};

/// A server that is ended when it is dropped.
pub(crate) struct Started {
    child: Child,
    port: u16,
}

impl Started {
    /// Starts a server and waits until it listens on `port` of loopback.
    pub(crate) fn new(command: &mut Command, port: u16) -> Result<Self> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut started = Started { child, port };
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(120) {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(started);
            }
            if let Some(status) = started.child.try_wait()? {
                bail!("a server ended at once ({status})");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("a server did not begin to listen")
    }

    /// Its address up to and including the version.
    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Where it answers chats.
    pub(crate) fn url(&self) -> String {
        format!("{}/chat/completions", self.base())
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Programs that benchmarks run, beside `agenttts` itself, with the crates that they belong to.
const EXAMPLES: [(&str, &str); 7] = [
    ("agenttts-bench", "counts"),
    ("agenttts-engine", "scale"),
    ("agenttts-models", "contention"),
    ("agenttts-models", "decoding"),
    ("agenttts-models", "live"),
    ("agenttts-server", "overhead"),
    ("agenttts-store", "throughput"),
];

/// Builds all of them and `agenttts` for release, in one command, so that dependencies are built once.
pub(crate) fn build() -> Result<()> {
    setup::ensure(&[Need::Cmake, Need::Make, Need::Compiler, Need::Clang, Need::Pip])?;
    let mut build = cargo(&["build", "--release", "--package", "agenttts", "--bin", "agenttts"]);
    let packages: BTreeSet<&str> = EXAMPLES.iter().map(|(package, _)| *package).collect();
    packages.iter().for_each(|package| {
        build.args(["--package", package]);
    });
    EXAMPLES.iter().for_each(|(_, example)| {
        build.args(["--example", example]);
    });
    run(build.args(["--features", "agenttts-models/embedded"]))
}

/// An example as a release build leaves it.
pub(crate) fn example(name: &str) -> PathBuf {
    target_dir().join("release").join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// A port of loopback that nobody uses.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr().context("no free port")?.port())
}

/// What a program prints; its complaints go to ours.
pub(crate) fn printed(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("{} failed ({})", command.get_program().to_string_lossy(), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A number of the one flat object that a program prints; this crate has no JSON library, and needs none for this.
pub(crate) fn number(json: &str, key: &str) -> f64 {
    let after = json.split(&format!("\"{key}\":")).nth(1).unwrap_or_default();
    after.split([',', '}']).next().and_then(|text| text.trim().parse().ok()).unwrap_or(f64::NAN)
}

/// The middle one; NaN of none.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A program that may open as many files, and so connections, as the system lets it; the first argument is the program.
pub(crate) fn many_files() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n $(ulimit -H -n) && exec \"$@\"", "sh"]);
    command
}
