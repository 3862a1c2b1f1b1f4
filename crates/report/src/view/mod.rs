//! What the page's template shows, as plain texts and finished charts.

mod answer;
mod confirmed;
mod spend;
mod stages;
mod trials;
mod why;

use agenttts_core::{StudyState, StudySummary};
use minijinja::Value;
use serde::Serialize;

use crate::chart::{self, NARROW, WIDE};
use crate::facts::{by_plan, measured};
use crate::number::{cost, counted, short};

/// A whole page.
#[derive(Serialize)]
pub(crate) struct Page<'a> {
    study: &'a str,
    pipeline: &'a str,
    description: &'a str,
    objective: &'a str,
    state: &'static str,
    /// Whether the state is one to be told before anything else.
    unfinished: bool,
    budget: String,
    counts: Counts,
    answer: answer::Answer,
    plan: Vec<stages::PlanRow>,
    /// The recommended trial, and why it is recommended.
    why: Option<(u32, &'a str)>,
    history: Vec<Value>,
    pareto: Vec<Value>,
    explained: Option<why::Why<'a>>,
    stages: Vec<stages::Stage>,
    /// Whether any stage has a scaling curve.
    curves: bool,
    guidelines: Vec<Guideline<'a>>,
    confirmed: Option<confirmed::Confirmed>,
    spend: spend::Spent,
    trials: Vec<trials::Row>,
    facts: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct Counts {
    trials: usize,
    measured: usize,
    replicates: usize,
    search_examples: u32,
    test_examples: u32,
}

#[derive(Serialize)]
struct Guideline<'a> {
    when: String,
    author: &'a str,
    text: &'a str,
}

impl<'a> Page<'a> {
    pub(crate) fn new(summary: &'a StudySummary) -> Self {
        let twice = |draw: &dyn Fn(f64) -> Option<String>| -> Vec<Value> {
            [WIDE, NARROW].into_iter().filter_map(draw).map(Value::from_safe_string).collect()
        };
        let archive = &summary.archive;
        // Plans are judged by all their trials; the history and the table show trials one by one.
        let pooled = by_plan(summary);
        let stages = stages::all(&pooled);
        Page {
            study: &summary.study,
            pipeline: &summary.pipeline,
            description: &summary.description,
            objective: &summary.objective,
            state: state_words(summary.state),
            unfinished: summary.state != StudyState::Done,
            budget: cost(summary.cost_model, summary.plan_budget),
            counts: Counts {
                trials: archive.trials.len(),
                measured: archive.measured().count(),
                replicates: measured(summary).filter(|(t, _)| t.stream != 0).count(),
                search_examples: summary.search_examples,
                test_examples: summary.test_examples,
            },
            answer: answer::Answer::new(&pooled),
            plan: stages::plan_rows(&pooled),
            why: summary.recommended.as_ref().filter(|r| !r.why.is_empty()).map(|r| (r.trial, r.why.as_str())),
            history: twice(&|width| chart::history(summary, width)),
            pareto: twice(&|width| chart::pareto(&pooled, width)),
            explained: why::Why::new(summary),
            curves: stages.iter().any(|s| s.scaling.is_some()),
            stages,
            guidelines: archive
                .guidelines
                .iter()
                .map(|g| Guideline {
                    when: if g.round == 0 {
                        "after the initial trials".to_owned()
                    } else {
                        format!("after round {}", g.round)
                    },
                    author: &g.author,
                    text: g.text.trim(),
                })
                .collect(),
            confirmed: summary.confirmation.as_ref().map(|c| confirmed::Confirmed::new(summary, c)),
            spend: spend::Spent::new(summary),
            trials: trials::rows(summary),
            facts: facts(summary),
        }
    }
}

fn state_words(state: StudyState) -> &'static str {
    match state {
        StudyState::Running => "running, or killed",
        StudyState::Done => "done",
        StudyState::Interrupted => "interrupted; it can be resumed",
        StudyState::Limit => "stopped at a limit; it can be resumed with a larger search budget",
        StudyState::Failed => "failed; it can be resumed when the cause is mended",
    }
}

/// What someone needs who wants to do it again.
fn facts(s: &StudySummary) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("study", s.study.clone()),
        ("pipeline", s.pipeline.clone()),
        ("state", state_words(s.state).to_owned()),
        ("method", s.method.clone()),
        ("agent", s.agent.clone().unwrap_or_else(|| "none".to_owned())),
        ("seed", s.seed.to_string()),
        ("objective", s.objective.clone()),
        ("cost model", s.cost_model.name().to_owned()),
        ("plan budget", format!("{} a query", cost(s.cost_model, s.plan_budget))),
        ("space", format!("{} plans, {} of them within the budget", short(s.space[0]), short(s.space[1]))),
        (
            "examples",
            format!(
                "{} to search on, {} to test on",
                short(f64::from(s.search_examples)),
                short(f64::from(s.test_examples))
            ),
        ),
    ];
    if !s.program.is_empty() {
        facts.push(("searched with", format!("agenttts {}", s.program)));
    }
    for (name, identity) in &s.models {
        facts.push(("model", format!("{name}: {}, revision {}", identity.model, identity.revision)));
    }
    for quarantined in &s.quarantined {
        facts.push(("left out", quarantined.words()));
    }
    for enforced in &s.sandbox {
        facts.push(("sandbox", format!("{}; kernel {}", enforced.words(), enforced.kernel)));
    }
    for stage in &s.stages {
        let samples = match (stage.samples.iter().min(), stage.samples.iter().max()) {
            (Some(low), Some(high)) if low != high => format!("{low} to {high} samples"),
            (Some(only), _) => counted(*only as usize, "sample"),
            _ => "no samples".to_owned(),
        };
        let metric = stage.metric.as_ref().map_or_else(|| "no metric".to_owned(), |m| format!("metric {m}"));
        let shortens =
            stage.shortens.as_ref().map_or_else(String::new, |s| format!("; shortens {s} where a prompt is too long"));
        facts.push(("stage", format!("{}: {}; {samples}; {metric}{shortens}", stage.name, stage.models.join(", "))));
    }
    facts.push(("program", format!("agenttts {}, summary format {}", env!("CARGO_PKG_VERSION"), s.version)));
    facts
}
