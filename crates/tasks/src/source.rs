//! A data file as a stream of examples.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::bytes::first_byte;
use crate::draft::{Draft, Fault};
use crate::error::DataError;
use crate::format::{Dataset, Format, stranger};
use crate::keep::hash_files;
use crate::kg::{Cwq, WebQsp};
use crate::qa::{AgentTts, Aliases, Original};
use crate::scan::{Flow, Row, Shape, read_row, scan, shape};
use crate::srdd::{Names, Srdd};
use crate::taskbench::TaskBench;
use crate::tools::Toolbox;
use crate::values::or_default;

/// How to read a file.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The data set that it must hold.
    pub expected: Option<Dataset>,
    /// `id_aliases.json` of 2WikiMultiHopQA; otherwise the file of that name beside the data, if there is one.
    pub aliases: Option<PathBuf>,
    /// `tool_desc.json` of TaskBench; otherwise the file of that name beside the data, if there is one.
    pub tools: Option<PathBuf>,
    /// Whether the knowledge graph holds all gold triples. Otherwise it holds those that the file keeps (its
    /// `crucial_triples`), as in the experiments of AgentTTS, and the other gold ones are missing.
    pub complete_graph: bool,
}

/// A data file whose format is known.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    name: String,
    shape: Shape,
    format: Format,
    complete_graph: bool,
    /// Files beside the data that were read too.
    companions: Vec<PathBuf>,
    pub(crate) aliases: Option<Aliases>,
    pub(crate) toolbox: Option<Toolbox>,
}

/// What a row became.
pub(crate) type Outcome = Result<Draft, DataError>;

impl Source {
    /// Recognises a file by its content. For a folder, that is the one data file in it.
    ///
    /// # Errors
    /// The file cannot be read as text, is of none of the formats, or not of the data set that is expected.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Source, DataError> {
        let path = if path.is_dir() { only_file(path)? } else { path.to_owned() };
        let name = path.display().to_string();
        let first = first_byte(&path, &name)?;
        let shape = shape(&path, &name, first)?;
        let format = recognise(&path, &name, shape)?;
        if let Some(expected) = options.expected
            && expected != format.dataset()
        {
            return Err(DataError::of(
                &name,
                format!("does not hold {}: it looks like {format}", expected.title()),
                format!("name a file of {}, or use what is made for {}", expected.title(), format.dataset().title()),
            ));
        }
        let mut source = Source {
            path,
            name,
            shape,
            format,
            complete_graph: options.complete_graph,
            companions: Vec::new(),
            aliases: None,
            toolbox: None,
        };
        source.read_companions(options)?;
        Ok(source)
    }

    /// Its format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The file, as it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the file and of those beside it that were read too.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(crate) fn content_hash(&self) -> Result<[u8; 32], DataError> {
        hash_files(std::iter::once(&self.path).chain(&self.companions))
    }

    /// Gives every row to `each`, in the order of the file: the example, or why it cannot be one.
    ///
    /// # Errors
    /// The file is damaged, or `each` failed.
    pub(crate) fn each(
        &self,
        each: &mut dyn FnMut(usize, Outcome) -> Result<Flow, DataError>,
    ) -> Result<(), DataError> {
        let mut ids: HashMap<String, usize> = HashMap::new();
        let mut names = Names::new();
        scan(&self.path, &self.name, self.shape, &mut |row| {
            let outcome = self.draft(row, &mut names).and_then(|draft| match ids.get(&draft.id) {
                Some(first) => Err(self.fault(
                    row,
                    Fault::leave_out(format!("the id {:?} was already used by example {first}", draft.id)),
                )),
                None => {
                    ids.insert(draft.id.clone(), row.number);
                    Ok(draft)
                }
            });
            each(row.number, outcome)
        })
    }

    fn draft(&self, row: Row<'_>, names: &mut Names) -> Outcome {
        let drafted = match self.format {
            Format::TwoWiki { .. } | Format::HotpotQa | Format::HotpotQaHf => {
                self.read::<Original>(row)?.draft(self.aliases.as_ref())
            }
            Format::TwoWikiAgentTts => self.read::<AgentTts>(row)?.draft(row.number),
            Format::CwqOriginal | Format::CwqFlat | Format::CwqTriples => {
                self.read::<Cwq>(row)?.draft(self.complete_graph)
            }
            Format::WebQsp | Format::WebQspTriples => self.read::<WebQsp>(row)?.draft(self.complete_graph),
            Format::TaskBenchTask | Format::TaskBenchTool => self.read::<TaskBench>(row)?.draft(self.toolbox.as_ref()),
            Format::Srdd => self.read::<Srdd>(row)?.draft(names),
        };
        let draft = drafted.map_err(|fault| self.fault(row, fault))?;
        if draft.query.trim().is_empty() {
            return Err(self.fault(row, Fault::leave_out("its question is empty")));
        }
        Ok(draft)
    }

    /// Reads a row; one of another data set is called by that set's name.
    fn read<'a, T: Deserialize<'a>>(&self, row: Row<'a>) -> Result<T, DataError> {
        read_row(&self.name, row).map_err(|error| {
            let other = serde_json::from_str::<Map<String, Value>>(row.text).ok().and_then(|r| Format::of(&r));
            match other.filter(|other| other.dataset() != self.format.dataset()) {
                Some(other) => DataError {
                    message: format!("looks like {other}, but the file begins as {}", self.format.dataset().title()),
                    hint: "keep one data set in one file".into(),
                    ..error
                },
                None => error,
            }
        })
    }

    fn fault(&self, row: Row<'_>, fault: Fault) -> DataError {
        DataError::of(&self.name, fault.message, fault.hint).at(row.place.0, row.place.1).in_example(row.number)
    }

    fn read_companions(&mut self, options: &ReadOptions) -> Result<(), DataError> {
        let beside = |named: &Option<PathBuf>, name: &str| {
            let found = || Some(self.path.with_file_name(name)).filter(|p| p.is_file());
            named.clone().or_else(found)
        };
        match self.format {
            Format::TwoWiki { ids: true } => {
                if let Some(path) = beside(&options.aliases, "id_aliases.json") {
                    let wanted = self.answer_ids()?;
                    self.aliases = Some(read_aliases(&path, &wanted)?);
                    self.companions.push(path);
                }
            }
            Format::TaskBenchTask | Format::TaskBenchTool => {
                let tools = beside(&options.tools, "tool_desc.json").or_else(|| beside(&None, "graph_desc.json"));
                self.toolbox = tools.as_deref().map(Toolbox::read).transpose()?;
                self.companions.extend(tools);
            }
            _ => {}
        }
        Ok(())
    }

    /// The Wikidata ids of all answers. Only their aliases are kept: the file of aliases is larger than the data.
    fn answer_ids(&self) -> Result<HashSet<String>, DataError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            answer_id: Option<String>,
        }
        let mut ids = HashSet::new();
        scan(&self.path, &self.name, self.shape, &mut |row| {
            // What is wrong with a row is said when it is read whole.
            ids.extend(serde_json::from_str::<Answer>(row.text).ok().and_then(|a| a.answer_id));
            Ok(Flow::On)
        })?;
        Ok(ids)
    }
}

