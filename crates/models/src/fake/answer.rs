//! What a fake says: a pure function of its name, the request and the seed.

use agenttts_core::{Constraint, Finish, Request, Role};
use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::instance::instance;
use super::name::{Behaviour, FakeName};

/// One sample of a fake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeText {
    /// The text.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens decoded.
    pub tokens: u32,
}

const PHRASES: [&str; 4] = ["unsure", "no idea", "something else", "none of them"];
const GUIDELINES: [&str; 3] = [
    "Give the first stage its largest model and one sample; spend what is left on samples of the last stage.",
    "Gains flatten after about ten samples: compare five, ten and twenty before going further.",
    "Where scores hardly differ, try plans that have not been tried.",
];
const BYTES_PER_TOKEN: usize = 4;

/// The length of a fake's embeddings.
const EMBEDDING: usize = 64;
const TOKENS_PER_MESSAGE: usize = 4;

impl FakeName {
    /// The sample of `request` with `seed`. Greedy decoding ignores the seed, as a model would.
    pub fn text(&self, request: &Request, seed: u32) -> FakeText {
        if request.is_embedding() {
            return FakeText { text: embedding(request), finish: Finish::Stop, tokens: 0 };
        }
        let seed = if request.decoding.temperature.is_greedy() { 0 } else { seed };
        let mut rng = self.rng(request, Some(seed));
        let text = match (&self.behaviour, &request.decoding.constraint) {
            (Behaviour::Empty, _) => String::new(),
            (Behaviour::Echo, None) => request.messages.last().map(|m| m.content.clone()).unwrap_or_default(),
            (Behaviour::BadJson, constraint) => self.broken(constraint.as_ref(), request, &mut rng),
            (_, Some(Constraint::JsonSchema(schema))) => self.instance(schema, request, &mut rng).to_string(),
            (Behaviour::Agent, _) => GUIDELINES[rng.random_range(0..GUIDELINES.len())].to_owned(),
            _ => self.answer(request, &mut rng),
        };
        self.cut(text, request)
    }

    /// The tokens of a request's prompt.
    pub fn prompt_tokens(request: &Request) -> u32 {
        let tokens: usize = request.messages.iter().map(|m| tokens_of(m.content.len()) + TOKENS_PER_MESSAGE).sum();
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }

    /// The right answer or a wrong one.
    fn answer(&self, request: &Request, rng: &mut ChaCha8Rng) -> String {
        let (right, wrong) = answers(request);
        let own: f64 = rng.random();
        let drawn = if self.shared { self.rng(request, None).random() } else { own };
        if drawn < self.accuracy {
            return right;
        }
        if !wrong.is_empty() {
            return wrong[rng.random_range(0..wrong.len())].clone();
        }
        match right.parse::<i64>() {
            Ok(number) => {
                let off = rng.random_range(1..=3);
                let missed = if rng.random() { number.saturating_add(off) } else { number.saturating_sub(off) };
                missed.to_string()
            }
            Err(_) => PHRASES[rng.random_range(0..PHRASES.len())].to_owned(),
        }
    }

    /// A document for a schema, in which a property called `answer` or `verdict` holds the answer, if it may.
    fn instance(&self, schema: &Value, request: &Request, rng: &mut ChaCha8Rng) -> Value {
        let answer = self.answer(request, rng);
        let mut document = instance(schema, rng);
        for name in ["answer", "verdict"] {
            let Some(place) = document.get_mut(name) else { continue };
            let value = match place {
                Value::String(_) => Some(Value::String(answer.clone())),
                Value::Number(_) => answer.parse::<serde_json::Number>().ok().map(Value::Number),
                _ => None,
            };
            let allowed = schema.pointer(&format!("/properties/{name}/enum")).and_then(Value::as_array);
            if let Some(value) = value.filter(|v| allowed.is_none_or(|allowed| allowed.contains(v))) {
                *place = value;
            }
        }
        document
    }

    /// JSON that breaks off.
    fn broken(&self, constraint: Option<&Constraint>, request: &Request, rng: &mut ChaCha8Rng) -> String {
        let document = match constraint {
            Some(Constraint::JsonSchema(schema)) => self.instance(schema, request, rng),
            _ => serde_json::json!({"answer": self.answer(request, rng)}),
        };
        let mut text = document.to_string();
        // The last character closes the document, so anything that lacks it is no JSON.
        text.pop();
        if !text.starts_with(['{', '[', '"']) {
            text.insert(0, '{');
        }
        text
    }

