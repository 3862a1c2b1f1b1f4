//! Python code without what is said about it.

use std::ops::Range;

use tree_sitter::{Node, Parser};

/// The code without comments, docstrings and other texts that are statements of their own, and without blank lines. It
/// need not be valid Python any more: it is to be compared, not to be run.
pub(crate) fn without_remarks(code: &str) -> String {
    let mut bare = String::with_capacity(code.len());
    let mut at = 0;
    for remark in remarks(code) {
        bare.push_str(&code[at..remark.start.max(at)]);
        at = remark.end.max(at);
    }
    bare.push_str(&code[at..]);
    let lines = bare.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// Where remarks stand, in order.
fn remarks(code: &str) -> Vec<Range<usize>> {
    let mut parser = Parser::new();
    if parser.set_language(&tree_sitter_python::LANGUAGE.into()).is_err() {
        return Vec::new();
    }
    let Some(tree) = parser.parse(code, None) else { return Vec::new() };
    let mut found = Vec::new();
    let mut left = vec![tree.root_node()];
    while let Some(node) = left.pop() {
        if is_remark(node) {
            found.push(node.byte_range());
        } else {
            left.extend(node.children(&mut node.walk()));
        }
    }
    found.sort_by_key(|range| range.start);
    found
}

fn is_remark(node: Node<'_>) -> bool {
    let is_text = |node: Node<'_>| matches!(node.kind(), "string" | "concatenated_string");
    match node.kind() {
        "comment" => true,
        "expression_statement" => node.named_child_count() == 1 && node.named_child(0).is_some_and(is_text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn code_stays_and_what_is_said_about_it_goes() {
        let code = "# A game.\n\"\"\"It is\nchess.\"\"\"\nimport sys  # the system\n\ndef move(a):\n    'Moves.'\n    \
                    print('# no remark')\n    return a\n";
        assert_eq!(without_remarks(code), "import sys\ndef move(a):\n    print('# no remark')\n    return a");
        assert_eq!(without_remarks("# nothing but this"), "");
        assert_eq!(without_remarks("x = \"\"\"kept\"\"\""), "x = \"\"\"kept\"\"\"");
    }

    proptest! {
        #[test]
        fn any_text_can_be_bared(code in "(#|'|\"|\"\"\"|\n|def f\\(\\):|    |é|x = 1|\\(){0,20}") {
            let bare = without_remarks(&code);
            prop_assert!(bare.len() <= code.len());
        }
    }
}
