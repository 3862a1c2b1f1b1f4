//! What tests on real weights share.

use std::path::PathBuf;

use agenttts_models::registry::Registry;

/// A pulled model's file, or `None` with a message.
#[allow(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn model_file(name: &str) -> Option<PathBuf> {
    let path = Registry::default_dir(|name| std::env::var_os(name))?.join(format!("{name}.gguf"));
    if !path.exists() {
        println!("skipped: {} is not there; `agenttts models pull {name}` gets it", path.display());
        return None;
    }
    Some(path)
}
