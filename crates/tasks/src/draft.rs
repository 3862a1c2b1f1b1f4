//! One example before its candidates are shuffled and numbered.

use serde_json::{Map, Value};

/// An example under construction.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) id: String,
    /// The question or request.
    pub(crate) query: String,
    /// Fields other than the id, the candidates and the ids of the gold ones.
    pub(crate) fields: Map<String, Value>,
    pub(crate) pool: Pool,
    /// Examples of one group share a source: they go to the same split.
    pub(crate) group: String,
    /// Splits hold equal shares of every stratum.
    pub(crate) stratum: String,
    /// What is peculiar about it, though it can be used.
    pub(crate) notes: Vec<&'static str>,
}

/// What a stage that retrieves chooses among.
#[derive(Clone, Debug)]
pub(crate) enum Pool {
    /// The task has no retrieval, or the file no candidates.
    None,
    /// Exactly these.
    Fixed(Candidates),
    /// These, and further ones out of the whole file.
    Open {
        /// These.
        own: Candidates,
        /// What answers the question too and is to be missing: it is no distractor.
        barred: Vec<Candidate>,
    },
}

impl Pool {
    pub(crate) fn own(&self) -> Option<&Candidates> {
        match self {
            Pool::None => None,
            Pool::Fixed(own) | Pool::Open { own, .. } => Some(own),
        }
    }
}

/// Candidates without repeats, and which of them are gold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidates {
    pub(crate) list: Vec<Candidate>,
    /// Positions in `list`, ascending.
    pub(crate) gold: Vec<usize>,
}

/// A paragraph, a sentence or a triple.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Candidate {
    /// Empty where the data set has none.
    pub(crate) title: String,
    pub(crate) text: String,
    /// Head, relation and tail.
    pub(crate) triple: Option<[String; 3]>,
}

impl Candidate {
    pub(crate) fn passage(title: &str, text: String) -> Self {
        Candidate { title: title.to_owned(), text, triple: None }
    }

    pub(crate) fn triple(triple: [String; 3]) -> Self {
        Candidate { title: String::new(), text: triple.join(" | "), triple: Some(triple) }
    }

    /// The candidate as an example holds it.
    pub(crate) fn to_json(&self, id: &str) -> Value {
        let mut map = Map::new();
        map.insert("id".into(), id.into());
        match &self.triple {
            None => {
                map.insert("title".into(), self.title.as_str().into());
                map.insert("text".into(), self.text.as_str().into());
            }
            Some([head, relation, tail]) => {
                map.insert("text".into(), self.text.as_str().into());
                map.insert("head".into(), head.as_str().into());
                map.insert("relation".into(), relation.as_str().into());
                map.insert("tail".into(), tail.as_str().into());
            }
        }
        Value::Object(map)
    }

    /// The first letter of its ids: documents and triples.
    pub(crate) fn letter(&self) -> char {
        if self.triple.is_some() { 't' } else { 'd' }
    }
}

/// Why a row cannot be an example, and what to do.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { message: message.into(), hint: hint.into() }
    }

    /// A fault that only leaving the example out can mend.
    pub(crate) fn leave_out(message: impl Into<String>) -> Self {
        Fault::new(
            message,
            "mend it in the file, or leave such examples out: --skip-bad, or skip_bad = true below [data] of a pipeline",
        )
    }
}

/// The same texts without repeats, in their order; blank ones are left out.
pub(crate) fn distinct(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for text in texts {
        if !text.trim().is_empty() && !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// A question without differences of case and spacing.
pub(crate) fn folded(text: &str) -> String {
    text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}
