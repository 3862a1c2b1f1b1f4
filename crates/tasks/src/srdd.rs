//! SRDD: descriptions of programs to be written.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::Map;

use crate::draft::{Draft, Fault, Pool, folded};

/// A row of the CSV file, or a pair of the parallel lists.
#[derive(Debug, Deserialize)]
pub(crate) struct Srdd {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Description")]
    description: String,
    #[serde(default, rename = "Category")]
    category: Option<String>,
}

pub(crate) const NOTE_NAME: &str = "its name occurs twice, with different descriptions (the later id ends in #2)";

/// Hashes of the descriptions of every name so far.
pub(crate) type Names = HashMap<String, Vec<u64>>;

impl Srdd {
    /// The example of a row. Ids are names, made unique by what was `seen` before.
    pub(crate) fn draft(self, seen: &mut Names) -> Result<Draft, Fault> {
        let name = self.name.trim().to_owned();
        if name.is_empty() || self.description.trim().is_empty() {
            return Err(Fault::leave_out("its name or description is empty"));
        }
        let description = self.description.trim().to_owned();
        let mut hasher = DefaultHasher::new();
        description.hash(&mut hasher);
        let hash = hasher.finish();
        let known = seen.entry(name.clone()).or_default();
        if known.contains(&hash) {
            return Err(Fault::leave_out(format!("{name:?} occurs twice with the same description")));
        }
        known.push(hash);
        let mut notes = Vec::new();
        let id = match known.len() {
            1 => name.clone(),
            times => {
                notes.push(NOTE_NAME);
                format!("{name}#{times}")
            }
        };
        let category = self.category.map(|c| c.trim().to_owned()).filter(|c| !c.is_empty());
        let mut fields = Map::new();
        fields.insert("name".into(), name.as_str().into());
        fields.insert("description".into(), description.as_str().into());
        if let Some(category) = &category {
            fields.insert("category".into(), category.as_str().into());
        }
        Ok(Draft {
            id,
            group: folded(&name),
            query: description,
            fields,
            pool: Pool::None,
            stratum: category.unwrap_or_default(),
            notes,
        })
    }
}
