//! A study for a person: the plan, how good and how sure, what it cost, and what to do next.

use agenttts_core::text::{decimal, sentence};
use agenttts_core::{Confirmation, Fitting, Plan, Seal, Spend, StageRuns, StudyState, StudySummary};

use super::number::{cost, duration, grouped, of_limit, percent, score, short, usd};
use super::table::Columns;
use super::{Paint, Screen, trials, why};

/// Everything about a study but its single trials and guidelines; why its plan won only where `brief`, in short.
pub(crate) fn study(screen: &Screen, summary: &StudySummary, brief: bool) -> String {
    let mut text = head(screen, summary);
    text.push_str(&plan(screen, summary));
    if let Some(confirmation) = &summary.confirmation {
        text.push_str(&tested(screen, summary, confirmation));
    }
    if brief {
        text.push_str(&why::short(screen, summary));
    }
    if !summary.pareto.is_empty() {
        text.push_str(&title(
            screen,
            &format!("Best quality for the cost, on the {} search examples", summary.search_examples),
        ));
        text.push_str(&trials::front(summary));
    }
    text.push_str(&spend(screen, summary));
    text
}

/// A section's title.
pub(crate) fn title(screen: &Screen, text: &str) -> String {
    format!("\n{}\n", screen.paint(Paint::Bold, text))
}

/// A state in words.
pub(crate) fn state(state: StudyState) -> &'static str {
    match state {
        StudyState::Running => "running, or killed",
        StudyState::Done => "done",
        StudyState::Interrupted => "interrupted",
        StudyState::Limit => "at a limit",
        StudyState::Failed => "failed",
    }
}

fn head(screen: &Screen, s: &StudySummary) -> String {
    let mut text = format!("{} {}\n", screen.paint(Paint::Bold, &format!("Study {}:", s.study)), state(s.state));
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<11}{value}\n"));
    if let Some(reason) = &s.stop_reason {
        line("stopped", reason.clone());
    }
    let about =
        if s.description.is_empty() { s.pipeline.clone() } else { format!("{}: {}", s.pipeline, s.description) };
    line("pipeline", about);
    let agent = s.agent.as_ref().map_or_else(String::new, |a| format!(" with agent {a}"));
    let history = s.history.as_ref().map_or_else(String::new, |h| format!(", learning from study {h}"));
    line("method", format!("{}{agent}{history}, seed {}", s.method, s.seed));
    line("objective", s.objective.clone());
    let (all, feasible) = (grouped(s.space[0] as u128), grouped(s.space[1] as u128));
    line(
        "budget",
        format!("{} a query ({}); {feasible} of {all} plans fit", cost(s.cost_model, s.plan_budget), s.cost_model),
    );
    let measured = s.archive.measured().count();
    let open = s.archive.trials.len() - measured;
    let open = if open > 0 { format!(" ({open} more proposed)") } else { String::new() };
    let raced_out = s.archive.measured().filter(|(_, m)| m.raced_out.is_some()).count();
    let early = if raced_out > 0 { format!("; {raced_out} raced out") } else { String::new() };
    let partly = s.archive.trials.iter().any(|t| t.span.is_some());
    let on = match s.archive.plans().len() {
        plans if partly => format!(" of {plans} plans, on parts of the {} search examples", s.search_examples),
        _ => format!(", each on {} examples", s.search_examples),
    };
    line("trials", format!("{measured} measured{open}{on}{early}"));
    for quarantined in &s.quarantined {
        line("left out", quarantined.words());
    }
    for enforced in &s.sandbox {
        line("sandbox", enforced.words());
    }
    text
}

