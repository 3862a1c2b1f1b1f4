//! A study as a terminal shows it: `seen` is what is known of it, `draw` and `panels` what that looks like, `live` the
//! screen that keys move, `plain` lines where there is no screen.

mod draw;
mod live;
mod panels;
mod plain;
mod seen;

pub(crate) use live::{live, once};
pub(crate) use plain::plain;
pub(crate) use seen::Watching;

use std::time::Duration;

/// How often the store is looked at.
const EVERY: Duration = Duration::from_millis(500);
