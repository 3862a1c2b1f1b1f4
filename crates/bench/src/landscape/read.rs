//! Reads a landscape: `NAME.csv` with the plans, `NAME.toml` with what they are made of.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use agenttts_core::text::nearest;
use agenttts_core::{CostModel, Problem, Problems};
use serde::Deserialize;
use toml::Spanned;

use super::table::{Table, TableModel, TableRow, TableStage};

/// More problems than this in one file are one problem, repeated.
const MOST_PROBLEMS: usize = 10;

/// Reads the landscape of a CSV file; its description is the TOML file of the same name beside it.
///
/// # Errors
/// Files that are missing or no landscape, with the places of all problems.
pub fn read_landscape(csv: &Path) -> Result<Table, Problems> {
    let plans = Text::read(csv, "name the CSV file of a landscape, or the folder that holds it")?;
    let toml = csv.with_extension("toml");
    let missing = "a landscape is two files: NAME.csv with the plans and NAME.toml with name, budget, cost_unit and stages; see docs/bench.md";
    let about = Text::read(&toml, missing)?;
    let (mut table, budget) = header(&about)?;
    table.rows = rows(&plans, &table)?;
    check_space(&table, &about, budget)?;
    Ok(table)
}

/// A file's text, with its name for messages.
struct Text {
    file: String,
    text: Arc<str>,
}

impl Text {
    fn read(path: &Path, hint: &str) -> Result<Text, Problems> {
        let file = path.display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Text { file, text: text.into() }),
                Err(e) => {
                    let valid = e.utf8_error().valid_up_to();
                    let text: Arc<str> = String::from_utf8_lossy(e.as_bytes()).into();
                    let problem = Problem::new("this is not UTF-8 text").at(&file, &text, valid..valid);
                    Err(problem.hint("save the file as UTF-8").into())
                }
            },
            Err(e) => Err(Problem::new(format!("{file} cannot be read: {e}")).hint(hint).into()),
        }
    }

    fn problem(&self, message: impl Into<String>, span: Range<usize>) -> Problem {
        Problem::new(message).at(&self.file, &self.text, span)
    }
}

#[derive(Deserialize)]
struct Header {
    name: Spanned<String>,
    #[serde(default)]
    note: String,
    objective: Option<Spanned<String>>,
    budget: Spanned<f64>,
    cost_unit: Spanned<String>,
    noise_examples: Option<Spanned<i64>>,
    stages: Spanned<Vec<HeaderStage>>,
}

#[derive(Deserialize)]
struct HeaderStage {
    name: Spanned<String>,
    prompt_tokens: Option<u64>,
    decode_tokens: Option<u64>,
    models: Spanned<Vec<HeaderModel>>,
}

#[derive(Deserialize)]
struct HeaderModel {
    name: Spanned<String>,
    params_b: Option<Spanned<f64>>,
}

