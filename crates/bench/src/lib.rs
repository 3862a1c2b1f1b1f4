//! Search methods compared: landscapes and tapes on which trials cost no model call, a harness that runs methods on them
//! at equal spending, and what is said of the outcome.
//!
//! A method sees an [`Ask`](agenttts_search::Ask) and nothing else: noisy measurements, never the [`Truth`] that judges
//! it.

mod agents;
mod contestant;
mod environment;
mod harness;
mod landscape;
mod methods;
mod oracle;
mod page;
mod peers;
mod results;
mod simulate;
mod source;
mod studies;
mod tape;
mod tournament;

pub use agents::{AgentModel, Agents, Drawn, Replies, earlier_study};
pub use agenttts_search::Question;
pub use contestant::{Contestant, Entry, Fault, Method, Outside, Peer, PeerFactory, Player, Responder, Sizes};
pub use environment::{Arena, Environment, Session, Truth, Unit};
pub use harness::{ARRIVED, Match, Point, Run};
pub use landscape::{Table, TableModel, TableRow, TableStage, read_landscape, write_landscape};
pub use methods::{UnknownContestant, asks_a_model, contestant, contestant_with, default_methods};
pub use page::{html, svg, svg_name};
pub use peers::{PEERS, Patience, PeerProcesses, is_peer, peer, peer_python};
pub use results::{
    CurvePoint, FaultNote, LandscapeSummary, MethodSummary, Overall, OverallPoint, PointSummary, RESULTS_VERSION,
    Results, RunPoint, Time,
};
pub use simulate::{SIMULATED, simulate};
pub use source::open;
pub use studies::{
    ABLATED, Belief, DEFAULT_PRICES, LeftOut, STUDIED, STUDY_RESULTS_VERSION, Study, StudyCell, StudyLandscape,
    StudyResults, StudySetting, study_html, study_svg,
};
pub use tape::read_tape;
pub use tournament::{Options, Series, play};
