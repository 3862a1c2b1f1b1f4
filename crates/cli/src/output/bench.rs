//! A comparison of search methods as tables.

use agenttts_bench::{LandscapeSummary, MethodSummary, Results, Unit};
use agenttts_core::Estimate;

use super::number::{grouped, percent, short};
use super::screen::{Paint, Screen};
use super::table::Columns;

/// All tables of a comparison.
pub(crate) fn text(results: &Results, screen: &Screen) -> String {
    let mut text = String::new();
    for landscape in &results.summary {
        text += &one(results, landscape, screen);
        text.push('\n');
    }
    if results.summary.len() > 1 {
        text += &overall(results, screen);
        text.push('\n');
    }
    text += "± is half of a 95% interval over the seeds; * marks a difference whose interval leaves 0 out\n";
    text
}

fn one(results: &Results, landscape: &LandscapeSummary, screen: &Screen) -> String {
    let unit = landscape.unit.name();
    let mut text = format!(
        "{}: {} plans, {} within the budget; {} seeds of {} {unit}\n",
        screen.paint(Paint::Bold, &landscape.landscape),
        grouped(u128::from(landscape.plans)),
        grouped(u128::from(landscape.feasible)),
        results.seeds,
        short(landscape.budget),
    );
    let checkpoints: Vec<f64> =
        landscape.methods.first().map_or(Vec::new(), |m| m.points.iter().map(|p| p.evaluations).collect());
    let heads: Vec<String> = checkpoints.iter().map(|c| format!(">{}", short(*c))).collect();
    let against = landscape.against();
    let names = ["method", ">examples"];
    let more = [">98% from", ">seeds there", against.as_str()];
    // Where the budget counts evaluations they are no news.
    let evaluated = (landscape.unit != Unit::Evaluations).then_some(">evaluations");
    let names = names.into_iter().chain(heads.iter().map(String::as_str)).chain(more).chain(evaluated);
    let names: Vec<&str> = names.chain([">time a run"]).collect();
    text += &format!("  true score of the recommended plan, over the best, after so many {unit}\n");
    let mut table = Columns::new(&names);
    for method in &landscape.methods {
        let seconds = results.seconds(&landscape.landscape, &method.method).unwrap_or(0.0);
        let cells = [method.method.clone(), examples(method)]
            .into_iter()
            .chain(method.points.iter().map(|p| estimate(&p.ratio)))
            .chain([
                method.arrived_at.map_or_else(|| "-".to_owned(), short),
                percent(method.arrived),
                method.difference.as_ref().map_or_else(|| "-".to_owned(), difference),
            ])
            .chain(evaluated.map(|_| format!("{:.0}", method.evaluated)))
            .chain([format!("{seconds:.2}s")]);
        table.row(cells);
    }
    text += &table.text();
    text += "  normalised regret: 0 = the best plan, 1 = what a blind draw expects\n";
    let names: Vec<&str> = ["method"].into_iter().chain(heads.iter().map(String::as_str)).collect();
    let mut table = Columns::new(&names);
    for method in &landscape.methods {
        let cells = method.points.iter().map(|p| estimate(&p.normalised_regret));
        table.row([method.method.clone()].into_iter().chain(cells));
    }
    text += &table.text();
    if let Some(best) = &landscape.best_on_test {
        text += &test(landscape, best, against.as_str());
    }
    text
}

/// What the recommended plans do on examples that no trial used.
fn test(landscape: &LandscapeSummary, best: &Estimate, against: &str) -> String {
    let text = format!(
        "  score of the recommended plans on {} test examples, ± over these examples; the plan that is best on the search \
         examples has {}\n",
        best.n,
        estimate(best)
    );
    let mut table = Columns::new(&["method", ">trials to 98%", ">test", against]);
    for method in &landscape.methods {
        let trials = method.arrived_after.map_or_else(|| "-".to_owned(), short);
        let score = method.test.as_ref().map_or_else(|| "-".to_owned(), estimate);
        let versus = method.test_difference.as_ref().map_or_else(|| "-".to_owned(), difference);
        table.row([method.method.clone(), trials, score, versus]);
    }
    text + &table.text()
}

fn overall(results: &Results, screen: &Screen) -> String {
    let mut text = format!("{} of {} landscapes\n", screen.paint(Paint::Bold, "Mean"), results.summary.len());
    let Some(first) = results.overall.first() else { return text };
    let head = |c: Option<f64>| c.map_or_else(|| ">at the end".to_owned(), |c| format!(">{}", short(c)));
    let heads: Vec<String> = first.points.iter().map(|p| head(p.evaluations)).collect();
    let names: Vec<&str> = ["method"]
        .into_iter()
        .chain(heads.iter().map(String::as_str))
        .chain([">regret at the end", ">normalised", ">better on", ">worse on"])
        .collect();
    let mut table = Columns::new(&names);
    for method in &results.overall {
        let last = method.points.last();
        let regret = last.map_or_else(String::new, |p| format!("{:.4}", 1.0 - p.ratio.mean));
        let normalised = last.map_or_else(String::new, |p| estimate(&p.normalised_regret));
        let (better, worse) = method.better_worse;
        let cells = method.points.iter().map(|p| estimate(&p.ratio));
        let more = [regret, normalised, better.to_string(), worse.to_string()];
        table.row([method.method.clone()].into_iter().chain(cells).chain(more));
    }
    text += &table.text();
    text += "  better and worse: landscapes on which the difference to the best outside method there is significant\n";
    text
}

/// The number of examples of a method's trials; `(best)` where it ran with several and the best is shown.
fn examples(method: &MethodSummary) -> String {
    match method.examples {
        None => "own".to_owned(),
        Some(n) if method.tried_examples.is_empty() => n.to_string(),
        Some(n) => format!("{n} (best)"),
    }
}

/// `0.957 ±0.013`.
pub(super) fn estimate(e: &Estimate) -> String {
    let half = (e.high - e.low) / 2.0;
    if half.is_finite() { format!("{:.3} ±{half:.3}", e.mean) } else { format!("{:.3}", e.mean) }
}

/// `+0.012 ±0.010 *`: the star where the interval leaves 0 out.
pub(super) fn difference(e: &Estimate) -> String {
    let half = (e.high - e.low) / 2.0;
    if !half.is_finite() {
        return format!("{:+.3}", e.mean);
    }
    format!("{:+.3} ±{half:.3}{}", e.mean, if e.excludes_zero() { " *" } else { "" })
}
