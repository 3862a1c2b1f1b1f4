//! Programs as models write them, in the real sandbox.

use serde_json::json;

use super::*;

/// Runs programs; none where this build has no launcher of the sandbox, or the system cannot hold them.
async fn code() -> Option<Code> {
    let code = Code::new(false).ok()?;
    match code.probe().await {
        Ok(_) => Some(code),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

#[tokio::test]
async fn programs_pass_that_run_without_a_traceback() {
    let Some(code) = code().await else { return };
    for (program, why) in [
        ("print('hello')", "ended with status 0"),
        ("import sys\nsys.exit('usage: main.py FILE')", "ended with status 1"),
        ("name = input('Name? ')\nprint(name)", "ran until it asked for input"),
        ("import time\nprint('serving', flush=True)\ntime.sleep(1000)", "still waiting after 10 s"),
    ] {
        let run = code.run(&json!(program)).await.unwrap();
        assert!(run.passed && run.is_valid, "{program}: {run:?}");
        assert_eq!((run.why.as_str(), &run.traceback), (why, &None));
        assert!(run.enforced.contains(&"network".to_owned()));
    }
}

#[tokio::test]
async fn programs_fail_for_reasons_that_are_told() {
    let Some(code) = code().await else { return };
    for (program, valid, why) in [
        ("def f(:\n    pass\nf()", false, "not valid Python: SyntaxError: "),
        ("print(undefined)", true, "ended with a traceback: NameError: name 'undefined' is not defined"),
        ("import pygame_that_is_not_there", true, "ended with a traceback: ModuleNotFoundError: "),
        ("while True: print('x' * 1000)", true, "ended at the limit of output"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", true, "ended by signal 9"),
        (
            "x = [b'x' * (1 << 20)] * 4\ny = [bytes(1 << 20) for _ in range(4096)]",
            true,
            "ended with a traceback: MemoryError",
        ),
    ] {
        let run = code.run(&json!(program)).await.unwrap();
        assert!(!run.passed && run.is_valid == valid, "{program}: {run:?}");
        assert!(run.why.starts_with(why), "{program}: {}", run.why);
    }
    // On a busy machine the clock may run out first.
    let run = code.run(&json!("while True: pass")).await.unwrap();
    let reasons = ["ended at the limit of processor time", "still computing after 10 s"];
    assert!(!run.passed && reasons.contains(&run.why.as_str()), "{run:?}");
    let run = code.run(&json!("x = 1\nprint(1 / 0)")).await.unwrap();
    let traceback = run.traceback.clone().unwrap();
    assert!(traceback.contains("line 2") && traceback.ends_with("ZeroDivisionError: division by zero"), "{traceback}");
    let run = code.run(&json!("I cannot do that.")).await.unwrap();
    assert_eq!((run.passed, run.why.as_str()), (false, "there is no Python code"));
}

#[tokio::test]
async fn files_of_a_program_find_one_another() {
    let Some(code) = code().await else { return };
    let files = json!({"main.py": "from game import board\nprint(board.SIZE, open('data/words.txt').read())",
        "game/board.py": "SIZE = 3", "data/words.txt": "a b"});
    assert_eq!(code.run(&files).await.unwrap().stdout, "3 a b");
    let broken = json!({"main.py": "print(1)", "other.py": "def"});
    assert!(!code.run(&broken).await.unwrap().is_valid);
}

#[tokio::test]
async fn one_program_runs_once_and_programs_that_do_the_same_behave_alike() {
    let Some(code) = code().await else { return };
    let (a, b, other) = (
        json!("import time\nprint(2 + 2)\nprint(time.time_ns(), file=open('t', 'w'))"),
        json!("print(4)"),
        json!("print(5)"),
    );
    let (first, second) = tokio::join!(code.run(&a), code.run(&a));
    let first = first.unwrap();
    assert!(Arc::ptr_eq(&first, &second.unwrap()));
    let (b, other) = (code.run(&b).await.unwrap(), code.run(&other).await.unwrap());
    assert_eq!(first.behaviour, b.behaviour);
    assert_ne!(first.behaviour, other.behaviour);
}

#[tokio::test]
async fn what_cannot_be_held_is_refused_unless_that_is_allowed() {
    let Ok(runtime) = Runtime::python() else { return };
    let Ok(sandbox) = Sandbox::new(runtime) else { return };
    let bare = sandbox.without_namespaces().without_landlock().without_seccomp();
    let code = Code::with_sandbox(bare.clone()).unwrap();
    let error = code.probe().await.unwrap_err();
    assert!(matches!(error, EngineError::Sandbox(SandboxError::TooWeak(_))), "{error}");
    assert!(error.hint().unwrap().contains("--allow-weak-sandbox"), "{:?}", error.hint());
    // A fault of the machine, not of the program.
    assert!(code.run(&json!("print(1)")).await.is_err());

    let code = Code::with_sandbox(bare.allow_weaker()).unwrap();
    // Where this is root, code is another user, who may not be able to read root's Python.
    let Ok(enforced) = code.probe().await else { return };
    assert!(enforced.guards["files"].is_empty() && enforced.missing.contains_key("Landlock"), "{enforced:?}");
    assert!(code.run(&json!("print(1)")).await.unwrap().passed);
}