    /// Ends a text at its stop strings and at `max_tokens`, and counts it.
    fn cut(&self, mut text: String, request: &Request) -> FakeText {
        let decoding = &request.decoding;
        let stop = decoding.stop.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop)).min();
        if let Some(end) = stop {
            text.truncate(end);
        }
        let tokens = self.tokens.map_or_else(|| tokens_of(text.len()).max(1), |tokens| tokens as usize);
        let most = decoding.max_tokens as usize;
        if tokens <= most {
            return FakeText { text, finish: Finish::Stop, tokens: u32::try_from(tokens).unwrap_or(u32::MAX) };
        }
        let end = (0..=most.saturating_mul(BYTES_PER_TOKEN).min(text.len())).rev().find(|i| text.is_char_boundary(*i));
        text.truncate(end.unwrap_or(0));
        FakeText { text, finish: Finish::Length, tokens: decoding.max_tokens }
    }

    /// Random numbers that depend on the fake, the messages, the temperature and the seed, and on nothing else.
    fn rng(&self, request: &Request, seed: Option<u32>) -> ChaCha8Rng {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(b"agenttts fake 1");
        add(self.spelled.as_bytes());
        for message in &request.messages {
            add(&[message.role as u8]);
            add(message.content.as_bytes());
        }
        add(request.decoding.temperature.to_string().as_bytes());
        match seed {
            Some(seed) => add(&seed.to_le_bytes()),
            None => add(b"shared"),
        }
        ChaCha8Rng::from_seed(hash.finalize().into())
    }
}

fn tokens_of(bytes: usize) -> usize {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// The right answer and the wrong ones, as the prompt says.
fn answers(request: &Request) -> (String, Vec<String>) {
    let lines = || {
        let asked = request.messages.iter().filter(|message| message.role != Role::Assistant);
        asked.flat_map(|message| message.content.lines()).map(str::trim)
    };
    let last = |key: &str| {
        lines()
            .filter_map(|line| {
                let (start, rest) = line.split_at_checked(key.len())?;
                start.eq_ignore_ascii_case(key).then(|| rest.trim())
            })
            .rfind(|rest| !rest.is_empty())
    };
    let right = last("answer:").or_else(|| lines().rfind(|line| !line.is_empty())).unwrap_or_default();
    let wrong = last("wrong:").unwrap_or_default();
    let wrong = wrong.split('|').map(str::trim).filter(|w| !w.is_empty() && *w != right).map(str::to_owned).collect();
    (right.to_owned(), wrong)
}

/// A bag of words: texts that share words are near each other. As JSON, as all models give it.
fn embedding(request: &Request) -> String {
    let mut vector = [0.0f32; EMBEDDING];
    let text: String = request.messages.iter().map(|m| m.content.to_lowercase() + " ").collect();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        vector[usize::from(Sha256::digest(word)[0]) % EMBEDDING] += 1.0;
    }
    format!("[{}]", vector.map(|v| v.to_string()).join(","))
}

#[cfg(test)]
mod tests {
    use agenttts_core::{Decoding, Message, Temperature};
    use serde_json::json;

    use super::*;

    fn request(prompt: &str, temperature: f64) -> Request {
        Request {
            messages: vec![Message::user(prompt)],
            decoding: Decoding {
                temperature: Temperature::new(temperature).unwrap(),
                top_p: None,
                max_tokens: 100,
                stop: vec![],
                constraint: None,
            },
        }
    }

    fn share(name: &str, prompt: &str, answer: &str) -> f64 {
        let (fake, request) = (FakeName::parse(name).unwrap(), request(prompt, 0.7));
        (0..2000).filter(|seed| fake.text(&request, *seed).text == answer).count() as f64 / 2000.0
    }

    #[test]
    fn p70_is_right_seven_times_in_ten_and_otherwise_wrong_as_told() {
        let prompt = "Which city?\nAnswer: Paris\nwrong: Rome | Bern";
        assert!((share("p70", prompt, "Paris") - 0.7).abs() < 0.05);
        assert!((share("p70", prompt, "Rome") - 0.15).abs() < 0.04);
        assert!((share("p70", prompt, "Bern") - 0.15).abs() < 0.04);
        assert_eq!(share("p100", prompt, "Paris"), 1.0);
        assert_eq!(share("p0", prompt, "Paris"), 0.0);
    }

