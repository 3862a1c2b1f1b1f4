//! The attack corpus, each attack in every way that this machine can hold it. What contained it is what the test asserts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Child, Command};
use std::time::Duration;

use agenttts_sandbox::{Exit, Guard, Layer, Limit, Limits};
use common::{assert_held, attack, home, limits, open_folder, processes_with, ways};

/// A process outside that an attack may aim at, ended with the test.
struct Victim(Child);

impl Victim {
    fn new() -> Self {
        Self(Command::new("sleep").arg("3600").spawn().unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn lives(&mut self) -> bool {
        let state = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        self.0.try_wait().unwrap().is_none() && state.contains(") S ")
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_fork_bomb_meets_the_limit_of_processes() {
    for (number, way) in ways().await.into_iter().enumerate() {
        let word = format!("fork-bomb-{}-{number}", std::process::id());
        let job = attack("fork_bomb", [&*word]);
        let Some(outcome) = way.run(&job).await else { continue };
        if outcome.enforced.holds(Guard::Processes, Layer::Rlimits) {
            assert_held(&outcome, 1);
            assert_eq!(outcome.exit, Exit::Code(0), "the program went on after fork was refused");
        } else if outcome.killed_by != Some(Limit::Processes) {
            // It met the bound of all processes of its user before the watcher looked.
            assert_held(&outcome, 1);
        }
        assert_eq!(processes_with(&word), Vec::<u32>::new(), "{}", way.name);
        way.still_works().await;
    }
}

#[tokio::test]
async fn a_memory_bomb_is_told_that_there_is_no_memory() {
    for way in ways().await {
        let Some(outcome) = way.run(&attack("memory_bomb", [])).await else { continue };
        assert_held(&outcome, 1);
        assert!(outcome.enforced.holds(Guard::Memory, Layer::Rlimits));
        assert!(outcome.peak_memory_bytes <= limits().memory_bytes, "{}", outcome.peak_memory_bytes);
        way.still_works().await;
    }
}

#[tokio::test]
async fn a_memory_bomb_of_many_processes_is_ended_by_the_watcher() {
    for way in ways().await {
        for name in ["memory_bomb_of_many", "memory_bomb_shared"] {
            let Some(outcome) = way.run(&attack(name, [])).await else { continue };
            assert_eq!(outcome.killed_by, Some(Limit::Memory), "{name}");
            assert!(outcome.enforced.holds(Guard::Memory, Layer::Watcher));
        }
        way.still_works().await;
    }
}

#[tokio::test]
async fn an_endless_loop_is_ended_by_its_processor_time() {
    for way in ways().await {
        for name in ["endless_loop", "endless_loop_of_many"] {
            let job = attack(name, []).limits(Limits { cpu: Duration::from_secs(1), ..limits() });
            let Some(outcome) = way.run(&job).await else { continue };
            assert_eq!(outcome.killed_by, Some(Limit::Cpu), "{name}");
            assert!(outcome.cpu >= Duration::from_millis(900), "{:?}", outcome.cpu);
        }
        way.still_works().await;
    }
}

#[tokio::test]
async fn an_endless_sleep_is_ended_by_the_clock() {
    for way in ways().await {
        let job = attack("endless_sleep", []).limits(Limits { wall: Duration::from_secs(5), ..limits() });
        let Some(outcome) = way.run(&job).await else { continue };
        assert_eq!((outcome.exit, outcome.killed_by), (Exit::Signal(libc::SIGKILL), Some(Limit::Wall)));
        assert_eq!(outcome.stdout.text(), "asleep\n", "what it wrote before is kept");
        way.still_works().await;
    }
}

#[tokio::test]
async fn endless_output_is_cut_and_ended() {
    for way in ways().await {
        let Some(outcome) = way.run(&attack("endless_output", [])).await else { continue };
        assert_eq!(outcome.killed_by, Some(Limit::Output));
        assert!(outcome.stdout.truncated || outcome.stderr.truncated);
        for stream in [&outcome.stdout, &outcome.stderr] {
            assert!(stream.bytes.len() as u64 <= limits().output_bytes);
        }
        way.still_works().await;
    }
}

#[tokio::test]
async fn secrets_of_the_system_and_of_the_user_cannot_be_read() {
    let (home, key) = home();
    let folder = format!("{}/", home.path().display());
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for way in ways().await {
        let paths = ["/etc/shadow", key.to_str().unwrap(), &folder, here, "/root/", "/home/", "/etc/hostname"];
        let Some(outcome) = way.run(&attack("read_secrets", paths)).await else { continue };
        assert_held(&outcome, paths.len());
        assert!(!outcome.stdout.text().contains("the key"));
        assert!(!outcome.enforced.layers(Guard::Files).is_empty());
        way.still_works().await;
    }
}

#[tokio::test]
async fn nothing_outside_can_be_written_removed_or_relabelled() {
    let (home, key) = home();
    let before = fs::metadata(&key).unwrap();
    for way in ways().await {
        let arguments = [home.path().to_str().unwrap(), key.to_str().unwrap()];
        let Some(outcome) = way.run(&attack("write_outside", arguments)).await else { continue };
        assert_held(&outcome, 19);
        let after = fs::metadata(&key).unwrap();
        assert_eq!(fs::read_to_string(&key).unwrap(), "the key");
        assert_eq!((before.mode(), before.mtime()), (after.mode(), after.mtime()));
        assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o777);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        way.still_works().await;
    }
}

#[tokio::test]
async fn no_network_is_reached_not_even_this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = open_folder();
    let path = folder.path().join("socket");
    let local = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let name = format!("agenttts-sandbox-test-{}", std::process::id());
    let hidden = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    for way in ways().await {
        let port = port.to_string();
        let Some(outcome) = way.run(&attack("network", [&*port, path.to_str().unwrap(), &name])).await else {
            continue;
        };
        assert_held(&outcome, 9);
        assert!(outcome.enforced.holds(Guard::Network, Layer::Seccomp));
        // Namespaces alone hold it too.
        if outcome.enforced.holds(Guard::Network, Layer::Namespaces) {
            let alone = way.sandbox.clone().without_seccomp().without_landlock();
            let outcome = alone.run(&attack("network", [&*port, path.to_str().unwrap(), &name])).await.unwrap();
            assert_held(&outcome, 4);
            assert_eq!(outcome.enforced.layers(Guard::Network), [Layer::Namespaces]);
        }
        way.still_works().await;
    }
    listener.set_nonblocking(true).unwrap();
    local.set_nonblocking(true).unwrap();
    hidden.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err() && local.accept().is_err() && hidden.accept().is_err(), "somebody came in");
    drop(UdpSocket::bind("127.0.0.1:0"));
}

#[tokio::test]
async fn other_processes_cannot_be_traced_or_read() {
    let mut victim = Victim::new();
    for way in ways().await {
        let this = std::process::id().to_string();
        let Some(outcome) = way.run(&attack("ptrace", [&*victim.pid(), &this])).await else { continue };
        assert_held(&outcome, 12);
        assert!(!outcome.enforced.layers(Guard::OtherProcesses).is_empty());
        assert!(victim.lives());
        way.still_works().await;
    }
}

#[tokio::test]
async fn no_rights_are_gained() {
    for way in ways().await {
        let Some(outcome) = way.run(&attack("setuid", [])).await else { continue };
        assert_held(&outcome, 11);
        assert!(outcome.enforced.holds(Guard::Privileges, Layer::NoNewPrivileges));
        way.still_works().await;
    }
}

#[tokio::test]
async fn links_dots_and_climbing_lead_nowhere() {
    let (_home, key) = home();
    let folder = open_folder();
    symlink(&key, folder.path().join("given")).unwrap();
    for way in ways().await {
        let job = attack("paths", [key.to_str().unwrap()]).folder(folder.path());
        let Some(outcome) = way.run(&job).await else { continue };
        assert_held(&outcome, 9);
        assert!(!outcome.stdout.text().contains("the key"));
        way.still_works().await;
    }
}

#[tokio::test]
async fn no_daemon_is_left_behind() {
    for (number, way) in ways().await.into_iter().enumerate() {
        let word = format!("daemon-{}-{number}", std::process::id());
        let Some(outcome) = way.run(&attack("daemon", [&*word])).await else { continue };
        assert_eq!(outcome.exit, Exit::Code(0));
        assert!(outcome.stdout.text().contains("left a daemon"));
        assert!(!outcome.enforced.layers(Guard::Leftovers).is_empty());
        assert_eq!(processes_with(&word), Vec::<u32>::new());
        way.still_works().await;
    }
}

#[tokio::test]
async fn no_signal_reaches_the_outside() {
    for way in ways().await {
        let mut victim = Victim::new();
        let Some(outcome) = way.run(&attack("signals", [&*victim.pid()])).await else { continue };
        assert_held(&outcome, 6);
        assert!(outcome.stdout.text().ends_with("done\n"));
        assert!(victim.lives());
        way.still_works().await;
    }
}

#[tokio::test]
async fn the_disk_cannot_be_filled() {
    for way in ways().await {
        let job = attack("fill_disk", []);
        let outcome = match way.sandbox.run(&job).await {
            Ok(outcome) => outcome,
            Err(_) if !way.holds => continue,
            Err(error) => panic!("{error}"),
        };
        let text = outcome.stdout.text();
        assert!(text.contains("held huge file") && text.contains("held hole"), "{text}{}", outcome.stderr.text());
        // All files together are limited only in a file system of its own; the report says so.
        let limited = outcome.enforced.holds(Guard::Disk, Layer::SizedFileSystem);
        assert_eq!(text.contains("held many files"), limited, "{text}");
        assert!(text.contains("held shared memory"), "{text}");
        way.still_works().await;
    }
}

#[tokio::test]
async fn the_environment_is_clean_and_no_file_is_open() {
    for way in ways().await {
        let Some(outcome) = way.run(&attack("environment", []).env("GIVEN", "yes")).await else { continue };
        let text = outcome.stdout.text();
        let names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        // LC_CTYPE is set by Python itself.
        let known = ["GIVEN", "HOME", "LANG", "LC_CTYPE", "PATH", "PWD", "PYTHONDONTWRITEBYTECODE", "TMPDIR"];
        assert!(names.contains(&"GIVEN") && names.iter().all(|name| known.contains(name)), "{text}");
        let open: Vec<&str> = text.lines().filter(|line| line.starts_with("open ")).collect();
        assert_eq!(open, ["open 0", "open 1", "open 2"]);
        way.still_works().await;
    }
}

#[tokio::test]
async fn other_processes_and_the_system_are_not_seen() {
    let victim = Victim::new();
    for way in ways().await {
        let Some(outcome) = way.run(&attack("other_processes", [&*victim.pid()])).await else { continue };
        assert_held(&outcome, 22);
        way.still_works().await;
    }
}

#[tokio::test]
async fn rarely_needed_parts_of_the_kernel_are_out_of_reach() {
    for way in ways().await {
        let Some(outcome) = way.run(&attack("kernel", [])).await else { continue };
        assert_held(&outcome, 12);
        way.still_works().await;
    }
}
