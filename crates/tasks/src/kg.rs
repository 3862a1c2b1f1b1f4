//! Questions over a knowledge graph: ComplexWebQuestions and WebQSP.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::draft::{Candidate, Candidates, Draft, Fault, Pool, distinct, folded};
use crate::qa::answer_fields;
use crate::values::{OneOrMany, Text};

type Triple = (Text, Text, Text);

/// The lists of triples that rows may carry.
#[derive(Debug, Default)]
struct Triples {
    /// All facts that answer the question.
    gold: Option<Vec<Triple>>,
    /// Those of them that are kept in an incomplete graph.
    kept: Option<Vec<Triple>>,
    /// Facts around the topic entity, which may repeat gold ones.
    around: Option<Vec<Triple>>,
}

/// A row of ComplexWebQuestions.
#[derive(Debug, Deserialize)]
pub(crate) struct Cwq {
    #[serde(rename = "ID")]
    id: Text,
    question: String,
    #[serde(default, rename = "webqsp_ID")]
    base: Option<Text>,
    #[serde(default)]
    compositionality_type: Option<String>,
    #[serde(default)]
    answer: Option<OneOrMany>,
    #[serde(default)]
    answers: Option<Vec<CwqAnswer>>,
    #[serde(default)]
    topic_entity: Option<Map<String, Value>>,
    #[serde(default)]
    gt_triples: Option<Vec<Triple>>,
    #[serde(default)]
    crucial_triples: Option<Vec<Triple>>,
    #[serde(default, rename = "2hop_triples")]
    around: Option<Vec<Triple>>,
}

/// An answer of the original ComplexWebQuestions.
#[derive(Debug, Deserialize)]
struct CwqAnswer {
    #[serde(default)]
    answer: Option<Text>,
    #[serde(default)]
    aliases: Option<Vec<Text>>,
}

/// A row of WebQSP.
#[derive(Debug, Deserialize)]
pub(crate) struct WebQsp {
    #[serde(rename = "QuestionId")]
    id: Text,
    #[serde(rename = "RawQuestion")]
    question: String,
    #[serde(rename = "Parses")]
    parses: Vec<Parse>,
    #[serde(default)]
    topic_entity: Option<Map<String, Value>>,
    #[serde(default)]
    gt_triples: Option<Vec<Triple>>,
    #[serde(default)]
    crucial_triples: Option<Vec<Triple>>,
    #[serde(default, rename = "2hop_triples")]
    around: Option<Vec<Triple>>,
}

#[derive(Debug, Deserialize)]
struct Parse {
    #[serde(default, rename = "TopicEntityName")]
    topic: Option<String>,
    #[serde(default, rename = "Answers")]
    answers: Option<Vec<ParseAnswer>>,
}

#[derive(Debug, Deserialize)]
struct ParseAnswer {
    #[serde(rename = "AnswerArgument")]
    argument: Text,
    #[serde(default, rename = "EntityName")]
    name: Option<String>,
}

pub(crate) const NOTE_ONE_ANSWER: &str = "its answer is one text, where other releases may list more";
pub(crate) const NOTE_NO_GOLD: &str = "it has no gold triple (retrieval cannot be scored)";
pub(crate) const NOTE_UNREACHABLE: &str = "no answer occurs in its gold triples";
pub(crate) const NOTE_REPEATED: &str = "a gold triple is listed twice";
pub(crate) const NOTE_PARSES: &str = "it has several parses (any of them may be answered)";

const NO_ANSWER: &str = "it has no answer";

impl Cwq {
    /// The example of a row. With `complete`, the graph holds all gold triples, otherwise those that were kept.
    pub(crate) fn draft(self, complete: bool) -> Result<Draft, Fault> {
        let mut notes = Vec::new();
        let mut aliases = Vec::new();
        let answers = match (self.answer, self.answers) {
            (Some(answer), _) => {
                if matches!(answer, OneOrMany::One(_)) {
                    notes.push(NOTE_ONE_ANSWER);
                }
                answer.into_vec()
            }
            (None, Some(list)) => list
                .into_iter()
                .filter_map(|a| {
                    aliases.extend(a.aliases.into_iter().flatten().map(|Text(alias)| alias));
                    Some(a.answer?.0)
                })
                .collect(),
            (None, None) => Vec::new(),
        };
        if answers.iter().all(|a| a.trim().is_empty()) {
            return Err(Fault::leave_out(NO_ANSWER));
        }
        let mut fields = answer_fields(&self.question, answers, aliases);
        fields.insert("topic_entities".into(), topics(self.topic_entity, None));
        if let Some(kind) = self.compositionality_type {
            fields.insert("type".into(), kind.into());
        }
        let triples = Triples { gold: self.gt_triples, kept: self.crucial_triples, around: self.around };
        let pool = triples.pool(complete, &fields, &mut notes)?;
        Ok(Draft {
            id: self.id.0,
            group: self.base.map_or_else(|| folded(&self.question), |Text(base)| base),
            query: self.question,
            fields,
            pool,
            stratum: String::new(),
            notes,
        })
    }
}

