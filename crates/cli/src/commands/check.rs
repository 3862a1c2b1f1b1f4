//! `agenttts check`: is the pipeline sound, and what would searching it take?

use agenttts_core::CostModel;
use agenttts_core::pipeline::{Overrides, SearchBudget};
use agenttts_engine::{forecast, probe, prompt_fits};
use agenttts_models::ModelErrorKind;

use crate::args::CheckArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::check::Checked;

pub(super) async fn check(context: &Context, args: &CheckArgs) -> Result<Exit, Failure> {
    let workshop = context.workshop()?;
    let mut loaded = context.pipeline(&args.pipeline, &args.with, &workshop)?;
    if args.budget.is_some() {
        loaded = loaded.with_overrides(Overrides { plan_budget: args.budget, ..Overrides::default() })?;
    }
    let (pipeline, space) = (&loaded.pipeline, &loaded.space);
    // Missing keys and model files are found here, before anything is spent.
    let models = workshop.connect(pipeline)?;
    workshop.check_steps(&loaded)?;
    let checked = Checked {
        pipeline,
        space,
        cheapest: space.cheapest(),
        dearest: space.dearest(),
        forecast: forecast(pipeline, space),
        fits: prompt_fits(&loaded, &models, &workshop)?,
        limits: limits(&pipeline.search_budget),
        probes: if args.probe { Some(probe(pipeline, &models).await) } else { None },
    };
    if args.json {
        context.screen.print_json(&checked.json())?;
    } else {
        context.screen.print(&checked.text(&context.screen))?;
    }
    let failed = checked.probes.iter().flatten().filter_map(|p| Some((p, p.result.as_ref().err()?)));
    let mut exit = Exit::Ok;
    for (probe, error) in failed {
        context.screen.error(&format!("model {:?}: {error}", probe.model));
        if let Some(hint) = &error.hint {
            context.screen.hint(hint);
        }
        exit = if error.kind == ModelErrorKind::BadFile && exit != Exit::Model { Exit::Input } else { Exit::Model };
    }
    if exit == Exit::Ok && !args.json {
        let mut next = format!("next: agenttts search {}", args.pipeline.display());
        if let Some(profile) = &args.with.profile {
            next.push_str(&format!(" --profile {profile}"));
        }
        if let Some(data) = &args.with.data {
            next.push_str(&format!(" --data {}", data.display()));
        }
        context.screen.say(&next);
    }
    Ok(exit)
}

/// The limits that are set, in the units in which they are typed.
fn limits(budget: &SearchBudget) -> Vec<(&'static str, f64)> {
    let all = [
        ("tokens", budget.tokens.map(|v| v as f64)),
        ("usd", budget.usd.map(|v| CostModel::Usd.units(v))),
        ("flops", budget.flops.map(|v| CostModel::Flops.units(v))),
        ("calls", budget.calls.map(|v| v as f64)),
        ("minutes", budget.minutes),
    ];
    all.into_iter().filter_map(|(name, limit)| Some((name, limit?))).collect()
}
