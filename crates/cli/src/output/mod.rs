//! What a person or a script sees. The only place that writes to stdout and stderr.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod data;
pub(crate) mod number;
pub(crate) mod pilot;
mod problem;
pub(crate) mod progress;
pub(crate) mod recording;
pub(crate) mod replan;
pub(crate) mod robust;
pub(crate) mod screen;
pub(crate) mod study;
pub(crate) mod table;
pub(crate) mod trials;
pub(crate) mod watch;
pub(crate) mod why;

pub(crate) use screen::{Paint, Screen};
