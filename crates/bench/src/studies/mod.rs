//! Robustness studies: the same comparison under several settings (search examples, plan budgets, insights, prices), and
//! how much the setting changes what each method finds. After the studies of AgentTTS (arXiv 2508.00890, section 4).

mod ablation;
mod budget;
mod examples;
mod page;
mod price;
mod results;
mod split;
mod summary;

use std::sync::atomic::AtomicBool;

use agenttts_core::{Plan, Problem, Problems};

use crate::contestant::{Contestant, Entry, Fault, Player, Sizes};
use crate::environment::Arena;
use crate::source::{Source, sources, twice};
use crate::tape;
use crate::tournament::{Options, play};

pub use page::{study_html, study_svg};
pub use price::DEFAULT_PRICES;
pub use results::{Belief, LeftOut, STUDY_RESULTS_VERSION, StudyCell, StudyLandscape, StudyResults, StudySetting};

/// The methods that a study runs where none are named.
pub const STUDIED: [&str; 5] = ["planner", "rules", "halving", "tpe", "random"];

/// The methods whose insights a study switches off where none are named.
pub const ABLATED: [&str; 2] = ["planner", "rules"];

/// A study that is ready to run: every landscape under every setting.
pub struct Study {
    name: &'static str,
    title: &'static str,
    settings: Vec<Setting>,
    /// Which setting the others are compared with.
    reference: usize,
    rows: Vec<Row>,
    left_out: Vec<LeftOut>,
    arenas: Vec<Arena>,
    /// Whether trials of the field run on the whole split, as in the paper.
    whole_trials: bool,
}

struct Setting {
    label: String,
    /// The insight that is switched off.
    without: Option<u8>,
}

/// A landscape under all settings.
struct Row {
    name: String,
    places: Vec<Place>,
}

/// A landscape under one setting.
struct Place {
    /// Its number among the study's arenas.
    arena: usize,
    /// What the setting is here, in words.
    about: String,
}

impl Study {
    /// Its name, as it is typed.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The contestants that the study needs for these methods, in the order in which [`Study::run`] takes them: for every
    /// method one, or one for every insight that is switched off.
    ///
    /// # Errors
    /// A method that knows no insights, in a study of insights.
    pub fn contestants(&self, methods: &[String]) -> Result<Vec<String>, Problems> {
        if self.settings.iter().all(|s| s.without.is_none()) {
            return Ok(methods.to_vec());
        }
        let mut names = Vec::new();
        for method in methods {
            if !ablation::knows_insights(method) {
                let problem = Problem::new(format!("{method:?} is no method that insights can be switched off in"));
                return Err(problem
                    .hint("planner, rules, agent, agent-faithful and agent-released know insights")
                    .into());
            }
            names.extend(self.settings.iter().map(|s| match s.without {
                None => method.clone(),
                Some(insight) => format!("{method}-without-{insight}"),
            }));
        }
        Ok(names)
    }

    /// Makes all runs. `None` if somebody asked to stop before all were made.
    ///
    /// `contestants` are those of [`Study::contestants`]; `progress` is as in [`play`].
    ///
    /// # Errors
    /// As [`play`].
    pub fn run(
        &self,
        methods: &[String],
        contestants: Vec<Box<dyn Contestant>>,
        options: &Options,
        stop: &AtomicBool,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Option<StudyResults>, Problems> {
        let whole = |c: Box<dyn Contestant>| -> Box<dyn Contestant> {
            if self.whole_trials { Box::new(WholeTrials(c)) } else { c }
        };
        let contestants: Vec<Box<dyn Contestant>> = contestants.into_iter().map(whole).collect();
        let series = play(&self.arenas, &contestants, options, stop, progress)?;
        Ok(series.map(|series| summary::summary(self, methods, &contestants, options, &series)))
    }
}

/// Sources by their names, each with the arena's name that it will have.
fn named(names: &[String]) -> Result<Vec<(String, Source)>, Problems> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for name in names {
        let named = |source| Ok((arena_name(&source)?, source));
        match sources(name).and_then(|sources| sources.into_iter().map(named).collect::<Result<Vec<_>, _>>()) {
            Ok(sources) => found.extend(sources),
            Err(Problems(more)) => problems.extend(more),
        }
    }
    problems.extend(twice(found.iter().map(|(name, _)| name.as_str())));
    if problems.is_empty() { Ok(found) } else { Err(Problems(problems)) }
}

fn arena_name(source: &Source) -> Result<String, Problems> {
    match source {
        Source::Table(_, table) => Ok(table.name.clone()),
        Source::Tape(path, tape) => tape.load().map(|l| l.pipeline.name).map_err(|p| tape::at(path, p)),
    }
}

/// A study under construction: a landscape's arenas under all settings, or why it is left out.
struct Builder {
    study: Study,
}

impl Builder {
    fn new(name: &'static str, title: &'static str, settings: Vec<Setting>, reference: usize) -> Self {
        let (rows, left_out, arenas) = (Vec::new(), Vec::new(), Vec::new());
        Builder { study: Study { name, title, settings, reference, rows, left_out, arenas, whole_trials: false } }
    }

    /// Adds a landscape: one arena for every setting with what the setting is there.
    fn add(&mut self, name: String, arenas: Vec<(Arena, String)>) {
        let mut places = Vec::new();
        for (arena, about) in arenas {
            places.push(Place { arena: self.study.arenas.len(), about });
            self.study.arenas.push(arena);
        }
        self.study.rows.push(Row { name, places });
    }

    fn leave_out(&mut self, name: String, reason: String) {
        self.study.left_out.push(LeftOut { landscape: name, reason });
    }

    /// The study.
    ///
    /// # Errors
    /// No landscape is left.
    fn done(self) -> Result<Study, Problems> {
        if self.study.rows.is_empty() {
            let problem = |l: &LeftOut| Problem::new(format!("{} is left out: {}", l.landscape, l.reason));
            let mut problems: Vec<Problem> = self.study.left_out.iter().map(problem).collect();
            problems.push(Problem::new("no landscape is left to study"));
            return Err(Problems(problems));
        }
        Ok(self.study)
    }
}

/// The best plan of an arena in words: `0.816, qwen-72b x1 -> llama-3b x30`.
fn best(arena: &Arena) -> String {
    let scores = arena.truth.scores();
    let best = scores.reduce(|a, b| if b.1 > a.1 { b } else { a });
    best.map_or_else(String::new, |(plan, score)| format!("{score:.3}, {}", words(plan)))
}

fn words(plan: &Plan) -> String {
    let choices = plan.choices.iter().map(|c| format!("{} x{}", c.model, c.samples));
    choices.collect::<Vec<_>>().join(" -> ")
}

/// A contestant whose trials run on the usual number of examples where it would try several numbers.
struct WholeTrials(Box<dyn Contestant>);

impl Contestant for WholeTrials {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn is_outside(&self) -> bool {
        self.0.is_outside()
    }

    fn sizes(&self) -> Sizes {
        match self.0.sizes() {
            Sizes::BestOf => Sizes::Usual,
            other => other,
        }
    }

    fn enter<'a>(&'a self, entry: &Entry<'_>) -> Result<Box<dyn Player + 'a>, Fault> {
        self.0.enter(entry)
    }
}

#[cfg(test)]
mod tests;
