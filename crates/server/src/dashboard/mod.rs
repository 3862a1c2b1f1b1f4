//! The dashboard: studies, their trials, and why an example got its answer, as JSON for the pages in `web/`, and as a plain
//! page for browsers without JavaScript.
//!
//! Everything is read from the store while other processes write to it. What is dear to make is made once and kept, and
//! made again only when the study went on.

mod act;
pub(crate) mod api;
mod charts;
mod error;
mod events;
mod examples;
mod guard;
mod pages;
mod playground;
mod query;
mod studies;
mod trials;
mod view;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};

pub(crate) use view::DashboardState;

/// What may be looked at: pages, their files, and all data of studies.
pub(crate) fn views<S: Clone + Send + Sync + 'static>(state: DashboardState) -> Router<S> {
    let study = Router::new()
        .route("/", get(studies::one))
        .route("/trials", get(trials::page))
        .route("/trials/{trial}", get(trials::one))
        .route("/trials/{trial}/examples", get(examples::page))
        .route("/trials/{trial}/example", get(examples::one))
        .route("/progress", get(charts::progress))
        .route("/plans", get(charts::plans))
        .route("/insights", get(charts::insights))
        .route("/guidelines", get(charts::guidelines))
        .route("/compare", get(trials::compare))
        .route("/plan", get(trials::plan_file))
        .route("/events", get(events::of_study));
    let api = Router::new()
        .route("/api/studies", get(studies::list))
        .nest("/api/studies/{study}", study)
        .route("/api/events", get(events::of_all))
        .route("/api/{*rest}", get(pages::no_such_answer));
    let pages = Router::new()
        .route("/", get(pages::shell))
        .route("/studies/{study}", get(pages::shell))
        .route("/studies/{study}/{*rest}", get(pages::shell))
        .route("/studies/{study}/report", get(pages::report))
        .route("/playground", get(pages::shell))
        .route("/serving", get(pages::shell))
        .route("/assets/{file}", get(pages::asset));
    let pages = pages.layer(middleware::from_fn(guard::pages));
    api.layer(middleware::from_fn(guard::api)).merge(pages).with_state(state)
}

/// What calls models: trying plans.
pub(crate) fn tries<S: Clone + Send + Sync + 'static>(state: DashboardState) -> Router<S> {
    let routes = Router::new().route("/api/playground", post(playground::run));
    routes.layer(middleware::from_fn(guard::api)).with_state(state)
}

/// What changes studies: stopping and resuming them.
pub(crate) fn changes<S: Clone + Send + Sync + 'static>(state: DashboardState) -> Router<S> {
    Router::new()
        .route("/api/studies/{study}/stop", post(act::stop))
        .route("/api/studies/{study}/resume", post(act::resume))
        .layer(middleware::from_fn(guard::api))
        .with_state(state)
}
