//! Why a plan won, for a person: a few sentences, or all that is known.

use agenttts_core::{Choice, Credible, Explanation, FittedCurve, Interplay, StudySummary, Verdict};

use super::Screen;
use super::number::percent;
use super::study::title;
use super::table::Columns;

/// Sentences that a study tells without being asked for more.
const FEW: usize = 4;

/// The most important sentences.
pub(crate) fn short(screen: &Screen, summary: &StudySummary) -> String {
    let Some(explanation) = &summary.explanation else { return String::new() };
    let mut text = title(screen, "Why this plan");
    text.push_str(&sentences(explanation, FEW));
    if matches!(explanation.verdict, Verdict::Measured | Verdict::NothingMeasurable) {
        text.push_str(&format!("  More: agenttts show {} --why\n", summary.study));
    }
    text
}

/// Everything: sentences, shares, curves and the interplay of stages.
pub(crate) fn whole(screen: &Screen, summary: &StudySummary) -> String {
    let mut text = title(screen, "Why this plan");
    let Some(explanation) = &summary.explanation else {
        return text + "  nothing was measured yet\n";
    };
    text.push_str(&sentences(explanation, usize::MAX));
    if matches!(explanation.verdict, Verdict::TooFewTrials | Verdict::NoChoice) {
        return text;
    }
    text.push_str(&title(screen, "What matters, over the plans within the budget"));
    text.push_str(&importance(explanation));
    text.push_str("  A share is of the variance of the plans' true scores. Brackets hold 95% of what these trials leave possible.\n");
    text.push_str(&title(screen, &format!("More samples: {} with the other stages as in the plan", summary.objective)));
    text.push_str(&curves(&explanation.curves));
    text.push_str("  Enough: the fewest samples that are not clearly worse than the peak, by more than 0.01. All within the budget.\n");
    for map in &explanation.interplay {
        text.push_str(&title(screen, &format!("What {} does to {}", map.upstream, map.downstream)));
        text.push_str(&interplay(summary, map));
    }
    if !explanation.rivals.is_empty() {
        text.push_str(&title(screen, "The plans that came next"));
        let mut table = Columns::new(&[">trial", ">ahead of it by", "it has"]);
        for rival in &explanation.rivals {
            table.row([rival.trial.to_string(), signed(rival.ahead), rival.differs.join(", ")]);
        }
        text.push_str(&table.text());
    }
    text
}

fn sentences(explanation: &Explanation, most: usize) -> String {
    explanation.words.iter().take(most).map(|w| format!("  {w}\n")).collect()
}

fn importance(explanation: &Explanation) -> String {
    let mut table = Columns::new(&["choice", ">share", "", "effect", "of"]);
    for i in &explanation.importance {
        table.row([
            i.factor.to_string(),
            percent(i.share.mean),
            range(i.share),
            signed(i.effect),
            format!("{} over {}", i.best, i.worst),
        ]);
    }
    // A pair that explains next to nothing is not worth a line.
    for p in explanation.pairs.iter().filter(|p| p.share.mean >= 0.01 || p.departure.is_measurable()).take(6) {
        table.row([
            format!("{} x {}", p.factors[0], p.factors[1]),
            percent(p.share.mean),
            range(p.share),
            signed(p.departure),
            format!("{} with {}", p.levels[0], p.levels[1]),
        ]);
    }
    if let Some(rest) = explanation.rest {
        table.row(["everything else".into(), percent(rest.mean), range(rest), String::new(), String::new()]);
    }
    table.text()
}

fn curves(curves: &[FittedCurve]) -> String {
    let mut table =
        Columns::new(&["stage", "model", ">peak", "", ">score there", ">enough", "tried", "beyond the peak"]);
    for curve in curves {
        let Some(peak) = curve.peak else {
            let dashes = ["-", "", "-", "-"].map(String::from);
            let tried = counts(&curve.tried);
            let row = [curve.stage.clone(), curve.model.clone()].into_iter().chain(dashes);
            table.row(row.chain([tried, "does not fit the budget".to_owned()]));
            continue;
        };
        let at = curve.points.iter().find(|p| p.samples == peak.samples);
        let within = || curve.points.iter().filter(|p| p.within_budget);
        let beyond = match (curve.falls, within().any(|p| p.samples > peak.samples)) {
            (true, _) => "falls",
            (false, true) => "not clearly worse",
            (false, false) => "nothing more within the budget",
        };
        table.row([
            curve.stage.clone(),
            curve.model.clone(),
            peak.samples.to_string(),
            format!("[{}, {}]", peak.low, peak.high),
            at.map_or_else(String::new, |p| plain(p.score)),
            curve.enough.map_or_else(|| "-".to_owned(), |e| e.to_string()),
            counts(&curve.tried),
            beyond.to_owned(),
        ]);
    }
    table.text()
}

fn interplay(summary: &StudySummary, map: &Interplay) -> String {
    let stage = summary.stages.iter().position(|s| s.name == map.downstream);
    let usual = summary.recommended.as_ref().and_then(|r| r.plan.choices.get(stage?));
    let same = |best: &Choice| if usual == Some(best) { "it is the plan's" } else { "the plan's does not fit" };
    let upstream = format!("{} model", map.upstream);
    let best = format!("best at {}", map.downstream);
    let mut table = Columns::new(&[&upstream, ">samples", &best, "better than the plan's by"]);
    for row in &map.rows {
        let gain = row.gain.map_or_else(|| same(&row.best).to_owned(), signed);
        table.row([row.model.clone(), row.samples.to_string(), row.best.to_string(), gain]);
    }
    let known = if map.measurable { "" } else { "; no single pair stands out from the noise" };
    let share = format!(
        "  Together, beyond the sum of both: {} {} of the variance{known}.\n",
        percent(map.share.mean),
        range(map.share)
    );
    table.text() + &share
}

/// `1, 4, 8`; the ends only where there are many.
fn counts(tried: &[u32]) -> String {
    match tried {
        [] => "none".to_owned(),
        [first, .., last] if tried.len() > 8 => format!("{} counts, {first} to {last}", tried.len()),
        _ => tried.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// `[40%, 75%]`.
fn range(share: Credible) -> String {
    format!("[{}, {}]", percent(share.low), percent(share.high))
}

/// `0.725 [0.672, 0.779]`.
fn plain(value: Credible) -> String {
    format!("{:.3} [{:.3}, {:.3}]", value.mean, value.low, value.high)
}

/// `+0.042 [-0.011, +0.073]`.
fn signed(value: Credible) -> String {
    format!("{:+.3} [{:+.3}, {:+.3}]", value.mean, value.low, value.high)
}
