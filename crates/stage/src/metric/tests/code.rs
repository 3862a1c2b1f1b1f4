//! Completeness and executability of generated code, and their combinations.

use super::*;

fn complete(output: impl Into<Value>) -> bool {
    let spec = MetricSpec { gold: None, ..spec(MetricKind::Completeness) };
    score(&spec, &output.into(), &example(json!(null))).unwrap() == 1.0
}

#[test]
fn finished_code_is_complete() {
    assert!(complete("import math\n\ndef area(r):\n    return math.pi * r ** 2\n"));
    assert!(complete("print('hello')"));
    assert!(complete("def f(x=...):\n    return x[..., 0]\n"));
}

#[test]
fn placeholders_are_found() {
    for code in [
        "def f():\n    pass\n",
        "def f():\n    \"\"\"Does it.\"\"\"\n",
        "def f():\n    \"\"\"Does it.\"\"\"\n    ...\n",
        "async def f():\n    # later\n    pass\n",
        "def f():\n    raise NotImplementedError(\"f\")\n",
        "def f(x):\n    if x:\n        raise NotImplementedError\n    return x\n",
        "class Game:\n    pass\n",
        "if key == 'up':\n    pass\nelse:\n    move()\n",
        "for k in keys:\n    ...\n",
        "x = 1\n...\n",
        "x = 1  # TODO\n",
        "x = 1  # todo: more\n",
        "x = 1\n# ... the other rules ...\n",
        "x = 1\n# Your code here\n",
        "def f():\n    \"\"\"TODO: say what.\"\"\"\n    return 1\n",
        "def f(\n    pass\n\ndef g():\n    pass\n",
    ] {
        assert!(!complete(code), "{code}");
    }
}

#[test]
fn what_only_looks_like_a_placeholder_is_none() {
    for code in [
        // ChatDev's rule, any line with "pass" or "todo", takes these for incomplete.
        "class TodoList:\n    def add(self, todo):\n        # Adds a todo item.\n        self.todos.append(todo)\n",
        "text = 'TODO'\nprint('pass', text, '# TODO')\n",
        "try:\n    run()\nexcept KeyError:\n    pass\n",
        "class GameError(Exception):\n    pass\n",
        "if a:\n    run()\nelse:\n    pass\n",
        "with open('log.txt', 'w'):\n    pass\n",
        "x = 1  # Loading...\n",
        "class Shape(ABC):\n    @abstractmethod\n    def area(self):\n        pass\n\n    @abc.abstractmethod\n    def side(self):\n        raise NotImplementedError\n",
        "class Named(Protocol):\n    def name(self) -> str: ...\n",
        "def __eq__(self, other):\n    return NotImplemented\n",
        "compass = bypass(password)\n",
    ] {
        assert!(complete(code), "{code}");
    }
}

#[test]
fn code_is_found_where_it_is() {
    let good = "def f():\n    return 1\n";
    assert!(complete(format!("Here is main.py, with no TODO:\n```python\n{good}```\nRun it:\n```bash\npass\n```\n")));
    assert!(!complete(format!("```python\n{good}```\n\n```\ndef g():\n    pass\n```")));
    // Cut off for want of tokens.
    assert!(complete(format!("```py\n{good}")));
    assert!(complete(json!({"main.py": good, "README.md": "# TODO"})));
    assert!(!complete(json!({"main.py": good, "src/util.py": "def f(): pass"})));
    assert!(complete(json!([{"path": "main.py", "content": good}, {"path": "notes.txt", "content": "..."}])));
    assert!(!complete(json!([{"name": "main.py", "code": "def f(): ..."}])));
}

#[test]
fn no_code_is_not_complete() {
    for output in [
        json!(null),
        json!(""),
        json!("# only a comment\n"),
        json!("I am sorry, but I cannot write this program (it is too long)."),
        json!("```json\n{\"a\": 1}\n```"),
        json!({"README.md": "A game"}),
        json!([]),
        json!(7),
    ] {
        assert!(!complete(output.clone()), "{output}");
    }
}

#[test]
fn long_garbage_is_no_code() {
    for text in ["(".repeat(50_000), "if x:\n ".repeat(5_000), "\"\"\"".repeat(20_001)] {
        assert!(!complete(text));
    }
}

#[test]
fn executability_is_what_a_run_has_told() {
    let spec = MetricSpec { gold: None, ..spec(MetricKind::Executability) };
    let of = |passed| {
        let seen = super::super::Seen { passed, ..Default::default() };
        super::super::score(&spec, &json!("print(1)"), &example(json!(null)), &seen).unwrap()
    };
    assert_eq!([of(Some(true)), of(Some(false)), of(None)], [1.0, 0.0, 0.0]);
}

#[test]
fn metrics_can_be_combined() {
    let part = |kind| MetricSpec { gold: None, ..spec(kind) };
    let parts = vec![part(MetricKind::Completeness), part(MetricKind::Executability)];
    let of = |kind, passed| {
        let spec = MetricSpec { of: parts.clone(), ..part(kind) };
        assert!(spec.runs_code());
        let seen = super::super::Seen { passed: Some(passed), ..Default::default() };
        super::super::score(&spec, &json!("print(1)"), &example(json!(null)), &seen).unwrap()
    };
    assert_eq!([of(MetricKind::Mean, true), of(MetricKind::Mean, false)], [1.0, 0.5]);
    assert_eq!([of(MetricKind::Product, true), of(MetricKind::Product, false)], [1.0, 0.0]);
    // A part that cannot be scored is told, whatever the others are.
    let lacking = MetricSpec { gold: Some("none".into()), ..spec(MetricKind::F1) };
    let spec = MetricSpec { of: vec![part(MetricKind::Completeness), lacking], ..part(MetricKind::Mean) };
    assert!(score(&spec, &json!("x"), &example(json!(null))).is_err());
}