fn plan(screen: &Screen, s: &StudySummary) -> String {
    let Some(recommended) = &s.recommended else {
        return String::new();
    };
    let names: Vec<String> = s.stages.iter().map(|stage| stage.name.clone()).collect();
    let mut text = title(screen, &format!("The plan (trial {})", recommended.trial));
    text.push_str(&trials::choices(&names, &recommended.plan));
    if let Some(pooled) = s.archive.plans().into_iter().find(|p| p.plan == &recommended.plan) {
        let trials = match pooled.trials.len() {
            1 => String::new(),
            n => format!(", {n} trials"),
        };
        text.push_str(&format!(
            "  {} on the search split (n={}{trials}), {} a query\n",
            score(&pooled.objective),
            pooled.objective.n,
            cost(s.cost_model, pooled.cost.mean)
        ));
    }
    text.push_str(&format!("  {}\n", recommended.why));
    for stage in &s.stages {
        if let Some(StageRuns { expected, counted: Some(counted) }) = stage.runs {
            let (expected, counted) = (decimal(expected, 2), decimal(counted, 2));
            text.push_str(&format!(
                "  {} runs {counted} times an example; the pipeline expects {expected}\n",
                stage.name
            ));
        }
    }
    for line in fitting(s, &recommended.plan) {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

/// How the prompts of a plan fitted their models' contexts, over the examples that it was searched on.
fn fitting(s: &StudySummary, plan: &Plan) -> Vec<String> {
    // Fresh draws have the same examples again.
    let trials = s.archive.measured().filter(|(t, _)| &t.plan == plan && t.stream == 0);
    let parts: Vec<&[Fitting]> = trials.map(|(_, m)| m.fitting.as_slice()).collect();
    let of_stage = |i: usize| Fitting::total(parts.iter().filter_map(|p| p.get(i)));
    let total: Vec<Fitting> = (0..s.stages.len()).map(of_stage).collect();
    s.fitting_words(plan, &total)
}

fn tested(screen: &Screen, s: &StudySummary, confirmation: &Confirmation) -> String {
    let mut text = title(
        screen,
        &format!("On the {} test examples, which the search never saw (fresh draws)", confirmation.examples),
    );
    if let Some(warning) = s.seal.as_ref().and_then(Seal::warning) {
        text.push_str(&format!("  {}\n", screen.paint(Paint::Bold, &sentence(&warning))));
    }
    let mut table = Columns::new(&["plan", "quality", ">cost", "choices"]);
    for c in &confirmation.plans {
        let failed = if c.failures > 0 { format!(", {} failed", c.failures) } else { String::new() };
        table.row([
            c.label.clone(),
            score(&c.objective) + &failed,
            cost(s.cost_model, c.cost.mean),
            c.plan.to_string(),
        ]);
    }
    text.push_str(&table.text());
    for c in &confirmation.plans {
        if let Some(verdict) = &c.verdict {
            text.push_str(&format!("  The recommended plan is {verdict}.\n"));
        }
    }
    if let Some(cheaper) = &confirmation.cheaper {
        text.push_str(&format!("  {}\n", sentence(&cheaper.words)));
    }
    if let Some(untested) = &confirmation.untested {
        text.push_str(&format!("  {}\n", sentence(untested)));
    }
    if let Some(optimism) = s.optimism() {
        text.push_str(&format!(
            "  Its score on the search examples minus that here: {:+.3} [{:+.3}, {:+.3}]; choosing by noisy scores adds to it.\n",
            optimism.mean, optimism.low, optimism.high
        ));
    }
    for c in &confirmation.plans {
        for line in s.fitting_words(&c.plan, &c.fitting) {
            text.push_str(&format!("  {}: {line}.\n", c.label));
        }
    }
    text.push_str("  Brackets are 95% intervals; differences are paired by example.\n");
    if let Some(seal) = &s.seal {
        text.push_str(&format!("  {}\n", sentence(&seal.words())));
    }
    for c in &confirmation.plans {
        for judged in &c.judged {
            text.push_str(&format!("  {}:\n", c.label));
            judged.sentences().iter().for_each(|sentence| text.push_str(&format!("    {sentence}\n")));
        }
    }
    text
}

fn spend(screen: &Screen, s: &StudySummary) -> String {
    let mut text = title(screen, "Spent");
    let Spend { total, usd: dollars, gflop, .. } = &s.spend;
    let money = dollars.map_or_else(String::new, |d| format!(", {}", usd(d)));
    let work = gflop.map_or_else(String::new, |g| format!(", {} GFLOP", short(g)));
    text.push_str(&format!(
        "  {} tokens ({} prompt, {} decoded) in {} calls{money}{work}, {}\n",
        short(total.tokens() as f64),
        short(total.prompt as f64),
        short(total.decode as f64),
        grouped(u128::from(total.calls)),
        duration(s.spend.seconds)
    ));
    for limit in &s.spend.limits {
        text.push_str(&format!(
            "  {} of {} ({})\n",
            of_limit(&limit.what, limit.used),
            of_limit(&limit.what, limit.limit),
            percent(limit.used / limit.limit)
        ));
    }
    if s.spend.lost_tokens > 0 {
        text.push_str(&format!(
            "  of these, {} tokens were reserved by calls that were under way when the program was killed\n",
            short(s.spend.lost_tokens as f64)
        ));
    }
    if let Some(ratio) = s.reuse.ratio() {
        text.push_str(&format!(
            "  the trials drew {} tokens; without reuse they would have drawn {} ({ratio:.1} times as many)\n",
            short(s.reuse.drawn as f64),
            short(s.reuse.fresh as f64)
        ));
    }
    text
}

/// What to do with a study now.
pub(crate) fn next_steps(s: &StudySummary, plan_file: Option<&str>, inputs: Option<&str>) -> Vec<String> {
    let mut steps = vec![format!("agenttts report {} -o report.html", s.study)];
    if let Some(plan) = plan_file {
        steps.push(match inputs {
            Some(file) => format!("agenttts run {plan} --file {file}"),
            None => format!("agenttts run {plan} --input '{{...}}'"),
        });
    }
    match s.state {
        StudyState::Done => {}
        StudyState::Limit => {
            let full = s.spend.limits.iter().max_by(|a, b| (a.used / a.limit).total_cmp(&(b.used / b.limit)));
            let more =
                full.map_or_else(String::new, |l| format!(" --search-budget {}={}", l.what, rounded(l.limit * 2.0)));
            steps.push(format!("agenttts search --resume {}{more}", s.study));
        }
        StudyState::Running | StudyState::Interrupted | StudyState::Failed => {
            steps.push(format!("agenttts search --resume {}", s.study));
        }
    }
    steps
}

/// A limit as it would be typed.
fn rounded(value: f64) -> String {
    let plain = |v| decimal(v, 2);
    match value {
        v if v >= 1e6 => plain(v / 1e6) + "M",
        v if v >= 1e4 => plain(v / 1e3) + "k",
        v => plain(v),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_typed_as_they_are_read() {
        assert_eq!((rounded(2e6), rounded(25_000.0), rounded(0.5)), ("2M".into(), "25k".into(), "0.5".into()));
    }
}
