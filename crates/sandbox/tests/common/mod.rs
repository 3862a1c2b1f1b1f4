//! Ways of holding a run, as far as this machine has them, and the attacks.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "test helpers")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agenttts_sandbox::{Guard, Job, Launcher, Limits, Outcome, Runtime, Sandbox, SandboxError};
use tempfile::TempDir;

/// One way of holding a run on this machine.
pub struct Way {
    pub name: &'static str,
    pub sandbox: Sandbox,
    /// Whether the minimum is met here; where it is not, runs are refused.
    pub holds: bool,
    _launcher: TempDir,
}

/// The launcher that was built with the tests.
pub fn launcher() -> PathBuf {
    env!("CARGO_BIN_EXE_agenttts-sandbox").into()
}

/// A Python that any user may run, where there is one.
pub fn runtime() -> Runtime {
    let everybodys = Path::new("/usr/bin/python3");
    if everybodys.exists() { Runtime::python_at(everybodys).unwrap() } else { Runtime::python().unwrap() }
}

/// With namespaces and without, as root and as an ordinary user, as far as the one who runs the tests can be them.
pub async fn ways() -> Vec<Way> {
    let mut ways = Vec::new();
    let root = unsafe { libc::geteuid() } == 0;
    for namespaces in [true, false] {
        for ordinary in [false, true] {
            if ordinary && !(root && Path::new("/usr/bin/setpriv").exists()) {
                continue;
            }
            let folder = open_folder();
            let mut launcher = Launcher::program(launcher());
            if ordinary {
                // The build's own folder may be closed to others.
                let copy = folder.path().join("launcher");
                fs::copy(env!("CARGO_BIN_EXE_agenttts-sandbox"), &copy).unwrap();
                fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
                let become_nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
                launcher = Launcher::program(copy).through("/usr/bin/setpriv", become_nobody);
            }
            let mut sandbox = Sandbox::with_launcher(runtime(), launcher);
            if !namespaces {
                sandbox = sandbox.without_namespaces();
            }
            let found = sandbox.probe().await.unwrap();
            let name = match (namespaces, ordinary) {
                (true, false) => "namespaces",
                (true, true) => "namespaces, as an ordinary user",
                (false, false) => "no namespaces",
                (false, true) => "no namespaces, as an ordinary user",
            };
            if !found.unmet().is_empty() {
                eprintln!("{name}: this machine does not hold {:?}: {:?}", found.unmet(), found.missing);
            }
            let holds = found.unmet().is_empty();
            ways.push(Way { name, sandbox, holds, _launcher: folder });
        }
    }
    ways
}

/// Limits for attacks: small, but with time for a slow machine.
pub fn limits() -> Limits {
    Limits {
        memory_bytes: 256 << 20,
        cpu: Duration::from_secs(10),
        wall: Duration::from_secs(600),
        processes: 16,
        output_bytes: 64 << 10,
        file_bytes: 2 << 20,
        disk_bytes: 8 << 20,
        ..Limits::default()
    }
}

/// The attack in `tests/attacks/NAME.py`.
pub fn attack<'a>(name: &str, arguments: impl IntoIterator<Item = &'a str>) -> Job {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks");
    let text = |name: &str| fs::read_to_string(folder.join(format!("{name}.py"))).unwrap();
    Job::new(["python3", "main.py"].into_iter().chain(arguments))
        .file("main.py", text(name))
        .file("attack.py", text("attack"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .limits(limits())
}

impl Way {
    /// Runs an attack. Where this machine does not hold the minimum, checks that it was refused, and there is no outcome.
    pub async fn run(&self, job: &Job) -> Option<Outcome> {
        match self.sandbox.run(job).await {
            Ok(outcome) => {
                assert!(self.holds, "{}: started although the minimum is not met", self.name);
                let text = outcome.stdout.text();
                eprintln!(
                    "== {}: {:?} {:?}\n{text}{}",
                    self.name,
                    outcome.exit,
                    outcome.killed_by,
                    outcome.stderr.text()
                );
                assert!(!text.contains("ESCAPED"), "{}:\n{text}", self.name);
                Some(outcome)
            }
            Err(SandboxError::TooWeak(found)) => {
                assert!(!self.holds, "{}: {found:?}", self.name);
                let error = SandboxError::TooWeak(found.clone());
                assert!(found.unmet().iter().all(|guard: &Guard| error.to_string().contains(&guard.to_string())));
                assert!(error.hint().is_some());
                None
            }
            Err(error) => panic!("{}: {error}", self.name),
        }
    }

    /// The next run works, whatever the one before did.
    pub async fn still_works(&self) {
        let next = self.run(&Job::new(["python3", "-c", "print(6 * 7)"])).await;
        assert!(next.is_none_or(|next| next.succeeded() && next.stdout.text() == "42\n"), "{}", self.name);
    }
}

/// The outcome says how many attempts were held: all of them, `count` or more.
pub fn assert_held(outcome: &Outcome, count: usize) {
    let text = outcome.stdout.text();
    let held = text.lines().filter(|line| line.starts_with("held ")).count();
    assert!(held >= count, "{held} of {count} attempts were made:\n{text}{}", outcome.stderr.text());
}

/// A temporary folder that any user may enter: what is in it is not kept by its rights.
pub fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

/// A home with a key in it, that any user could read and write.
pub fn home() -> (TempDir, PathBuf) {
    let home = open_folder();
    let key = home.path().join("id_ed25519");
    fs::write(&key, "the key").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o666)).unwrap();
    (home, key)
}

/// Numbers of processes of this machine whose command line holds `word`.
pub fn processes_with(word: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if pid != std::process::id() && String::from_utf8_lossy(&line).split('\0').any(|part| part == word) {
            found.push(pid);
        }
    }
    found
}
