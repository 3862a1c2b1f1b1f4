//! The screen as a whole: what fits where, and what lies over it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::panels;
use super::seen::{Row, Seen};

/// From this width on there are two columns.
const WIDE: u16 = 120;

/// How things stand out. Colour is never the only carrier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    colour: bool,
}

impl Theme {
    pub(super) fn new(colour: bool) -> Self {
        Theme { colour }
    }

    pub(super) fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn soft(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn good(self) -> Style {
        self.painted(Color::Green)
    }

    pub(super) fn warn(self) -> Style {
        self.painted(Color::Yellow)
    }

    pub(super) fn bad(self) -> Style {
        self.painted(Color::Red)
    }

    pub(super) fn line(self) -> Style {
        self.painted(Color::Cyan)
    }

    fn painted(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }
}

/// What the person has chosen to see.
#[derive(Debug, Default)]
pub(super) struct Ui {
    /// The chosen trial, by how far it is from the newest.
    pub(super) chosen: Option<usize>,
    /// What lies over the rest.
    pub(super) over: Over,
    /// What the last key did, where that is worth a word.
    pub(super) note: Option<String>,
    /// Rows that the table of trials had when it was last drawn.
    pub(super) page: usize,
}

/// What lies over the rest.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Over {
    #[default]
    Nothing,
    /// The keys.
    Help,
    /// Whether the study is to be stopped.
    Stop,
    /// A trial: its title, and lines about it.
    Trial(String, Vec<String>),
}

/// The trials that are shown: some of them, the newest first; the place of the first; and how many there are.
pub(super) struct Shown {
    pub(super) rows: Vec<Row>,
    pub(super) from: usize,
    pub(super) all: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Progress,
    Best,
    Chart,
    Front,
    Trials,
    Events,
}

/// The parts of a column: in their order, each with its place when there is too little room, its least and its wanted lines.
type Column = Vec<(Part, u8, u16, u16)>;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, seen: &Seen, shown: &Shown, ui: &mut Ui, theme: Theme) {
    let area = frame.area();
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(0), Constraint::Length(1)]).areas(area);
    frame.render_widget(Paragraph::new(panels::head(seen, theme)), head);
    let progress = panels::progress(seen, theme, 0).len() as u16 + 1;
    let best = panels::best(seen, theme).len() as u16 + 1;
    let front = (seen.front.len() as u16).saturating_add(2).max(3);
    let events = (seen.events.len() as u16).saturating_add(1).clamp(2, 9);
    let first = vec![(Part::Progress, 0, progress, progress), (Part::Best, 1, best.min(5), best)];
    let lists = vec![
        (Part::Front, 4, front.min(4), front.min(12)),
        (Part::Trials, 2, 4, u16::MAX),
        (Part::Events, 3, events.min(3), events),
    ];
    if body.width >= WIDE {
        let columns = Layout::horizontal([Constraint::Fill(3), Constraint::Length(1), Constraint::Fill(5)]);
        let [left, _, right] = columns.areas(body);
        let mut one = first;
        one.push((Part::Chart, 5, 7, u16::MAX));
        column(frame, left, &one, seen, shown, ui, theme);
        column(frame, right, &lists, seen, shown, ui, theme);
    } else {
        let mut one = first;
        one.push((Part::Chart, 5, 7, 10));
        one.extend(lists);
        column(frame, body, &one, seen, shown, ui, theme);
    }
    frame.render_widget(Paragraph::new(foot_line(seen, ui, theme)), foot);
    over(frame, seen, ui, theme);
}

fn column(frame: &mut Frame<'_>, area: Rect, parts: &Column, seen: &Seen, shown: &Shown, ui: &mut Ui, theme: Theme) {
    let heights = heights(parts, area.height);
    let mut top = area.y;
    for (&(part, ..), height) in parts.iter().zip(heights) {
        if height < 2 {
            continue;
        }
        let place = Rect { y: top, height, ..area };
        top += height;
        let (title, note) = match part {
            Part::Progress => ("Progress".to_owned(), String::new()),
            Part::Best => (panels::best_title(seen), String::new()),
            Part::Chart => ("Best so far, by trial".to_owned(), String::new()),
            Part::Front => ("Best quality for the cost".to_owned(), panels::front_note(seen)),
            Part::Trials => ("Trials".to_owned(), panels::trials_note(seen, shown)),
            Part::Events => ("Events".to_owned(), String::new()),
        };
        let words = vec![Span::styled(format!(" {title} "), theme.bold()), Span::styled(note, theme.soft())];
        let block =
            Block::new().borders(ratatui::widgets::Borders::TOP).title(Line::from(words)).border_style(theme.soft());
        let inner = block.inner(place);
        frame.render_widget(block, place);
        match part {
            Part::Progress => {
                frame.render_widget(Paragraph::new(panels::progress(seen, theme, inner.width)), inner);
            }
            Part::Best => frame.render_widget(Paragraph::new(panels::best(seen, theme)), inner),
            Part::Chart => panels::chart(frame, inner, seen, theme),
            Part::Front => panels::front(frame, inner, seen, theme),
            Part::Trials => {
                ui.page = usize::from(inner.height.saturating_sub(1));
                panels::trials(frame, inner, seen, shown, ui, theme);
            }
            Part::Events => frame.render_widget(Paragraph::new(panels::events(seen, inner, theme)), inner),
        }
    }
}

