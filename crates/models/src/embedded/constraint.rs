//! Constraints: from a JSON Schema or a GBNF text to a grammar that the engine accepts.

use std::sync::Arc;

use agenttts_core::Constraint;
use llama_cpp_2::json_schema_to_grammar;
use llama_cpp_2::sampling::LlamaSampler;

use super::grammar::Grammar;
use super::model_file::ModelFile;
use crate::{ModelError, ModelErrorKind};

/// The engine parses grammars recursively: deeper or longer ones could exhaust its stack.
const MAX_DEPTH: usize = 100;
const MAX_BYTES: usize = 256 * 1024;

/// The grammar of a constraint before any text; every sample clones it.
pub(super) fn compile(constraint: &Constraint, file: &ModelFile) -> Result<Grammar, ModelError> {
    let grammar = match constraint {
        Constraint::Grammar(text) => text.clone(),
        Constraint::JsonSchema(schema) => from_schema(schema)?,
    };
    check(&grammar)?;
    let model = file.model();
    let state = LlamaSampler::grammar(&model, &grammar, "root").map_err(|_| {
        refused("the engine does not accept the grammar")
            .hint("a GBNF grammar needs a rule `root`, every rule that is used and no left recursion")
    })?;
    let vocabulary = match constraint {
        // `<[7]>` and `<name>` stand for tokens, whatever their text; this may also be a `<` in a text, and only costs time.
        Constraint::Grammar(text) if text.contains('<') => Arc::new(file.vocabulary().flat(&model.vocab(), text)),
        _ => file.vocabulary(),
    };
    Ok(Grammar::new(state, vocabulary))
}

fn from_schema(schema: &serde_json::Value) -> Result<String, ModelError> {
    if depth(schema, 0) > MAX_DEPTH {
        return Err(refused(format!("the JSON Schema is nested deeper than {MAX_DEPTH} levels")));
    }
    let text = schema.to_string();
    if text.len() > MAX_BYTES {
        return Err(refused(format!("the JSON Schema has more than {MAX_BYTES} bytes")));
    }
    json_schema_to_grammar(&text).map_err(|_| {
        refused("the engine cannot turn this JSON Schema into a grammar")
            .hint("it knows types, properties, required, items, enum, const, anyOf, $ref within the schema, ranges and simple patterns")
    })
}

fn check(grammar: &str) -> Result<(), ModelError> {
    if grammar.trim().is_empty() {
        return Err(refused("the grammar is empty"));
    }
    if grammar.contains('\0') {
        return Err(refused("the grammar contains a zero byte"));
    }
    if grammar.len() > MAX_BYTES {
        return Err(refused(format!("the grammar has more than {MAX_BYTES} bytes")));
    }
    let mut open: usize = 0;
    for byte in grammar.bytes() {
        match byte {
            b'(' => open += 1,
            b')' => open = open.saturating_sub(1),
            _ => {}
        }
        // Brackets in literals count too: ten times the depth leaves room for them and is still safe.
        if open > 10 * MAX_DEPTH {
            return Err(refused(format!("the grammar is nested deeper than {} levels", 10 * MAX_DEPTH)));
        }
    }
    Ok(())
}

fn depth(value: &serde_json::Value, above: usize) -> usize {
    if above > MAX_DEPTH {
        return above;
    }
    let deepest = |values: &mut dyn Iterator<Item = &serde_json::Value>| {
        values.map(|v| depth(v, above + 1)).max().unwrap_or(above)
    };
    match value {
        serde_json::Value::Array(items) => deepest(&mut items.iter()),
        serde_json::Value::Object(fields) => deepest(&mut fields.values()),
        _ => above,
    }
}

fn refused(message: impl Into<String>) -> ModelError {
    ModelError::new(ModelErrorKind::Refused, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hostile_grammars_are_refused_before_the_engine_sees_them() {
        assert!(check("").is_err());
        assert!(check("root ::= \"a\0\"").is_err());
        assert!(check(&format!("root ::= {}", "(".repeat(5000))).is_err());
        assert!(check("root ::= (\"a\" | (\"b\"))").is_ok());
    }

    #[test]
    fn schemas_become_grammars_or_errors() {
        let grammar = from_schema(&json!({"type": "object", "properties": {"a": {"type": "integer"}}})).unwrap();
        assert!(grammar.contains("root ::="), "{grammar}");
        assert!(from_schema(&json!({"type": "no such type"})).is_err());
        let mut deep = json!(1);
        for _ in 0..200 {
            deep = json!({ "items": deep });
        }
        assert!(from_schema(&deep).unwrap_err().message.contains("nested"));
    }
}