impl WebQsp {
    /// The example of a row; `complete` as for [`Cwq::draft`].
    pub(crate) fn draft(self, complete: bool) -> Result<Draft, Fault> {
        let mut notes = Vec::new();
        if self.parses.len() > 1 {
            notes.push(NOTE_PARSES);
        }
        let first_topic = self.parses.iter().find_map(|p| p.topic.clone());
        // Literals have no name: the argument is the answer.
        let name = |a: ParseAnswer| a.name.filter(|n| !n.trim().is_empty()).unwrap_or(a.argument.0);
        let sets: Vec<Vec<String>> = self
            .parses
            .into_iter()
            .map(|p| distinct(p.answers.into_iter().flatten().map(name)))
            .filter(|set| !set.is_empty())
            .collect();
        if sets.is_empty() {
            return Err(Fault::leave_out(NO_ANSWER));
        }
        let mut fields = answer_fields(&self.question, sets.concat(), Vec::new());
        fields.insert("answer_sets".into(), json!(sets));
        fields.insert("topic_entities".into(), topics(self.topic_entity, first_topic));
        let triples = Triples { gold: self.gt_triples, kept: self.crucial_triples, around: self.around };
        let pool = triples.pool(complete, &fields, &mut notes)?;
        Ok(Draft {
            group: self.id.0.clone(),
            id: self.id.0,
            query: self.question,
            fields,
            pool,
            stratum: String::new(),
            notes,
        })
    }
}

/// The names of the topic entities.
fn topics(named: Option<Map<String, Value>>, otherwise: Option<String>) -> Value {
    let names = named.into_iter().flatten().map(|(mid, name)| match name {
        Value::String(name) if !name.is_empty() => name,
        _ => mid,
    });
    let names = distinct(names);
    let names = if names.is_empty() { otherwise.into_iter().collect() } else { names };
    json!(names)
}

impl Triples {
    fn pool(self, complete: bool, fields: &Map<String, Value>, notes: &mut Vec<&'static str>) -> Result<Pool, Fault> {
        if self.gold.is_none() && self.kept.is_none() && self.around.is_none() {
            return Ok(Pool::None);
        }
        let read = |list: Option<Vec<Triple>>| -> Option<Vec<Candidate>> {
            let candidate = |(head, relation, tail): Triple| Candidate::triple([head.0, relation.0, tail.0]);
            Some(list?.into_iter().map(candidate).collect())
        };
        let (all, kept, around) = (read(self.gold), read(self.kept), read(self.around));
        // Gold facts that were not kept are missing from the graph: they are no distractors either.
        let known: HashSet<Candidate> = all.iter().chain(&kept).flatten().cloned().collect();
        let gold = if complete { all.or(kept) } else { kept.or(all) }.unwrap_or_default();
        let mut seen = HashSet::new();
        let mut list: Vec<Candidate> = Vec::new();
        for triple in gold {
            if seen.insert(triple.clone()) {
                list.push(triple);
            } else if !notes.contains(&NOTE_REPEATED) {
                notes.push(NOTE_REPEATED);
            }
        }
        let gold: Vec<usize> = (0..list.len()).collect();
        if gold.is_empty() {
            notes.push(NOTE_NO_GOLD);
        } else if !reaches(&list, fields) {
            notes.push(NOTE_UNREACHABLE);
        }
        match around {
            None => {
                let barred = known.into_iter().filter(|t| !seen.contains(t)).collect();
                Ok(Pool::Open { own: Candidates { list, gold }, barred })
            }
            Some(around) => {
                list.extend(around.into_iter().filter(|t| !known.contains(t) && seen.insert(t.clone())));
                if list.is_empty() {
                    return Err(Fault::leave_out("it has no candidate triples: there is nothing to retrieve from"));
                }
                Ok(Pool::Fixed(Candidates { list, gold }))
            }
        }
    }
}

/// Whether an answer or alias is an end of one of the triples.
fn reaches(triples: &[Candidate], fields: &Map<String, Value>) -> bool {
    let texts = |field| fields.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let ends: HashSet<&str> =
        triples.iter().filter_map(|t| t.triple.as_ref()).flat_map(|[head, _, tail]| [head.as_str(), tail]).collect();
    texts("answers").chain(texts("aliases")).any(|a| ends.contains(a))
}
