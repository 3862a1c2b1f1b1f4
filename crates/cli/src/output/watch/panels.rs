//! The parts of the screen, each from what is known to lines.

use agenttts_core::Estimate;
use agenttts_engine::Fate;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Axis, Cell, Chart, Dataset, GraphType, Paragraph, Table};

use super::draw::{Shown, Theme, Ui};
use super::seen::{Row, Seen};
use crate::output::number::{cost, duration, grouped, of_limit, percent, score, short};

/// What marks the plan that leads.
const STAR: &str = "★";

pub(super) fn head(seen: &Seen, theme: Theme) -> Vec<Line<'static>> {
    use agenttts_core::StudyState::{Done, Failed, Running};
    let style = match seen.glance.state {
        _ if seen.is_run() => theme.good(),
        Done => theme.good(),
        Running | Failed => theme.bad(),
        _ => theme.warn(),
    };
    let mut first =
        vec![Span::styled(seen.glance.name.clone(), theme.bold()), Span::raw("  "), Span::styled(seen.state(), style)];
    let more = match (&seen.now, &seen.glance.stop_reason) {
        (Some(now), _) if seen.is_run() => Some(match seen.glance.under_way {
            Some(under_way) => format!("{now} · {} of {} examples", under_way.done, under_way.total),
            None => now.clone(),
        }),
        (_, Some(reason)) if !seen.is_run() => Some(reason.clone()),
        _ => None,
    };
    first.extend(more.map(|more| Span::raw(format!(": {more}"))));
    let o = &seen.outline;
    let agent = o.agent.as_ref().map_or_else(String::new, |a| format!(" with {a}"));
    let budget = cost(o.cost_model, o.plan_budget);
    let second = format!("{} · {}{agent} · {} · at most {budget} a query", o.pipeline, o.method, o.objective);
    vec![Line::from(first), Line::styled(second, theme.soft())]
}

/// Trials, spending against every limit, and time.
pub(super) fn progress(seen: &Seen, theme: Theme, width: u16) -> Vec<Line<'static>> {
    let bar_width = usize::from(width.saturating_sub(46).clamp(8, 30));
    let line = |name: &str, share: Option<f64>, words: String| {
        let mut spans = vec![Span::styled(format!("{name:<8}"), theme.soft())];
        if let Some(share) = share {
            let style = match share {
                s if s >= 1.0 && name != "trials" => theme.bad(),
                s if s >= 0.9 && name != "trials" => theme.warn(),
                _ => theme.good(),
            };
            spans.extend([Span::styled(bar(share, bar_width), style), Span::raw(" ")]);
        }
        spans.push(Span::raw(words));
        Line::from(spans)
    };
    let (made, most) = seen.made();
    let measured = seen.measured;
    let reading = if seen.is_complete { "" } else { ", more are being read" };
    let trials = match most {
        // Trials on parts of the examples count as parts of one.
        Some(most) if (made - measured as f64).abs() < 0.005 => {
            line("trials", Some(made / f64::from(most.max(1))), format!("{measured} of {most} measured{reading}"))
        }
        Some(most) => {
            let words = format!("{measured} measured, worth {made:.1} of {most}{reading}");
            line("trials", Some(made / f64::from(most.max(1))), words)
        }
        None => line("trials", None, format!("{} measured{reading}", grouped(measured as u128))),
    };
    let mut lines = vec![trials];
    for (what, used, limit) in seen.limits() {
        let share = if limit > 0.0 { used / limit } else { 1.0 };
        let name = if what == "flops" { "work" } else { what };
        let words = match seen.is_added_up {
            true => format!("{} of {}", of_limit(what, used), of_limit(what, limit)),
            false => format!("of {}, being added up", of_limit(what, limit)),
        };
        lines.push(line(name, Some(share), format!("{:>4} {words}", percent(share))));
    }
    let spend = &seen.outline.spend;
    let tokens = short(spend.total.tokens() as f64);
    let money =
        spend.usd.filter(|usd| *usd > 0.0).map_or_else(String::new, |usd| format!(", {}", of_limit("usd", usd)));
    let words = match seen.is_added_up {
        true => format!("{tokens} tokens in {} calls{money}", grouped(u128::from(spend.total.calls))),
        false => "being added up".into(),
    };
    lines.push(line("spent", None, words));
    let left = seen.seconds_left().map_or_else(String::new, |left| format!(", about {} left", duration(left)));
    lines.push(line("time", None, format!("{}{left}", duration(seen.seconds()))));
    lines
}

fn bar(share: f64, width: usize) -> String {
    let full = ((share.clamp(0.0, 1.0) * width as f64).round() as usize).min(width);
    format!("{}{}", "█".repeat(full), "░".repeat(width - full))
}

