//! The engine: loads pipelines, runs plans and studies, keeps budgets, and tells what happens as events.
//!
//! The only owner of the clock and of concurrency. It never prints: observers do.

mod adaptive;
mod aside;
mod bank;
mod books;
mod budget;
mod code;
mod confirm;
mod direct;
mod drawn;
mod error;
mod event;
mod execute;
mod expected;
mod fit;
mod forecast;
mod history;
mod judging;
mod listener;
mod load;
mod look;
mod order;
mod pace;
mod pilot;
mod plan_file;
mod prompts;
mod quarantine;
mod recorder;
mod replan;
mod rivals;
mod runner;
mod seal;
mod settings;
mod source;
mod steps;
mod stop;
mod streams;
mod study;
mod summary;
mod tape;
mod trial;
mod verdict;
mod workshop;

pub use adaptive::{ADAPTIVE_VERSION, AdaptiveReport, AdaptiveRow, adaptive};
pub use agenttts_search::{AgentStyle, METHODS};
pub use agenttts_store::{Amounts, Limits};
pub use direct::{Meter, Reading};
pub use error::{EngineError, EngineErrorKind};
pub use event::{Event, Leader, Limit, Observer, Observers, Spent};
pub use execute::Adaptive;
pub use expected::{Expected, Spread};
pub use fit::LeftOut;
pub use forecast::{Forecast, forecast};
pub use listener::{CallBegins, CallListener, Listener, StageEnds, StageListener};
pub use load::{FactsLookup, LoadOptions, Loaded, PIPELINE_FILE, load_pipeline, load_pipeline_with};
pub use look::{
    CombinedLook, ExampleTrace, Fate, Glance, Lead, LookError, Looked, MOST_EXPLAINED, PlanLine, RunLook, Said,
    SampleLook, StageLook, TrialIndex, TrialLine, View, Votes, glances,
};
pub use pilot::{PILOT_MARGIN, PilotOptions, pilot, pilot_tape};
pub use plan_file::{FrontPlan, Measured, PLAN_FILE_VERSION, PlanFile, PlanStage, Source};
pub use prompts::{PromptFit, prompt_fits};
pub use replan::{Candidate, REPLAN_VERSION, Replan, ReplanOptions, RunnerUp, Surer, replan};
pub use runner::{Answer, ItemTrace, RunOptions, Runner, StageTrace, StepTrace};
pub use settings::{ResumeOptions, SearchOptions};
pub use stop::StopHandle;
pub use study::{StudyContext, resume_study, start_study};
pub use summary::{StudyLine, list_studies, plan_file, summary};
pub use tape::{
    ExportOptions, MOST_RECORDED, Need, PlayedTape, Recorder, TAPE_VERSION, Tape, export, record, replayed,
};
pub use workshop::{ModelSet, Probe, ProbeReply, Workshop, probe};
