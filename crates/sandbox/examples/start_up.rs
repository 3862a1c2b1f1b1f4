//! What starting a program in the sandbox costs, against starting it plainly: the ratio of medians.
//!
//! `cargo run --release -p agenttts-sandbox --example start_up -- [RUNS]`
#![allow(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::error::Error;
use std::time::{Duration, Instant};

use agenttts_sandbox::{Job, Runtime, Sandbox, become_launcher_if_asked};

fn main() -> Result<(), Box<dyn Error>> {
    become_launcher_if_asked();
    let runs = std::env::args().nth(1).map_or(Ok(50), |runs| runs.parse())?;
    let sandbox = Sandbox::new(Runtime::python()?)?;
    let runtime = tokio::runtime::Runtime::new()?;
    println!("program                 plain   sandbox     ratio  (medians of {runs} runs)");
    for command in [&["/bin/true"][..], &["/usr/bin/python3", "-c", "pass"][..]] {
        let (mut plain, mut held) = (Vec::new(), Vec::new());
        // In turns, so that a busy machine slows both.
        for _ in 0..runs {
            let start = Instant::now();
            std::process::Command::new(command[0]).args(&command[1..]).output()?;
            plain.push(start.elapsed());
            let start = Instant::now();
            runtime.block_on(sandbox.run(&Job::new(command.iter().copied())))?;
            held.push(start.elapsed());
        }
        let (plain, held) = (median(plain), median(held));
        let ratio = held.as_secs_f64() / plain.as_secs_f64();
        println!("{:20} {:5.1} ms  {:5.1} ms  {ratio:8.2}", command[0], millis(plain), millis(held));
    }
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
