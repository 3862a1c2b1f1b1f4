//! `agenttts models`, without network.

use crate::support::{Bench, exists, snapshot};

#[test]
fn models_are_listed() {
    let bench = Bench::empty();
    let list = bench.run("models list").exits(0);
    assert!(list.stdout.contains("smollm2-135m") && list.stdout.contains("Apache-2.0"), "{list}");
    assert_eq!(list.stderr, format!("folder: {}\n", bench.path(".cache/agenttts/models").display()));
    let json = bench.run("models list --json").exits(0).json();
    assert!(json.as_array().unwrap().iter().all(|m| m["here"] == false && m["name"].is_string()));
}

#[test]
fn files_that_are_no_models_are_refused() {
    let bench = Bench::empty();
    bench.write("broken.gguf", b"GGUF\x03\x00\x00\x00");
    snapshot!("add_truncated", bench.run("models add broken.gguf --models-dir m").exits(3));
    bench.write("text.gguf", "this is not a model");
    snapshot!("add_no_gguf", bench.run("models add text.gguf --models-dir m").exits(3));
    bench.run("models add nowhere.gguf --models-dir m").exits(3);
    assert!(!exists(&bench.path("m/broken.gguf")));
}

#[test]
fn an_unknown_model_is_answered_with_the_nearest() {
    snapshot!("pull_unknown", Bench::empty().run("models pull smollm-135m").exits(4));
}

/// In a build without the engine every embedded model is refused, by another message.
#[cfg(feature = "embedded")]
#[test]
fn a_pipeline_on_a_broken_model_is_refused() {
    let bench = Bench::new();
    bench.write("m/broken.gguf", b"GGUF\x03\x00\x00\x00");
    bench.edit_pipeline("provider = \"fake\"\nid = \"p90-t4\"", "provider = \"embedded\"\nid = \"broken\"");
    snapshot!("search_truncated", bench.run("search p --models-dir m").exits(3));
    bench.edit_pipeline("id = \"broken\"", "id = \"smollm2-135m\"");
    snapshot!("search_not_pulled", bench.run("search p --models-dir m").exits(3));
}

#[cfg(not(feature = "embedded"))]
#[test]
fn a_build_without_the_engine_says_so() {
    let bench = Bench::new();
    bench.edit_pipeline("provider = \"fake\"\nid = \"p90-t4\"", "provider = \"embedded\"\nid = \"smollm2-135m\"");
    let ran = bench.run("check p").exits(4);
    assert!(ran.stderr.contains("built without the embedded engine"), "{ran}");
}
