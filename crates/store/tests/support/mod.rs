//! What the tests of the store share: a store in a folder of its own, requests, draws and studies.
#![allow(dead_code, reason = "every test file uses some of it")]

use std::path::PathBuf;

use agenttts_core::{Cost, Decoding, Draw, Finish, Message, ModelIdentity, Request, RequestKey, Temperature, Usage};
use agenttts_store::{Amounts, NewSample, NewStudy, Purpose, SampleHome, Settlement, Store};
use tempfile::TempDir;

/// A folder for one store.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    pub(crate) fn open(&self) -> Store {
        Store::open(&self.file()).unwrap()
    }
}

pub(crate) fn new_study(name: &str) -> NewStudy {
    NewStudy {
        name: Some(name.into()),
        pipeline: "demo".into(),
        snapshot: r#"{"version":1}"#.into(),
        settings: r#"{"version":1}"#.into(),
        started_ms: 1_700_000_000_000,
    }
}

pub(crate) fn home(question: &str, stream: u64) -> SampleHome {
    let identity = ModelIdentity { model: "fake:p70".into(), revision: "1".into() };
    let decoding = Decoding {
        temperature: Temperature::new(0.7).unwrap(),
        top_p: None,
        max_tokens: 64,
        stop: vec![],
        constraint: None,
    };
    let request = Request { messages: vec![Message::user(question)], decoding };
    SampleHome { key: request.key(&identity), stream, identity, request }
}

pub(crate) fn key(question: &str) -> RequestKey {
    home(question, 0).key
}

pub(crate) fn draw(text: &str) -> Draw {
    Draw {
        text: text.into(),
        finish: Finish::Stop,
        prompt_tokens: 12,
        decode_tokens: 3,
        latency_us: 1_500,
        prompt_shared_by: 8,
    }
}

pub(crate) fn sample(index: u32, text: &str) -> NewSample {
    NewSample { index, draw: draw(text), fingerprint: None }
}

pub(crate) fn purpose(kind: &str) -> Purpose {
    Purpose { kind: kind.into(), model: "small".into() }
}

pub(crate) fn amounts(tokens: u64, usd: i128, flops: i128, calls: u64) -> Amounts {
    Amounts { tokens, usd: Cost(usd), flops: Cost(flops), calls }
}

pub(crate) fn settlement(amounts: Amounts) -> Settlement {
    let usage = Usage { prompt: amounts.tokens, cached_prompt: 0, decode: 0, calls: amounts.calls };
    Settlement { amounts, usage, error: None }
}
