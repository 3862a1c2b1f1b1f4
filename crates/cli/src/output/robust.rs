//! A robustness study as tables.

use agenttts_bench::{Belief, StudyLandscape, StudyResults, StudySetting};
use agenttts_core::Estimate;

use super::bench::{difference, estimate};
use super::number::short;
use super::screen::{Paint, Screen};
use super::table::Columns;

/// All tables of a study.
pub(crate) fn text(results: &StudyResults, screen: &Screen) -> String {
    let mut text = String::new();
    for landscape in results.landscapes.iter().chain(&results.overall) {
        text += &one(results, landscape, screen);
        text.push('\n');
    }
    if !results.beliefs.is_empty() {
        text += &beliefs(&results.beliefs, screen);
        text.push('\n');
    }
    for left in &results.left_out {
        text += &format!("{} is left out: {}\n", left.landscape, left.reason);
    }
    text += "± is half of a 95% interval over n seeds or worlds; * marks a difference whose interval leaves 0 out;\n";
    text += "\"same\" means that all n are equal\n";
    text
}

fn one(results: &StudyResults, landscape: &StudyLandscape, screen: &Screen) -> String {
    let mut text = screen.paint(Paint::Bold, &landscape.landscape).to_string();
    if let Some(worlds) = landscape.worlds {
        text += &format!(": {worlds} worlds, {} seeds each", results.seeds);
    }
    text.push('\n');
    text += &settings(landscape);
    let change = format!("vs {}", results.reference);
    let lead = format!("vs {}", results.first_method);
    let names = [results.study.as_str(), "method", ">ratio", ">n", ">normalised regret", &change, &lead];
    let mut table = Columns::new(&names);
    for setting in &landscape.settings {
        for cell in &setting.methods {
            table.row([
                setting.setting.clone(),
                cell.method.clone(),
                estimate(&cell.ratio),
                cell.ratio.n.to_string(),
                estimate(&cell.normalised_regret),
                paired(cell.change.as_ref()),
                paired(cell.lead.as_ref()),
            ]);
        }
    }
    text + &table.text()
}

/// What the settings are here: one line where they are all alike.
fn settings(landscape: &StudyLandscape) -> String {
    let about = |setting: &StudySetting| {
        let spent = setting.budget.zip(setting.unit).map(|(b, unit)| format!("{} {} to search", short(b), unit.name()));
        let about = Some(setting.about.clone()).filter(|a| !a.is_empty());
        about.into_iter().chain(spent).collect::<Vec<_>>().join("; ")
    };
    let lines: Vec<String> = landscape.settings.iter().map(about).collect();
    match lines.first() {
        Some(first) if first.is_empty() => String::new(),
        Some(first) if lines.iter().all(|l| l == first) => format!("  {first}\n"),
        _ => landscape.settings.iter().zip(&lines).map(|(s, line)| format!("  {}: {line}\n", s.setting)).collect(),
    }
}

fn beliefs(beliefs: &[Belief], screen: &Screen) -> String {
    let mut text = format!("{}\n", screen.paint(Paint::Bold, "What believing an insight is worth"));
    text += "  ratio with all insights minus ratio without this one, over simulated worlds\n";
    let mut table =
        Columns::new(&["method", ">insight", ">worlds", "where it holds", "where it is broken", "difference"]);
    for belief in beliefs {
        table.row([
            belief.method.clone(),
            belief.insight.to_string(),
            belief.holds.n.to_string(),
            paired(Some(&belief.holds)),
            paired(Some(&belief.broken)),
            paired(Some(&belief.difference)),
        ]);
    }
    text + &table.text()
}

fn paired(e: Option<&Estimate>) -> String {
    match e {
        None => "-".to_owned(),
        Some(e) if e.n > 1 && e.mean == 0.0 && e.se == 0.0 => "same".to_owned(),
        Some(e) => difference(e),
    }
}
