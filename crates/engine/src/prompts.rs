//! Which prompts will not fit the contexts of their models, before anything is spent.

use std::collections::BTreeMap;

use agenttts_core::Example;
use agenttts_core::pipeline::TooLong;
use serde::Serialize;

use crate::error::EngineError;
use crate::execute::Executor;
use crate::fit::{FitError, Fitted};
use crate::load::Loaded;
use crate::workshop::{ModelSet, Workshop};

/// How the prompts of one stage fit the context of one of its models, over the examples of both splits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PromptFit {
    /// The stage: one that reads the examples alone, as other prompts are known only when earlier stages have run.
    pub stage: String,
    /// The model.
    pub model: String,
    /// Its context, in tokens.
    pub context: u32,
    /// Examples.
    pub examples: u32,
    /// Those that will fail because a prompt is too long.
    pub too_long: u32,
    /// The first of these, and by how much.
    pub first: Option<String>,
    /// Those that will be shortened, and what of.
    pub shortened: u32,
    /// What is shortened, by its name in templates.
    pub shortens: Option<String>,
    /// The share of it that these lose on average.
    pub left_out: f64,
    /// Those that may be too long: only a bound of their tokens is known, as their model's server has its tokenizer.
    pub may_fail: u32,
}

impl PromptFit {
    fn tell(&self) -> bool {
        self.too_long > 0 || self.shortened > 0 || self.may_fail > 0
    }
}

/// Measures the prompts that can be rendered from the examples alone, for every model of the stages; tells of those stages
/// and models for which not all fit. Counts with the models' own tokenizers where prompts are not surely short enough, which
/// may load models.
///
/// # Errors
/// Models that cannot count, or whose files cannot be used.
pub fn prompt_fits(loaded: &Loaded, models: &ModelSet, workshop: &Workshop) -> Result<Vec<PromptFit>, EngineError> {
    let executor = Executor::new(loaded, models.clone(), workshop.steps(loaded)?);
    let pipeline = &loaded.pipeline;
    let examples: Vec<&Example> = pipeline.search_split.examples.iter().chain(&pipeline.test_split.examples).collect();
    let mut fits = Vec::new();
    for (index, compiled) in loaded.stages.iter().enumerate() {
        if compiled.reads().next().is_some() {
            continue;
        }
        let spec = &pipeline.stages[index];
        for &model in &spec.models {
            let model = &pipeline.models[model];
            let Some(context) = model.context else { continue };
            let mut fit = PromptFit {
                stage: spec.name.clone(),
                model: model.name.clone(),
                context,
                examples: examples.len() as u32,
                too_long: 0,
                first: None,
                shortened: 0,
                shortens: match &spec.too_long {
                    TooLong::Shorten { variable } => Some(variable.clone()),
                    TooLong::Fail => None,
                },
                left_out: 0.0,
                may_fail: 0,
            };
            for example in &examples {
                add(&mut fit, &executor, index, example)?;
            }
            fit.left_out /= f64::from(fit.shortened.max(1));
            fits.push(fit);
        }
    }
    fits.retain(PromptFit::tell);
    Ok(fits)
}

/// Counts an example in.
fn add(fit: &mut PromptFit, executor: &Executor, stage: usize, example: &Example) -> Result<(), EngineError> {
    // What cannot be rendered is told of elsewhere.
    let Ok(runs) = executor.stage(stage).inputs(example, &BTreeMap::new()) else { return Ok(()) };
    let (mut failed, mut unsure, mut count, mut of) = (None, false, 0, 0);
    for outputs in &runs {
        match executor.fit(stage, &fit.model, example, outputs) {
            Ok(Fitted::Messages { left_out, is_sure, .. }) => {
                unsure |= !is_sure;
                count += left_out.map_or(0, |l| l.count);
                of += left_out.map_or(0, |l| l.of);
            }
            Ok(Fitted::TooLong(reason)) => failed = failed.or(Some(reason)),
            Err(FitError::Render(_)) => {}
            Err(FitError::Model(error)) => return Err(error.into()),
        }
    }
    if let Some(reason) = failed {
        fit.too_long += 1;
        fit.first.get_or_insert_with(|| format!("example {:?}: {reason}", example.id));
    } else if count > 0 {
        fit.shortened += 1;
        fit.left_out += f64::from(count) / f64::from(of);
    } else if unsure {
        fit.may_fail += 1;
    }
    Ok(())
}
