//! A completion that comes as server-sent events: the events out of bytes, and the completion out of events.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::reply::{Unusable, error_message, excerpt};

/// A streamed completion, put together until it can be read as one that came whole.
#[derive(Debug, Default)]
pub(crate) struct Streamed {
    lines: Lines,
    /// The data of the event that is not at its end yet.
    data: Option<Vec<u8>>,
    events: usize,
    choices: BTreeMap<u64, Parts>,
    /// What stands beside the choices; of what several events say, the last.
    beside: Map<String, Value>,
    ended: bool,
}

/// A streamed completion at its end.
#[derive(Debug, PartialEq)]
pub(crate) struct Whole {
    /// In the form that a completion has which came whole.
    pub(crate) value: Value,
    /// Why it is not all of it.
    pub(crate) problem: Option<Unusable>,
}

/// The parts of one choice.
#[derive(Debug, Default)]
struct Parts {
    content: Option<String>,
    refusal: Option<String>,
    reasoning: String,
    finish: Option<Value>,
    error: Option<Value>,
}

impl Streamed {
    /// Takes bytes as they came, and tells what their events add to the text of the first choice.
    ///
    /// # Errors
    /// An event that reports an error, or cannot be read. Those after it are left.
    pub(crate) fn push(&mut self, bytes: &[u8], hear: &mut dyn FnMut(&str)) -> Result<(), Unusable> {
        self.lines.push(bytes).iter().try_for_each(|line| self.line(line, hear))
    }

    /// Whether the server said that this was all.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The completion in the form that one has which came whole, after the server ended its reply.
    pub(crate) fn whole(mut self) -> Whole {
        // The last event may lack the empty line at its end.
        let last = self.lines.rest();
        let lines = [last.as_slice(), b""];
        let mut problem = lines.into_iter().find_map(|line| self.line(line, &mut |_| {}).err());
        let is_open = || self.choices.is_empty() || self.choices.values().any(|choice| choice.finish.is_none());
        if problem.is_none() && !self.ended && is_open() {
            problem = Some(Unusable::Malformed(format!("the reply broke off after {} events", self.events)));
        }
        Whole { value: self.so_far(), problem }
    }

    /// What has come of it, in the same form.
    pub(crate) fn so_far(&self) -> Value {
        let choices: Vec<Value> = self.choices.iter().map(|(index, parts)| parts.whole(*index)).collect();
        let mut whole = self.beside.clone();
        whole.insert("choices".into(), Value::Array(choices));
        Value::Object(whole)
    }

    fn line(&mut self, line: &[u8], hear: &mut dyn FnMut(&str)) -> Result<(), Unusable> {
        if line.is_empty() {
            return match self.data.take() {
                Some(data) => self.event(&data, hear),
                None => Ok(()),
            };
        }
        // Comments and the other fields of an event say nothing of a completion.
        if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            }
        }
        Ok(())
    }

    fn event(&mut self, data: &[u8], hear: &mut dyn FnMut(&str)) -> Result<(), Unusable> {
        let data = data.trim_ascii();
        if data.is_empty() || self.ended {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.ended = true;
            return Ok(());
        }
        self.events += 1;
        let event: Value = serde_json::from_slice(data).map_err(|e| {
            Unusable::Malformed(format!("an event is not JSON ({e}): {}", excerpt(&String::from_utf8_lossy(data))))
        })?;
        let Value::Object(event) = event else {
            return Err(Unusable::Malformed(format!("an event is no object: {}", excerpt(&event.to_string()))));
        };
        if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
            let status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
            return Err(Unusable::Error { status, message: error_message(&Value::Object(event)) });
        }
        for (key, value) in event {
            match (key.as_str(), value) {
                ("choices", Value::Array(choices)) => choices.iter().for_each(|choice| self.choice(choice, hear)),
                (_, Value::Null) | ("choices", _) => {}
                (_, value) => {
                    self.beside.insert(key, value);
                }
            }
        }
        Ok(())
    }

    fn choice(&mut self, choice: &Value, hear: &mut dyn FnMut(&str)) {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        let parts = self.choices.entry(index).or_default();
        let delta = choice.get("delta").unwrap_or(&Value::Null);
        let text = |key: &str| delta.get(key).and_then(Value::as_str);
        if let Some(content) = text("content") {
            parts.content.get_or_insert_default().push_str(content);
            if index == 0 && !content.is_empty() {
                hear(content);
            }
        }
        if let Some(refusal) = text("refusal") {
            parts.refusal.get_or_insert_default().push_str(refusal);
        }
        parts.reasoning.push_str(text("reasoning_content").or_else(|| text("reasoning")).unwrap_or_default());
        for (key, place) in [("finish_reason", &mut parts.finish), ("error", &mut parts.error)] {
            if let Some(value) = choice.get(key).filter(|value| !value.is_null()) {
                *place = Some(value.clone());
            }
        }
    }
}

