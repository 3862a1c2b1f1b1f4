//! Files: of users, of data sets, of other programs.

use std::fs;
use std::io::Write;
use std::path::Path;

use agenttts_bench::read_landscape;
use agenttts_core::Space;
use agenttts_engine::{Tape, load_pipeline};
use agenttts_tasks::{ReadOptions, inspect};
use flate2::Compression;
use flate2::write::GzEncoder;

/// What else the folder of a pipeline holds.
const EXAMPLE: &str =
    "{\"question\": \"How much is 2 + 2?\", \"answer\": \"4\", \"facts\": [{\"id\": \"a\", \"text\": \"two\"}]}\n";

/// A pipeline file, beside the files that it most likely names.
pub(crate) fn pipeline(bytes: &[u8]) {
    in_folder(|folder| {
        fill(folder, b"{{ question }}", bytes);
        let _ = load_pipeline(folder, &|_| None);
    });
}

const TEMPLATE_PIPELINE: &str = r#"
version = 1
name = "template"
plan_budget = { cost_model = "flops", limit = 1000 }
data = { search = "search.jsonl", test = "test.jsonl" }
models.m = { provider = "fake", id = "p70", params_b = 1 }

[[stages]]
name = "answer"
models = ["m"]
samples = [1, 2]
prompt = "prompt.j2"
max_tokens = 20
metric = { kind = "exact-match", gold = "answer" }
expected = { prompt_tokens = 20, decode_tokens = 4 }
"#;

/// A prompt's template, filled in with an example.
pub(crate) fn template(bytes: &[u8]) {
    in_folder(|folder| {
        fill(folder, bytes, TEMPLATE_PIPELINE.as_bytes());
        if let Ok(loaded) = load_pipeline(folder, &|_| None) {
            for (stage, example) in loaded.stages.iter().zip(&loaded.pipeline.search_split.examples) {
                let _ = stage.render(example, &Default::default());
            }
        }
    });
}

/// The plans of the pipeline that templates are tried in.
pub(crate) fn template_space() -> Option<Space> {
    let folder = tempfile::tempdir().ok()?;
    fill(folder.path(), b"{{ question }}", TEMPLATE_PIPELINE.as_bytes());
    load_pipeline(folder.path(), &|_| None).ok().map(|loaded| loaded.space)
}

fn fill(folder: &Path, prompt: &[u8], pipeline: &[u8]) {
    write(folder, "pipeline.toml", pipeline);
    write(folder, "prompt.j2", prompt);
    write(folder, "search.jsonl", EXAMPLE.as_bytes());
    write(folder, "test.jsonl", EXAMPLE.replace("2 + 2", "1 + 3").as_bytes());
}

/// A published file of a data set.
pub(crate) fn dataset(bytes: &[u8]) {
    in_folder(|folder| {
        write(folder, "data.json", bytes);
        if let Ok(found) = inspect(&folder.join("data.json"), &ReadOptions::default()) {
            assert!(found.bad <= found.examples, "more bad examples than examples");
        }
    });
}

const LANDSCAPE: &str = include_str!("landscape.toml");

/// The table of a landscape, beside its description; what stands before a line of `---` takes the place of the description.
pub(crate) fn landscape(bytes: &[u8]) {
    in_folder(|folder| {
        let divided = bytes.windows(5).position(|window| window == b"\n---\n");
        let (about, table) = match divided {
            Some(at) => (&bytes[..at], &bytes[at + 5..]),
            None => (LANDSCAPE.as_bytes(), bytes),
        };
        write(folder, "plans.toml", about);
        write(folder, "plans.csv", table);
        let _ = read_landscape(&folder.join("plans.csv"));
    });
}

/// A tape: its document, packed, and the bytes as they are.
pub(crate) fn tape(bytes: &[u8]) {
    let _ = Tape::from_bytes("tape", bytes).map(|tape| tape.load().is_ok());
    let mut packer = GzEncoder::new(b"agenttts tape 2\n".to_vec(), Compression::fast());
    if packer.write_all(bytes).is_ok()
        && let Ok(packed) = packer.finish()
        && let Ok(tape) = Tape::from_bytes("tape", &packed)
    {
        let _ = tape.load();
        let written = tape.to_bytes().map(|bytes| Tape::from_bytes("again", &bytes).is_ok());
        assert!(matches!(written, Ok(true)), "a tape that was read can be written and read again");
    }
}

#[allow(clippy::expect_used, reason = "without a folder nothing can be tried")]
fn in_folder(work: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    work(folder.path());
}

#[allow(clippy::expect_used, reason = "without a file nothing can be tried")]
fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).expect("a file in a temporary folder");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_of_pipelines_are_sound_so_that_all_of_loading_is_reached() {
        for seed in [include_str!("../seeds/pipeline/small.toml"), include_str!("../seeds/pipeline/full.toml")] {
            let folder = tempfile::tempdir().unwrap();
            fill(folder.path(), b"{{ question }}", seed.as_bytes());
            load_pipeline(folder.path(), &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        }
        assert!(template_space().is_some());
    }
}