/// The format of a file, by its first row.
fn recognise(path: &Path, name: &str, shape: Shape) -> Result<Format, DataError> {
    let mut found: Option<Result<Format, DataError>> = None;
    scan(path, name, shape, &mut |row| {
        let hint = "a data file holds one object for each example, see docs/data.md";
        found = Some(match serde_json::from_str::<Value>(row.text) {
            Ok(Value::Object(fields)) => Format::of(&fields).ok_or_else(|| {
                let (message, hint) = stranger(&fields, shape);
                DataError::of(name, message, hint)
            }),
            Ok(_) => Err(DataError::of(name, "an example must be a JSON object, this is none", hint)
                .at(row.place.0, row.place.1)
                .in_example(row.number)),
            Err(error) => Err(DataError::of(name, format!("not valid JSON: {}", crate::scan::reason(&error)), hint)
                .at(row.place.0, row.place.1)
                .in_example(row.number)),
        });
        Ok(Flow::Stop)
    })?;
    found.unwrap_or_else(|| Err(DataError::of(name, "holds no example", "download it again")))
}

fn read_aliases(path: &Path, wanted: &HashSet<String>) -> Result<Aliases, DataError> {
    #[derive(Deserialize)]
    struct Entry {
        #[serde(rename = "Q_id")]
        id: String,
        #[serde(default, deserialize_with = "or_default")]
        aliases: Vec<String>,
        #[serde(default, deserialize_with = "or_default")]
        demonyms: Vec<String>,
    }
    let name = path.display().to_string();
    let first = first_byte(path, &name)?;
    let shape = shape(path, &name, first)?;
    let mut all = Aliases::new();
    scan(path, &name, shape, &mut |row| {
        let entry: Entry = read_row(&name, row)?;
        if wanted.contains(&entry.id) {
            all.entry(entry.id).or_default().extend(entry.aliases.into_iter().chain(entry.demonyms));
        }
        Ok(Flow::On)
    })?;
    Ok(all)
}

/// The data file of a folder: `data.json`, or the only file that is in one of the formats.
fn only_file(folder: &Path) -> Result<PathBuf, DataError> {
    let name = folder.display().to_string();
    let unreadable = |error: std::io::Error| {
        DataError::of(&name, format!("cannot be read: {error}"), "name a data file, or the folder that holds it")
    };
    let data = folder.join("data.json");
    if data.is_file() {
        return Ok(data);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_data = path.extension().is_some_and(|e| e == "json" || e == "jsonl" || e == "csv");
        if is_data && path.is_file() {
            let shown = path.display().to_string();
            let format = first_byte(&path, &shown)
                .and_then(|first| shape(&path, &shown, first))
                .and_then(|shape| recognise(&path, &shown, shape));
            if format.is_ok() {
                found.push(path);
            }
        }
    }
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(DataError::of(&name, "holds no file of a known data set", "name the file; docs/data.md lists them")),
        several => {
            let names: Vec<String> =
                several.iter().filter_map(|p| Some(p.file_name()?.to_string_lossy().into_owned())).collect();
            Err(DataError::of(&name, format!("holds several data files: {}", names.join(", ")), "name one of them"))
        }
    }
}
