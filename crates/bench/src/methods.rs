//! Contestants by the names that are typed.

use agenttts_search::{Settings, UnknownMethod, searcher};

use crate::contestant::{Contestant, Method, Sizes};

/// The contestant of a name: a search method, or `METHOD@N` for a method whose trials always run on N examples.
///
/// # Errors
/// No method has that name, or N is no number from 1 on.
pub fn contestant(name: &str) -> Result<Box<dyn Contestant>, UnknownContestant> {
    let (method, fixed) = match name.split_once('@') {
        None => (name, None),
        Some((method, n)) => {
            let n = n.parse::<u32>().ok().filter(|n| *n >= 1);
            (method, Some(n.ok_or_else(|| UnknownContestant::Examples(name.to_owned()))?))
        }
    };
    let method = Method::new(searcher(method)?, Settings::default());
    Ok(match fixed {
        None => Box::new(method),
        Some(n) => Box::new(method.named(name).sized(Sizes::Fixed(n))),
    })
}

/// No contestant has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownContestant {
    /// There is no such method.
    #[error(transparent)]
    Method(#[from] UnknownMethod),
    /// The part after `@`.
    #[error("{0:?} does not name a number of examples after the @, as random@25 does")]
    Examples(String),
}
