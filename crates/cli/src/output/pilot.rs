//! A pilot study, for a person.

use agenttts_core::{Answer, Level, Pilot, PilotCurve, PilotStage};

use super::number::{cost, score, short};
use super::study::title;
use super::table::Columns;
use super::{Paint, Screen};

/// The whole pilot as text: the insights in words, then every stage's curves.
pub(crate) fn text(screen: &Screen, pilot: &Pilot) -> String {
    let mut text = String::new();
    for insight in &pilot.insights {
        let paint = match insight.answer {
            Answer::Holds => Paint::Good,
            Answer::Fails => Paint::Bad,
            _ => Paint::Warn,
        };
        text.push_str(&title(screen, &format!("Insight {}: {}", insight.number, insight.claim)));
        text.push_str(&format!("  {}\n", screen.paint(paint, insight.answer.words())));
        insight.words.iter().for_each(|w| text.push_str(&format!("  {w}\n")));
    }
    for stage in &pilot.stages {
        text.push_str(&of_stage(screen, pilot, stage));
    }
    if !pilot.notes.is_empty() {
        text.push_str(&title(screen, "Notes"));
        pilot.notes.iter().for_each(|n| text.push_str(&format!("  {n}\n")));
    }
    let drawn = match pilot.from_tape {
        true => "played from a tape".to_owned(),
        false => format!("drew {} tokens in {} calls", short(pilot.drawn.tokens() as f64), pilot.drawn.calls),
    };
    text.push_str(&format!(
        "\n  {} examples, {drawn}; differences below {} do not matter.\n",
        pilot.examples, pilot.margin
    ));
    text
}

fn of_stage(screen: &Screen, pilot: &Pilot, stage: &PilotStage) -> String {
    let Some(metric) = &stage.metric else { return String::new() };
    let mut text = title(screen, &format!("Stage {}: {metric}", stage.name));
    if stage.curves.is_empty() {
        return text + "  nothing was measured\n";
    }
    for setting in stage.settings.iter().filter(|s| s.level != Level::Example) {
        let words = |s: &agenttts_core::UpstreamStage| {
            let what = s.choice.as_ref().map_or_else(|| "gold".to_owned(), ToString::to_string);
            let quality = s.score.map_or_else(String::new, |e| format!(" ({})", score(&e)));
            format!("{} {what}{quality}", s.stage)
        };
        let upstream: Vec<String> = setting.stages.iter().map(words).collect();
        text.push_str(&format!(
            "  {} upstream: {}, {} examples\n",
            setting.level.name(),
            upstream.join(" + "),
            setting.examples
        ));
    }
    let usual = stage.settings.iter().position(|s| matches!(s.level, Level::Example | Level::Best)).unwrap_or(0);
    let mut table = Columns::new(&["model", ">T", "aggregator", ">samples", metric, ">cost", "peak, shape"]);
    for curve in stage.curves.iter().filter(|c| c.setting as usize == usual) {
        curve_rows(&mut table, pilot, curve);
    }
    text.push_str(&table.text());
    if let Some(setting) = stage.settings.get(usual).filter(|_| stage.settings.len() > 1) {
        let level = setting.level.name();
        text.push_str(&format!("  With {level} outputs upstream; the other curves are on the page.\n"));
    }
    text
}

fn curve_rows(table: &mut Columns, pilot: &Pilot, curve: &PilotCurve) {
    for (i, point) in curve.points.iter().enumerate() {
        let first = |text: String| if i == 0 { text } else { String::new() };
        let aggregator = if curve.points.len() > 1 { curve.aggregator.to_string() } else { String::new() };
        let peak = curve.peak.filter(|p| p.samples == point.samples);
        let peak = peak.map(|p| format!("peak [{}, {}]", p.low, p.high));
        let shape = curve.shape.filter(|_| i + 1 == curve.points.len()).map(|s| s.words().to_owned());
        table.row([
            first(curve.model.clone()),
            first(curve.temperature.to_string()),
            first(aggregator),
            point.samples.to_string(),
            score(&point.score),
            cost(pilot.cost_model, point.cost.mean),
            [peak, shape].into_iter().flatten().collect::<Vec<_>>().join("; "),
        ]);
    }
}
