//! Commands on tapes: recording one, and the demo that plays one.

mod demo;
mod record;

pub(crate) use demo::demo;
pub(crate) use record::record;
