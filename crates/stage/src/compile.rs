//! From a stage's specification to a stage that can run.

use std::collections::BTreeSet;

use agenttts_core::pipeline::{LlmJudge, MetricSpec, Node, ParserSpec, StageSpec, Template};
use agenttts_core::text::nearest;
use agenttts_core::{Aggregator, Pipeline, Problem, Problems};

use crate::combine::{FUSE_PROMPT, JUDGE_PROMPT};
use crate::field::listed;
use crate::flow::{EACH, INDEX, ITEM, OTHERWISE, WHEN};
use crate::parse::Parser;
use crate::shorten::shortens;
use crate::stage::{CompiledStage, FUSE, JUDGE, PROMPT, RUBRIC, SYSTEM};
use crate::template::{Scope, Templates};

impl CompiledStage {
    /// Compiles the templates and the parser of stage `index` and checks them against `known_fields`, the fields that
    /// occur in any example. All problems are reported together; those of templates are placed in the template.
    ///
    /// Templates see the example's fields, the output of each stage and step upstream under its name with `-` as `_`,
    /// `example` (all fields) and `stages` (outputs by their own names); templates of fusion and judgement also
    /// see `prompt` (the stage's own, rendered; its last turn) and `candidates` (a list of objects with `text` and
    /// `output`); a judge's rubric sees `output`, what is judged, and `prompt` where the stage runs once for every example;
    /// other templates of a stage with `each` see `item` and `index`. The last seven win over fields of the same name, which `example` still shows.
    ///
    /// # Turns
    /// A prompt may hold worked examples as turns of a conversation, divided by lines of nothing but `<<user>>` or
    /// `<<assistant>>`:
    ///
    /// ```text
    /// What is 2 + 3?
    /// <<assistant>>
    /// Answer: 5
    /// <<user>>
    /// {{ question }}
    /// ```
    ///
    /// What stands above the first marker is the user's; it may be blank, or a comment, if `<<user>>` follows. Turns
    /// alternate and the last is the user's. Blank lines next to a marker do not count. The source is divided before it
    /// is filled in: data can add no turn, and each turn is a template of its own, so that blocks and `set` end with
    /// it. A marker that is meant as text is written `{{ "<<user>>" }}`. Only the prompt has turns.
    pub fn compile(pipeline: &Pipeline, index: usize, known_fields: &BTreeSet<String>) -> Result<Self, Problems> {
        let Some(spec) = pipeline.stages.get(index) else {
            return Err(Problem::new(format!("the pipeline has no stage number {}", index + 1)).into());
        };
        let upstream = pipeline.upstream(Node::Stage(index));
        let name = |&node: &Node| pipeline.node_name(node).to_owned();
        let stages: Vec<(String, String)> =
            upstream.iter().map(name).map(|name| (name.clone(), name.replace('-', "_"))).collect();
        let unseen = pipeline.order.iter().filter(|node| !upstream.contains(node));
        let scope = Scope {
            fields: known_fields.clone(),
            stages: stages.clone(),
            unseen_stages: unseen.map(name).collect(),
            extra: Vec::new(),
        };
        let mut problems = collisions(&scope, spec);
        problems.extend(field_problems(spec, known_fields));
        let templates = templates(spec, &scope, &mut problems);
        let parser = Parser::compile(&spec.parser).map_err(|p| problems.push(in_stage(spec, p)));
        let shortens = shortens(spec, &scope, &templates).map_err(|p| problems.push(in_stage(spec, p)));
        match (parser, shortens) {
            (Ok(parser), Ok(shortens)) if problems.is_empty() => Ok(CompiledStage {
                name: spec.name.clone(),
                stages,
                has_items: spec.flow.each.is_some(),
                fields: needed_fields(spec, &templates),
                among: among(spec).cloned(),
                templates,
                parser,
                metric: spec.metric.clone(),
                shortens,
            }),
            _ => Err(Problems(problems)),
        }
    }
}

fn templates(spec: &StageSpec, outer: &Scope, problems: &mut Vec<Problem>) -> Templates {
    let mut templates = Templates::new(&spec.name, &outer.fields);
    let condition = spec.flow.condition.as_ref();
    let expressions = [
        (WHEN, condition.map(|c| &c.when)),
        (OTHERWISE, condition.and_then(|c| c.otherwise.as_ref())),
        (EACH, spec.flow.each.as_ref()),
    ];
    for (name, expression) in expressions {
        if let Some(expression) = expression {
            let file = shown_file(&expression.file, name, &spec.name);
            problems.extend(templates.add_expression(name, file, &expression.text, outer));
        }
    }
    let item = if spec.flow.each.is_some() { vec![ITEM, INDEX] } else { Vec::new() };
    let scope = &Scope { extra: item.clone(), ..outer.clone() };
    let about_outputs = if spec.flow.varies() { vec!["output"] } else { vec!["output", "prompt"] };
    let with_output = Scope { extra: about_outputs, ..outer.clone() };
    let with_candidates = Scope { extra: [item, vec!["candidates", "prompt"]].concat(), ..outer.clone() };
    let mut add = |name, template: Option<&Template>, built_in: Option<&str>, scope| {
        let (file, text) = match (template, built_in) {
            (Some(t), _) => (shown_file(&t.file, name, &spec.name), t.text.as_str()),
            (None, Some(text)) => (format!("the built-in {name} prompt"), text),
            (None, None) => return,
        };
        problems.extend(match name {
            PROMPT => templates.add_turns(name, file, text, scope),
            _ => templates.add(name, file, text, scope),
        });
    };
    add(PROMPT, Some(&spec.prompt), None, scope);
    add(SYSTEM, spec.system.as_ref(), None, scope);
    add(FUSE, spec.fuse.prompt.as_ref(), Some(FUSE_PROMPT), &with_candidates);
    if let Some(judge) = &spec.judge {
        add(JUDGE, judge.prompt.as_ref(), Some(JUDGE_PROMPT), &with_candidates);
    }
    add(RUBRIC, llm_judge(spec).and_then(|j| j.rubric.as_ref()), None, &with_output);
    templates
}

