//! What can be known to be wrong with a template before any example is seen.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use agenttts_core::Problem;
use agenttts_core::text::nearest;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};

use super::scan::{Token, scan, scan_code};
use crate::field::listed;

/// The names that a template may use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// Fields of the examples.
    pub(crate) fields: BTreeSet<String>,
    /// Stages and steps whose outputs are visible: name, and name as a variable.
    pub(crate) stages: Vec<(String, String)>,
    /// Stages and steps that exist but cannot be seen from here.
    pub(crate) unseen_stages: Vec<String>,
    /// Further variables of this kind of template.
    pub(crate) extra: Vec<&'static str>,
}

impl Scope {
    /// All variables, in the order in which messages list them.
    pub(crate) fn variables(&self) -> Vec<&str> {
        let fields = self.fields.iter().map(String::as_str);
        let stages = self.stages.iter().map(|(_, variable)| variable.as_str());
        stages.chain(fields).chain(self.extra.iter().copied()).chain(["example", "stages"]).collect()
    }
}

/// A template under check: a whole source or one turn of it.
pub(crate) struct Checked<'a> {
    pub(crate) file: &'a str,
    pub(crate) source: &'a Arc<str>,
    /// The template's part of the source.
    pub(crate) part: Range<usize>,
    pub(crate) scope: &'a Scope,
}

impl Checked<'_> {
    fn text(&self) -> &str {
        &self.source[self.part.clone()]
    }

    /// The problem that the engine found while reading the template.
    pub(crate) fn syntax_problem(&self, error: &Error) -> Problem {
        let span = error.range().unwrap_or_else(|| line_span(self.text(), error.line().unwrap_or(1)));
        let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        let hint = "templates are Jinja: {{ variable }}, {% for x in list %} ... {% endfor %}, {# comment #}";
        self.problem(span, format!("the template cannot be read: {detail}")).hint(hint)
    }

    /// The problem that the engine found while reading an expression.
    pub(crate) fn expression_problem(&self, error: &Error) -> Problem {
        let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        let span = error.range().filter(|range| self.text().get(range.clone()).is_some()).unwrap_or(0..self.part.len());
        let hint = "expressions are Jinja without braces: plan.tools, answer == 'yes', documents|length > 3";
        self.problem(span, format!("the expression cannot be read: {detail}")).hint(hint)
    }

    /// The same of an expression, of which the engine knows what it reads.
    pub(crate) fn expression_problems(&self, env: &Environment<'_>, reads: HashSet<String>) -> Vec<Problem> {
        let tokens = Tokens::of_expression(self.text());
        let mut problems = self.tag_problems(&tokens, env);
        problems.extend(self.undefined_problems(&tokens, env, reads));
        problems
    }

    /// Undefined variables, unknown filters and tests, and tags that need other templates. `name` is the template's
    /// name in the environment.
    pub(crate) fn problems(&self, env: &Environment<'_>, name: &str) -> Vec<Problem> {
        let Ok(template) = env.get_template(name) else {
            return Vec::new();
        };
        let tokens = Tokens::of(self.text());
        let mut problems = self.tag_problems(&tokens, env);
        problems.extend(self.undefined_problems(&tokens, env, template.undeclared_variables(true)));
        problems.sort_by_key(|p| p.place.as_ref().map(|place| place.span.start));
        problems
    }

    fn undefined_problems(&self, tokens: &Tokens<'_>, env: &Environment<'_>, reads: HashSet<String>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let assigned = tokens.assigned();
        let globals: BTreeSet<&str> = env.globals().map(|(name, _)| name).collect();
        let known = self.scope.variables();
        let mut paths: Vec<String> = reads.into_iter().collect();
        paths.sort();
        let mut seen = BTreeSet::new();
        for path in &paths {
            let mut parts = path.split('.');
            let root = parts.next().unwrap_or_default();
            let member = parts.next();
            if assigned.contains(root) || globals.contains(root) {
                continue;
            }
            if !known.contains(&root) {
                if seen.insert(root) {
                    problems.push(self.undefined(tokens.variable(root, None), root, &known));
                }
                continue;
            }
            let members: Vec<&str> = match root {
                "example" => self.scope.fields.iter().map(String::as_str).collect(),
                "stages" => self.scope.stages.iter().map(|(stage, _)| stage.as_str()).collect(),
                _ => continue,
            };
            if let Some(member) = member.filter(|m| !members.contains(m)) {
                problems.push(self.undefined(tokens.variable(root, Some(member)), member, &members));
            }
        }
        problems
    }

    fn tag_problems(&self, tokens: &Tokens<'_>, env: &Environment<'_>) -> Vec<Problem> {
        let mut state = env.empty_state();
        let mut problems = Vec::new();
        for (i, token) in tokens.all.iter().enumerate() {
            let word = tokens.word(i);
            if token.opens_tag && matches!(word, "include" | "import" | "from" | "extends") {
                problems.push(
                    self.problem(token.span.clone(), format!("`{word}` needs another template, and there is none"))
                        .hint("write the text into this template; {% macro %} serves for repeats"),
                );
            }
            let is_unknown = |result: Result<(), Error>, kind| result.is_err_and(|e| e.kind() == kind);
            if tokens.is_filter(i)
                && is_unknown(state.apply_filter(word, &[Value::UNDEFINED]).map(drop), ErrorKind::UnknownFilter)
            {
                problems.push(self.problem(token.span.clone(), format!("there is no filter `{word}`")).hint(FILTERS));
            }
            if tokens.is_test(i)
                && is_unknown(state.perform_test(word, &[Value::UNDEFINED]).map(drop), ErrorKind::UnknownTest)
            {
                problems.push(self.problem(token.span.clone(), format!("there is no test `{word}`")).hint(TESTS));
            }
        }
        problems
    }

    fn undefined(&self, span: Option<Range<usize>>, name: &str, known: &[&str]) -> Problem {
        let as_stage = |s: &&String| s.as_str() == name || s.replace('-', "_") == name;
        let hint = match (self.scope.unseen_stages.iter().find(as_stage), nearest(name, known)) {
            (Some(stage), _) => format!("this stage does not read {stage:?}: add it to `from`"),
            (None, Some(near)) => format!("did you mean `{near}`? There are: {}", listed(known.iter().copied())),
            (None, None) => format!("there are: {}", listed(known.iter().copied())),
        };
        let is_set_elsewhere = || Tokens::of(self.source).assigned().contains(name);
        let hint = if self.part.len() < self.source.len() && is_set_elsewhere() {
            "each turn is a template of its own: repeat the `set` or `macro` of the other turn in this one".into()
        } else {
            hint
        };
        self.problem(span.unwrap_or(0..0), format!("the variable `{name}` is not defined")).hint(hint)
    }

    /// A problem at a place in the template's own text.
    fn problem(&self, span: Range<usize>, message: String) -> Problem {
        let shifted = self.part.start + span.start..self.part.start + span.end;
        Problem::new(message).at(self.file, self.source, shifted)
    }
}

