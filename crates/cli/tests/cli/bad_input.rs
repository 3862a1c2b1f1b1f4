//! Everything that can be wrong with a pipeline and its data: message, place, hint, exit code 3, and nothing spent.

use crate::support::{Bench, exists, snapshot, store};

/// `check` and `search` refuse alike, before there is a store.
fn refused(bench: &Bench) -> String {
    let check = bench.run("check p").exits(3);
    let search = bench.run("search p").exits(3);
    assert_eq!(check.stderr, search.stderr);
    assert_eq!((check.stdout.as_str(), search.stdout.as_str()), ("", ""));
    assert!(!exists(&store(bench)), "a refused search made a store");
    check.to_string()
}

macro_rules! pipeline_cases {
    ($($name:ident: $from:literal => $to:literal;)*) => {$(
        #[test]
        fn $name() {
            let bench = Bench::new();
            bench.edit_pipeline($from, $to);
            let text = refused(&bench);
            assert!(text.contains("hint: "), "{text}");
            crate::support::snapshot_named(stringify!($name), &text);
        }
    )*};
}

pipeline_cases! {
    unknown_key: "max_tokens = 8" => "max_token = 8";
    wrong_type: "samples = [1, 3]" => "samples = \"many\"";
    unknown_model: "models = [\"little\", \"big\"]" => "models = [\"litle\", \"big\"]";
    unknown_from: "name = \"answer\"\n" => "name = \"answer\"\nfrom = [\"pik\"]\n";
    cycle: "name = \"pick\"\n" => "name = \"pick\"\nfrom = [\"answer\"]\n";
    empty_pool: "models = [\"little\", \"big\"]" => "models = []";
    samples_zero: "samples = [1, 3]" => "samples = 0";
    samples_inverted: "{ min = 1, max = 5 }" => "{ min = 5, max = 1 }";
    budget_below_the_cheapest: "limit = 900" => "limit = 10";
    missing_prompt_file: "prompt = \"pick.j2\"" => "prompt = \"pik.j2\"";
    missing_params: "params_b = 8\n" => "";
    bad_toml: "version = 1" => "version = ";
}

#[test]
fn undefined_variable() {
    let bench = Bench::new();
    bench.edit("p/answer.j2", "{{ pick }}", "{{ picked }}");
    snapshot!("undefined_variable", refused(&bench));
}

#[test]
fn bad_data() {
    let bench = Bench::new();
    bench.edit("p/search.jsonl", "\"question\":\"2 + 2?\"", "\"question\":");
    snapshot!("bad_line", refused(&bench));

    let bench = Bench::new();
    bench.edit("p/search.jsonl", "\"document\":\"c\",", "");
    snapshot!("missing_field", refused(&bench));

    let bench = Bench::new();
    bench.write("p/test.jsonl", "\n");
    snapshot!("empty_split", refused(&bench));

    let bench = Bench::new();
    let first = bench.read("p/search.jsonl").lines().next().unwrap().to_owned();
    bench.write("p/test.jsonl", format!("{}{first}\n", bench.read("p/test.jsonl")));
    snapshot!("overlapping_splits", refused(&bench));

    let bench = Bench::new();
    bench.write("p/search.jsonl", b"{\"question\": \"\xff\"}\n");
    snapshot!("not_text", refused(&bench));
}

#[test]
fn several_problems_are_told_together() {
    let bench = Bench::new();
    bench
        .edit_pipeline("samples = [1, 3]", "samples = 0")
        .edit_pipeline("id = \"p90-t4\"", "id = \"p90-t4\"\ntop_p = 2");
    snapshot!("several_problems", refused(&bench));
}

#[test]
fn no_pipeline() {
    let bench = Bench::empty();
    snapshot!("no_pipeline", bench.run("check nowhere"));
    std::fs::create_dir(bench.path("empty")).unwrap();
    snapshot!("empty_folder", bench.run("search empty"));
}

#[test]
fn the_command_line() {
    let bench = Bench::new();
    snapshot!("bad_search_budget", bench.run("search p --search-budget tokens=2Q"));
    snapshot!("unknown_limit", bench.run("search p --search-budget token=2M"));
    bench.run("search").exits(2);
    bench.run("search p --trials 0").exits(2);
    bench.run("search p --without-insight 4").exits(2);
    bench.run("").exits(2);
    assert!(!exists(&store(&bench)));
    snapshot!("unknown_method", bench.run("search p --method rule"));
    snapshot!("unknown_agent", bench.run("search p --method agent --agent-model bg"));
    snapshot!("agent_without_model", bench.run("search p --method agent"));
}
