//! What is asked of a model and what one draw of it returns: messages, decoding settings, samples, tokens.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A sampling temperature in thousandths, so that plans and requests can be compared and hashed exactly.
///
/// Written and read as an ordinary number (`0.7`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Temperature(u32);

impl Temperature {
    /// Greedy decoding: every draw is the same, so the number of samples collapses to one.
    pub const GREEDY: Temperature = Temperature(0);

    /// The nearest thousandth; `None` unless `value` is a finite number in `0..=2`.
    pub fn new(value: f64) -> Option<Self> {
        (value.is_finite() && (0.0..=2.0).contains(&value)).then(|| Temperature((value * 1000.0).round() as u32))
    }

    /// So many thousandths; `None` above 2.
    pub const fn from_thousandths(thousandths: u32) -> Option<Self> {
        if thousandths <= 2000 { Some(Temperature(thousandths)) } else { None }
    }

    /// The temperature as a number.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// Whether decoding at this temperature is greedy.
    pub fn is_greedy(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Temperature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

impl Serialize for Temperature {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.get())
    }
}

impl<'de> Deserialize<'de> for Temperature {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(d)?;
        Temperature::new(value).ok_or_else(|| serde::de::Error::custom(format!("temperature {value} is outside 0..=2")))
    }
}

impl JsonSchema for Temperature {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Temperature".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "number", "minimum": 0, "maximum": 2, "description": "A sampling temperature."})
    }
}

/// Who speaks a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions above the conversation.
    System,
    /// The asker.
    User,
    /// The model, in few-shot examples and repair turns.
    Assistant,
}

/// One chat message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// The speaker.
    pub role: Role,
    /// The text.
    pub content: String,
}

impl Message {
    /// A system message.
    pub fn system(content: impl Into<String>) -> Self {
        Message { role: Role::System, content: content.into() }
    }

    /// A user message.
    pub fn user(content: impl Into<String>) -> Self {
        Message { role: Role::User, content: content.into() }
    }

    /// An assistant message.
    pub fn assistant(content: impl Into<String>) -> Self {
        Message { role: Role::Assistant, content: content.into() }
    }
}

/// A form that the text of a draw must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Constraint {
    /// A JSON document that satisfies this JSON Schema.
    JsonSchema(serde_json::Value),
    /// A text in this GBNF grammar (embedded models only).
    Grammar(String),
}

/// Decoding settings of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decoding {
    /// Sampling temperature.
    pub temperature: Temperature,
    /// Nucleus sampling mass in `(0, 1]`; the model's default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most tokens that one draw may decode; 0 asks for the prompt's embedding.
    pub max_tokens: u32,
    /// Decoding ends before the first of these strings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The form that the text must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<Constraint>,
}

/// A request of which any number of samples can be drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The conversation so far; the model writes the next assistant message.
    pub messages: Vec<Message>,
    /// How it is decoded.
    pub decoding: Decoding,
}

impl Request {
    /// The request for the embedding of a text: one that decodes nothing. Its draw's text is the vector, as a JSON list of
    /// numbers; it is greedy, so one draw stands for all.
    pub fn embedding(text: impl Into<String>) -> Self {
        let decoding = Decoding {
            temperature: Temperature::GREEDY,
            top_p: None,
            max_tokens: 0,
            stop: Vec::new(),
            constraint: None,
        };
        Request { messages: vec![Message::user(text)], decoding }
    }

    /// Whether it asks for an embedding instead of a text.
    pub fn is_embedding(&self) -> bool {
        self.decoding.max_tokens == 0
    }

    /// The key under which the sample bank keeps the draws of this request from one model revision.
    ///
    /// SHA-256 over a canonical JSON of key version, model, revision, decoding settings and messages.
    pub fn key(&self, identity: &ModelIdentity) -> RequestKey {
        #[derive(Serialize)]
        struct Canonical<'a> {
            v: u32,
            model: &'a str,
            revision: &'a str,
            request: &'a Request,
        }
        let canonical = Canonical { v: 1, model: &identity.model, revision: &identity.revision, request: self };
        // Serialising plain data with string keys into memory cannot fail; an empty text would only merge keys.
        let bytes = serde_json::to_vec(&canonical).unwrap_or_default();
        RequestKey(Sha256::digest(&bytes).into())
    }

    /// The bytes of all message texts: an upper bound of the prompt's tokens for byte-level tokenizers, less the
    /// few tokens that a chat template adds per message.
    pub fn prompt_bytes(&self) -> usize {
        self.messages.iter().map(|m| m.content.len()).sum()
    }
}

