//! The record of what was served.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use axum::http::Version;
use serde::Serialize;

/// One sample: a request and the seed of the choice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ServedKey {
    /// SHA-256, in hexadecimal, of everything in the request that the text may depend on, but `n` and `seed`.
    pub request: String,
    /// The seed of this choice: the request's seed and the choice's index together.
    pub seed: u32,
}

/// What a server has served.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// How often each sample was sent in a whole reply.
    pub samples: HashMap<ServedKey, u32>,
    /// Completion requests that arrived, refused and struck ones included.
    pub requests: usize,
    /// Requests of any kind that arrived.
    pub arrived: usize,
    /// The newest version of HTTP that a completion request was made in.
    pub http: Option<Version>,
    /// The most completion requests that were under way at once.
    pub most_at_once: usize,
    /// Completion tokens of everything that was decoded.
    pub decoded: u64,
    /// The bodies of the completion requests, in order of arrival.
    pub bodies: Vec<serde_json::Value>,
    /// Completion requests that are under way: their replies, streamed ones too, are not at their ends.
    pub under_way: usize,
    /// The `traceparent` of the completion requests, in order of arrival.
    pub traces: Vec<Option<String>>,
}

impl Served {
    /// Samples that were sent, repetitions included.
    pub fn total(&self) -> u32 {
        self.samples.values().sum()
    }

    /// Samples that were sent more than once.
    pub fn repeated(&self) -> usize {
        self.samples.values().filter(|times| **times > 1).count()
    }

    /// The seeds that were sent, in order, over all requests.
    pub fn seeds(&self) -> Vec<u32> {
        let mut seeds: Vec<u32> = self.samples.keys().map(|key| key.seed).collect();
        seeds.sort_unstable();
        seeds
    }
}

/// Appends samples to a file.
#[derive(Debug)]
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Log(OpenOptions::new().create(true).append(true).open(path)?))
    }

    /// Writes one line per sample and waits until they are on disk.
    pub(crate) fn append(&mut self, keys: &[ServedKey]) -> io::Result<()> {
        let mut lines = Vec::new();
        for key in keys {
            serde_json::to_writer(&mut lines, key)?;
            lines.push(b'\n');
        }
        self.0.write_all(&lines)?;
        self.0.sync_data()
    }
}
