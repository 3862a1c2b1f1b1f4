//! Which part of the system a program may read: libraries and interpreters, nothing of anybody's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::SandboxError;

/// Folders and files of the system that programs in the sandbox can read and run, but not change.
#[derive(Debug, Clone)]
pub struct Runtime {
    pub(crate) read_only: Vec<PathBuf>,
    /// Where programs are looked for, in this order.
    pub(crate) path: Vec<PathBuf>,
}

impl Runtime {
    /// The system's programs and libraries: `/usr`, `/bin`, `/lib` and the like, and the loader's files of `/etc`.
    #[must_use]
    pub fn system() -> Self {
        let read_only = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"]
            .into_iter()
            .chain(["/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime"])
            .map(PathBuf::from)
            .collect();
        Self { read_only, path: ["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from).to_vec() }
    }

    /// [`system`](Self::system), and the installation of the `python3` that a shell would start here.
    ///
    /// # Errors
    /// [`SandboxError::NoPython`] where there is none, or it does not say where it is installed.
    pub fn python() -> Result<Self, SandboxError> {
        Self::python_at("python3")
    }

    /// [`system`](Self::system), and the installation that the interpreter `python` belongs to, also a virtual
    /// environment. The interpreter is run once, outside of the sandbox, to ask.
    ///
    /// # Errors
    /// [`SandboxError::NoPython`] where it cannot be run, or does not say where it is installed.
    pub fn python_at(python: impl AsRef<Path>) -> Result<Self, SandboxError> {
        const ASK: &str = "import sys; print(sys.executable, sys.prefix, sys.base_prefix, sep='\\n')";
        let python = python.as_ref();
        let failed = |what: String| SandboxError::NoPython(format!("{}: {what}", python.display()));
        let output = Command::new(python)
            .args(["-I", "-c", ASK])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = text.lines().collect();
        let &[executable, prefix, base] = lines.as_slice() else {
            return Err(failed(format!("it did not say where it is installed ({})", output.status)));
        };
        let mut runtime = Self::system();
        for folder in [prefix, base] {
            runtime = runtime.with(folder);
        }
        if let Some(folder) = Path::new(executable).parent() {
            runtime.path.insert(0, folder.to_path_buf());
        }
        Ok(runtime)
    }

    /// Adds a folder or file that programs may read. Symbolic links on the way to it are resolved, and both names work
    /// where the sandbox can give them.
    #[must_use]
    pub fn with(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        for path in [Some(path.to_path_buf()), path.canonicalize().ok()].into_iter().flatten() {
            if path.is_absolute() && !self.read_only.iter().any(|known| path.starts_with(known)) {
                self.read_only.push(path);
            }
        }
        self
    }

    /// The absolute path of `program`.
    pub(crate) fn find(&self, program: &str) -> Result<PathBuf, SandboxError> {
        if program.starts_with('/') {
            return Ok(PathBuf::from(program));
        }
        self.path.iter().map(|folder| folder.join(program)).find(|path| path.is_file()).ok_or_else(|| {
            SandboxError::NoProgram {
                program: program.to_string(),
                places: self.path.iter().map(|folder| folder.display().to_string()).collect(),
            }
        })
    }
}
