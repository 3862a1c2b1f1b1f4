//! Prompt templates: Jinja without files, escaping or endless loops.

mod check;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agenttts_core::{Example, Problem};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

pub(crate) use check::Scope;

/// Work that one rendering may take, in the engine's units: an instruction or 64 bytes of text each. Far above any real
/// prompt, and used up well within a second.
const FUEL: u64 = 5_000_000;

/// A JSON value as templates see it. Objects are in key order, so that a rendering does not depend on the order of keys
/// in a file.
pub(crate) fn template_value(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::from(()),
        Json::Bool(b) => Value::from(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => Value::from(i),
            (None, Some(u)) => Value::from(u),
            (None, None) => n.as_f64().map_or(Value::from(()), Value::from),
        },
        Json::String(s) => Value::from(s),
        Json::Array(items) => items.iter().map(template_value).collect(),
        Json::Object(object) => Value::from_pairs(object.iter().map(|(k, v)| (k, template_value(v)))),
    }
}

/// A template that could not be filled in for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderError {
    /// The stage.
    pub stage: String,
    /// The template's file.
    pub template: String,
    /// 1-based line in the template.
    pub line: Option<usize>,
    /// The example's id.
    pub example: String,
    /// The example's line in its file.
    pub example_line: u32,
    /// The field that the example lacks, where that is the cause.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl std::fmt::Display for RenderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.template)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        let RenderError { stage, example, example_line, message, .. } = self;
        write!(f, ": {message} (stage {stage:?}, example {example:?} in line {example_line} of its file)")?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RenderError {}

/// The templates of one stage.
#[derive(Clone, Debug)]
pub(crate) struct Templates {
    stage: String,
    env: Environment<'static>,
    /// Per name: the file, the text, and the fields that examples may have.
    sources: BTreeMap<&'static str, (String, Arc<str>)>,
    fields: BTreeSet<String>,
}

impl Templates {
    pub(crate) fn new(stage: &str, fields: &BTreeSet<String>) -> Self {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_debug(true);
        env.set_fuel(Some(FUEL));
        // Building fails on bad delimiters only, and these are the default ones.
        if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
            env.set_syntax(syntax);
        }
        Templates { stage: stage.to_owned(), env, sources: BTreeMap::new(), fields: fields.clone() }
    }

    /// Adds a template under a name, or tells what is wrong with it.
    pub(crate) fn add(&mut self, name: &'static str, file: String, text: &str, scope: &Scope) -> Vec<Problem> {
        let text: Arc<str> = Arc::from(text);
        let checked = check::Checked { file: &file, text: &text, scope };
        if let Err(error) = self.env.add_template_owned(name, text.to_string()) {
            return vec![checked.syntax_problem(&error)];
        }
        let problems = checked.problems(&self.env, name);
        self.sources.insert(name, (file, text));
        problems
    }

    /// Whether there is a template of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.sources.contains_key(name)
    }

    /// Fills in a template. A prompt of nothing but white space is an error.
    pub(crate) fn render(
        &self,
        name: &str,
        context: &BTreeMap<String, Value>,
        example: &Example,
    ) -> Result<String, Box<RenderError>> {
        let rendered = self.env.get_template(name).and_then(|t| t.render(Value::from(context)));
        let text = rendered.map_err(|error| Box::new(self.error(name, &error, example)))?;
        if text.trim().is_empty() {
            let bare = self.bare_error(name, example);
            return Err(Box::new(RenderError { message: "the rendered text is empty".into(), ..bare }));
        }
        Ok(text)
    }

    fn bare_error(&self, name: &str, example: &Example) -> RenderError {
        RenderError {
            stage: self.stage.clone(),
            template: self.sources.get(name).map(|(file, _)| file.clone()).unwrap_or_default(),
            line: None,
            example: example.id.clone(),
            example_line: example.line,
            field: None,
            message: String::new(),
            hint: None,
        }
    }

    fn error(&self, name: &str, error: &Error, example: &Example) -> RenderError {
        let bare = RenderError { line: error.line(), ..self.bare_error(name, example) };
        if error.kind() == ErrorKind::OutOfFuel {
            return RenderError {
                message: "the template does too much work".into(),
                hint: Some("look for a loop over a very large range or list".into()),
                ..bare
            };
        }
        let code = self.code_at(name, error);
        // The engine's message quotes the variable; the place may be that of a filter on it.
        let quoted = error.detail().and_then(|d| d.split('`').nth(1));
        let missing = match error.kind() {
            ErrorKind::UndefinedError => {
                [quoted, code].into_iter().flatten().find_map(|c| self.missing_field(c, example))
            }
            _ => None,
        };
        if let Some(field) = missing {
            return RenderError {
                message: format!("the example has no field `{field}`"),
                hint: Some(format!("add the field to the example, or write {{{{ {field}|default(\"\") }}}}")),
                field: Some(field),
                ..bare
            };
        }
        let detail = error.detail().map_or_else(String::new, |d| format!(": {d}"));
        let code = code.map_or_else(String::new, |code| format!(" in `{code}`"));
        RenderError { message: format!("{}{code}{detail}", error.kind()), ..bare }
    }

    /// The failing expression.
    fn code_at(&self, name: &str, error: &Error) -> Option<&str> {
        let (_, text) = self.sources.get(name)?;
        text.get(error.range()?).filter(|code| !code.contains('\n') && code.len() <= 80)
    }

    /// The first name in an expression that is a field of other examples, but not of this one.
    fn missing_field(&self, code: &str, example: &Example) -> Option<String> {
        let mut tokens = Vec::new();
        scan::scan_code(code, 0, &mut tokens);
        let words = tokens.into_iter().filter(|t| t.is_word).map(|t| &code[t.span]);
        words.into_iter().find(|w| self.fields.contains(*w) && !example.fields.contains_key(*w)).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests;
