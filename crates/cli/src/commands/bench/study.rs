//! `agenttts bench study`: methods under several settings.

use std::time::Instant;

use agenttts_bench::{ABLATED, Options, STUDIED, Study, StudyResults, study_html, study_svg};

use super::agent::agents;
use super::compare::contestants;
use super::files;
use super::watched::{stopped, tell_faults, threads, watched};
use crate::args::{StudyArgs, StudyCommand, StudyOf};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::number::duration;
use crate::output::robust::text;

pub(super) async fn study(context: &Context, args: StudyArgs) -> Result<Exit, Failure> {
    let mut usual: &[&str] = &STUDIED;
    let (study, of) = match args.study {
        StudyCommand::Examples(args) => (Study::examples(named(&args.of.landscapes, "")?, &args.examples)?, args.of),
        StudyCommand::Budgets(args) => (Study::budgets(named(&args.of.landscapes, "")?, &args.shares)?, args.of),
        StudyCommand::Insights(args) => {
            usual = &ABLATED;
            let landscapes = match args.worlds {
                0 => named(&args.of.landscapes, ", or simulated worlds: --worlds 10")?,
                _ => &args.of.landscapes,
            };
            (Study::insights(landscapes, args.worlds)?, args.of)
        }
        StudyCommand::Prices(args) => {
            let prices: Vec<_> = args.price.into_iter().map(|p| (p.model, p.price)).collect();
            (Study::prices(named(&args.of.landscapes, "")?, &prices, args.share)?, args.of)
        }
    };
    run(context, study, of, usual).await
}

/// The landscapes, of which there must be one.
fn named<'a>(landscapes: &'a [String], or: &str) -> Result<&'a [String], Failure> {
    if landscapes.is_empty() {
        return Err(Failure::Usage {
            message: "a study needs a landscape".into(),
            hint: format!("name CSV files, tapes, folders of them or sim:FAMILY:SEED{or}"),
        });
    }
    Ok(landscapes)
}

async fn run(context: &Context, study: Study, of: StudyOf, usual: &[&str]) -> Result<Exit, Failure> {
    let started = Instant::now();
    let methods: Vec<String> = match of.methods.is_empty() {
        true => usual.iter().map(|m| (*m).to_owned()).collect(),
        false => of.methods.iter().map(|m| m.trim().to_owned()).collect(),
    };
    let contestants = contestants(&study.contestants(&methods)?, &agents(context, &of.agent)?)?;
    let options =
        Options { seeds: of.seeds, budget: of.evaluations.map(f64::from), threads: threads(of.threads), racing: false };
    let made = watched(context, move |stop, progress| study.run(&methods, contestants, &options, stop, progress));
    let Some(results) = made.await? else { return Err(stopped(context)) };
    if let Some(folder) = &of.output {
        let chart = (format!("{}.svg", results.study), study_svg(&results));
        files::write_all(folder, &results, study_html(&results), [chart])?;
        context.screen.say(&format!("page and chart: {}", folder.join("index.html").display()));
    }
    show(context, &results, of.json)?;
    tell_faults(context, &results.faults);
    context.screen.say(&format!("done in {}", duration(started.elapsed().as_secs_f64())));
    Ok(if results.faults.is_empty() { Exit::Ok } else { Exit::Model })
}

fn show(context: &Context, results: &StudyResults, json: bool) -> Result<(), Failure> {
    if json {
        context.screen.print_json(results)?;
    } else {
        context.screen.print(&text(results, &context.screen))?;
    }
    Ok(())
}
