//! Placeholders in Python code, found in its syntax tree, which also exists where the code is not quite valid.

use tree_sitter::{Node, Parser};

/// Remarks that say that something is missing. Others of these words are common in complete programs.
const REMARKS: [&str; 12] = [
    "your code here",
    "your code goes here",
    "code goes here",
    "implementation goes here",
    "to be implemented",
    "not yet implemented",
    "not implemented yet",
    "implement later",
    "implement me",
    "rest of the code",
    "rest of the implementation",
    "remaining code",
];

/// What was seen in a source.
#[derive(Default)]
pub(crate) struct Findings {
    /// There is a definition or an import; in a text without syntax errors a call, an assignment, a loop or the like will
    /// do. A sentence about code is no code.
    pub(crate) has_code: bool,
    /// Something was left to be written.
    pub(crate) has_placeholder: bool,
}

/// Looks for code, and for these placeholders:
///
/// * a comment or docstring with `TODO`, `FIXME`, `TBD` or `XXX`, one that begins with `todo:`, `fixme:` or `...`, or
///   one of a list of remarks such as "your code here";
/// * a function, a class without bases, an `if`, `elif`, `for` or `while` of which the body does nothing: only `pass`,
///   `...` and docstrings;
/// * `...` as a statement;
/// * `raise NotImplementedError`.
///
/// Functions under `@abstractmethod` or `@overload` and classes derived from `Protocol` have no bodies to write, so the
/// last three do not count in them. `pass` in an `except`, `else`, `with` or `case` is a decision, not a gap.
pub(crate) fn inspect(code: &str) -> Findings {
    let mut findings = Findings::default();
    let mut parser = Parser::new();
    if parser.set_language(&tree_sitter_python::LANGUAGE.into()).is_err() {
        return findings;
    }
    let Some(tree) = parser.parse(code, None) else {
        return findings;
    };
    let is_valid = !tree.root_node().has_error();
    let text = |node: Node<'_>| node.utf8_text(code.as_bytes()).unwrap_or_default();
    // Every node is visited, without recursion: generated code can be nested deeply.
    let mut left = vec![(tree.root_node(), false)];
    while let Some((node, is_abstract)) = left.pop() {
        findings.has_code |= match node.kind() {
            "function_definition" | "class_definition" | "import_statement" | "import_from_statement" => true,
            "assignment" | "call" | "while_statement" | "for_statement" | "if_statement" | "with_statement"
            | "raise_statement" => is_valid,
            _ => false,
        };
        let is_abstract = is_abstract || has_no_body_to_write(node, text);
        findings.has_placeholder |= match node.kind() {
            "comment" => is_remark(text(node)),
            "expression_statement" => match named_children(node).as_slice() {
                [only] if only.kind() == "string" => is_remark(text(*only)),
                [only] => only.kind() == "ellipsis" && !is_abstract,
                _ => false,
            },
            "raise_statement" => !is_abstract && is_not_implemented(node, text),
            "class_definition" if has_bases(node) => false,
            "function_definition" | "class_definition" | "for_statement" | "while_statement" => {
                !is_abstract && does_nothing(node.child_by_field_name("body"))
            }
            "if_statement" | "elif_clause" => does_nothing(node.child_by_field_name("consequence")),
            _ => false,
        };
        left.extend(named_children(node).into_iter().map(|child| (child, is_abstract)));
    }
    findings
}

fn named_children(node: Node<'_>) -> Vec<Node<'_>> {
    node.named_children(&mut node.walk()).collect()
}

fn has_no_body_to_write<'t>(node: Node<'t>, text: impl Fn(Node<'t>) -> &'t str) -> bool {
    match node.kind() {
        "decorated_definition" => {
            let decorators = named_children(node).into_iter().filter(|c| c.kind() == "decorator");
            decorators.map(text).any(|d| d.trim_end().ends_with("abstractmethod") || d.trim_end().ends_with("overload"))
        }
        "class_definition" => node.child_by_field_name("superclasses").is_some_and(|s| text(s).contains("Protocol")),
        _ => false,
    }
}

fn has_bases(class: Node<'_>) -> bool {
    class.child_by_field_name("superclasses").is_some_and(|s| s.named_child_count() > 0)
}

/// Whether a body is there but holds nothing besides comments, `pass`, `...` and docstrings.
fn does_nothing(body: Option<Node<'_>>) -> bool {
    let is_nothing = |statement: &Node<'_>| match statement.kind() {
        "comment" | "pass_statement" => true,
        "expression_statement" => {
            named_children(*statement).iter().all(|c| matches!(c.kind(), "string" | "ellipsis" | "concatenated_string"))
        }
        _ => false,
    };
    body.is_some_and(|body| named_children(body).iter().all(is_nothing))
}

fn is_not_implemented<'t>(raise: Node<'t>, text: impl Fn(Node<'t>) -> &'t str) -> bool {
    let raised = raise.named_child(0).map(text).unwrap_or_default();
    raised.strip_prefix("NotImplementedError").is_some_and(|rest| rest.is_empty() || rest.starts_with('('))
}

/// Whether a comment or docstring says that something is missing.
fn is_remark(text: &str) -> bool {
    let is_mark = |word: &str| matches!(word, "TODO" | "FIXME" | "TBD" | "XXX");
    if text.split(|c: char| !c.is_alphanumeric() && c != '_').any(is_mark) {
        return true;
    }
    let lower = text.to_lowercase();
    let said = lower.trim_start_matches(['#', '"', '\'', ' ', '\t', '\n', '\r']);
    ["todo:", "fixme:", "...", "…"].iter().any(|start| said.starts_with(start))
        || REMARKS.iter().any(|remark| said.contains(remark))
}
