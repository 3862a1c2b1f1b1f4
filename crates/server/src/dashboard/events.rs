//! What happens in studies, as server-sent events. Other processes write to the store, so it is looked at again and again.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use agenttts_core::{StudyState, UnderWay};
use agenttts_engine::Glance;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use futures::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::Fault;
use super::query::{Path, Query};
use super::view::{DashboardState, blocking};

/// How often the store is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// Events that are sent at once at the most.
const MOST: u32 = 200;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct After {
    after: Option<i64>,
}

/// An event of a study.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StudyEvent")]
pub(crate) struct Happened {
    /// Its number in the study.
    seq: i64,
    /// Milliseconds since 1970.
    ms: i64,
    /// As the study told it; events of other versions may have other fields.
    #[schemars(with = "agenttts_engine::Event")]
    event: Box<RawValue>,
}

/// How a study stands.
#[derive(Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Standing {
    state: StudyState,
    is_run: bool,
    trials: u32,
    last_event: i64,
    under_way: Option<UnderWay>,
}

impl Standing {
    fn of(glance: &Glance) -> Self {
        let Glance { state, is_run, trials, last_event, under_way, .. } = *glance;
        Standing { state, is_run, trials, last_event, under_way }
    }
}

/// What the stream of a study sends.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "StudyStream")]
#[allow(dead_code, reason = "its schema is used")]
pub(crate) enum Sent {
    Event(Box<Happened>),
    Standing(Standing),
}

/// Studies whose state changed, by name.
#[derive(JsonSchema)]
#[serde(transparent)]
#[allow(dead_code, reason = "its schema is used")]
pub(crate) struct Standings(HashMap<String, Standing>);

type Events =
    Sse<axum::response::sse::KeepAliveStream<std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>>>;

/// New events of one study: those after `after` (or the header `last-event-id`), else those from now on. An event `standing`
/// tells when the study's state changes, and how far its present trial is.
pub(super) async fn of_study(
    State(state): State<DashboardState>,
    Path(study): Path<String>,
    Query(After { after }): Query<After>,
    headers: HeaderMap,
) -> Result<Events, Fault> {
    let resumed = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let name = study.clone();
    let now = state.look(name, |view| Ok(view.glance()?.last_event)).await?;
    let begin = Follow { state, study, seq: resumed.or(after).unwrap_or(now), told: None };
    let ended = begin.state.clone();
    Ok(follow(ended, begin, |mut follow| async move {
        let (study, seq) = (follow.study.clone(), follow.seq);
        let seen = follow.state.look(study, move |view| {
            let events = view.store().events_after(view.looked().id(), seq, MOST)?;
            let glance = view.glance()?;
            Ok((events, Standing::of(&glance)))
        });
        // A store that cannot be read for a moment is asked again.
        let Ok((events, standing)) = seen.await else { return (Vec::new(), follow) };
        let mut out = Vec::with_capacity(events.len() + 1);
        for (seq, ms, json) in events {
            follow.seq = seq;
            let Ok(event) = RawValue::from_string(json) else { continue };
            out.extend(Event::default().id(seq.to_string()).json_data(Happened { seq, ms, event }).ok());
        }
        let known = Standing { last_event: 0, trials: 0, ..standing };
        if follow.told != Some(known) {
            follow.told = Some(known);
            out.extend(Event::default().event("standing").json_data(standing).ok());
        }
        (out, follow)
    }))
}

struct Follow {
    state: DashboardState,
    study: String,
    seq: i64,
    told: Option<Standing>,
}

/// How all studies stand: once at the beginning, then each that changes.
pub(super) async fn of_all(State(state): State<DashboardState>) -> Events {
    let begin = (state, HashMap::<String, Standing>::new());
    let ended = begin.0.clone();
    follow(ended, begin, |(state, mut told)| async move {
        let look = state.clone();
        let seen = blocking(move || match look.stores()? {
            Some(stores) => Ok(agenttts_engine::glances(&stores.pages)?),
            None => Ok(Vec::new()),
        });
        let mut changed = HashMap::new();
        for glance in seen.await.unwrap_or_default() {
            let standing = Standing::of(&glance);
            // The list does not show how far a trial is.
            let known = Standing { under_way: None, ..standing };
            if told.get(&glance.name) != Some(&known) {
                told.insert(glance.name.clone(), known);
                changed.insert(glance.name, standing);
            }
        }
        let out = if changed.is_empty() { None } else { Event::default().event("standing").json_data(changed).ok() };
        (out.into_iter().collect(), (state, told))
    })
}

/// Looks again and again, and sends what was seen, until the server ends.
fn follow<S, F, L>(server: DashboardState, begin: S, look: L) -> Events
where
    S: Send + 'static,
    F: Future<Output = (Vec<Event>, S)> + Send + 'static,
    L: FnMut(S) -> F + Send + 'static,
{
    let begin = (server, begin, look, true, Vec::<Event>::new().into_iter());
    let events = stream::unfold(begin, |(server, mut state, mut look, mut is_first, mut waiting)| async move {
        loop {
            if let Some(event) = waiting.next() {
                return Some((Ok(event), (server, state, look, is_first, waiting)));
            }
            if !is_first {
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    () = server.ended() => return None,
                }
            }
            is_first = false;
            let seen = look(state).await;
            (waiting, state) = (seen.0.into_iter(), seen.1);
        }
    });
    let events: std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>> = Box::pin(events);
    Sse::new(events).keep_alive(KeepAlive::default())
}
