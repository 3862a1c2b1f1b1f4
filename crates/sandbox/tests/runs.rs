//! Ordinary use: what goes in, what comes out, many at once, and stopping.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use agenttts_sandbox::{Enforcement, Exit, Guard, Job, Launcher, Layer, Limits, Runtime, Sandbox, SandboxError};
use common::{launcher, limits, open_folder, processes_with, runtime, ways};

#[tokio::test]
async fn files_arguments_input_and_variables_reach_the_program() {
    let folder = open_folder();
    fs::create_dir(folder.path().join("package")).unwrap();
    fs::write(folder.path().join("package/__init__.py"), "answer = 42\n").unwrap();
    let main = "import os, sys, package\nprint(package.answer, sys.argv[1], sys.stdin.read(), os.environ['NAME'])\n\
                open('out.txt', 'w').write('x')\nopen(os.environ['TMPDIR'] + '/y', 'w').write('y')\nsys.exit(3)\n";
    for way in ways().await {
        let job = Job::new(["python3", "main.py", "argument"])
            .folder(folder.path())
            .file("main.py", main)
            .stdin("input")
            .env("NAME", "value")
            .limits(limits());
        let Some(outcome) = way.run(&job).await else { continue };
        assert_eq!(outcome.exit, Exit::Code(3));
        assert_eq!(outcome.stdout.text(), "42 argument input value\n");
        assert!(!folder.path().join("out.txt").exists(), "the program works on a copy");
    }
}

#[tokio::test]
async fn ordinary_programs_work_inside() {
    let main = r#"
import asyncio, concurrent.futures, multiprocessing, os, random, shutil, sqlite3, subprocess, tempfile, threading, time
def square(x): return x * x
async def several(): return await asyncio.gather(*(asyncio.sleep(0.01, i) for i in range(3)))
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool: print(pool.map(square, [1, 2, 3]))
    with concurrent.futures.ThreadPoolExecutor(2) as pool: print(list(pool.map(square, [1, 2])))
    print(asyncio.run(several()))
    print(subprocess.run(["sh", "-c", "echo shell"], capture_output=True, text=True).stdout)
    db = sqlite3.connect("a.db"); db.execute("create table t (x)"); db.commit()
    with tempfile.TemporaryDirectory() as folder: os.makedirs(folder + "/a/b"); shutil.rmtree(folder + "/a")
    print("done")
"#;
    for way in ways().await {
        // Locks between processes live in shared memory, which there is only with a root folder of its own.
        let Some(outcome) = way.run(&Job::new(["python3", "main.py"]).file("main.py", main)).await else { continue };
        if outcome.enforced.holds(Guard::Files, Layer::Namespaces) {
            assert!(outcome.succeeded(), "{}", outcome.stderr.text());
        }
    }
}

#[tokio::test]
async fn what_failed_before_the_program_is_an_error_that_says_what() {
    for way in ways().await.iter().filter(|way| way.holds) {
        let run = async |job: Job| way.sandbox.run(&job).await.unwrap_err();
        assert!(matches!(run(Job::new(Vec::<String>::new())).await, SandboxError::NoCommand));
        assert!(matches!(run(Job::new(["no-such-program"])).await, SandboxError::NoProgram { .. }));
        let error = run(Job::new(["/no/such/program"])).await.to_string();
        assert!(error.contains("/no/such/program") && error.contains("No such file"), "{error}");
        let error = run(Job::new(["python3"]).file("../x", "")).await.to_string();
        assert!(error.contains("`../x` leaves the program's folder"), "{error}");
        let error = run(Job::new(["python3"]).folder("/no/such/folder")).await.to_string();
        assert!(error.contains("/no/such/folder"), "{error}");
        let error = run(Job::new(["python3", "a\0b"])).await.to_string();
        assert!(error.contains("zero byte"), "{error}");
    }
}

#[tokio::test]
async fn a_folder_larger_than_the_disk_limit_is_refused() {
    let limits = Limits { disk_bytes: 1 << 20, ..limits() };
    for way in ways().await.iter().filter(|way| way.holds) {
        let job = Job::new(["python3", "-c", ""]).file("large", "x".repeat(2 << 20)).limits(limits.clone());
        match way.sandbox.run(&job).await {
            Ok(outcome) => assert!(outcome.enforced.layers(Guard::Disk).is_empty()),
            Err(error) => assert!(error.to_string().contains("raise the limit of disk space"), "{error}"),
        }
    }
}

