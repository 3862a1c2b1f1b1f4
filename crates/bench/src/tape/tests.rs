//! On a tape of fake models: draws are paid for once, to the token, and examples run out.

use std::fs;
use std::sync::atomic::AtomicBool;

use agenttts_engine::{Observers, Recorder, StopHandle, StudyContext, Workshop, load_pipeline, record};
use agenttts_store::Store;

use super::*;
use crate::methods::contestant;
use crate::tournament::{Options, play};

const PIPELINE: &str = r#"
version = 1
name = "sums"
plan_budget = { cost_model = "flops", limit = 900 }
data = { search = "search.jsonl", test = "test.jsonl" }
models.small = { provider = "fake", id = "p55", params_b = 1 }
models.large = { provider = "fake", id = "p75", params_b = 10 }

[[stages]]
name = "pick"
models = ["small", "large"]
samples = [1, 2, 4]
prompt = "pick.j2"
max_tokens = 20
expected = { prompt_tokens = 20, decode_tokens = 4 }

[[stages]]
name = "answer"
models = ["small", "large"]
samples = [1, 4]
aggregator = ["vote", "fuse"]
prompt = "answer.j2"
max_tokens = 20
metric = { kind = "exact-match", gold = "answer" }
expected = { prompt_tokens = 20, decode_tokens = 4 }
"#;

fn tape() -> Arc<Tape> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("pipeline.toml", PIPELINE.into());
    write("pick.j2", "{{ question }}\nanswer: {{ gold }}\nwrong: shed | barn | mill".into());
    let right = "{% if pick == gold %}answer: {{ answer }}{% else %}answer: none{% endif %}";
    write("answer.j2", format!("{{{{ question }}}}\n{right}\nwrong: 1 | 2 | 3"));
    let lines = |range: std::ops::Range<u32>| -> String {
        let line = |i| format!("{{\"question\": \"sum {i}\", \"gold\": \"hut{i}\", \"answer\": \"{}\"}}\n", i + 10);
        range.map(line).collect()
    };
    write("search.jsonl", lines(0..10));
    write("test.jsonl", lines(100..104));
    let loaded = load_pipeline(folder.path(), &|_| None).unwrap_or_else(|e| panic!("{e}"));
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let context = StudyContext {
        workshop: Workshop::new("no-models".into()),
        observers: Observers::default(),
        stop: StopHandle::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tape = runtime.block_on(record(&store, Recorder::new(loaded).unwrap(), context)).unwrap().unwrap();
    Arc::new(tape)
}

fn span(first: u32, count: u32) -> Span {
    Span { first, count }
}

#[test]
fn a_trial_costs_what_it_lacks_and_examples_run_out() {
    let arena = arena(&tape()).unwrap();
    let space = arena.environment.space();
    let mut session = arena.environment.session(1);
    let plans: Vec<Plan> = space.feasible_indices().map(|options| space.plan(&options)).collect();
    let small: Vec<&Plan> = plans.iter().filter(|p| p.choices.iter().all(|c| c.model == "small")).collect();
    let (once, more) = (small[0], small.iter().find(|p| p.choices[0].samples == 4).unwrap());

    let price = session.price(once, 4);
    let measured = session.measure(once, 0, span(0, 4)).unwrap();
    assert_eq!((measured.drawn.tokens() as f64, measured.scores.len()), (price, 4));
    let fresh = session.price(more, 4);
    let alone = arena.environment.session(1).price(more, 4);
    assert!(fresh < alone, "its first samples are there: {fresh}, {alone}");

    assert!(session.price(once, 6) > 0.0);
    assert_eq!(session.price(once, 60), session.price(once, 6), "as many as are left");
    session.measure(once, 0, span(4, 6)).unwrap();
    assert_eq!(session.price(once, 1), f64::INFINITY);
    assert!(session.measure(once, 1, span(0, 10)).is_none(), "there are no fresh draws");
    assert!(session.measure(more, 0, span(4, 7)).is_none());
}

