//! Questions over paragraphs: 2WikiMultiHopQA and HotpotQA.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::draft::{Candidate, Candidates, Draft, Fault, Pool, distinct, folded};
use crate::values::Text;

/// Aliases and demonyms of answers, by Wikidata id.
pub(crate) type Aliases = HashMap<String, Vec<String>>;

/// A row of the original releases and of the `datasets` library.
#[derive(Debug, Deserialize)]
pub(crate) struct Original {
    #[serde(default)]
    id: Option<Text>,
    #[serde(default, rename = "_id")]
    original_id: Option<Text>,
    question: String,
    #[serde(default)]
    answer: Option<Text>,
    #[serde(default)]
    answer_id: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    level: Option<String>,
    #[serde(default)]
    supporting_facts: Option<Facts>,
    context: Context,
}

/// A row in the layout of AgentTTS.
#[derive(Debug, Deserialize)]
pub(crate) struct AgentTts {
    question: String,
    answers: Vec<Text>,
    ctxs_gt: Vec<String>,
    ctxs_candidate: Vec<String>,
}

pub(crate) const NOTE_SENTENCE: &str = "a supporting sentence's number is beyond its paragraph";
pub(crate) const NOTE_TITLE: &str = "a title occurs twice in the context";
pub(crate) const NOTE_REPEAT: &str = "a candidate is listed twice";
pub(crate) const NOTE_GOLD_REPEAT: &str = "a gold candidate is listed twice";
pub(crate) const NOTE_FEW: &str = "fewer than the 10 paragraphs of the original";

impl Original {
    /// The example of a row.
    pub(crate) fn draft(self, aliases: Option<&Aliases>) -> Result<Draft, Fault> {
        let Some(Text(id)) = self.original_id.or(self.id) else {
            return Err(Fault::leave_out("it has no id"));
        };
        let answer = self.answer.map(|Text(answer)| answer).filter(|a| !a.trim().is_empty());
        let (Some(answer), Some(facts)) = (answer, self.supporting_facts.filter(|f| !f.0.is_empty())) else {
            return Err(Fault::new(
                "it has no answer or no supporting facts",
                "test files are published without gold: use the training or dev file",
            ));
        };
        if self.context.0.iter().all(|(_, sentences)| sentences.is_empty()) {
            return Err(Fault::leave_out("its context is empty: there is nothing to retrieve from"));
        }
        let mut notes = Vec::new();
        if self.context.0.len() < 10 {
            notes.push(NOTE_FEW);
        }
        let candidates = paragraphs(&self.context.0, &facts.0, &mut notes)?;
        let known = self.answer_id.and_then(|id| aliases?.get(&id).cloned()).unwrap_or_default();
        let mut fields = answer_fields(&self.question, vec![answer], known);
        for (name, value) in [("type", self.kind), ("level", self.level)] {
            if let Some(value) = value {
                fields.insert(name.into(), value.into());
            }
        }
        Ok(Draft {
            id,
            group: folded(&self.question),
            query: self.question,
            fields,
            pool: Pool::Open { own: candidates, barred: Vec::new() },
            stratum: String::new(),
            notes,
        })
    }
}

/// The paragraphs of a context, of which those are gold that supporting facts name by title.
fn paragraphs(
    context: &[(String, Vec<String>)],
    facts: &[(String, Place)],
    notes: &mut Vec<&'static str>,
) -> Result<Candidates, Fault> {
    let titles: HashSet<&str> = context.iter().map(|(title, _)| title.as_str()).collect();
    if titles.len() < context.len() {
        notes.push(NOTE_TITLE);
    }
    let mut gold = HashSet::new();
    for (title, Place(sentence)) in facts {
        let named = || context.iter().enumerate().filter(|(_, (t, _))| t == title);
        let reaches = |sentences: &[String]| usize::try_from(*sentence).is_ok_and(|s| s < sentences.len());
        // Where two paragraphs have the title, the one that is long enough is meant.
        let Some((position, (_, sentences))) = named().find(|(_, (_, s))| reaches(s)).or_else(|| named().next()) else {
            return Err(Fault::leave_out(format!("the gold paragraph {title:?} is not among its candidates")));
        };
        if !reaches(sentences) && !notes.contains(&NOTE_SENTENCE) {
            notes.push(NOTE_SENTENCE);
        }
        gold.insert(position);
    }
    let mut candidates = Candidates::default();
    let mut seen: HashMap<Candidate, usize> = HashMap::new();
    for (position, (title, sentences)) in context.iter().enumerate() {
        let candidate = Candidate::passage(title, join(sentences));
        let place = *seen.entry(candidate.clone()).or_insert_with(|| {
            candidates.list.push(candidate);
            candidates.list.len() - 1
        });
        if gold.contains(&position) && !candidates.gold.contains(&place) {
            candidates.gold.push(place);
        }
    }
    Ok(candidates)
}

