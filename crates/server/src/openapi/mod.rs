//! The OpenAPI document: every address of the two APIs, with schemas that are made of the types that handlers read and
//! write. `openapi.json` is that document, committed, so that clients are made from it and changes are seen; a test holds
//! it to what [`document`] makes.

mod build;
mod chat;
mod dashboard;
mod serving;

use serde_json::{Value, json};

use build::Builder;

/// The committed document.
pub(crate) const COMMITTED: &str = include_str!("../../openapi.json");

/// Makes the document.
pub fn document() -> Value {
    let mut builder = Builder::default();
    serving::operations(&mut builder);
    dashboard::operations(&mut builder);
    let (paths, schemas) = builder.finish();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "agenttts",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Found plans over the OpenAI API, and the dashboard's data.",
            "description": "`x-scope` is the scope that a key needs, where the server has keys. Addresses below `/api` serve \
                            the dashboard's pages and may change with them.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The server that this document comes from."}],
        "tags": [
            {"name": "openai", "description": "Plans as models of the OpenAI API."},
            {"name": "serving", "description": "Structured inputs, traffic, and how the server does."},
            {"name": "dashboard", "description": "Studies, their trials, and why an example got its answer."},
        ],
        "security": [{"key": []}, {"cookie": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "Error": {
                    "description": "What is wrong.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorReply"}}},
                },
            },
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key that `agenttts keys new` made."},
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "agenttts_key",
                    "description": "The same key, as `/login` sets it for browsers.",
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use agenttts_engine::Workshop;

    use super::*;
    use crate::{ServeOptions, Server};

    /// Addresses that are pages and their files.
    const PAGES: [&str; 9] = [
        "/",
        "/assets/{file}",
        "/login",
        "/playground",
        "/serving",
        "/studies/{study}",
        "/studies/{study}/report",
        "/studies/{study}/{*rest}",
        // What is none of the others.
        "/api/{*rest}",
    ];

    #[tokio::test]
    async fn every_route_is_in_the_document() {
        let address = "127.0.0.1:0".parse().unwrap();
        let options = ServeOptions::local(address, Workshop::new("no-models".into()), "no-store.db".into());
        let server = Server::bind(options).await.unwrap();
        // axum lists its routes nowhere but in its debug form.
        let routes = format!("{:?}", crate::app::router(Arc::clone(server.app())));
        let routes: BTreeSet<&str> =
            routes.split('"').filter(|text| text.starts_with('/') && !text.contains("__private")).collect();
        let document = document();
        let mut known: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        known.extend(PAGES);
        let missing: Vec<&&str> = routes.difference(&known).collect();
        assert!(missing.is_empty(), "not in the document: {missing:?}");
        let invented: Vec<&&str> = known.difference(&routes).collect();
        assert!(invented.is_empty(), "not in the router: {invented:?}");
    }
}