    #[test]
    fn a_number_is_missed_by_a_little() {
        let (fake, request) = (FakeName::parse("p0").unwrap(), request("6 * 7?\nanswer: 42", 0.7));
        for seed in 0..100 {
            let said: i64 = fake.text(&request, seed).text.parse().unwrap();
            assert!(said != 42 && (39..=45).contains(&said));
        }
    }

    #[test]
    fn samples_depend_on_request_and_seed_and_greedy_ones_not_on_the_seed() {
        let fake = FakeName::parse("p50").unwrap();
        let warm = request("answer: a\nwrong: b|c", 0.7);
        let texts: Vec<_> = (0..40).map(|seed| fake.text(&warm, seed)).collect();
        assert_eq!(texts, (0..40).map(|seed| fake.text(&warm, seed)).collect::<Vec<_>>());
        assert!(texts.iter().any(|t| *t != texts[0]));
        let greedy = request("answer: a\nwrong: b|c", 0.0);
        assert!((0..40).all(|seed| fake.text(&greedy, seed) == fake.text(&greedy, 0)));
    }

    #[test]
    fn shared_samples_are_right_or_wrong_together() {
        let fake = FakeName::parse("p50-shared").unwrap();
        let right: Vec<bool> = (0..200)
            .map(|i| {
                let request = request(&format!("question {i}\nanswer: yes"), 0.7);
                let right: Vec<bool> = (0..5).map(|seed| fake.text(&request, seed).text == "yes").collect();
                assert!(right.iter().all(|r| *r == right[0]));
                right[0]
            })
            .collect();
        let share = right.iter().filter(|r| **r).count();
        assert!((60..140).contains(&share), "{share} of 200");
    }

    #[test]
    fn the_last_answer_line_counts_and_without_one_the_last_line() {
        let fake = FakeName::parse("p100").unwrap();
        assert_eq!(fake.text(&request("ANSWER: one\n  answer: two\nGo.", 0.7), 1).text, "two");
        assert_eq!(fake.text(&request("first\nsecond\n\n", 0.7), 1).text, "second");
        assert_eq!(fake.text(&request("ä", 0.7), 1).text, "ä");
    }

    #[test]
    fn texts_end_at_stop_strings_and_at_max_tokens() {
        let fake = FakeName::parse("p100").unwrap();
        let mut short = request("answer: eins zwei drei", 0.7);
        short.decoding.stop = vec![" drei".into()];
        let said = fake.text(&short, 0);
        assert_eq!((said.text.as_str(), said.finish, said.tokens), ("eins zwei", Finish::Stop, 3));
        short.decoding.max_tokens = 1;
        let said = fake.text(&short, 0);
        assert_eq!((said.text.as_str(), said.finish, said.tokens), ("eins", Finish::Length, 1));
        let long = FakeName::parse("p100-t20").unwrap();
        assert_eq!(long.text(&request("answer: x", 0.7), 0).tokens, 20);
    }

    #[test]
    fn bad_json_is_never_json() {
        let fake = FakeName::parse("bad-json").unwrap();
        for schema in [json!({"type": "object"}), json!({"type": "integer"}), json!({"const": true}), json!({})] {
            let mut request = request("answer: 3", 0.7);
            request.decoding.constraint = Some(Constraint::JsonSchema(schema));
            for seed in 0..20 {
                let text = fake.text(&request, seed).text;
                assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
            }
        }
        assert!(serde_json::from_str::<Value>(&fake.text(&request("answer: 3", 0.7), 0).text).is_err());
    }

    #[test]
    fn under_a_schema_the_answer_takes_its_place() {
        let mut request = request("answer: 42", 0.7);
        let schema = json!({"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]});
        request.decoding.constraint = Some(Constraint::JsonSchema(schema));
        let text = FakeName::parse("p100").unwrap().text(&request, 5).text;
        assert_eq!(text, r#"{"answer":42}"#);
        let judge = |answer: &str| {
            let mut request = request.clone();
            request.messages[0].content = format!("answer: {answer}");
            let verdict = json!({"type": "string", "enum": ["right", "wrong"]});
            let schema = json!({"type": "object", "properties": {"verdict": verdict}, "required": ["verdict"]});
            request.decoding.constraint = Some(Constraint::JsonSchema(schema));
            FakeName::parse("p100").unwrap().text(&request, 5).text
        };
        assert_eq!(judge("wrong"), r#"{"verdict":"wrong"}"#);
        assert_ne!(judge("perhaps"), r#"{"verdict":"perhaps"}"#, "the schema does not allow it");
    }
}
