//! `agenttts run`: answers with a found plan.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use agenttts_core::Usage;
use agenttts_engine::{Answer, EngineError, ItemTrace, LeftOut, PlanFile, Runner, StageTrace, StepTrace};
use futures::StreamExt;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::args::RunArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, exit_of_engine};
use crate::output::Screen;
use crate::output::number::{duration, grouped};

pub(super) async fn run(context: &Context, args: &RunArgs) -> Result<Exit, Failure> {
    let shown = args.plan.display().to_string();
    let text = fs::read_to_string(&args.plan).map_err(|e| {
        Failure::input(
            format!("{shown} cannot be read: {e}"),
            "a plan file is written by `agenttts search` and `agenttts plan`",
        )
    })?;
    let plan = PlanFile::parse(&shown, &text)?;
    let runner = Runner::new(&plan, &context.workshop()?).await?;
    for program in runner.changed_programs() {
        let message =
            format!("warning: the program {program:?} of a step is not the one that the plan was measured with");
        context.screen.say(&message);
    }
    match (&args.input, &args.file) {
        (Some(input), _) => one(context, args, &runner, input).await,
        (None, Some(file)) => many(context, args, &runner, file).await,
        (None, None) => Err(Failure::Usage { message: "no input".into(), hint: "give --input or --file".into() }),
    }
}

async fn one(context: &Context, args: &RunArgs, runner: &Runner, input: &str) -> Result<Exit, Failure> {
    let fields = fields(input).map_err(|e| {
        Failure::input(format!("--input: {e}"), "an input is a JSON object, such as '{\"question\": \"...\"}'")
    })?;
    let answer = runner.run(fields).await?;
    let screen = &context.screen;
    if args.json {
        screen.print_json(&Line::answer(None, None, answer, args.trace))?;
        return Ok(Exit::Ok);
    }
    if args.trace {
        answer.steps.iter().for_each(|step| trace_step(screen, step));
        answer.stages.iter().for_each(|stage| trace(screen, stage));
    }
    for stage in answer.shortened() {
        screen
            .warn(&format!("the prompt of {} was too long for {} and was shortened", stage.stage, stage.choice.model));
    }
    match &answer.output {
        Value::String(text) => screen.print(text)?,
        other => screen.print_json_line(other)?,
    }
    let tokens = grouped(u128::from(answer.usage.tokens()));
    screen.say(&format!(
        "cost {}, {tokens} tokens in {} calls, {}",
        answer.cost_text,
        answer.usage.calls,
        duration(answer.seconds)
    ));
    Ok(Exit::Ok)
}

fn trace_step(screen: &Screen, step: &StepTrace) {
    screen.say(&format!("{}: {}", step.step, duration(step.seconds)));
    screen.say(&format!("  output: {}", step.output));
}

fn trace(screen: &Screen, stage: &StageTrace) {
    screen.say(&format!("{}: {}", stage.stage, stage.choice));
    if stage.skipped {
        screen.say("  not run: its condition does not hold");
    }
    let StageTrace { samples, parsed, support, combined, fallback, left_out, .. } = stage.clone();
    trace_run(screen, &ItemTrace { samples, parsed, support, combined, fallback, left_out });
    for (index, item) in stage.items.iter().flatten().enumerate() {
        screen.say(&format!("  item {index}:"));
        trace_run(screen, item);
    }
    let output = stage.output.as_ref().map_or_else(|| "none".into(), Value::to_string);
    let support = stage.support.map_or_else(String::new, |s| format!(" ({:.0}% of the samples)", s * 100.0));
    screen.say(&format!("  output: {output}{support}"));
}

fn trace_run(screen: &Screen, run: &ItemTrace) {
    if let Some(LeftOut { count, of }) = run.left_out {
        screen.say(&format!("  prompt too long: the last {count} of {of} were left out of what the stage shortens"));
    }
    for (text, parsed) in run.samples.iter().zip(&run.parsed) {
        let read = parsed.as_ref().map_or_else(|| "(cannot be read)".into(), Value::to_string);
        screen.say(&format!("  {read} from {text:?}"));
    }
    if let Some(combined) = &run.combined {
        screen.say(&format!("  combined: {combined:?}"));
    }
    if let Some(fallback) = &run.fallback {
        screen.say(&format!("  the vote stands in: {fallback}"));
    }
}

