//! A plan chosen anew, for a person.

use agenttts_engine::{Candidate, Replan, Surer};

use super::number::{cost, percent, score, short, usd};
use super::study::title;
use super::table::Columns;
use super::{Paint, Screen, trials};

/// Everything about a choice.
pub(crate) fn text(screen: &Screen, r: &Replan) -> String {
    let mut text =
        format!("{} without a call\n", screen.paint(Paint::Bold, &format!("Study {} planned again,", r.study)));
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<11}{value}\n"));
    line("objective", r.objective.clone());
    let budget = match r.budget {
        Some(units) => format!("{} a query", cost(r.cost_model, units)),
        None => "any cost; --budget sets a limit".to_owned(),
    };
    line("budget", format!("{budget} ({})", r.cost_model));
    if let Some(seconds) = r.max_latency {
        line("latency", format!("at most {seconds} s a query"));
    }
    line("measured", format!("{} plans, {} of them fit", r.measured[0], r.measured[1]));

    let chosen = &r.recommended;
    let trial = match chosen.trial {
        Some(n) => format!("trial {n}"),
        None => "never run: all numbers are predictions".to_owned(),
    };
    text.push_str(&title(screen, &format!("The plan ({trial})")));
    text.push_str(&trials::choices(&r.stages, &chosen.plan));
    text.push_str(&format!("  {}\n", r.why));
    text.push_str(&title(screen, "How sure"));
    let mut table = Columns::new(&["plan", "estimate", "scored", ">n", ">cost", ">latency", "choices"]);
    let mut row = |name: &str, c: &Candidate| table.row(columns(name, c, r));
    row("recommended", chosen);
    if let Some(next) = &r.runner_up {
        row("runner-up", &next.candidate);
    }
    if let Some(untried) = &r.untried {
        row("untried", untried);
    }
    if let Some(before) = &r.before {
        row("before", before);
    }
    text.push_str(&table.text());
    if let Some(next) = &r.runner_up {
        let [mean, low, high] = next.behind;
        text.push_str(&format!(
            "  Against the runner-up: {mean:+.3} [{low:+.3}, {high:+.3}], better with a probability of {}.\n",
            percent(next.chance)
        ));
    }
    if r.untried.is_some() {
        text.push_str("  The untried plan was never run; it is believed to be better, but not surely enough.\n");
    }
    text.push_str(
        "  Estimates pool related plans; brackets hold 95%. Costs are those of the stored samples' tokens. Latency is\n  \
         stage after stage, each until its slowest sample and what combines them are there, as timed in the search.\n",
    );
    text.push_str(&title(screen, "To be surer"));
    let mut table = Columns::new(&[">tokens", ">usd", ">examples", "what"]);
    for Surer { what, examples, tokens, usd: dollars } in &r.surer {
        table.row([short(*tokens), dollars.map_or_else(|| "-".into(), usd), examples.to_string(), what.clone()]);
    }
    text.push_str(&table.text());
    text
}

fn columns(name: &str, c: &Candidate, r: &Replan) -> [String; 7] {
    let [mean, low, high] = c.estimate;
    let expected = if c.trial.is_none() { " expected" } else { "" };
    [
        name.to_owned(),
        format!("{mean:.3} [{low:.3}, {high:.3}]"),
        c.objective.as_ref().map_or_else(|| "-".into(), score),
        c.objective.map_or_else(|| "-".into(), |o| o.n.to_string()),
        cost(r.cost_model, c.cost.mean) + expected,
        c.seconds.map_or_else(|| "-".into(), |s| format!("{s:.2}s{expected}")),
        c.plan.to_string(),
    ]
}
