//! Who may do what.

mod guard;
mod keys;

pub(crate) use guard::{Access, Client, guard, host, login, login_page};
pub use keys::{ApiKey, KeyFile, KeyFileError, Scope};