/// The text of a paragraph. HotpotQA's sentences bring the blank before them along, those of 2WikiMultiHopQA do not.
pub(crate) fn join(sentences: &[String]) -> String {
    let mut text = String::new();
    for sentence in sentences.iter().filter(|sentence| !sentence.is_empty()) {
        let bring = sentence.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
        if !bring && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(sentence);
    }
    text.trim().to_owned()
}

impl AgentTts {
    /// The example of the `number`-th row; the layout has no ids.
    pub(crate) fn draft(self, number: usize) -> Result<Draft, Fault> {
        if self.ctxs_candidate.is_empty() {
            return Err(Fault::leave_out("ctxs_candidate is empty: there is nothing to retrieve from"));
        }
        let answers = distinct(self.answers.into_iter().map(|Text(a)| a));
        let Some((answer, aliases)) = answers.split_first() else {
            return Err(Fault::leave_out("it has no answer"));
        };
        let mut notes = Vec::new();
        let mut candidates = Candidates::default();
        let mut places: HashMap<String, usize> = HashMap::new();
        for text in self.ctxs_candidate {
            if places.contains_key(&text) {
                notes.push(NOTE_REPEAT);
                continue;
            }
            places.insert(text.clone(), candidates.list.len());
            candidates.list.push(Candidate::passage("", text));
        }
        for text in &self.ctxs_gt {
            let Some(place) = places.get(text) else {
                let shown: String = text.chars().take(60).collect();
                return Err(Fault::leave_out(format!("the gold text {shown:?} is not among its candidates")));
            };
            if candidates.gold.contains(place) {
                notes.push(NOTE_GOLD_REPEAT);
            } else {
                candidates.gold.push(*place);
            }
        }
        candidates.gold.sort_unstable();
        notes.dedup();
        Ok(Draft {
            id: format!("row-{number}"),
            fields: answer_fields(&self.question, vec![answer.clone()], aliases.to_vec()),
            group: folded(&self.question),
            query: self.question,
            pool: Pool::Fixed(candidates),
            stratum: String::new(),
            notes,
        })
    }
}

/// The fields `question`, `answers` and `aliases`, which has what is not an answer itself.
pub(crate) fn answer_fields(question: &str, answers: Vec<String>, aliases: Vec<String>) -> Map<String, Value> {
    let answers = distinct(answers);
    let mut aliases = distinct(aliases);
    aliases.retain(|a| !answers.contains(a));
    let mut fields = Map::new();
    fields.insert("question".into(), question.into());
    fields.insert("answers".into(), answers.into());
    fields.insert("aliases".into(), aliases.into());
    fields
}

/// Titles with their sentences: `[[title, [sentence]]]` or `{"title": [...], "sentences": [[...]]}`.
#[derive(Debug)]
struct Context(Vec<(String, Vec<String>)>);

/// Titles with numbers of sentences: `[[title, number]]` or `{"title": [...], "sent_id": [...]}`.
#[derive(Debug)]
struct Facts(Vec<(String, Place)>);

/// The number of a sentence, which some files write as a text. One that is no number is beyond every paragraph.
#[derive(Debug)]
struct Place(i64);

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|Text(number)| Place(number.trim().parse().unwrap_or(i64::MAX)))
    }
}

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Columns { key: "sentences", mark: std::marker::PhantomData }).map(Context)
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Columns { key: "sent_id", mark: std::marker::PhantomData }).map(Facts)
    }
}

/// Pairs of a title and a `T`, as a list of pairs or as two parallel lists.
struct Columns<T> {
    key: &'static str,
    mark: std::marker::PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Columns<T> {
    type Value = Vec<(String, T)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of pairs that begin with a title, or an object with the lists title and {}", self.key)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(pair) = list.next_element()? {
            all.push(pair);
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut titles, mut values) = (None::<Vec<String>>, None::<Vec<T>>);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "title" => titles = Some(map.next_value()?),
                key if key == self.key => values = Some(map.next_value()?),
                _ => drop(map.next_value::<de::IgnoredAny>()?),
            }
        }
        let titles = titles.ok_or_else(|| de::Error::missing_field("title"))?;
        let values = values.ok_or_else(|| de::Error::missing_field(self.key))?;
        if titles.len() != values.len() {
            let (t, v) = (titles.len(), values.len());
            return Err(de::Error::custom(format!("the list title has {t} items, {} has {v}", self.key)));
        }
        Ok(titles.into_iter().zip(values).collect())
    }
}
