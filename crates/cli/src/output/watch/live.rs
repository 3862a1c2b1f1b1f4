//! The screen: drawn again when something changed, moved by keys.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agenttts_core::TrialState;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::EVERY;
use super::draw::{Over, Shown, Theme, Ui, draw};
use super::panels::choices;
use super::seen::Watching;
use crate::failure::Failure;
use crate::output::Screen;
use crate::output::number::{cost, duration, score, short};

/// How long a key may wait.
const KEYS: Duration = Duration::from_millis(100);

/// The size of a text that is printed where there is no terminal to ask.
const USUAL: (u16, u16) = (100, 44);

/// Draws until the person leaves, or `is_over`.
pub(crate) fn live(screen: &Screen, watching: &mut Watching, is_over: &AtomicBool) -> Result<(), Failure> {
    let theme = Theme::new(screen.stdout_colour());
    // It gives the terminal back where the program panics, too.
    let mut terminal = ratatui::try_init()?;
    let ended = run(&mut terminal, watching, theme, is_over);
    ratatui::try_restore()?;
    ended
}

/// Prints what the screen would show.
pub(crate) fn once(screen: &Screen, watching: &mut Watching) -> Result<(), Failure> {
    watching.settle()?;
    let (width, height) = size();
    screen.print(&text(watching, &mut Ui::default(), width, height)?)
}

fn run(
    terminal: &mut ratatui::DefaultTerminal,
    watching: &mut Watching,
    theme: Theme,
    is_over: &AtomicBool,
) -> Result<(), Failure> {
    let mut ui = Ui::default();
    let mut looked = Instant::now();
    let mut is_changed = true;
    while !is_over.load(Ordering::Relaxed) {
        if is_changed {
            // The height of the table is known when it was drawn once.
            let page = ui.page;
            let shown = shown(watching, &ui)?;
            terminal.draw(|frame| draw(frame, &watching.seen, &shown, &mut ui, theme))?;
            is_changed = ui.page != page;
        }
        if event::poll(KEYS)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    if !press(key, &mut ui, watching)? {
                        return Ok(());
                    }
                    is_changed = true;
                }
                Event::Resize(..) => is_changed = true,
                _ => {}
            }
        }
        if looked.elapsed() >= EVERY {
            let before = watching.seen.glance.trials;
            // A store that cannot be read for a moment is asked again.
            if let Err(failure) = watching.look() {
                ui.note = Some(format!("the store cannot be read: {failure}"));
            }
            // The chosen trial stays the same when newer ones come.
            let new = watching.seen.glance.trials.saturating_sub(before) as usize;
            ui.chosen = ui.chosen.map(|place| place + new);
            looked = Instant::now();
            is_changed = true;
        }
    }
    Ok(())
}

/// The trials around the chosen one, or the newest.
fn shown(watching: &Watching, ui: &Ui) -> Result<Shown, Failure> {
    let page = ui.page.max(1);
    let all = watching.seen.glance.trials as usize;
    let chosen = ui.chosen.unwrap_or(0);
    let from = chosen.saturating_sub(page / 2).min(all.saturating_sub(page));
    let (rows, all) = watching.rows(from..from + page)?;
    Ok(Shown { rows, from, all })
}

