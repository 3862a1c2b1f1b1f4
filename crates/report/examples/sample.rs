//! Writes a report of a simulated study, to look at: `cargo run -p agenttts-report --example sample -- OUT.html [TRIALS]`.
//!
//! A path to the JSON of a real summary in place of TRIALS draws that one.

#[path = "../tests/fixture/mod.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod fixture;

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let out = args.next().ok_or("where to? give a path, such as report.html")?;
    let what = args.next().unwrap_or_else(|| "30".to_owned());
    let summary = match what.parse() {
        Ok(0) => fixture::empty(),
        Ok(trials) => fixture::study(trials),
        Err(_) => serde_json::from_str(&std::fs::read_to_string(&what).map_err(|e| format!("{what}: {e}"))?)?,
    };
    std::fs::write(&out, agenttts_report::html(&summary)).map_err(|e| format!("{out}: {e}"))?;
    Ok(())
}
