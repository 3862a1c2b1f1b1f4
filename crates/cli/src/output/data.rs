//! Data files in words.

use std::path::PathBuf;

use agenttts_tasks::{Inspection, Note, PrepareReport, Range};
use serde_json::{Map, Value};

use super::number::grouped;

/// What a file holds.
pub(crate) fn inspection(found: &Inspection) -> String {
    let mut text = format!("{}: {}\n", found.file, found.format);
    let mut line = |name: &str, value: String| text += &format!("  {name:<12}{value}\n");
    line("examples", grouped(found.examples as u128));
    if let Some(range) = found.candidates {
        line("candidates", format!("{} per example, as published", shown_range(range)));
    }
    if let Some(range) = found.gold {
        line("gold", format!("{} per example", shown_range(range)));
    }
    if let Some(corpus) = found.corpus {
        let corpus = grouped(corpus as u128);
        line("pool", format!("{corpus} distinct candidates in the file, from which `data prepare` fills pools of 100"));
    }
    if let Some(tools) = found.tools {
        line("tools", grouped(tools as u128));
    }
    for missing in &found.missing {
        line("missing", missing.clone());
    }
    for note in &found.notes {
        line("note", shown_note(note));
    }
    if found.bad > 0 {
        line("bad", format!("{} examples; `data prepare` leaves them out with --skip-bad", grouped(found.bad as u128)));
    }
    for fault in &found.faults {
        text += &format!("    {fault}\n");
    }
    if found.bad > found.faults.len() {
        text += &format!("    and {} more\n", found.bad - found.faults.len());
    }
    for (index, example) in found.shown.iter().enumerate() {
        text += &format!("\nExample {}\n{}", index + 1, shown_example(example));
    }
    text
}

/// What preparing wrote.
pub(crate) fn prepared(report: &PrepareReport, written: &[(PathBuf, usize)]) -> String {
    let mut text = format!("{}, {} examples\n", report.format, grouped(report.examples as u128));
    for (path, examples) in written {
        text += &format!("  {}: {} examples\n", path.display(), grouped(*examples as u128));
    }
    if let Some(corpus) = report.corpus {
        text += &format!("  pools were filled from {} distinct candidates\n", grouped(corpus as u128));
    }
    if report.left_out > 0 {
        text += &format!("  left out, as they cannot be used: {}\n", grouped(report.left_out as u128));
    }
    if report.unused_relatives > 0 {
        let unused = grouped(report.unused_relatives as u128);
        text += &format!("  in neither split, as they share their source with one that is: {unused}\n");
    }
    for note in &report.notes {
        text += &format!("  note: {}\n", shown_note(note));
    }
    text
}

fn shown_range(range: Range) -> String {
    if range.least == range.most {
        return range.least.to_string();
    }
    format!("{} to {}, mean {:.1}", range.least, range.most, range.mean)
}

fn shown_note(note: &Note) -> String {
    format!("{} (of {} examples, the first is {})", note.what, grouped(note.examples as u128), note.first)
}

fn shown_example(example: &Map<String, Value>) -> String {
    const SHOWN: usize = 3;
    let mut text = String::new();
    for (name, value) in example {
        match value {
            Value::Array(items) if items.iter().any(Value::is_object) => {
                text += &format!("  {name}: {} items\n", items.len());
                for item in items.iter().take(SHOWN) {
                    text += &format!("    {}\n", short(item));
                }
                if items.len() > SHOWN {
                    text += &format!("    and {} more\n", items.len() - SHOWN);
                }
            }
            Value::Object(fields) => {
                text += &format!("  {name}:\n");
                for (name, value) in fields {
                    text += &format!("    {name}: {}\n", short(value));
                }
            }
            value => text += &format!("  {name}: {}\n", short(value)),
        }
    }
    text
}

/// A value on one line. What data say to a terminal is text, never a command.
fn short(value: &Value) -> String {
    const LONGEST: usize = 160;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let short: String = chars.by_ref().take(LONGEST).collect();
    if chars.next().is_some() { short + "..." } else { short }
}
