//! Programs in the forms in which models write them.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn names(output: impl Into<Value>) -> Vec<String> {
    code_files(&output.into()).unwrap().files.into_keys().collect()
}

fn of(output: impl Into<Value>) -> Value {
    code_files(&output.into()).unwrap().to_value()
}

fn refused(output: impl Into<Value>) -> NoCode {
    code_files(&output.into()).unwrap_err()
}

#[test]
fn bare_code_is_the_main_file_and_a_sentence_is_none() {
    assert_eq!(of("print('hi')"), json!({"main.py": "print('hi')"}));
    assert_eq!(of("while True: pass"), json!({"main.py": "while True: pass"}));
    assert_eq!(of("import os\n  bad indent"), json!({"main.py": "import os\n  bad indent"}));
    assert_eq!(refused("I am sorry, I cannot write that."), NoCode::None);
    assert_eq!(refused(""), NoCode::None);
    assert_eq!(refused(Value::Null), NoCode::None);
}

#[test]
fn fenced_blocks_name_their_files_in_several_ways() {
    let text = "Here it is.\n\nmain.py\n```python\nimport board\n```\n\n### game/board.py\n\n```python\nSIZE = 3\n```\n\
                ```python:game/ai.py\nx = 1\n```\n```py title=\"util.py\"\ny = 2\n```\n```python\n# File: last.py\nz = 3\n```\n\
                **`requirements.txt`**:\n```\nnothing\n```\n";
    assert_eq!(names(text), ["game/ai.py", "game/board.py", "last.py", "main.py", "requirements.txt", "util.py"]);
    assert_eq!(of(text)["game/board.py"], "SIZE = 3\n");
    // Blocks without names beside named ones show how to use them.
    // How to run a file, and what it prints, stand below its name, too.
    let text = |below: &str| format!("main.py\n```python\nprint(1)\n```\n{below}");
    for below in [
        "Run `python main.py`:\n```bash\npython main.py\n```\n",
        "Then:\n```sh\n# Run main.py\npython main.py\n```\n",
        "Output of main.py:\n```\n1\n```\n",
    ] {
        let code = code_files(&text(below).into()).unwrap();
        assert_eq!(code.files()["main.py"], "print(1)\n", "{below}");
        assert_eq!(code.files().len(), 1, "{below}");
    }
    assert_eq!(names("main.py\n```python\nprint(1)\n```\nRun it:\n```\npython main.py\n```\n"), ["main.py"]);
}

#[test]
fn without_names_the_longest_python_block_is_the_main_file() {
    let text = "```bash\npip install a-long-name-of-a-package\n```\n```python\ndef f():\n    return 1\n```\nUse:\n```python\nf()\n```";
    assert_eq!(of(text), json!({"main.py": "def f():\n    return 1\n"}));
    assert_eq!(of("```python\nprint(1)"), json!({"main.py": "print(1)\n"}));
    assert_eq!(refused("```bash\nls\n```"), NoCode::None);
    assert_eq!(refused("```python\n\n```"), NoCode::None);
}

#[test]
fn of_two_blocks_of_one_name_the_later_counts() {
    assert_eq!(of("main.py\n```\nx = 1\n```\nBetter:\nmain.py\n```\nx = 2\n```"), json!({"main.py": "x = 2\n"}));
}

#[test]
fn files_may_be_json() {
    let files = json!({"main.py": "import a", "a.py": "x = 1", "data/words.txt": "a b"});
    assert_eq!(of(files.clone()), files);
    assert_eq!(of(files.to_string()), files);
    assert_eq!(of(format!("Sure:\n```json\n{files}\n```")), files);
    assert_eq!(of(json!([{"name": "main.py", "content": "```python\nx = 1\n```"}])), json!({"main.py": "x = 1\n"}));
    assert_eq!(of(json!({"files": {"main.py": "x = 1"}})), json!({"main.py": "x = 1"}));
    // A dictionary is no file.
    assert_eq!(refused(r#"{"a": "b"}"#), NoCode::None);
}

#[test]
fn the_main_file_is_found() {
    let main = |files: Value| code_files(&files).map(|c| c.main);
    assert_eq!(main(json!({"main.py": "", "b.py": "x"})), Ok("main.py".into()));
    assert_eq!(main(json!({"game.py": "x", "notes.md": "x"})), Ok("game.py".into()));
    assert_eq!(main(json!({"a.py": "x", "b.py": "if __name__ == '__main__': pass"})), Ok("b.py".into()));
    assert_eq!(main(json!({"a.py": "x", "b.py": "x"})), Err(NoCode::NoMain("a.py, b.py".into())));
}

#[test]
fn names_stay_in_the_folder() {
    for name in ["../x.py", "/etc/x.py", "a/../../x.py", "", "a//b.py", "a\0.py", "a\n.py"] {
        let refused = refused(json!({name: "x = 1", "main.py": "x = 1"}));
        assert!(matches!(refused, NoCode::BadName(_)), "{name:?}: {refused}");
    }
    assert!(matches!(refused(json!({"x".repeat(300) + ".py": "x = 1"})), NoCode::BadName(_)));
    assert_eq!(refused(json!({"a.py": "x", "a.py/b.py": "x"})), NoCode::FileAndFolder("a.py".into()));
    assert_eq!(names(json!({"./main.py": "x", "a\\b.py": "x"})), ["a/b.py", "main.py"]);
}

#[test]
fn too_much_is_refused() {
    assert_eq!(refused(json!({"main.py": "x".repeat(5 << 20)})), NoCode::TooMuch);
    let many: Map<String, Value> = (0..200).map(|i| (format!("f{i}.py"), json!("x"))).collect();
    assert_eq!(refused(many), NoCode::TooMuch);
}

proptest! {
    #[test]
    fn any_text_is_a_program_or_none(text in "(```|`|main\\.py|\\{|\"|# |\n|x = 1|[a-z:. ]){0,30}") {
        if let Ok(code) = code_files(&json!(text)) {
            prop_assert!(code.files.contains_key(code.main()));
            // The output is its own program.
            prop_assert_eq!(code_files(&code.to_value()).map(|c| c.main), Ok(code.main));
        }
    }
}