impl Parts {
    fn whole(&self, index: u64) -> Value {
        // Streams begin with an empty text whatever follows, and some say nothing at all where nothing was decoded.
        let content = match (&self.content, &self.refusal) {
            (Some(content), None) => Some(content.as_str()),
            (Some(content), Some(_)) => Some(content.as_str()).filter(|content| !content.is_empty()),
            (None, None) if self.finish.is_some() => Some(""),
            (None, _) => None,
        };
        let mut message = json!({"role": "assistant", "content": content, "refusal": self.refusal});
        if !self.reasoning.is_empty() {
            message["reasoning_content"] = json!(self.reasoning);
        }
        json!({"index": index, "message": message, "finish_reason": self.finish, "error": self.error})
    }
}

/// Lines out of bytes. They end with a line feed, a carriage return, or both.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
    /// The last byte was a carriage return, so that a line feed that follows ends no further line.
    returned: bool,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' if self.returned => {}
                b'\n' | b'\r' => lines.push(std::mem::take(&mut self.partial)),
                _ => self.partial.push(byte),
            }
            self.returned = byte == b'\r';
        }
        lines
    }

    fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.partial)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::openai::reply;

    const USUAL: &str = concat!(
        ": a comment\n\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"5 €\"}}]}\r\n\r\n",
        "data:{\"choices\":[{\"index\":0,\"delta\":{\"content\":\" each\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "event: usage\ndata: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":7,\"completion_tokens\":4}}\n\n",
        "data: [DONE]\n\n",
    );

    fn streamed(pieces: &[&[u8]]) -> Result<(String, Value), Unusable> {
        let mut streamed = Streamed::default();
        let mut told = String::new();
        for piece in pieces {
            streamed.push(piece, &mut |part| told.push_str(part))?;
        }
        let Whole { value, problem } = streamed.whole();
        problem.map_or(Ok((told, value)), Err)
    }

    fn read(text: &str) -> Result<(String, reply::Completion), Unusable> {
        let (told, whole) = streamed(&[text.as_bytes()])?;
        Ok((told, reply::of_value(&whole)?))
    }

    #[test]
    fn events_are_a_completion_in_parts() {
        let (told, completion) = read(USUAL).unwrap();
        let choice = completion.choices[0].as_ref().unwrap();
        assert_eq!((told.as_str(), choice.text.as_str()), ("5 € each", "5 € each"));
        let usage = completion.usage.unwrap();
        assert_eq!((usage.prompt, usage.completion), (7, 4));
    }

    #[test]
    fn reasoning_refusals_and_further_choices_are_not_told() {
        let event = |choices: Value| format!("data: {}\n\n", json!({"choices": choices}));
        let refused = [
            event(
                json!([{"index": 0, "delta": {"content": "", "reasoning": "hm"}}, {"index": 1, "delta": {"content": "b"}}]),
            ),
            event(json!([{"index": 0, "delta": {"refusal": "no"}, "finish_reason": "stop"}])),
            "data: [DONE]".to_owned(),
        ];
        let (told, completion) = read(&refused.concat()).unwrap();
        let choice = completion.choices[0].as_ref().unwrap();
        assert_eq!((told.as_str(), choice.text.as_str(), choice.reasoning.as_str()), ("", "no", "hm"));
        let nothing = event(json!([{"delta": {"content": null}, "finish_reason": "stop"}]));
        assert_eq!(read(&nothing).unwrap().1.choices[0].as_ref().unwrap().text, "");
    }

    #[test]
    fn what_breaks_off_or_reports_an_error_is_no_completion() {
        let half = &USUAL[..USUAL.find("finish_reason").unwrap()];
        let half = &half[..half.rfind("data:").unwrap()];
        assert!(matches!(read(half), Err(Unusable::Malformed(why)) if why.contains("broke off after 3 events")));
        assert!(matches!(read(""), Err(Unusable::Malformed(_))));
        let failed = format!("{half}data: {{\"error\":{{\"code\":503,\"message\":\"gone\"}}}}\n\n");
        assert_eq!(read(&failed).unwrap_err(), Unusable::Error { status: Some(503), message: "gone".into() });
        assert!(matches!(read("data: {\n\n"), Err(Unusable::Malformed(why)) if why.contains("not JSON")));
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_completion_is_the_same(cuts in prop::collection::vec(0..USUAL.len(), 0..8)) {
            let bytes = USUAL.as_bytes();
            let mut cuts = cuts;
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(streamed(&pieces).unwrap(), streamed(&[bytes]).unwrap());
        }

        #[test]
        fn no_bytes_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let _ = streamed(&pieces);
        }
    }
}
