//! Which data set a file holds, told by its first row.

use std::fmt;

use serde_json::{Map, Value};

use crate::scan::Shape;

/// A data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dataset {
    /// 2WikiMultiHopQA.
    TwoWiki,
    /// HotpotQA.
    HotpotQa,
    /// ComplexWebQuestions.
    Cwq,
    /// WebQSP.
    WebQsp,
    /// TaskBench.
    TaskBench,
    /// SRDD, the prompts of ChatDev.
    Srdd,
}

impl Dataset {
    /// All of them.
    pub const ALL: [Dataset; 6] =
        [Dataset::TwoWiki, Dataset::HotpotQa, Dataset::Cwq, Dataset::WebQsp, Dataset::TaskBench, Dataset::Srdd];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Dataset::TwoWiki => "2wiki",
            Dataset::HotpotQa => "hotpotqa",
            Dataset::Cwq => "cwq",
            Dataset::WebQsp => "webqsp",
            Dataset::TaskBench => "taskbench",
            Dataset::Srdd => "srdd",
        }
    }

    /// The data set of that name.
    pub fn from_name(name: &str) -> Option<Dataset> {
        Dataset::ALL.into_iter().find(|d| d.name() == name)
    }

    /// Its name in the literature.
    pub fn title(self) -> &'static str {
        match self {
            Dataset::TwoWiki => "2WikiMultiHopQA",
            Dataset::HotpotQa => "HotpotQA",
            Dataset::Cwq => "ComplexWebQuestions",
            Dataset::WebQsp => "WebQSP",
            Dataset::TaskBench => "TaskBench",
            Dataset::Srdd => "SRDD",
        }
    }

    /// Where its files are to be had.
    pub fn origin(self) -> &'static str {
        match self {
            Dataset::TwoWiki => {
                "dev.json of github.com/Alab-NII/2wikimultihop, or tts_test.json of github.com/FairyFali/AgentTTS_Code"
            }
            Dataset::HotpotQa => "hotpot_dev_distractor_v1.json of hotpotqa.github.io",
            Dataset::Cwq => "data_with_ct_0.5.json of github.com/YaooXu/GoG or github.com/FairyFali/AgentTTS_Code",
            Dataset::WebQsp => "the file with triples of github.com/YaooXu/GoG or github.com/FairyFali/AgentTTS_Code",
            Dataset::TaskBench => {
                "a folder such as data_dailylifeapis, with data.json and tool_desc.json, of taskbench in \
                 github.com/microsoft/JARVIS"
            }
            Dataset::Srdd => "data_attribute_format.csv of SRDD in github.com/OpenBMB/ChatDev",
        }
    }
}

/// A published format of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 2WikiMultiHopQA as its authors published it; with the release that has Wikidata ids, `ids`.
    TwoWiki {
        /// Whether rows have `answer_id`, by which aliases are found.
        ids: bool,
    },
    /// 2WikiMultiHopQA as AgentTTS published it: sentences without titles.
    TwoWikiAgentTts,
    /// HotpotQA as its authors published it.
    HotpotQa,
    /// HotpotQA as the `datasets` library lays it out: lists of titles and of sentences.
    HotpotQaHf,
    /// ComplexWebQuestions as its authors published it: answers with aliases.
    CwqOriginal,
    /// ComplexWebQuestions, questions with topic entities and one answer.
    CwqFlat,
    /// ComplexWebQuestions with gold triples, perhaps with candidates around the topic entity.
    CwqTriples,
    /// WebQSP without triples.
    WebQsp,
    /// WebQSP with gold triples and candidates.
    WebQspTriples,
    /// TaskBench with `task_steps`, `task_nodes` and `task_links`.
    TaskBenchTask,
    /// TaskBench with `tool_steps`, `tool_nodes` and `tool_links`.
    TaskBenchTool,
    /// SRDD with names, descriptions and perhaps categories.
    Srdd,
}

impl Format {
    /// The data set.
    pub fn dataset(self) -> Dataset {
        match self {
            Format::TwoWiki { .. } | Format::TwoWikiAgentTts => Dataset::TwoWiki,
            Format::HotpotQa | Format::HotpotQaHf => Dataset::HotpotQa,
            Format::CwqOriginal | Format::CwqFlat | Format::CwqTriples => Dataset::Cwq,
            Format::WebQsp | Format::WebQspTriples => Dataset::WebQsp,
            Format::TaskBenchTask | Format::TaskBenchTool => Dataset::TaskBench,
            Format::Srdd => Dataset::Srdd,
        }
    }

