//! Search methods compared: landscapes and tapes on which trials cost no model call, a harness that runs methods on them
//! at equal spending, and what is said of the outcome.
//!
//! A method sees an [`Ask`](agenttts_search::Ask) and nothing else: noisy measurements, never the [`Truth`] that judges
//! it.

mod contestant;
mod environment;

pub use contestant::{Contestant, Entry, Fault, Method, Outside, Peer, PeerFactory, Player, Responder};
pub use environment::{Arena, Environment, Session, Truth, Unit};