pub(super) fn best_title(seen: &Seen) -> String {
    match &seen.best {
        Some(best) if best.is_recommended => format!("The recommended plan (trial {})", best.trial),
        Some(best) => format!("The plan that leads (trial {})", best.trial),
        None => "The plan that leads".into(),
    }
}

/// The plan that leads, stage by stage, and how it did.
pub(super) fn best(seen: &Seen, theme: Theme) -> Vec<Line<'static>> {
    let Some(best) = &seen.best else {
        return vec![Line::styled("nothing is measured yet", theme.soft())];
    };
    let price = cost(seen.outline.cost_model, best.cost);
    let mut lines = vec![Line::from(vec![
        Span::styled(score(&best.objective), theme.bold()),
        Span::raw(format!("  n={}  {price} a query", best.objective.n)),
    ])];
    if let Some(tested) = seen.outline.confirmation.as_ref().and_then(|c| Some((c.examples, c.plans.first()?))) {
        let (examples, plan) = tested;
        lines.push(Line::raw(format!("{}  on the {examples} test examples", score(&plan.objective))));
    }
    lines.extend(choices(seen, &best.plan).into_iter().map(Line::raw));
    lines
}

/// The choices of a plan, one stage a line.
pub(super) fn choices(seen: &Seen, plan: &agenttts_core::Plan) -> Vec<String> {
    let stages = &seen.outline.stages;
    let longest = stages.iter().map(|s| s.name.chars().count()).max().unwrap_or(0).min(20);
    let line = |(stage, choice): (&agenttts_core::StageSummary, &agenttts_core::Choice)| {
        format!("{:<longest$}  {choice}", stage.name)
    };
    stages.iter().zip(&plan.choices).map(line).collect()
}

/// The leading plan's objective by trial, with its interval.
pub(super) fn chart(frame: &mut Frame<'_>, area: Rect, seen: &Seen, theme: Theme) {
    let Some((_, last)) = seen.leads.last() else {
        frame.render_widget(Paragraph::new(Line::styled("nothing is measured yet", theme.soft())), area);
        return;
    };
    let series = |of: fn(&Estimate) -> f64| {
        // A plan leads until the next one does.
        let mut points: Vec<(f64, f64)> = Vec::with_capacity(seen.leads.len() * 2);
        for (since, estimate) in &seen.leads {
            if let Some(&(_, before)) = points.last() {
                points.push((f64::from(*since), before));
            }
            points.push((f64::from(*since), of(estimate)));
        }
        points.push((f64::from(seen.last_measured.max(1)), of(last)));
        points
    };
    let (mean, low, high) = (series(|e| e.mean), series(|e| e.low), series(|e| e.high));
    let finite = |points: &[(f64, f64)]| points.iter().copied().filter(|p| p.1.is_finite()).collect::<Vec<_>>();
    let (mean, low, high) = (finite(&mean), finite(&low), finite(&high));
    let all = || mean.iter().chain(&low).chain(&high).map(|p| p.1);
    let (bottom, top) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let (bottom, top) = ((bottom * 20.0).floor() / 20.0, (top * 20.0).ceil() / 20.0);
    let top = if top > bottom { top } else { bottom + 0.05 };
    let first = f64::from(seen.leads[0].0);
    let end = f64::from(seen.last_measured).max(first + 1.0);
    let set = |points, marker, style: Style, kind| {
        Dataset::default().data(points).marker(marker).style(style).graph_type(kind)
    };
    let chart = Chart::new(vec![
        set(&low, Marker::Dot, theme.soft(), GraphType::Line),
        set(&high, Marker::Dot, theme.soft(), GraphType::Line),
        set(&mean, Marker::Braille, theme.line(), GraphType::Line),
    ]);
    let y = [bottom, (bottom + top) / 2.0, top].map(|v| Span::raw(format!("{v:.2}")));
    let x = [format!("{first:.0}"), format!("{end:.0}")].map(Span::raw);
    let chart = chart
        .x_axis(Axis::default().bounds([first, end]).labels(x).style(theme.soft()))
        .y_axis(Axis::default().bounds([bottom, top]).labels(y).style(theme.soft()));
    frame.render_widget(chart, area);
}

pub(super) fn front_note(seen: &Seen) -> String {
    if seen.is_believed || seen.front.is_empty() { String::new() } else { "by the plans' own means ".into() }
}

