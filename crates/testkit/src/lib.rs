//! An OpenAI-compatible server on loopback that misbehaves on demand, for tests only.
//!
//! What it says is deterministic: choice `j` of a call depends on the model's name, the messages, the temperature and
//! `seed + j` alone, by the same rules as the fake models (`p70` and the like; any other name is always right). It
//! counts every sample that it served, so that a test can assert that none was drawn twice.
//!
//! ```
//! # use agenttts_testkit::{Config, Fault, FaultServer};
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
//! let config = Config { script: vec![Some(Fault::Status(500))], ..Config::default() };
//! let server = FaultServer::start(config).await.unwrap();
//! // ... a client of server.base_url() fails once and succeeds when it tries again ...
//! assert_eq!(server.served().repeated(), 0);
//! server.stop().await;
//! # });
//! ```

mod certificate;
mod chat;
mod config;
mod connection;
mod fault;
mod otlp;
mod served;
mod server;

pub use certificate::Certificate;
pub use config::{ChoiceCount, Config, UsageReport};
pub use fault::Fault;
pub use otlp::{OtlpReceiver, Received, ReceivedPoint, ReceivedSpan};
pub use served::{Served, ServedKey};
pub use server::FaultServer;
