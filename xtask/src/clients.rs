//! Official clients against a real server: the packages as their registries have them, unmodified.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::peers::environment;
use crate::run::{root, run, say, succeeds, target_dir};
use crate::test::program;

const FOLDER: &str = "crates/server/clients";

/// Tests with the Python and JavaScript clients. What the machine lacks (Python, Node, a registry) is skipped with a message,
/// unless `required`.
pub(crate) fn test_clients(required: bool) -> Result<()> {
    let python = python();
    let node = node();
    for missing in [python.as_ref().err(), node.as_ref().err()].into_iter().flatten() {
        if required {
            bail!("{missing:#}");
        }
        say(&format!("skipped: {missing:#}"));
    }
    if python.is_err() && node.is_err() {
        return Ok(());
    }
    let server = Serving::start(&program()?)?;
    let env = [("AGENTTTS_BASE", server.base.as_str()), ("AGENTTTS_KEY", server.key.as_str())];
    if let Ok(python) = python {
        run(Command::new(python).args(["-W", "ignore"]).arg(root().join(FOLDER).join("test_clients.py")).envs(env))?;
    }
    if let Ok(folder) = node {
        run(Command::new("node").args(["--test", "clients.test.js"]).current_dir(folder).envs(env))?;
    }
    Ok(())
}

fn home() -> PathBuf {
    target_dir().join("clients")
}

/// A Python with the clients.
pub(crate) fn python() -> Result<PathBuf> {
    let python = environment(&home().join("python"), None).context("clients in Python")?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r"]);
    run(pip.arg(root().join(FOLDER).join("requirements.txt"))).context("clients in Python")?;
    Ok(python)
}

/// A folder with the JavaScript client and its tests.
fn node() -> Result<PathBuf> {
    if !succeeds("node", &["--version"]) || !succeeds("npm", &["--version"]) {
        bail!("clients in JavaScript: node and npm are not installed (Debian: apt-get install nodejs npm)");
    }
    let folder = home().join("javascript");
    fs::create_dir_all(&folder)?;
    for file in ["package.json", "clients.test.js"] {
        fs::copy(root().join(FOLDER).join(file), folder.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]).current_dir(&folder);
    run(&mut npm).context("clients in JavaScript")?;
    Ok(folder)
}

/// A server of a plan that was searched just now.
struct Serving {
    child: Child,
    base: String,
    key: String,
}

impl Serving {
    fn start(program: &Path) -> Result<Self> {
        let folder = home().join("serving");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let agenttts = |args: &[&str]| {
            let mut command = Command::new(program);
            command.args(args).args(["--store", "store.db"]).current_dir(&folder);
            command
        };
        let pipeline = root().join(FOLDER).join("pipeline");
        run(agenttts(&["search"]).arg(pipeline).args(["--name", "clients"]).stdout(Stdio::null()))?;
        let new = agenttts(&["keys", "new", "tests", "--scopes", "use,view"]).stderr(Stdio::null()).output()?;
        let key = String::from_utf8(new.stdout)?.trim().to_owned();
        let args = ["serve", "clients.plan.toml", "--listen", "127.0.0.1:0", "--keys", "agenttts-keys.toml"];
        let mut child = agenttts(&args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let stderr = child.stderr.take().context("the server has no output")?;
        let mut lines = BufReader::new(stderr).lines();
        let said = lines.next().context("the server said nothing")??;
        let base = said.split_whitespace().find_map(|word| word.strip_suffix("/v1")).map(str::to_owned);
        let Some(base) = base else {
            let _ = child.kill();
            bail!("the server did not start: {said}");
        };
        // Its log goes to a file, as a full pipe would hold it up.
        let log = folder.join("server.log");
        std::thread::spawn(move || drain(lines, &log));
        Ok(Serving { child, base, key })
    }
}

fn drain(lines: impl Iterator<Item = std::io::Result<String>>, file: &Path) {
    let text: Vec<String> = lines.map_while(Result::ok).collect();
    let _ = fs::write(file, text.join("\n"));
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
