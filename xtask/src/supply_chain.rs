//! What the program is built upon: cargo-deny over deny.toml, and cargo-shear for dependencies that nothing uses.
//!
//! Both are tools of their own and take minutes to build, so nothing is installed here: what is missing is said.

use anyhow::{Result, bail};

use crate::run::{cargo, run, say, succeeds};

/// Checks licences, sources, bans and unused dependencies, and advisories where their database can be had.
pub(crate) fn supply_chain() -> Result<()> {
    let mut missing = Vec::new();
    if succeeds("cargo", &["deny", "--version"]) {
        run(&mut cargo(&["deny", "check", "licenses", "sources", "bans"]))?;
        // Advisories come from the network, so without one only they are left out.
        if succeeds("cargo", &["deny", "fetch", "db"]) {
            run(&mut cargo(&["deny", "check", "--disable-fetch", "advisories"]))?;
        } else {
            say("the database of advisories cannot be fetched: advisories are not checked");
        }
    } else {
        missing.push("cargo-deny");
    }
    if succeeds("cargo", &["shear", "--version"]) {
        run(&mut cargo(&["shear"]))?;
    } else {
        missing.push("cargo-shear");
    }
    if !missing.is_empty() {
        bail!("not installed: {}; `cargo install --locked {}`", missing.join(", "), missing.join(" "));
    }
    Ok(())
}