/// What a key does; false where it ends all.
fn press(key: KeyEvent, ui: &mut Ui, watching: &Watching) -> Result<bool, Failure> {
    ui.note = None;
    let is_control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    if is_control_c {
        return Ok(false);
    }
    match std::mem::take(&mut ui.over) {
        Over::Nothing => {}
        Over::Stop => {
            if matches!(key.code, KeyCode::Char('y' | 'Y')) {
                ui.note = Some(match watching.stop() {
                    Ok(true) => "asked to stop: calls under way are awaited and kept".into(),
                    Ok(false) => "no process runs this study any more".into(),
                    Err(failure) => format!("it cannot be asked: {failure}"),
                });
            }
            return Ok(true);
        }
        // Any key puts it away.
        Over::Help | Over::Trial(..) => return Ok(true),
    }
    let last = (watching.seen.glance.trials as usize).saturating_sub(1);
    let page = ui.page.max(1);
    let at = ui.chosen.unwrap_or(0);
    let first = ui.chosen.is_none();
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return Ok(false),
        KeyCode::Char('?' | 'h') => ui.over = Over::Help,
        KeyCode::Char('s') if watching.seen.is_run() => ui.over = Over::Stop,
        KeyCode::Char('s') => ui.note = Some("no process runs this study: there is nothing to stop".into()),
        KeyCode::Up | KeyCode::Char('k') => ui.chosen = Some(at.saturating_sub(1)),
        KeyCode::Down | KeyCode::Char('j') => ui.chosen = Some(if first { 0 } else { (at + 1).min(last) }),
        KeyCode::PageUp => ui.chosen = Some(at.saturating_sub(page)),
        KeyCode::PageDown => ui.chosen = Some((at + page).min(last)),
        KeyCode::Home => ui.chosen = Some(0),
        KeyCode::End => ui.chosen = Some(last),
        KeyCode::Enter => ui.over = trial(watching, at)?,
        _ => {}
    }
    Ok(true)
}

/// What is said of the trial at a place.
fn trial(watching: &Watching, place: usize) -> Result<Over, Failure> {
    let number = watching.rows(place..place + 1)?.0.first().map(|row| row.trial);
    let Some(trial) = number.map(|n| watching.trial(n)).transpose()?.flatten() else { return Ok(Over::Nothing) };
    let seen = &watching.seen;
    let mut lines = choices(seen, &trial.plan);
    lines.push(String::new());
    match &trial.state {
        TrialState::Pending => lines.push("not measured yet".into()),
        TrialState::Abandoned(reason) => lines.push(format!("given up: {reason}")),
        TrialState::Measured(m) => {
            lines.push(format!("{}  n={}", score(&m.objective), m.objective.n));
            for (stage, estimate) in seen.outline.stages.iter().zip(&m.stages) {
                lines.extend(estimate.as_ref().map(|e| format!("  {}: {}", stage.name, score(e))));
            }
            lines.push(format!("{} a query", cost(seen.outline.cost_model, m.cost.mean)));
            let drawn = short(m.drawn.tokens() as f64);
            let fresh = short(m.fresh.tokens() as f64);
            lines.push(format!("drew {drawn} tokens of {fresh} that it needed, in {}", duration(m.seconds)));
            if m.failures > 0 {
                lines.push(format!("{} failed: {}", m.failures, m.failure_reasons.join("; ")));
            }
        }
    }
    lines.push(String::new());
    lines.push(format!("round {}, {}: {}", trial.round, trial.origin.method, trial.origin.reason));
    lines.extend(trial.origin.repairs.iter().map(|r| format!("repaired: {r}")));
    Ok(Over::Trial(format!("Trial {}", trial.number), lines))
}

/// The screen as text, without what a terminal adds.
fn text(watching: &Watching, ui: &mut Ui, width: u16, height: u16) -> Result<String, Failure> {
    let options = TerminalOptions { viewport: Viewport::Fullscreen };
    let failed = |e: std::convert::Infallible| Failure::Internal(e.to_string());
    let mut terminal = Terminal::with_options(TestBackend::new(width, height), options).map_err(failed)?;
    // The second time the table of trials is as high as there is room.
    for _ in 0..2 {
        let shown = shown(watching, ui)?;
        terminal.draw(|frame| draw(frame, &watching.seen, &shown, ui, Theme::new(false))).map_err(failed)?;
    }
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(usize::from(width)).map(|cells| {
        let line: String = cells.iter().map(|cell| cell.symbol()).collect();
        format!("{}\n", line.trim_end())
    });
    Ok(lines.collect())
}

/// The terminal's size, or what COLUMNS and LINES say.
fn size() -> (u16, u16) {
    let said = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok()).filter(|n| (1..=1_000).contains(n));
    let asked = if io::stdout().is_terminal() { ratatui::crossterm::terminal::size().ok() } else { None };
    let (width, height) = asked.unwrap_or(USUAL);
    (said("COLUMNS").unwrap_or(width), said("LINES").unwrap_or(height))
}