fn llm_judge(spec: &StageSpec) -> Option<&LlmJudge> {
    spec.metric.as_ref().and_then(MetricSpec::llm_judge)
}

/// Lines and columns count from the start of the template, so one that is written inside the pipeline file must not be
/// shown as if they counted from the start of that file.
fn shown_file(file: &str, template: &str, stage: &str) -> String {
    if file.ends_with(".toml") { format!("{file} ({template} of stage {stage})") } else { file.to_owned() }
}

/// Stages whose outputs would hide a field, a built-in variable or one another.
fn collisions(scope: &Scope, spec: &StageSpec) -> Vec<Problem> {
    let stage = &spec.name;
    let has_items = spec.flow.each.is_some();
    let mut problems = Vec::new();
    for (i, (name, variable)) in scope.stages.iter().enumerate() {
        let what = if scope.fields.contains(variable) {
            "a field of the examples".to_owned()
        } else if matches!(variable.as_str(), "example" | "stages" | "prompt" | "candidates") {
            "a variable of every template".to_owned()
        } else if variable == "output" && llm_judge(spec).is_some_and(|j| j.rubric.is_some()) {
            "the output that is judged".to_owned()
        } else if has_items && matches!(variable.as_str(), ITEM | INDEX) {
            "a variable of `each`".to_owned()
        } else if let Some((other, _)) = scope.stages[..i].iter().find(|(_, v)| v == variable) {
            format!("the output of the stage {other:?}")
        } else {
            continue;
        };
        problems.push(
            Problem::new(format!(
                "in templates of stage {stage:?}, the output of stage {name:?} and {what} are both called `{variable}`"
            ))
            .hint("rename the stage"),
        );
    }
    problems
}

/// Parsers and metrics that name a field that no example has, and votes on sets of what is no set.
fn field_problems(spec: &StageSpec, known_fields: &BTreeSet<String>) -> Vec<Problem> {
    let known: Vec<&str> = known_fields.iter().map(String::as_str).collect();
    let is_known = |path: &str| {
        known_fields.contains(path) || path.match_indices('.').any(|(dot, _)| known_fields.contains(&path[..dot]))
    };
    let among = among(spec).map(|among| (among, "the parser's `among`"));
    let metric = spec.metric.iter().flat_map(MetricSpec::parts);
    let gold = metric.clone().filter_map(|m| Some((m.gold.as_ref()?, "the metric's `gold`")));
    let aliases = metric.flat_map(|m| m.aliases.iter().map(|a| (a, "the metric's `aliases`")));
    let judge = llm_judge(spec);
    let against = judge.and_then(LlmJudge::against).map(|field| (field, "the judge's `against`"));
    let labels =
        judge.and_then(|j| j.calibrate_with.as_deref()).map(|metric| metric.gold.iter().chain(&metric.aliases));
    let labels = labels.into_iter().flatten().map(|field| (field, "the judge's `calibrate_with`"));
    let mut problems: Vec<Problem> = among
        .into_iter()
        .chain(gold)
        .chain(aliases)
        .chain(against)
        .chain(labels)
        .filter(|(path, _)| !is_known(path))
        .map(|(path, what)| {
            let near = nearest(path, &known).map_or_else(String::new, |n| format!("did you mean `{n}`? "));
            let problem = Problem::new(format!("{what} names the field {path:?}, which no example has"));
            in_stage(spec, problem.hint(format!("{near}Fields: {}", listed(known.iter().copied()))))
        })
        .collect();
    let gives_lists = matches!(spec.parser, ParserSpec::Ids { .. } | ParserSpec::Json { .. });
    if spec.aggregators.contains(&Aggregator::VoteSet) && !gives_lists {
        let problem = Problem::new("the aggregator `vote-set` needs outputs that are lists");
        problems
            .push(in_stage(spec, problem.hint("use a parser of kind \"ids\" or \"json\", or the aggregator `vote`")));
    }
    let gives_code =
        matches!(spec.parser, ParserSpec::Code | ParserSpec::Text | ParserSpec::Json { .. } | ParserSpec::Regex { .. });
    if spec.aggregators.contains(&Aggregator::Execution) && !gives_code {
        let problem = Problem::new("the aggregator `execution` needs outputs that are programs");
        problems.push(in_stage(spec, problem.hint("use a parser of kind \"code\", or another aggregator")));
    }
    problems
}

/// The fields that the templates need which a search may use: fusion's only where fusion is to be tried. Of a stage that may
/// not run, what tells whether it runs.
fn needed_fields(spec: &StageSpec, templates: &Templates) -> BTreeSet<String> {
    if let Some(first) = [WHEN, EACH].into_iter().find(|name| templates.has(name)) {
        return templates.needs(first).cloned().collect();
    }
    let fuse = spec.aggregators.contains(&Aggregator::Fuse).then_some(FUSE);
    let judge = spec.aggregators.contains(&Aggregator::Judge).then_some(JUDGE);
    let used = [Some(PROMPT), Some(SYSTEM), Some(RUBRIC), fuse, judge].into_iter().flatten();
    used.flat_map(|name| templates.needs(name)).cloned().collect()
}

fn among(spec: &StageSpec) -> Option<&String> {
    match &spec.parser {
        ParserSpec::Ids { among } => Some(among),
        _ => None,
    }
}

fn in_stage(spec: &StageSpec, mut problem: Problem) -> Problem {
    problem.message = format!("stage {:?}: {}", spec.name, problem.message);
    problem
}