/// One line of JSON for every line of the file, in its order, whatever becomes of the others.
async fn many(context: &Context, args: &RunArgs, runner: &Runner, file: &Path) -> Result<Exit, Failure> {
    let unreadable = |e: std::io::Error| {
        Failure::input(format!("{} cannot be read: {e}", file.display()), "name a file of JSON lines")
    };
    let reader: Box<dyn Read> = match file {
        f if f == Path::new("-") => Box::new(std::io::stdin()),
        f => Box::new(File::open(f).map_err(unreadable)?),
    };
    let lines = BufReader::new(reader).split(b'\n').zip(1u64..);
    let lines = lines.filter(|(line, _)| !line.as_ref().is_ok_and(|l| l.trim_ascii().is_empty()));
    let answers = futures::stream::iter(lines).map(|(line, number)| async move {
        let line = line.map_err(|e| Failure::input(format!("the file cannot be read on: {e}"), "check the disk"))?;
        let text = String::from_utf8(line).map_err(|_| "the line is not UTF-8 text".to_owned());
        let (id, result) = match text.and_then(|text| fields(text.trim_start_matches('\u{feff}'))) {
            Ok(fields) => (fields.get("id").cloned(), runner.run(fields).await),
            Err(message) => (None, Err(EngineError::input(message, "write one JSON object per line"))),
        };
        Ok::<_, Failure>((number, id, result))
    });
    let mut answers = std::pin::pin!(answers.buffered(usize::from(args.jobs)));
    let mut end = End::default();
    while let Some(answer) = answers.next().await {
        let (number, id, result) = answer?;
        let line = match result {
            Ok(answer) => {
                end.answered(&answer);
                Line::answer(Some(number), id, answer, args.trace)
            }
            Err(error) => {
                end.failed(&error);
                context.screen.error(&format!("{}:{number}: {}", file.display(), summary(&error)));
                Line::error(number, id, &error)
            }
        };
        context.screen.print_json_line(&line)?;
    }
    end.tell(&context.screen);
    Ok(end.exit())
}

/// How the lines of a file went.
#[derive(Default)]
struct End {
    answered: u64,
    shortened: u64,
    usage: Usage,
    bad_input: u64,
    other: u64,
    worst: Option<Exit>,
}

impl End {
    fn answered(&mut self, answer: &Answer) {
        self.answered += 1;
        self.shortened += u64::from(answer.shortened().next().is_some());
        self.usage += answer.usage;
    }

    fn failed(&mut self, error: &EngineError) {
        match exit_of_engine(error) {
            Exit::Input => self.bad_input += 1,
            exit => {
                self.other += 1;
                self.worst = Some(exit);
            }
        }
    }

    fn tell(&self, screen: &Screen) {
        let failed = self.bad_input + self.other;
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        let shortened = match self.shortened {
            0 => String::new(),
            n => format!(", {n} of them from shortened prompts"),
        };
        let tokens = grouped(u128::from(self.usage.tokens()));
        screen.say(&format!(
            "{} answered{shortened}{failed}; {tokens} tokens in {} calls",
            self.answered, self.usage.calls
        ));
    }

    /// Bad input is for the user to mend, so it goes before what a provider did.
    fn exit(&self) -> Exit {
        if self.bad_input > 0 { Exit::Input } else { self.worst.unwrap_or(Exit::Ok) }
    }
}

/// A line of output.
#[derive(Serialize)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stages: Option<Vec<StageTrace>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepTrace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Line {
    fn answer(line: Option<u64>, id: Option<Value>, answer: Answer, trace: bool) -> Self {
        Line {
            line,
            id,
            output: Some(answer.output),
            cost: Some(answer.cost),
            cost_text: Some(answer.cost_text),
            usage: Some(answer.usage),
            seconds: Some(answer.seconds),
            stages: trace.then_some(answer.stages),
            steps: if trace { answer.steps } else { Vec::new() },
            error: None,
            hint: None,
        }
    }

    fn error(line: u64, id: Option<Value>, error: &EngineError) -> Self {
        let hint = error.hint().or_else(|| error.problems()?.0.first()?.hint.clone());
        Line {
            line: Some(line),
            id,
            output: None,
            cost: None,
            cost_text: None,
            usage: None,
            seconds: None,
            stages: None,
            steps: Vec::new(),
            error: Some(summary(error)),
            hint,
        }
    }
}

/// An error without its hint, on one line.
fn summary(error: &EngineError) -> String {
    match error.problems() {
        Some(problems) => problems.0.iter().map(|p| p.message.replace('\n', " ")).collect::<Vec<_>>().join("; "),
        None => error.to_string().replace('\n', " "),
    }
}

/// The fields of an input.
fn fields(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("the input is not a JSON object".into()),
        Err(error) => {
            let text = error.to_string();
            let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
            Err(format!("not valid JSON at column {}: {message}", error.column()))
        }
    }
}