/// Which weights answer: two identities with the same fields give exchangeable samples.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ModelIdentity {
    /// Provider kind and the provider's name for the model, such as `openai:Qwen/Qwen2.5-7B-Instruct`.
    pub model: String,
    /// What pins the weights: a file's hash with chat template and engine build for a local model; URL, declared
    /// revision and reported fingerprint for a remote one.
    pub revision: String,
}

/// The bank's key of a request: see [`Request::key`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey(pub [u8; 32]);

impl RequestKey {
    /// The seed of draw `index` of `stream`.
    ///
    /// Seeds of consecutive draws are consecutive, so a provider that derives choice `j` of a call from `seed + j`
    /// gives the same draw whether it was asked alone or with others. The base is below 2^30 and so fits every
    /// provider's signed 32-bit seed.
    pub fn seed(&self, stream: u64, index: u32) -> u32 {
        let digest = Sha256::new().chain_update(self.0).chain_update(stream.to_le_bytes()).finalize();
        let base = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]) >> 2;
        base + index
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestKey({self})")
    }
}

/// Why decoding of a draw ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended its message or reached a stop string.
    Stop,
    /// `max_tokens` was reached.
    Length,
    /// Anything else that a provider reports (content filter and the like).
    Other,
}

impl Finish {
    /// As it is stored and told.
    pub fn name(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Other => "other",
        }
    }
}

/// One draw: its text and what drawing it took, as measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draw {
    /// The decoded text.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens of the whole rendered prompt, whether or not this draw was billed for it.
    pub prompt_tokens: u32,
    /// Tokens decoded.
    pub decode_tokens: u32,
    /// Time from the start of the call to the end of this draw, in microseconds.
    pub latency_us: u64,
    /// The most samples that shared one prompt evaluation or bill where this was drawn; 0 = no limit, 1 = every
    /// sample pays its own prompt. A plan's cost is computed from it.
    pub prompt_shared_by: u32,
}

/// Tokens that a provider billed or an engine computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Prompt tokens, cached ones included.
    pub prompt: u64,
    /// Those of them that were read from a cache.
    pub cached_prompt: u64,
    /// Decoded tokens.
    pub decode: u64,
    /// Calls made.
    pub calls: u64,
}

impl Usage {
    /// Prompt and decoded tokens together.
    pub fn tokens(&self) -> u64 {
        self.prompt + self.decode
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        self.prompt += other.prompt;
        self.cached_prompt += other.cached_prompt;
        self.decode += other.decode;
        self.calls += other.calls;
    }
}

impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Usage>>(iter: I) -> Usage {
        iter.fold(Usage::default(), |mut total, u| {
            total += u;
            total
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        Request {
            messages: vec![Message::user(text)],
            decoding: Decoding {
                temperature: Temperature::new(0.7).unwrap(),
                top_p: None,
                max_tokens: 8,
                stop: vec![],
                constraint: None,
            },
        }
    }

    #[test]
    fn keys_differ_by_revision_settings_and_messages() {
        let id = |r: &str| ModelIdentity { model: "fake:p70".into(), revision: r.into() };
        let a = request("hello");
        let mut hotter = a.clone();
        hotter.decoding.temperature = Temperature::new(0.8).unwrap();
        assert_eq!(a.key(&id("1")), a.clone().key(&id("1")));
        assert_ne!(a.key(&id("1")), a.key(&id("2")));
        assert_ne!(a.key(&id("1")), hotter.key(&id("1")));
        assert_ne!(a.key(&id("1")), request("hallo").key(&id("1")));
    }

    #[test]
    fn seeds_of_a_stream_are_consecutive_and_streams_differ() {
        let key = request("x").key(&ModelIdentity { model: "m".into(), revision: "r".into() });
        assert_eq!(key.seed(0, 0) + 5, key.seed(0, 5));
        assert_ne!(key.seed(0, 0), key.seed(1, 0));
    }

    #[test]
    fn temperatures_are_exact() {
        assert_eq!(Temperature::new(0.3), serde_json::from_str("0.3").ok());
        assert_eq!(Temperature::new(f64::NAN), None);
        assert!(serde_json::from_str::<Temperature>("3").is_err());
    }
}
