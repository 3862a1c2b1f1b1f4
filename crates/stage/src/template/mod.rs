//! Prompt templates: Jinja without files, escaping or endless loops.

mod check;
mod needs;
mod scan;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agenttts_core::{Example, Message, Problem};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, escape_formatter};

use crate::stage::RUBRIC;

pub(crate) use check::Scope;
use turns::Turn;

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

/// A value of a template as JSON: the inverse of [`template_value`]. `None` for what JSON cannot hold, such as a function.
pub(crate) fn plain_value(value: &Value) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    Some(match value.kind() {
        ValueKind::Undefined | ValueKind::None => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number => match (i64::try_from(value.clone()), u64::try_from(value.clone())) {
            // A float that is whole stays one.
            (Ok(i), _) if value.is_integer() => i.into(),
            (_, Ok(u)) if value.is_integer() => u.into(),
            _ => serde_json::Number::from_f64(f64::try_from(value.clone()).ok()?)?.into(),
        },
        ValueKind::String => Json::String(value.as_str()?.to_owned()),
        ValueKind::Seq | ValueKind::Iterable => {
            Json::Array(value.try_iter().ok()?.map(|item| plain_value(&item)).collect::<Option<_>>()?)
        }
        ValueKind::Map => {
            let entry = |key: Value| Some((key.to_string(), plain_value(&value.get_item(&key).ok()?)?));
            Json::Object(value.try_iter().ok()?.map(entry).collect::<Option<_>>()?)
        }
        _ => return None,
    })
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
        // An input of a person's own has no line.
        match example_line {
            0 => write!(f, ": {message} (stage {stage:?})")?,
            line => write!(f, ": {message} (stage {stage:?}, example {example:?} in line {line} of its file)")?,
        }
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
    sources: BTreeMap<&'static str, Source>,
    /// The fields that examples may have.
    fields: BTreeSet<String>,
}

/// What a template was made from.
#[derive(Clone, Debug)]
struct Source {
    file: String,
    text: Arc<str>,
    /// At least one; each is a template of its own in the environment.
    turns: Vec<Turn>,
    /// Fields without which it can never be filled in.
    needs: BTreeSet<String>,
}

