//! A study in a terminal: one frame as text, lines where there is no terminal, and keys on a real one.

use std::process::Stdio;

use crate::support::{Bench, Ran, snapshot};

/// What `watch --once` prints on a screen of this size.
fn frame(bench: &Bench, columns: u16, lines: u16) -> Ran {
    let mut command = bench.command("watch --once");
    command.env("COLUMNS", columns.to_string()).env("LINES", lines.to_string());
    bench.ran(command.output().unwrap()).exits(0)
}

/// Without the times, which differ from run to run.
macro_rules! frame_snapshot {
    ($name:literal, $ran:expr) => {
        insta::with_settings!({
            filters => vec![(r"\b\d+\.\d+s|\b\d+s\b", "[TIME]"), (r"\d+:\d\d:\d\d", "[SINCE]")],
            prepend_module_to_snapshot => false,
            snapshot_path => "snapshots",
        }, {
            insta::assert_snapshot!($name, $ran);
        });
    };
}

#[test]
fn one_frame_shows_a_finished_study_on_screens_of_several_sizes() {
    let bench = Bench::new();
    bench.run("search p --search-budget tokens=10k").exits(0);
    frame_snapshot!("watch_wide", frame(&bench, 130, 34));
    frame_snapshot!("watch_usual", frame(&bench, 80, 40));
    frame_snapshot!("watch_narrow", frame(&bench, 44, 24));
    let tiny = frame(&bench, 20, 4);
    assert!(tiny.stdout.starts_with("small-1  done"), "{tiny}");
    assert_eq!(tiny.stdout.lines().count(), 4, "it never prints more than there is room for");
}

#[test]
fn without_a_terminal_lines_tell_how_a_study_stands_and_what_happened() {
    let bench = Bench::new();
    bench.run("search p").exits(0);
    let ran = bench.run("watch").exits(0);
    assert!(ran.stdout.starts_with("study small-1: done\n  6 of 6 trials measured"), "{ran}");
    assert!(ran.stdout.contains("  recommended: trial ") && ran.stdout.contains("\ntrial 6: "), "{ran}");
    assert!(!ran.stdout.contains('\u{1b}'), "no terminal, no escape sequences");
}

#[test]
fn a_study_that_is_not_there_is_told() {
    let bench = Bench::new();
    snapshot!("watch_no_store", bench.run("watch").exits(5));
    bench.run("search p").exits(0);
    snapshot!("watch_unknown_study", bench.run("watch other-1 --once").exits(5));
}

