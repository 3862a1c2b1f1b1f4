//! `agenttts models`: model files that run in this process.

use std::path::Path;
use std::time::Duration;

use agenttts_models::registry::{Found, Listed, Progress, PullOptions, Registry};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::args::ModelsCommand;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Screen;
use crate::output::number::{megabytes, short};
use crate::output::table::Columns;

pub(super) async fn models(context: &Context, command: &ModelsCommand) -> Result<Exit, Failure> {
    let registry = Registry::open(context.models_dir()?);
    match command {
        ModelsCommand::List { json } => list(context, &registry, *json)?,
        ModelsCommand::Pull { names } => {
            for name in names {
                pull(context, &registry, name).await?;
            }
        }
        ModelsCommand::Add { file } => add(context, &registry, file)?,
    }
    Ok(Exit::Ok)
}

fn list(context: &Context, registry: &Registry, json: bool) -> Result<(), Failure> {
    let listed = registry.list()?;
    if json {
        return context.screen.print_json(&listed.iter().map(listed_json).collect::<Vec<_>>());
    }
    let mut table = Columns::new(&["model", "here", ">size", ">parameters", "licence", "about"]);
    for model in &listed {
        let (here, size, params) = match &model.file {
            None => ("no".into(), "-".into(), "-".into()),
            Some(Ok(found)) => ("yes".into(), megabytes(found.facts.file_bytes), short(found.facts.params as f64)),
            Some(Err(error)) => (format!("unusable: {error}"), "-".into(), "-".into()),
        };
        let own = |found: &Found| found.facts.licence.clone().or_else(|| found.provenance.as_ref()?.licence.clone());
        let licence = model.known.map(|k| k.licence.to_owned());
        let licence = licence.or_else(|| own(model.file.as_ref()?.as_ref().ok()?));
        let about = model.known.map_or("a file of yours", |k| k.about);
        table.row([model.name.clone(), here, size, params, licence.unwrap_or_else(|| "-".into()), about.to_owned()]);
    }
    context.screen.print(&table.text())?;
    context.screen.say(&format!("folder: {}", registry.dir().display()));
    Ok(())
}

fn listed_json(model: &Listed) -> Value {
    let found = model.file.as_ref().and_then(|f| f.as_ref().ok());
    let error = model.file.as_ref().and_then(|f| f.as_ref().err());
    json!({
        "name": model.name,
        "here": found.is_some(),
        "path": found.map(|f| &f.path),
        "bytes": found.map(|f| f.facts.file_bytes),
        "params": found.map(|f| f.facts.params),
        "licence": model.known.map(|k| k.licence).or_else(|| found.and_then(|f| f.facts.licence.as_deref())),
        "provenance": found.and_then(|f| f.provenance.as_ref()),
        "about": model.known.map(|k| k.about),
        "error": error.map(ToString::to_string),
    })
}

async fn pull(context: &Context, registry: &Registry, name: &str) -> Result<(), Failure> {
    let screen = context.screen;
    let options = PullOptions::from_env(|variable| std::env::var(variable).ok());
    let display = Pull::new(screen, name);
    let result = registry.pull(name, &options, &mut |progress| display.see(&progress)).await;
    display.bar.finish_and_clear();
    tell(&screen, &result?);
    Ok(())
}

fn add(context: &Context, registry: &Registry, file: &Path) -> Result<(), Failure> {
    let found = registry.add(file)?;
    tell(&context.screen, &found);
    context.screen.hint(&format!("in a pipeline file: provider = \"embedded\", id = {:?}", found.name));
    Ok(())
}

/// What is known of a model that is here now.
fn tell(screen: &Screen, found: &Found) {
    screen.say(&format!(
        "{}: {} parameters, {}, {}",
        found.name,
        short(found.facts.params as f64),
        megabytes(found.facts.file_bytes),
        found.path.display()
    ));
    if let Some(provenance) = &found.provenance {
        screen.say(&format!("  from     {}", provenance.source));
        screen.say(&format!("  made by  {}", provenance.provenance));
        screen.say(&format!("  licence  {}", provenance.licence.as_deref().unwrap_or("not stated")));
        screen.say(&format!("  sha256   {}", provenance.sha256));
    }
}

/// The display of a download.
struct Pull {
    screen: Screen,
    bar: ProgressBar,
}

impl Pull {
    fn new(screen: Screen, name: &str) -> Self {
        let target = if screen.is_live() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let template = "{prefix} [{bar:24}] {bytes}/{total_bytes}  {bytes_per_sec}, {eta} left  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Pull { screen, bar }
    }

    fn see(&self, progress: &Progress) {
        match progress {
            Progress::Trying { source } => self.say(&format!("fetching from {source} ...")),
            Progress::Failed { reason, .. } => self.say(&format!("  not there: {reason}")),
            Progress::Bytes { done, total } => {
                if let Some(total) = total {
                    self.bar.set_length(*total);
                }
                self.bar.set_position(*done);
            }
            Progress::Checking => self.bar.set_message("checking"),
        }
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| self.screen.say(line));
    }
}