#[test]
fn all_plans_together_cost_every_draw_once() {
    let tape = tape();
    let ground = Ground::new(PlayedTape::new(&tape, tape.load().unwrap()).unwrap());
    let mut session = ground.session(3);
    let mut paid = 0.0;
    let most_first = |p: &&Plan| std::cmp::Reverse(p.choices.iter().map(|c| c.samples).collect::<Vec<_>>());
    let mut plans: Vec<&Plan> = ground.played.plans().collect();
    plans.sort_by_key(most_first);
    for plan in plans {
        paid += session.price(plan, 10);
        session.measure(plan, 0, span(0, 10)).unwrap();
    }
    // Where a later plan wants more draws of a prompt that an earlier one left at fewer, the prompt is paid for again.
    assert!(paid >= ground.whole && paid < 1.3 * ground.whole, "{paid} {}", ground.whole);
}

#[test]
fn seeds_have_orders_of_their_own_and_whole_pools_agree_with_the_truth() {
    let arena = arena(&tape()).unwrap();
    let space = arena.environment.space();
    let plan = space.plan(&space.feasible_indices().last().unwrap());
    let measured = |seed, count| arena.environment.session(seed).measure(&plan, 0, span(0, count)).unwrap();
    assert_eq!(measured(1, 5), measured(1, 5));
    assert!((2..9).any(|seed| measured(seed, 5) != measured(1, 5)));
    for seed in 0..3 {
        assert!((measured(seed, 10).objective.mean - arena.truth.score(&plan)).abs() < 1e-9);
    }
}

#[test]
fn methods_compare_on_a_tape_by_tokens() {
    let arenas = [arena(&tape()).unwrap()];
    let contestants = [contestant("random").unwrap(), contestant("rules").unwrap()];
    let options = Options { seeds: 3, budget: Some(1e9), threads: 2, racing: false };
    let play = || play(&arenas, &contestants, &options, &AtomicBool::new(false), &|_, _| {}).unwrap().unwrap();
    let first = play();
    let judged = |all: &[crate::Series]| -> Vec<_> {
        all.iter().flat_map(|s| &s.runs).map(|r| (r.path.clone(), r.spent, r.trials)).collect()
    };
    assert_eq!(judged(&first), judged(&play()));
    for run in first.iter().flat_map(|s| &s.runs) {
        assert!(run.fault.is_none(), "{:?}", run.fault);
        assert!(run.spent > 100.0 && run.trials > 0);
    }
    let whole = first.iter().filter(|s| s.contestant == 0 && s.examples == Some(10)).flat_map(|s| &s.runs);
    assert!(whole.clone().count() > 0);
    assert!(whole.into_iter().all(|r| r.path.last().unwrap().1 == 1.0), "everything was tried on all examples");
}

#[test]
fn recommended_plans_are_also_judged_on_examples_that_no_trial_used() {
    let arenas = [arena(&tape()).unwrap()];
    let contestants = [contestant("random@10").unwrap(), contestant("tpe@10").unwrap()];
    let options = Options { seeds: 3, budget: Some(1e9), threads: 2, racing: false };
    let series = play(&arenas, &contestants, &options, &AtomicBool::new(false), &|_, _| {}).unwrap().unwrap();
    let results = crate::Results::new(&arenas, &contestants, &options, &series);
    let best = results.summary[0].best_on_test.unwrap();
    assert_eq!(best.n, 4, "the test examples are what differs");
    for method in &results.summary[0].methods {
        let test = method.test.unwrap();
        assert_eq!(test.n, 4);
        assert!(method.arrived < 1.0 || method.arrived_after.unwrap() >= 1.0);
        let rival = results.summary[0].best_outside.as_ref() == Some(&method.method);
        assert_eq!(method.test_difference.is_none(), rival);
    }
    let run = series.iter().flat_map(|s| &s.runs).next().unwrap();
    assert_eq!(run.test.len(), 4);
    assert!(run.test.iter().all(|score| [0.0, 1.0].contains(score)));
}
