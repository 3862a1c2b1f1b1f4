//! What a tape of a study holds besides the pipeline: how the study searched, and its draws stream by stream.

use std::collections::{BTreeMap, HashMap};

use agenttts_core::pipeline::{Overrides, Snapshot};
use agenttts_core::{Archive, Request, RequestKey};
use agenttts_search::History;
use serde::{Deserialize, Serialize};

use super::{Recorded, Tape};
use crate::error::EngineError;
use crate::load::Loaded;
use crate::settings::{SearchOptions, StudySettings};
use crate::streams::Purpose;
use crate::summary::task_text;

/// A study that a tape replays.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Studied {
    /// The study's name.
    pub(crate) name: String,
    /// How it searched.
    pub(crate) settings: StudySettings,
    /// The earlier study that it learned from.
    pub(crate) earlier: Option<Earlier>,
    /// Its draws, by what their stream was for.
    pub(crate) streams: BTreeMap<Purpose, Stream>,
}

/// The draws of one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stream {
    /// By the key of their request for the model as it was then.
    pub(crate) requests: HashMap<RequestKey, Recorded>,
    /// Why its only request has no draw: the question to an agent that was never answered.
    pub(crate) failure: Option<String>,
}

/// An earlier study, as far as methods learn from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Earlier {
    /// Its name.
    pub(crate) name: String,
    /// Its pipeline.
    pub(crate) snapshot: Snapshot,
    /// What it tried.
    pub(crate) archive: Archive,
}

impl Earlier {
    /// Its name, and what a method may read of it.
    ///
    /// # Errors
    /// A pipeline that this program refuses.
    pub(crate) fn read(&self) -> Result<(String, History), EngineError> {
        let loaded = Loaded::new(self.snapshot.clone())?;
        let task = task_text(&loaded.pipeline);
        Ok((self.name.clone(), History { task, archive: self.archive.clone(), space: loaded.space }))
    }
}

impl Studied {
    /// The pipeline's snapshot with all that the command line had changed in this study, also when it was resumed.
    pub(crate) fn overridden(mut snapshot: Snapshot, loaded: &Loaded, settings: &StudySettings) -> Snapshot {
        let mut search = loaded.pipeline.search.clone();
        search.trials = settings.search.trials.unwrap_or(search.trials);
        let plan_budget = snapshot.overrides.plan_budget;
        snapshot.overrides =
            Overrides { plan_budget, search_budget: Some(settings.search_budget), search: Some(search) };
        // What programs gave is on the tape.
        snapshot.workplace = None;
        snapshot
    }

    fn options(&self) -> SearchOptions {
        let insights = self.settings.search.insights;
        SearchOptions {
            method: Some(self.settings.method.clone()),
            without_insights: (1..=3).filter(|&n| insights.without(n) == insights).collect(),
            agent_style: self.settings.search.agent,
            racing: Some(self.settings.racing),
            ..SearchOptions::default()
        }
    }
}

impl Tape {
    /// How the study of the tape searched; nothing where the tape holds a grid.
    pub fn search_options(&self) -> Option<SearchOptions> {
        self.studied.as_ref().map(Studied::options)
    }

    /// The name of the study whose draws the tape holds; nothing where it holds a grid.
    pub fn study(&self) -> Option<&str> {
        self.studied.as_ref().map(|studied| studied.name.as_str())
    }

    /// How many draws of a request were there before the study of the tape began.
    pub(crate) fn there_before(&self, model: &str, request: &Request, purpose: Purpose) -> u32 {
        let stream = self.studied.as_ref().and_then(|studied| studied.streams.get(&purpose));
        let (Some(stream), Some(identity)) = (stream, self.models.get(model)) else { return 0 };
        stream.requests.get(&request.key(identity)).map_or(0, |recorded| recorded.there)
    }

    /// Refuses tapes of studies where all plans must be there.
    pub(crate) fn check_grid(&self) -> Result<(), EngineError> {
        match self.study() {
            None => Ok(()),
            Some(study) => Err(EngineError::input(
                format!("the tape holds only what the study {study} drew, not the draws of all plans"),
                "replay it with `agenttts search --tape`; `agenttts bench record PIPELINE` records all plans",
            )),
        }
    }
}
