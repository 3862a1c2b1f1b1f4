use super::*;
use crate::pipeline::PipelineFile;
use proptest::prelude::*;

const PIPELINE: &str = r#"version = 1
name = "sums"
default_profile = "small"   # what counts

[plan_budget]
cost_model = "flops"
limit = 10

[data]
search = "a.jsonl"
test = "b.jsonl"

[[stages]]
name = "pick"
prompt = "pick.j2"
samples = [1, 2] # few
max_tokens = 8

[[stages]]
name = "answer"
prompt = "answer.j2"
max_tokens = 8
samples = 1
expected = { prompt_tokens = 1, decode_tokens = 1 }
"#;

const PROFILE: &str = r#"description = "on one machine"
plan_budget.limit = 20

[models."qwen-0.5b"]
provider = "fake"
price = { prompt = 1, decode = 2 }

[stages.pick]
models = ["qwen-0.5b"]
samples = { min = 1, max = 8 }

[stages.pick.expected]
prompt_tokens = 100
decode_tokens = 5

[stages.answer]
models = ["qwen-0.5b"]
expected.prompt_tokens = 50
expected.decode_tokens = 7
"#;

fn merged(pipeline: &str, profile: &str) -> Result<Merged, Problems> {
    Merged::new(Written { file: "p.toml", text: pipeline }, Written { file: "s.toml", text: profile })
}

/// What is wrong with a profile laid over a pipeline, placed where it is written.
fn refusal(pipeline: &str, profile: &str) -> String {
    let merged = match merged(pipeline, profile) {
        Ok(merged) => merged,
        Err(problems) => return problems.to_string(),
    };
    merged.trace(PipelineFile::parse("merged", merged.text()).unwrap_err()).to_string()
}

#[test]
fn keys_of_the_profile_replace_those_of_the_pipeline() {
    let merged = merged(PIPELINE, PROFILE).unwrap();
    assert_eq!(
        merged.text(),
        r#"# A pipeline with a profile laid over it.
version = 1
name = "sums"
default_profile = "small"
description = "on one machine"

[plan_budget]
cost_model = "flops"
limit = 20

[data]
search = "a.jsonl"
test = "b.jsonl"

[[stages]]
name = "pick"
prompt = "pick.j2"
samples = { min = 1, max = 8 }
max_tokens = 8
models = ["qwen-0.5b"]
expected = { prompt_tokens = 100, decode_tokens = 5 }

[[stages]]
name = "answer"
prompt = "answer.j2"
max_tokens = 8
samples = 1
expected = { prompt_tokens = 50, decode_tokens = 7 }
models = ["qwen-0.5b"]

[models."qwen-0.5b"]
provider = "fake"
price = { prompt = 1, decode = 2 }
"#
    );
    PipelineFile::parse("merged", merged.text()).unwrap();
}

#[test]
fn problems_point_into_the_file_that_says_it() {
    let text = refusal(PIPELINE, &PROFILE.replace("samples = {", "sample = {"));
    assert!(text.starts_with("s.toml:10:1: unknown field `sample`"), "{text}");
    let text = refusal(&PIPELINE.replace("limit = 10", "limt = 10"), PROFILE);
    assert!(text.starts_with("p.toml:7:1: unknown field `limt`"), "{text}");
    let text = refusal(PIPELINE, &PROFILE.replace("decode = 2 }", "decode = \"two\" }"));
    assert!(text.starts_with("s.toml:6:32: invalid type"), "{text}");
    // A key that is missing is missed where its table begins.
    let text = refusal(PIPELINE, &PROFILE.replace("models = [\"qwen-0.5b\"]\nexpected", "expected"));
    assert!(text.starts_with("p.toml:19:1: missing field `models`"), "{text}");
    let text = refusal(PIPELINE, &PROFILE.replace("provider = \"fake\"\n", ""));
    assert!(text.starts_with("s.toml:4:1: missing field `provider`"), "{text}");
    let text = refusal(PIPELINE, "x = ");
    assert!(text.starts_with("s.toml:1:"), "{text}");
}

#[test]
fn a_profile_changes_stages_that_are_there_and_nothing_of_the_pipelines_identity() {
    let text = refusal(PIPELINE, "[stages.anser]\nsamples = 2\n");
    assert_eq!(text, "s.toml:1:9: the pipeline has no stage \"anser\"\n  hint: did you mean \"answer\"?");
    let text = refusal(PIPELINE, "name = \"other\"\n[[stages]]\nname = \"third\"\n[stage]\n");
    assert!(text.contains("s.toml:1:1: `name` belongs in the pipeline file"), "{text}");
    assert!(text.contains("s.toml:2:3: a profile cannot add to the `stages` of its pipeline"), "{text}");
    let text = refusal(PIPELINE, "[stages.pick]\nname = \"pack\"\n[stages]\nanswer = 3\n");
    assert!(text.contains("s.toml:2:1: a profile cannot rename a stage"), "{text}");
    assert!(text.contains("s.toml:4:10: a stage is a table of keys"), "{text}");
}

#[test]
fn the_default_profile_is_a_name() {
    let default = |text| default_profile(Written { file: "p.toml", text });
    assert_eq!(default(PIPELINE).unwrap().as_deref(), Some("small"));
    assert_eq!(default("name = \"x\"").unwrap(), None);
    let text = default("default_profile = \"../x\"").unwrap_err().to_string();
    assert!(text.starts_with("p.toml:1:19: \"../x\" is not a good name"), "{text}");
}

/// Pieces that files are put together from, sound and broken.
const LINES: [&str; 16] = [
    "[models]",
    "[models.a]",
    "[models.models]",
    "[[stages]]",
    "[stages.a]",
    "stages = [1]",
    "name = \"a\"",
    "[search]",
    "a.b = 1",
    "x = [[1], [2]]",
    "y = '''\nä'''",
    "[[a.b]]",
    "[a]",
    "[steps]",
    "models = 2",
    "[stages.a.b]",
];

proptest! {
    #[test]
    fn any_two_files_merge_or_are_a_problem(
        a in prop::collection::vec(prop::sample::select(&LINES[..]), 0..8),
        b in prop::collection::vec(prop::sample::select(&LINES[..]), 0..8),
    ) {
        let (a, b) = (a.join("\n"), b.join("\n"));
        if let Ok(merged) = merged(&a, &b) {
            let found: toml::Table = merged.text().parse().unwrap_or_else(|e| panic!("{e}\n{a}\n--\n{b}\n--\n{}", merged.text()));
            // What only one of the files says is in the result as it is.
            let (a, b): (toml::Table, toml::Table) = (a.parse().unwrap(), b.parse().unwrap());
            for (key, value) in a.iter().filter(|(k, _)| !b.contains_key(*k)) {
                prop_assert_eq!(found.get(key), Some(value));
            }
            for (key, value) in b.iter().filter(|(k, _)| !a.contains_key(*k) && !LISTED.contains(&k.as_str())) {
                prop_assert_eq!(found.get(key), Some(value));
            }
            for at in 0..merged.text().len() {
                let place = merged.origin(&(at..at + 1));
                prop_assert!(place.span.start <= place.span.end && place.span.end <= place.source.len());
            }
        }
    }
}