pub(super) fn front(frame: &mut Frame<'_>, area: Rect, seen: &Seen, theme: Theme) {
    if seen.front.is_empty() {
        frame.render_widget(Paragraph::new(Line::styled("nothing is measured yet", theme.soft())), area);
        return;
    }
    let best = seen.best.as_ref().map(|b| b.trial);
    let rows = seen.front.iter().map(|row| {
        let mark = if best == Some(row.trial) { STAR } else { " " };
        table_row(seen, row, format!("{mark}{}", row.trial), area.width)
    });
    frame.render_widget(table(seen, rows, area.width, theme), area);
}

pub(super) fn trials_note(seen: &Seen, shown: &Shown) -> String {
    let all = grouped(u128::from(seen.glance.trials.max(shown.all as u32)));
    match shown.rows.is_empty() {
        true => String::new(),
        false => format!("{} to {} of {all}, the newest first ", shown.from + 1, shown.from + shown.rows.len()),
    }
}

pub(super) fn trials(frame: &mut Frame<'_>, area: Rect, seen: &Seen, shown: &Shown, ui: &Ui, theme: Theme) {
    if shown.rows.is_empty() {
        frame.render_widget(Paragraph::new(Line::styled("no trial is proposed yet", theme.soft())), area);
        return;
    }
    let best = seen.best.as_ref().map(|b| b.trial);
    let rows = shown.rows.iter().enumerate().map(|(i, row)| {
        let is_chosen = ui.chosen == Some(shown.from + i);
        let mark = match () {
            () if is_chosen => ">",
            () if best == Some(row.trial) => STAR,
            () => " ",
        };
        let line = table_row(seen, row, format!("{mark}{}", row.trial), area.width);
        if is_chosen { line.style(theme.chosen()) } else { line }
    });
    frame.render_widget(table(seen, rows, area.width, theme), area);
}

/// Below this width the intervals are left out.
const NARROW: u16 = 70;

fn quality(row: &Row, width: u16) -> String {
    match row.fate {
        Fate::Measured if width < NARROW => format!("{:.3}", row.objective.mean),
        Fate::Measured => score(&row.objective),
        Fate::Pending => "open".into(),
        Fate::Abandoned => "given up".into(),
    }
}

fn price(seen: &Seen, row: &Row) -> String {
    if row.fate == Fate::Measured { cost(seen.outline.cost_model, row.cost) } else { String::new() }
}

fn table_row<'a>(seen: &Seen, row: &Row, first: String, width: u16) -> ratatui::widgets::Row<'a> {
    let failed = if row.failures > 0 { format!("{} failed: ", row.failures) } else { String::new() };
    let right = |text: String| Cell::from(Text::raw(text).right_aligned());
    let n = if row.fate == Fate::Measured { row.objective.n.to_string() } else { String::new() };
    let mut cells = vec![right(first), Cell::from(quality(row, width))];
    if width >= NARROW {
        cells.push(right(n));
    }
    cells.extend([right(price(seen, row)), Cell::from(format!("{failed}{}", row.plan))]);
    ratatui::widgets::Row::new(cells)
}

fn table<'a>(
    seen: &Seen,
    rows: impl Iterator<Item = ratatui::widgets::Row<'a>>,
    width: u16,
    theme: Theme,
) -> Table<'a> {
    let unit = cost(seen.outline.cost_model, 1234.0).len().max(8) as u16;
    let right = |text: &'static str| Cell::from(Text::raw(text).right_aligned());
    let (head, widths) = match width < NARROW {
        true => (
            vec![right("trial"), Cell::from("quality"), right("cost"), Cell::from("plan")],
            vec![Constraint::Length(7), Constraint::Length(8), Constraint::Length(unit), Constraint::Fill(1)],
        ),
        false => (
            vec![right("trial"), Cell::from("quality"), right("n"), right("cost"), Cell::from("plan")],
            vec![
                Constraint::Length(7),
                Constraint::Length(20),
                Constraint::Length(4),
                Constraint::Length(unit),
                Constraint::Fill(1),
            ],
        ),
    };
    Table::new(rows, widths).header(ratatui::widgets::Row::new(head).style(theme.soft()))
}

/// The newest events that fit, the newest last, each with the time since the study began.
pub(super) fn events(seen: &Seen, area: Rect, theme: Theme) -> Vec<Line<'static>> {
    let from = seen.events.len().saturating_sub(usize::from(area.height));
    let shown = seen.events.iter().skip(from).map(|event| {
        let seconds = (event.ms - seen.glance.started_ms).max(0) / 1000;
        let since = format!("{:>3}:{:02}:{:02}  ", seconds / 3600, seconds / 60 % 60, seconds % 60);
        Line::from(vec![Span::styled(since, theme.soft()), Span::raw(event.line.clone())])
    });
    shown.collect()
}