impl Templates {
    pub(crate) fn new(stage: &str, fields: &BTreeSet<String>) -> Self {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        // What fills in a rubric is quoted, so that it cannot speak to the judge; what the rubric itself makes, as with a
        // macro, is not quoted twice.
        let is_rubric = |name: &str| name == key(RUBRIC, 0);
        env.set_auto_escape_callback(move |name| if is_rubric(name) { AutoEscape::Json } else { AutoEscape::None });
        env.set_formatter(move |out, state, value| match plain_value(value) {
            Some(json) if is_rubric(state.name()) && !value.is_safe() => Ok(out.write_str(&json.to_string())?),
            _ => escape_formatter(out, state, value),
        });
        env.set_debug(true);
        env.set_fuel(Some(FUEL));
        // Building fails on bad delimiters only, and these are the default ones.
        if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
            env.set_syntax(syntax);
        }
        Templates { stage: stage.to_owned(), env, sources: BTreeMap::new(), fields: fields.clone() }
    }

    /// Adds a template of one message under a name, or tells what is wrong with it.
    pub(crate) fn add(&mut self, name: &'static str, file: String, text: &str, scope: &Scope) -> Vec<Problem> {
        let text: Arc<str> = Arc::from(text);
        let markers = turns::markers(&text);
        let turns = vec![Turn::whole(&text)];
        let mut problems =
            self.compile(name, Source { file: file.clone(), text: text.clone(), turns, needs: BTreeSet::new() }, scope);
        problems.extend(markers.into_iter().map(|marker| {
            Problem::new("only the stage's `prompt` can have turns")
                .at(&file, &text, marker.span)
                .hint("this template is one message: remove the marker")
        }));
        problems
    }

    /// Adds a template that may be divided into turns.
    pub(crate) fn add_turns(&mut self, name: &'static str, file: String, text: &str, scope: &Scope) -> Vec<Problem> {
        let text: Arc<str> = Arc::from(text);
        match turns::turns(&file, &text) {
            Ok(turns) => self.compile(name, Source { file, text, turns, needs: BTreeSet::new() }, scope),
            Err(problems) => problems,
        }
    }

    /// Adds an expression under a name, or tells what is wrong with it.
    pub(crate) fn add_expression(
        &mut self,
        name: &'static str,
        file: String,
        text: &str,
        scope: &Scope,
    ) -> Vec<Problem> {
        let text: Arc<str> = Arc::from(text);
        let checked = check::Checked { file: &file, source: &text, part: 0..text.len(), scope };
        let problems = match self.env.compile_expression(&text) {
            Ok(expression) => checked.expression_problems(&self.env, expression.undeclared_variables(true)),
            Err(error) => vec![checked.expression_problem(&error)],
        };
        let needs = needs::needs(&format!("{{{{ {text} }}}}"), scope, &self.env);
        let turns = vec![Turn::whole(&text)];
        self.sources.insert(name, Source { file, text, turns, needs });
        problems
    }

    /// The value of an expression; never one that is not defined.
    pub(crate) fn evaluate(
        &self,
        name: &str,
        context: &BTreeMap<String, Value>,
        example: &Example,
    ) -> Result<Value, Box<RenderError>> {
        let text = self.sources.get(name).map_or("", |source| &source.text);
        let value = self.env.compile_expression(text).and_then(|expression| expression.eval(Value::from(context)));
        match value {
            Ok(value) if value.is_undefined() => {
                let field = self.missing_field(text, example);
                let message = match &field {
                    Some(field) => format!("`{name}` needs the field `{field}`, which this example lacks"),
                    None => format!("`{text}` is not defined for this example"),
                };
                Err(Box::new(RenderError { field, ..self.failure(name, message, example) }))
            }
            Ok(value) => Ok(value),
            Err(error) => Err(Box::new(self.error(name, 0, &error, example))),
        }
    }

    /// What is wrong with a template or expression for an example.
    pub(crate) fn failure(&self, name: &str, message: String, example: &Example) -> RenderError {
        RenderError { message, ..self.bare_error(name, example) }
    }

    fn compile(&mut self, name: &'static str, mut source: Source, scope: &Scope) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (i, turn) in source.turns.iter().enumerate() {
            let part = turn.span.clone();
            let checked = check::Checked { file: &source.file, source: &source.text, part: part.clone(), scope };
            if let Err(error) = self.env.add_template_owned(key(name, i), source.text[part.clone()].to_owned()) {
                // If all turns together can be read, it is the division that cannot.
                let is_divided = i + 1 < source.turns.len() && self.env.template_from_str(&source.text).is_ok();
                let next = turns::markers(&source.text).into_iter().find(|m| m.span.start >= part.end);
                match next.filter(|_| is_divided) {
                    Some(marker) => return vec![crossing(&source, marker.span)],
                    None => problems.push(checked.syntax_problem(&error)),
                }
                continue;
            }
            problems.extend(checked.problems(&self.env, &key(name, i)));
            source.needs.extend(needs::needs(&source.text[part], scope, &self.env));
        }
        self.sources.insert(name, source);
        problems
    }

    /// Whether there is a template of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.sources.contains_key(name)
    }

    /// Whether the text of any template has that name in it.
    pub(crate) fn mention(&self, name: &str) -> bool {
        self.sources.values().any(|source| source.text.contains(name))
    }

    /// The fields without which a template can never be filled in; none where there is no such template.
    pub(crate) fn needs(&self, name: &str) -> impl Iterator<Item = &String> {
        self.sources.get(name).into_iter().flat_map(|source| &source.needs)
    }

    /// Fills in a template of one message, or the last turn of one. A prompt of nothing but white space is an error.
    pub(crate) fn render(
        &self,
        name: &str,
        context: &BTreeMap<String, Value>,
        example: &Example,
    ) -> Result<String, Box<RenderError>> {
        let last = self.sources.get(name).map_or(0, |source| source.turns.len().saturating_sub(1));
        self.render_turn(name, last, context, example)
    }

    /// Fills in all turns of a template.
    pub(crate) fn render_turns(
        &self,
        name: &str,
        context: &BTreeMap<String, Value>,
        example: &Example,
    ) -> Result<Vec<Message>, Box<RenderError>> {
        let turns = self.sources.get(name).map_or(&[][..], |source| &source.turns);
        let message = |(i, turn): (usize, &Turn)| {
            Ok(Message { role: turn.role, content: self.render_turn(name, i, context, example)? })
        };
        turns.iter().enumerate().map(message).collect()
    }

    fn render_turn(
        &self,
        name: &str,
        turn: usize,
        context: &BTreeMap<String, Value>,
        example: &Example,
    ) -> Result<String, Box<RenderError>> {
        let rendered = self.env.get_template(&key(name, turn)).and_then(|t| t.render(Value::from(context)));
        let text = rendered.map_err(|error| Box::new(self.error(name, turn, &error, example)))?;
        if text.trim().is_empty() {
            let bare = self.bare_error(name, example);
            let line = self.turn(name, turn).filter(|t| t.lines_before > 0).map(|t| t.lines_before + 1);
            return Err(Box::new(RenderError { message: "the rendered text is empty".into(), line, ..bare }));
        }
        Ok(text)
    }

    fn turn(&self, name: &str, turn: usize) -> Option<&Turn> {
        self.sources.get(name)?.turns.get(turn)
    }

    fn bare_error(&self, name: &str, example: &Example) -> RenderError {
        RenderError {
            stage: self.stage.clone(),
            template: self.sources.get(name).map(|source| source.file.clone()).unwrap_or_default(),
            line: None,
            example: example.id.clone(),
            example_line: example.line,
            field: None,
            message: String::new(),
            hint: None,
        }
    }

    fn error(&self, name: &str, turn: usize, error: &Error, example: &Example) -> RenderError {
        let lines_before = self.turn(name, turn).map_or(0, |t| t.lines_before);
        let line = error.line().map(|line| line + lines_before);
        let bare = RenderError { line, ..self.bare_error(name, example) };
        if error.kind() == ErrorKind::OutOfFuel {
            return RenderError {
                message: "the template does too much work".into(),
                hint: Some("look for a loop over a very large range or list".into()),
                ..bare
            };
        }
        let code = self.code_at(name, turn, error);
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
    fn code_at(&self, name: &str, turn: usize, error: &Error) -> Option<&str> {
        let text = &self.sources.get(name)?.text[self.turn(name, turn)?.span.clone()];
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

/// The name of a turn's template in the environment.
fn key(name: &str, turn: usize) -> String {
    format!("{name}#{turn}")
}

fn crossing(source: &Source, marker: std::ops::Range<usize>) -> Problem {
    let name = &source.text[marker.clone()];
    Problem::new(format!("a block or tag that begins before this `{name}` ends after it"))
        .at(&source.file, &source.text, marker)
        .hint("each turn is a template of its own: close {% for %}, {% if %} and the like before the marker")
}

#[cfg(test)]
mod tests;
