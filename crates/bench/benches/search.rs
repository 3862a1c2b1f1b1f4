//! What `planner` takes to think, over searches of one and of two sizes: all asks and surrogates of a whole search of a
//! simulated landscape, beside random plans on the same draws.
//!
//! `cargo xtask bench inner search`
#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first error")]

use std::sync::atomic::AtomicBool;

use agenttts_bench::{Options, contestant, open, play};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn search(criterion: &mut Criterion) {
    let arenas = open(&["sim:insights:1".to_owned()]).unwrap();
    let mut group = criterion.benchmark_group("search");
    group.sample_size(10);
    for evaluations in [200_u32, 400] {
        group.throughput(Throughput::Elements(u64::from(evaluations)));
        for method in ["random", "planner"] {
            let contestants = [contestant(method).unwrap()];
            let budget = Some(f64::from(evaluations));
            let options = Options { seeds: 1, budget, threads: 1, racing: false };
            group.bench_function(BenchmarkId::new(method, evaluations), |bencher| {
                bencher.iter(|| play(&arenas, &contestants, &options, &AtomicBool::new(false), &|_, _| {}).unwrap());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, search);
criterion_main!(benches);