/// The lines of each part: their least, the most important first, then what is left up to what they want, in their order.
fn heights(parts: &Column, room: u16) -> Vec<u16> {
    let mut heights = vec![0; parts.len()];
    let mut left = room;
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&i| parts[i].1);
    for &i in &order {
        let (_, _, least, _) = parts[i];
        if least <= left {
            heights[i] = least;
            left -= least;
        } else if heights.iter().all(|h| *h == 0) {
            // The most important is cut rather than left out.
            heights[i] = left;
            left = 0;
        }
    }
    // Those that want all that there is come last.
    let is_greedy = |i: &usize| parts[*i].3 == u16::MAX;
    for i in order.iter().filter(|i| !is_greedy(i)).chain(order.iter().filter(|i| is_greedy(i))) {
        if heights[*i] > 0 {
            let more = parts[*i].3.saturating_sub(heights[*i]).min(left);
            heights[*i] += more;
            left -= more;
        }
    }
    heights
}

fn foot_line(seen: &Seen, ui: &Ui, theme: Theme) -> Line<'static> {
    if let Some(note) = &ui.note {
        return Line::styled(note.clone(), theme.bold());
    }
    let keys: &[(&str, &str)] = match seen.is_run() {
        true => &[("q", "quit"), ("s", "stop the study"), ("↑↓", "trials"), ("enter", "one trial"), ("?", "help")],
        false => &[("q", "quit"), ("↑↓", "trials"), ("enter", "one trial"), ("?", "help")],
    };
    let words = keys.iter().flat_map(|(key, does)| {
        [Span::styled((*key).to_owned(), theme.bold()), Span::styled(format!(" {does}   "), theme.soft())]
    });
    Line::from_iter(words)
}

fn over(frame: &mut Frame<'_>, seen: &Seen, ui: &Ui, theme: Theme) {
    let (title, lines) = match &ui.over {
        Over::Nothing => return,
        Over::Help => ("Keys".to_owned(), HELP.iter().map(|line| (*line).to_owned()).collect()),
        Over::Stop => (
            "Stop the study?".to_owned(),
            vec![
                format!("{} is asked to stop: calls under way are awaited,", seen.glance.name),
                "and what they bring is kept. It can be resumed.".to_owned(),
                String::new(),
                "y  stop it      any other key  go on".to_owned(),
            ],
        ),
        Over::Trial(title, lines) => (title.clone(), lines.clone()),
    };
    let area = frame.area();
    let width = lines.iter().map(|l| Line::raw(l.as_str()).width()).max().unwrap_or(0).max(title.len() + 2) as u16 + 4;
    let width = width.min(area.width);
    // A long line goes on below.
    let inside = usize::from(width.saturating_sub(4).max(1));
    let rows: usize = lines.iter().map(|l| Line::raw(l.as_str()).width().div_ceil(inside).max(1)).sum();
    let height = (rows as u16 + 2).min(area.height);
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let block = Block::bordered().title(Span::styled(format!(" {title} "), theme.bold()));
    let inner = block.inner(place).inner(ratatui::layout::Margin::new(1, 0));
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    let text: Vec<Line<'_>> = lines.into_iter().map(Line::raw).collect();
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), inner);
}

const HELP: [&str; 10] = [
    "q, esc, Ctrl-C   leave; the study goes on",
    "s                stop the study, as Ctrl-C does where it runs",
    "↑ ↓  k j         the trial before, the trial after",
    "page up, down    a screen of trials",
    "home, end        the newest trial, the first trial",
    "enter            look at the chosen trial",
    "?                this",
    "",
    "Brackets are 95% intervals. ★ marks the recommended plan, or the one",
    "that leads while the search goes on.",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_most_stays_when_there_is_little_room() {
        let parts = vec![(Part::Progress, 0, 5, 5), (Part::Chart, 2, 7, u16::MAX), (Part::Trials, 1, 4, 10)];
        assert_eq!(heights(&parts, 3), [3, 0, 0], "cut");
        assert_eq!(heights(&parts, 8), [5, 0, 0]);
        assert_eq!(heights(&parts, 9), [5, 0, 4]);
        assert_eq!(heights(&parts, 40), [5, 25, 10], "all room is used");
        assert_eq!(heights(&parts, 0), [0, 0, 0]);
    }
}