const FILTERS: &str =
    "common filters: default, first, join, last, length, list, lower, replace, sort, tojson, trim, upper";
const TESTS: &str = "common tests: defined, divisibleby, eq, in, mapping, none, number, sequence, string, undefined";

/// The tokens of a template, to be asked about.
pub(crate) struct Tokens<'a> {
    text: &'a str,
    pub(crate) all: Vec<Token>,
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Tokens { text, all: scan(text) }
    }

    /// Of an expression without braces.
    fn of_expression(text: &'a str) -> Self {
        let mut all = Vec::new();
        scan_code(text, 0, &mut all);
        Tokens { text, all }
    }

    pub(crate) fn at(&self, i: usize) -> &str {
        self.all.get(i).map_or("", |t| &self.text[t.span.clone()])
    }

    pub(crate) fn before(&self, i: usize) -> &str {
        i.checked_sub(1).map_or("", |b| self.at(b))
    }

    pub(crate) fn word(&self, i: usize) -> &str {
        if self.all[i].is_word { self.at(i) } else { "" }
    }

    pub(crate) fn is_filter(&self, i: usize) -> bool {
        let opens = i.checked_sub(1).is_some_and(|b| self.all[b].opens_tag);
        self.all[i].is_word && (self.before(i) == "|" || (opens && self.before(i) == "filter"))
    }

    fn is_test(&self, i: usize) -> bool {
        let before_not = i.checked_sub(1).is_some_and(|b| self.before(b) == "is");
        let is_negated = self.before(i) == "not" && before_not;
        self.all[i].is_word && self.at(i) != "not" && (self.before(i) == "is" || is_negated)
    }

    /// Where a variable, or a member of it, is first read.
    fn variable(&self, name: &str, member: Option<&str>) -> Option<Range<usize>> {
        let reads = |i: usize| {
            self.word(i) == name
                && self.before(i) != "."
                && !self.is_filter(i)
                && !self.is_test(i)
                && !self.all[i].opens_tag
                && (self.at(i + 1) != "=" || self.at(i + 2) == "=")
        };
        let found = (0..self.all.len())
            .find(|&i| reads(i) && member.is_none_or(|m| self.at(i + 1) == "." && self.at(i + 2) == m))?;
        Some(self.all[found + if member.is_some() { 2 } else { 0 }].span.clone())
    }

    /// Names that `set` or `macro` tags define. A `set` inside an `if` outlives it, which the engine's own analysis
    /// does not see.
    pub(crate) fn assigned(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for i in (0..self.all.len()).filter(|&i| self.all[i].opens_tag) {
            if self.at(i) == "macro" {
                names.insert(self.at(i + 1));
            }
            if self.at(i) == "set" {
                let targets = (i + 1..self.all.len()).take_while(|&j| self.at(j) != "=" && !self.all[j].opens_tag);
                names.extend(targets.filter(|&j| self.all[j].is_word).map(|j| self.at(j)));
            }
        }
        names
    }
}

fn line_span(text: &str, line: usize) -> Range<usize> {
    let mut start = 0;
    for (i, content) in text.split('\n').enumerate() {
        if i + 1 == line {
            return start..start + content.len();
        }
        start += content.len() + 1;
    }
    text.len()..text.len()
}
