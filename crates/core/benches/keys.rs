//! What a request's key costs, beside one pass of its hash over as many bytes, which is the least that it can.
//!
//! `cargo xtask bench inner keys`

use std::hint::black_box;

use agenttts_core::{Decoding, Message, ModelIdentity, Request, Temperature};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sha2::{Digest, Sha256};

fn keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("keys");
    let identity = ModelIdentity { model: "embedded:small".into(), revision: "sha256 0".into() };
    for kilobytes in [2, 32] {
        let prompt = "Copper Market sells plates at 12 and caps at 5.\n\n".repeat(kilobytes * 1_000 / 49);
        group.throughput(Throughput::Bytes(prompt.len() as u64));
        group.bench_with_input(BenchmarkId::new("sha-256", kilobytes), &prompt, |bencher, prompt| {
            bencher.iter(|| Sha256::digest(black_box(prompt)));
        });
        let request = request(prompt);
        group.bench_with_input(BenchmarkId::new("key", kilobytes), &request, |bencher, request| {
            bencher.iter(|| black_box(request).key(&identity));
        });
    }
    group.finish();
}

fn request(prompt: String) -> Request {
    let decoding = Decoding {
        temperature: Temperature::GREEDY,
        top_p: None,
        max_tokens: 64,
        stop: vec!["\n\n".into()],
        constraint: None,
    };
    Request { messages: vec![Message::user(prompt)], decoding }
}

criterion_group!(benches, keys);
criterion_main!(benches);