#[tokio::test]
async fn runs_side_by_side_do_not_share_limits() {
    for way in ways().await.iter().filter(|way| way.holds) {
        let sleep = "import threading, time\nt = [threading.Thread(target=time.sleep, args=(0.5,)) for _ in range(8)]\n\
                     [x.start() for x in t]\n[x.join() for x in t]\nprint('ok')";
        let job = Job::new(["python3", "-c", sleep]).limits(limits());
        let jobs = (0..6).map(|_| {
            let (sandbox, job) = (way.sandbox.clone(), job.clone());
            tokio::spawn(async move { sandbox.run(&job).await })
        });
        for run in jobs.collect::<Vec<_>>() {
            let outcome = run.await.unwrap().unwrap();
            assert_eq!(outcome.stdout.text(), "ok\n", "{}: {}", way.name, outcome.stderr.text());
        }
    }
}

#[tokio::test]
async fn dropping_a_run_ends_all_of_it() {
    for (number, way) in ways().await.into_iter().enumerate().filter(|(_, way)| way.holds) {
        let word = format!("dropped-{}-{number}", std::process::id());
        let main = "import os, time\nos.fork()\nos.setsid() if os.fork() == 0 else None\ntime.sleep(3600)";
        let job = Job::new(["python3", "-c", main, &word]);
        let run = way.sandbox.run(&job);
        tokio::select! {
            _ = run => panic!("it sleeps for an hour"),
            () = until(|| processes_with(&word).len() >= 4) => {}
        }
        until(|| processes_with(&word).is_empty()).await;
    }
}

/// Waits for something that happens soon, however slow the machine is.
async fn until(happened: impl Fn() -> bool) {
    while !happened() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_system_that_is_too_weak_is_refused_unless_told_otherwise() {
    let weak = Sandbox::with_launcher(runtime(), Launcher::program(launcher())).without_namespaces().without_landlock();
    let job = Job::new(["python3", "-c", "print(1)"]);
    let error = weak.run(&job).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("nothing guards files"), "{text}");
    assert!(text.contains("Landlock: it was turned off") && error.hint().is_some(), "{text}");

    let outcome = weak.allow_weaker().run(&job).await.unwrap();
    assert_eq!(outcome.stdout.text(), "1\n");
    assert!(outcome.enforced.unmet().contains(&Guard::Files));
}

/// As in a container that forbids user namespaces.
#[tokio::test]
async fn a_system_without_user_namespaces_says_so_and_the_other_layers_hold() {
    let forbid = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    let arguments = ["-U", "-r", "sh", "-c", forbid, "sh"];
    let works = std::process::Command::new("unshare").args(arguments).arg("true").status();
    if !works.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this machine has no user namespaces that could be forbidden");
        return;
    }
    let launcher = Launcher::program(launcher()).through("/usr/bin/unshare", arguments);
    let sandbox = Sandbox::with_launcher(runtime(), launcher);
    let found = sandbox.probe().await.unwrap();
    assert_eq!(found.missing[0].layer, Layer::Namespaces, "{found:?}");
    assert!(!found.holds(Guard::Files, Layer::Namespaces));
    match sandbox.run(&common::attack("read_secrets", ["/etc/shadow", "/etc/hostname"])).await {
        Ok(outcome) => {
            assert!(found.unmet().is_empty());
            common::assert_held(&outcome, 2);
        }
        Err(error) => assert!(matches!(error, SandboxError::TooWeak(_)), "{error}"),
    }
}

#[tokio::test]
async fn what_is_enforced_can_be_stored_and_read_again() {
    let sandbox = Sandbox::with_launcher(runtime(), Launcher::program(launcher()));
    let found = sandbox.probe().await.unwrap();
    assert_eq!(found.version, Enforcement::VERSION);
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Enforcement>(&text).unwrap(), found);
    let layers: BTreeSet<_> = found.guards.values().flatten().collect();
    assert!(layers.contains(&Layer::NoNewPrivileges), "{text}");
}

#[tokio::test]
async fn the_python_of_the_path_is_found_and_runs() {
    let sandbox = Sandbox::with_launcher(Runtime::python().unwrap(), Launcher::program(launcher()));
    match sandbox.run(&Job::new(["python3", "-c", "import json, ssl, sys; print(sys.version_info[0])"])).await {
        Ok(outcome) if outcome.enforced.holds(Guard::Files, Layer::Namespaces) => {
            assert_eq!(outcome.stdout.text(), "3\n", "{}", outcome.stderr.text());
        }
        // Without namespaces it may be where only its owner comes.
        Ok(_) | Err(SandboxError::Prepare(_) | SandboxError::TooWeak(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_a_launcher_is_noticed() {
    let sandbox = Sandbox::with_launcher(runtime(), Launcher::program("/no/launcher"));
    assert!(matches!(sandbox.probe().await, Err(SandboxError::Launch { .. })));
    let sandbox = Sandbox::with_launcher(runtime(), Launcher::program("/bin/true"));
    assert!(matches!(sandbox.probe().await, Err(SandboxError::Broken(_))));
}