    /// Which of the data set's formats.
    pub fn layout(self) -> &'static str {
        match self {
            Format::TwoWiki { ids: false } => "original release, without ids",
            Format::TwoWiki { ids: true } => "original release, with ids",
            Format::TwoWikiAgentTts => "layout of AgentTTS, sentences without titles",
            Format::HotpotQa => "original release",
            Format::HotpotQaHf => "layout of the datasets library",
            Format::CwqOriginal => "original release, answers with aliases",
            Format::CwqFlat => "flat, without triples",
            Format::CwqTriples => "with triples",
            Format::WebQsp => "questions with parses, without triples",
            Format::WebQspTriples => "questions with parses and triples",
            Format::TaskBenchTask => "fields task_steps, task_nodes, task_links",
            Format::TaskBenchTool => "fields tool_steps, tool_nodes, tool_links",
            Format::Srdd => "names and descriptions",
        }
    }

    /// The format of a file with this first row.
    pub(crate) fn of(row: &Map<String, Value>) -> Option<Format> {
        let has = |key: &str| row.contains_key(key);
        let is = |key: &str, values: &[&str]| row.get(key).and_then(Value::as_str).is_some_and(|v| values.contains(&v));
        if has("ctxs_candidate") && has("question") {
            return Some(Format::TwoWikiAgentTts);
        }
        if has("QuestionId") && has("Parses") {
            return Some(if has("gt_triples") || has("crucial_triples") {
                Format::WebQspTriples
            } else {
                Format::WebQsp
            });
        }
        if has("ID") && has("question") && (has("webqsp_ID") || has("compositionality_type")) {
            let triples = has("gt_triples") || has("crucial_triples") || has("2hop_triples");
            return Some(match has("answer") {
                _ if triples => Format::CwqTriples,
                true => Format::CwqFlat,
                false => Format::CwqOriginal,
            });
        }
        if has("question") && has("context") && (has("_id") || has("id")) {
            let wikidata = ["evidences", "evidences_id", "entity_ids", "answer_id"].into_iter().any(has);
            if wikidata || is("type", &["compositional", "inference", "bridge_comparison"]) {
                // A row without an answer's id may stand among others that have one.
                let ids = ["answer_id", "evidences_id", "entity_ids"].into_iter().any(has);
                return Some(Format::TwoWiki { ids });
            }
            let lists = row.get("context").is_some_and(Value::is_object);
            return Some(if lists { Format::HotpotQaHf } else { Format::HotpotQa });
        }
        if has("id") && (has("user_request") || has("instruction")) {
            if has("task_nodes") || has("task_steps") {
                return Some(Format::TaskBenchTask);
            }
            if has("tool_nodes") || has("tool_steps") {
                return Some(Format::TaskBenchTool);
            }
        }
        (has("Name") && has("Description")).then_some(Format::Srdd)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.dataset().title(), self.layout())
    }
}

/// What a file looks like that is in none of the formats, and what to do about it.
pub(crate) fn stranger(row: &Map<String, Value>, shape: Shape) -> (String, String) {
    let has = |keys: &[&str]| keys.iter().all(|k| row.contains_key(*k));
    let known: [(&[&str], &str, &str); 10] = [
        (&["nodes", "links"], "the tool graph of TaskBench", "name data.json, which lies beside it"),
        (&["nodes"], "the tool descriptions of TaskBench", "name data.json, which lies beside it"),
        (
            &["id", "user_request"],
            "the requests of TaskBench without their gold",
            "name data.json, which lies beside it",
        ),
        (&["Q_id", "aliases"], "the aliases of 2WikiMultiHopQA", "name the questions, and this file with --aliases"),
        (&["idx", "puzzle"], "Game of 24", "it is none of the data sets that this program loads"),
        (&["question", "paragraphs"], "MuSiQue", "it is none of the data sets that this program loads"),
        (&["data", "version"], "SQuAD", "it is none of the data sets that this program loads"),
        (&["search", "test"], "a summary of prepared data", "name search.jsonl or test.jsonl in a pipeline's [data]"),
        (&["id", "candidates"], "prepared data", "name it in a pipeline's [data]: it needs no preparing"),
        (
            &["question", "answer"],
            "questions and answers such as GSM8K's",
            "name it in a pipeline's [data], one object a line",
        ),
    ];
    if let Some((_, what, hint)) = known.iter().find(|(keys, ..)| has(keys)) {
        return (format!("is of none of the data sets; it looks like {what}"), (*hint).to_owned());
    }
    let all = "there are 2WikiMultiHopQA, HotpotQA, ComplexWebQuestions, WebQSP, TaskBench and SRDD, see docs/data.md; \
               data of your own are JSON lines, named in a pipeline's [data]";
    let near = NEEDED
        .iter()
        .map(|(title, keys)| (keys.iter().filter(|k| row.contains_key(**k)).count() * 100 / keys.len(), title, keys))
        .max_by_key(|(share, ..)| *share)
        .filter(|(share, ..)| *share >= 50);
    if let Some((_, title, keys)) = near {
        let missing: Vec<&str> = keys.iter().copied().filter(|k| !row.contains_key(*k)).collect();
        let message =
            format!("is of none of the data sets; it looks most like {title}, but has no {}", missing.join(", "));
        return (message, all.to_owned());
    }
    let found: Vec<&str> = row.keys().map(String::as_str).take(8).collect();
    let what = match shape {
        Shape::Csv => "columns",
        _ => "fields",
    };
    (format!("is of none of the data sets: its {what} are {}", found.join(", ")), all.to_owned())
}

/// The fields by which each data set is known.
const NEEDED: [(&str, &[&str]); 6] = [
    ("HotpotQA or 2WikiMultiHopQA", &["_id", "question", "answer", "supporting_facts", "context"]),
    ("2WikiMultiHopQA in the layout of AgentTTS", &["question", "answers", "ctxs_gt", "ctxs_candidate"]),
    ("ComplexWebQuestions", &["ID", "question", "webqsp_ID", "compositionality_type"]),
    ("WebQSP", &["QuestionId", "RawQuestion", "Parses"]),
    ("TaskBench", &["id", "user_request", "task_steps", "task_nodes", "task_links"]),
    ("SRDD", &["Name", "Description", "Category"]),
];
