//! The pipeline that tests of the server, and the soak, search and serve.

use std::fs;
use std::path::Path;

/// Looks at the question, then answers. Its models are at `BASE_URL`.
pub(crate) const PIPELINE: &str = r#"
version = 1
name = "sums"
description = "Look at the question, then answer."

[plan_budget]
cost_model = "usd"
limit = 1

[search]
method = "random"
trials = 6

[data]
search = "search.jsonl"
test = "test.jsonl"

[providers.upstream]
kind = "openai"
base_url = "BASE_URL"
retries = 0

[models.small]
provider = "upstream"
id = "p55"
price = { prompt = 0.1, decode = 0.4 }

[models.large]
provider = "upstream"
id = "p90"
price = { prompt = 1, decode = 4 }

[[stages]]
name = "look"
models = ["small", "large"]
samples = [1, 2, 4]
prompt = "look.j2"
max_tokens = 20
expected = { prompt_tokens = 20, decode_tokens = 4 }

[[stages]]
name = "answer"
models = ["small", "large"]
samples = [1, 2, 4]
prompt = "answer.j2"
max_tokens = 20
metric = { kind = "exact-match", gold = "answer" }
expected = { prompt_tokens = 20, decode_tokens = 4 }
"#;

/// Writes a folder from which it, or a variation of it, can be searched.
pub(crate) fn write_pipeline(folder: &Path, pipeline: &str) {
    fs::write(folder.join("pipeline.toml"), pipeline).unwrap();
    fs::write(folder.join("look.j2"), "{{ question }}\nanswer: seen").unwrap();
    fs::write(folder.join("answer.j2"), "{{ look }}\n{{ question }}").unwrap();
    let line = |i: u32| format!("{{\"question\": \"sum {i}\\nanswer: {i}\", \"answer\": \"{i}\"}}\n");
    fs::write(folder.join("search.jsonl"), (0..10).map(line).collect::<String>()).unwrap();
    fs::write(folder.join("test.jsonl"), (20..26).map(line).collect::<String>()).unwrap();
}