/// The table without its plans, and where the budget stands.
fn header(about: &Text) -> Result<(Table, Range<usize>), Problems> {
    let header: Header = toml::from_str(&about.text)
        .map_err(|e| about.problem(e.message().trim().to_owned(), e.span().unwrap_or(0..0)))
        .map_err(|p| p.hint("a landscape's TOML file has name, budget, cost_unit and [[stages]] with models"))?;
    let mut problems = Vec::new();
    let unit = header.cost_unit.get_ref().as_str();
    let known = CostModel::from_name(unit);
    // Every plan's cost is listed, so a unit that is none of ours is as good: its numbers are taken as they are.
    let cost_model = known.unwrap_or(CostModel::Usd);
    if let (None, Some(near)) = (known, nearest(unit, &CostModel::ALL.map(CostModel::name))) {
        let problem = about.problem(format!("there is no cost unit {unit:?}"), header.cost_unit.span());
        problems.push(problem.hint(format!("did you mean {near:?}?")));
    }
    if let Some(objective) = header.objective.filter(|o| !matches!(o.get_ref().as_str(), "maximise" | "maximize")) {
        let message = format!("the objective {:?} is not supported", objective.get_ref());
        let hint = "write the scores so that higher is better, within 0 to 1, and objective = \"maximise\"";
        problems.push(about.problem(message, objective.span()).hint(hint));
    }
    let budget = *header.budget.get_ref();
    if cost_model.amount(budget).is_none() {
        let message = format!("the budget must be a number, but is {budget}");
        problems.push(about.problem(message, header.budget.span()).hint("name the most that a plan may cost"));
    }
    let noise_examples = match &header.noise_examples {
        None => 50,
        Some(n) => u32::try_from(*n.get_ref()).ok().filter(|n| (1..=1_000_000).contains(n)).unwrap_or_else(|| {
            let message = format!("noise_examples must be 1 to 1000000, but is {}", n.get_ref());
            problems.push(about.problem(message, n.span()).hint("a usual trial has 50 examples"));
            50
        }),
    };
    let stages_span = header.stages.span();
    let stages = stages(about, header.stages.into_inner(), &mut problems);
    if stages.is_empty() {
        let hint = "add a [[stages]] table with name and models for every stage";
        problems.push(about.problem("there are no stages", stages_span).hint(hint));
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let (name, note) = (header.name.into_inner(), header.note);
    let table = Table { name, note, budget, cost_model, noise_examples, stages, rows: Vec::new() };
    Ok((table, header.budget.span()))
}

fn stages(about: &Text, raw: Vec<HeaderStage>, problems: &mut Vec<Problem>) -> Vec<TableStage> {
    let mut stages: Vec<TableStage> = Vec::new();
    for stage in raw {
        let name = stage.name.get_ref();
        if stages.iter().any(|s| &s.name == name) {
            let problem = about.problem(format!("there are two stages {name:?}"), stage.name.span());
            problems.push(problem.hint("give every stage its own name"));
        }
        if stage.models.get_ref().is_empty() {
            let problem = about.problem(format!("stage {name:?} has no models"), stage.models.span());
            problems.push(problem.hint("declare the models that the CSV file uses"));
        }
        let mut models: Vec<TableModel> = Vec::new();
        for model in stage.models.into_inner() {
            if models.iter().any(|m| &m.name == model.name.get_ref()) {
                let message = format!("stage {name:?} has two models {:?}", model.name.get_ref());
                problems.push(about.problem(message, model.name.span()).hint("declare a model once in a stage"));
            }
            let params_b = model.params_b.map(|p| {
                if !(p.get_ref().is_finite() && (0.0..1e9).contains(p.get_ref())) {
                    let message = format!("params_b must be at least 0, but is {}", p.get_ref());
                    let hint = "billions of parameters; leave it out where it is not known";
                    problems.push(about.problem(message, p.span()).hint(hint));
                }
                *p.get_ref()
            });
            models.push(TableModel { name: model.name.into_inner(), params_b });
        }
        let (prompt_tokens, decode_tokens) = (stage.prompt_tokens, stage.decode_tokens);
        stages.push(TableStage { name: stage.name.into_inner(), prompt_tokens, decode_tokens, models });
    }
    stages
}

/// Where in a record the columns of a table stand.
struct Columns {
    /// Model and samples of every stage.
    stages: Vec<(usize, usize)>,
    score: usize,
    cost: usize,
}

fn rows(plans: &Text, table: &Table) -> Result<Vec<TableRow>, Problems> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(plans.text.as_bytes());
    let head = reader.headers().map_err(|e| csv_problem(plans, &e))?.clone();
    let columns = columns(plans, table, &head)?;
    let mut problems = Vec::new();
    let mut rows = Vec::new();
    let mut seen: HashMap<Vec<(usize, u32)>, usize> = HashMap::new();
    for record in reader.records() {
        if problems.len() >= MOST_PROBLEMS {
            break;
        }
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                problems.push(csv_problem(plans, &e));
                break;
            }
        };
        let start = record.position().map_or(0, |p| p.byte() as usize);
        let line = Line { plans, head: &head, record: &record, start };
        if record.len() != head.len() {
            let message = format!("this row has {} fields, but the header has {}", record.len(), head.len());
            problems.push(line.problem(0, message).hint("write one field for every column"));
            continue;
        }
        let before = problems.len();
        let choices = choices(&line, table, &columns, &mut problems);
        let mut number = |column: usize, what: &str, hint: &str, fits: &dyn Fn(f64) -> bool| {
            let text = &record[column];
            match text.parse::<f64>() {
                Ok(value) if fits(value) => value,
                _ => {
                    problems.push(line.problem(column, format!("{what}, but is {text:?}")).hint(hint));
                    0.0
                }
            }
        };
        let score = number(
            columns.score,
            "a score must be a number from 0 to 1",
            "a trial draws zeros and ones at this probability: rescale the scores, or leave plans without a score out",
            &|v| (0.0..=1.0).contains(&v),
        );
        let cost = number(
            columns.cost,
            "a cost must be a finite number",
            "write the plan's cost in the unit of the TOML file, or leave the plan out",
            &|v| table.cost_model.amount(v).is_some(),
        );
        if problems.len() > before {
            continue;
        }
        let at = line.number();
        if let Some(first) = seen.insert(choices.clone(), at) {
            let message = format!("this plan is in line {first} already");
            problems.push(line.problem(0, message).hint("keep one row for every plan"));
            continue;
        }
        rows.push(TableRow { choices, score, cost });
    }
    if problems.is_empty() && rows.is_empty() {
        let end = plans.text.len();
        problems.push(plans.problem("the table holds no plan", end..end).hint("write one row for every plan"));
    }
    if problems.is_empty() { Ok(rows) } else { Err(Problems(problems)) }
}