/// A search that takes a while.
#[cfg(unix)]
fn begun(bench: &Bench) -> std::process::Child {
    bench.edit_pipeline("id = \"p60-t4\"", "id = \"slow-150ms-p60-t4\"");
    bench.edit_pipeline("id = \"p90-t4\"", "id = \"slow-150ms-p90-t4\"");
    let mut child = bench.command("search p").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..600 {
        let measured = bench.run("studies --json").json()[0]["trials"].as_u64().unwrap_or(0);
        if measured > 0 {
            return child;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let _ = child.kill().and_then(|()| child.wait());
    panic!("no trial is measured");
}

#[cfg(unix)]
#[test]
fn lines_follow_a_study_under_way_until_it_ends() {
    let bench = Bench::new();
    let mut search = begun(&bench);
    let ran = bench.run("watch").exits(0);
    assert!(search.wait().unwrap().success());
    assert!(ran.stdout.starts_with("study small-1: running\n"), "{ran}");
    assert!(ran.stdout.contains("\ntest split: recommended"), "{ran}");
    assert!(ran.stdout.contains("\nstudy small-1: done\n"), "{ran}");
}

/// A terminal: what is typed, and what it shows.
#[cfg(unix)]
struct Terminal {
    master: std::fs::File,
    child: std::process::Child,
    screen: vt100::Parser,
}

#[cfg(unix)]
impl Terminal {
    /// Runs the program on a new one.
    fn start(bench: &Bench, args: &str, more: &[(&str, &str)]) -> Self {
        use std::os::fd::FromRawFd;
        let (mut master, mut slave) = (0, 0);
        let size = libc::winsize { ws_row: 40, ws_col: 130, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the two numbers are ours to be written, and the names and modes may be left out.
        let opened = unsafe { libc::openpty(&mut master, &mut slave, std::ptr::null_mut(), std::ptr::null(), &size) };
        assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: both were just opened and belong to nobody else.
        let (master, slave) = unsafe { (std::fs::File::from_raw_fd(master), std::fs::File::from_raw_fd(slave)) };
        let mut command = bench.command(args);
        command.env("TERM", "xterm-256color").envs(more.iter().copied());
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        let screen = vt100::Parser::new(40.try_into().unwrap(), 130.try_into().unwrap(), 0);
        Terminal { master, child: command.spawn().unwrap(), screen }
    }

    fn press(&mut self, keys: &str) {
        use std::io::Write;
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads on until it shows this.
    fn shows(&mut self, wanted: &str) {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        let mut bytes = [0; 4096];
        for _ in 0..600 {
            if self.screen.screen().contents().contains(wanted) {
                return;
            }
            let mut poll = libc::pollfd { fd: self.master.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one descriptor, which is open.
            if unsafe { libc::poll(&mut poll, 1, 50) } > 0 {
                let Ok(read) = self.master.read(&mut bytes) else { break };
                self.screen.process(&bytes[..read]);
            }
        }
        panic!("it never showed {wanted:?} but\n{}", self.screen.screen().contents());
    }
}

#[cfg(unix)]
#[test]
fn keys_look_at_trials_and_stop_the_study_on_a_terminal() {
    let bench = Bench::new();
    let search = begun(&bench);
    let mut terminal = Terminal::start(&bench, "watch", &[("NO_COLOR", "1")]);
    terminal.shows("running");
    terminal.press("?");
    terminal.shows("Keys");
    terminal.press(" ");
    terminal.press("\u{1b}[B\r");
    terminal.shows("Trial ");
    terminal.press(" s");
    terminal.shows("Stop the study?");
    terminal.press("y");
    terminal.shows("asked to stop");
    let ran = bench.ran(search.wait_with_output().unwrap()).exits(130);
    assert!(ran.stdout.contains("Study small-1: interrupted"), "{ran}");
    terminal.shows("interrupted");
    terminal.press("s");
    terminal.shows("nothing to stop");
    let screen = terminal.screen.screen();
    let cells = (0..40).flat_map(|row| (0..130).filter_map(move |column| screen.cell(row, column)));
    assert!(cells.into_iter().all(|cell| cell.fgcolor() == vt100::Color::Default), "NO_COLOR");
    terminal.press("q");
    assert!(terminal.child.wait().unwrap().success());
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_looking_and_not_the_study() {
    let bench = Bench::new();
    let mut search = begun(&bench);
    let mut terminal = Terminal::start(&bench, "watch", &[]);
    terminal.shows("running");
    let kill = std::process::Command::new("kill").args(["-TERM", &terminal.child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    assert!(terminal.child.wait().unwrap().success());
    assert!(search.try_wait().unwrap().is_none(), "the study goes on");
    assert!(bench.run("show small-1 --json").exits(0).json()["state"] == "running");
    let _ = std::process::Command::new("kill").args(["-INT", &search.id().to_string()]).status();
    search.wait().unwrap();
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_on_a_terminal_that_nobody_reads_from() {
    let bench = Bench::new();
    let mut search = begun(&bench);
    let mut terminal = Terminal::start(&bench, "watch", &[]);
    terminal.shows("running");
    // Each of them draws most of the screen anew, until the terminal takes no more.
    for _ in 0..200 {
        terminal.press("? ");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let kill = std::process::Command::new("kill").args(["-TERM", &terminal.child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    // Whether it was held up by then, or was slow and could still leave by itself: it is gone.
    let gone = (0..600).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        terminal.child.try_wait().unwrap()
    });
    assert!(matches!(gone.and_then(|status| status.code()), Some(0 | 130)), "{gone:?}");
    let _ = std::process::Command::new("kill").args(["-INT", &search.id().to_string()]).status();
    search.wait().unwrap();
}
