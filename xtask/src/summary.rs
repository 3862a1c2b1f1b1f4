//! Adding up the result lines of `cargo test`, which prints one for every test program.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};

/// Counts over all test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Summary {
    /// Passes all output through and counts.
    pub(crate) fn read(output: impl Read) -> io::Result<Self> {
        let mut summary = Summary::default();
        let mut stdout = io::stdout();
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            summary.add(&String::from_utf8_lossy(&line));
            stdout.write_all(&line)?;
            stdout.write_all(b"\n")?;
        }
        Ok(summary)
    }

    /// `test result: ok. 12 passed; 0 failed; 0 ignored; ...`
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|r| r.split_once(". ")) else { return };
        for part in counts.split(';') {
            let Some((count, what)) = part.trim().split_once(' ') else { continue };
            let Ok(count) = count.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        let Summary { passed, failed, ignored } = self;
        write!(f, "test result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored (all test programs)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_programs_are_added() {
        let mut summary = Summary::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s",
            "test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2.00s",
        ] {
            summary.add(line);
        }
        assert_eq!(summary, Summary { passed: 7, failed: 1, ignored: 1 });
        assert_eq!(summary.to_string(), "test result: FAILED. 7 passed; 1 failed; 1 ignored (all test programs)");
    }
}