fn choices(line: &Line<'_>, table: &Table, columns: &Columns, problems: &mut Vec<Problem>) -> Vec<(usize, u32)> {
    let mut choices = Vec::with_capacity(columns.stages.len());
    for (stage, &(model_column, samples_column)) in table.stages.iter().zip(&columns.stages) {
        let name = &line.record[model_column];
        let model = stage.models.iter().position(|m| m.name == name);
        if model.is_none() {
            let names: Vec<&str> = stage.models.iter().map(|m| m.name.as_str()).collect();
            let hint = match nearest(name, &names) {
                Some(near) => format!("did you mean {near:?}? Otherwise declare the model in the TOML file"),
                None => "declare the model in the TOML file, or leave the row out".to_owned(),
            };
            let message = format!("stage {:?} declares no model {name:?}", stage.name);
            problems.push(line.problem(model_column, message).hint(hint));
        }
        let text = &line.record[samples_column];
        let samples = text.parse::<u32>().ok().filter(|n| *n >= 1);
        if samples.is_none() {
            let message = format!("the number of samples must be a whole number from 1 on, but is {text:?}");
            problems.push(line.problem(samples_column, message).hint("write how many samples the plan draws"));
        }
        choices.push((model.unwrap_or(0), samples.unwrap_or(1)));
    }
    choices
}

fn columns(plans: &Text, table: &Table, head: &csv::StringRecord) -> Result<Columns, Problems> {
    let names: Vec<&str> = head.iter().collect();
    let end = plans.text.find('\n').unwrap_or(plans.text.len());
    let mut problems = Vec::new();
    let mut find = |name: &str| match names.iter().position(|n| *n == name) {
        Some(column) => column,
        None => {
            let hint = match nearest(name, &names) {
                Some(near) => format!("did you mean {name:?} by {near:?}?"),
                None => "a landscape has STAGE.model and STAGE.samples for every stage, then score and cost".to_owned(),
            };
            problems.push(plans.problem(format!("the column {name:?} is missing"), 0..end).hint(hint));
            0
        }
    };
    let stages =
        table.stages.iter().map(|s| (find(&format!("{}.model", s.name)), find(&format!("{}.samples", s.name))));
    let columns = Columns { stages: stages.collect(), score: find("score"), cost: find("cost") };
    for (column, name) in names.iter().enumerate() {
        if names[..column].contains(name) {
            let problem = plans.problem(format!("there are two columns {name:?}"), 0..end);
            problems.push(problem.hint("give every column its own name"));
        }
        let stage = name.strip_suffix(".model").or_else(|| name.strip_suffix(".samples"));
        if let Some(stage) = stage.filter(|s| table.stages.iter().all(|t| t.name != *s)) {
            let problem = plans.problem(format!("the TOML file has no stage {stage:?}"), 0..end);
            problems.push(problem.hint("declare it, with its models, in a [[stages]] table"));
        }
    }
    if problems.is_empty() { Ok(columns) } else { Err(Problems(problems)) }
}

/// A record with what is needed to point at one of its fields.
struct Line<'a> {
    plans: &'a Text,
    head: &'a csv::StringRecord,
    record: &'a csv::StringRecord,
    /// Byte offset of the record, or of line ends before it.
    start: usize,
}

impl Line<'_> {
    fn first_byte(&self) -> usize {
        let rest = &self.plans.text[self.start.min(self.plans.text.len())..];
        self.start + rest.len() - rest.trim_start_matches(['\r', '\n']).len()
    }

    fn number(&self) -> usize {
        agenttts_core::text::line_and_column(&self.plans.text, self.first_byte()).0
    }

    /// A problem with the field of a column.
    fn problem(&self, column: usize, message: String) -> Problem {
        let mut at = self.first_byte();
        let text = &self.plans.text[at..];
        let (mut field, mut quoted) = (0, false);
        for (i, c) in text.char_indices() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => field += 1,
                '\n' if !quoted => break,
                _ => {}
            }
            if field == column {
                at += if c == ',' && column > 0 { i + 1 } else { i };
                break;
            }
        }
        let rest = &self.plans.text[at..];
        let length = rest.find([',', '\n', '\r']).unwrap_or(rest.len());
        let name = self.head.get(column).filter(|_| column > 0).map(|n| format!("{n}: ")).unwrap_or_default();
        self.plans.problem(format!("{name}{message}"), at..at + length)
    }
}

fn csv_problem(plans: &Text, error: &csv::Error) -> Problem {
    let at = error.position().map_or(0, |p| p.byte() as usize);
    plans
        .problem(format!("this is not CSV: {error}"), at..at)
        .hint("write one plan in every line, fields parted by commas")
}

/// That some plan is within the budget, said at the budget's place.
fn check_space(table: &Table, about: &Text, budget: Range<usize>) -> Result<(), Problems> {
    let cheapest = table.rows.iter().map(|r| r.cost).fold(f64::INFINITY, f64::min);
    match table.space() {
        Ok(_) => Ok(()),
        Err(e) => {
            let hint = format!("raise the budget to {cheapest} {} or more", table.cost_model.unit());
            Err(about.problem(e.to_string(), budget).hint(hint).into())
        }
    }
}
