//! A second call beside one that is late: `hedge`.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use agenttts_core::Usage;
use agenttts_models::Toll;
use agenttts_testkit::Fault;
use async_trait::async_trait;

use super::*;

/// Just enough quick calls to know what is late, so that no second call is made before.
const QUICK: usize = 16;
/// Longer than any test waits.
const LATE: Duration = Duration::from_secs(60);

/// Keeps books: attempts that were begun and not ended, and what was billed.
#[derive(Default)]
struct Books {
    open: AtomicU32,
    calls: AtomicU32,
    decoded: AtomicU32,
    full: AtomicBool,
}

#[async_trait]
impl Toll for Books {
    async fn begin(&self, _: u32, _: u32) -> bool {
        self.open.fetch_add(1, Ordering::SeqCst);
        true
    }

    async fn begin_spare(&self, prompts: u32, samples: u32) -> bool {
        !self.full.load(Ordering::SeqCst) && self.begin(prompts, samples).await
    }

    fn end(&self, _: u32, _: u32, billed: Usage) {
        self.open.fetch_sub(1, Ordering::SeqCst);
        self.calls.fetch_add(billed.calls as u32, Ordering::SeqCst);
        self.decoded.fetch_add(billed.decode as u32, Ordering::SeqCst);
    }
}

/// A server that is quick at first; then these faults strike.
async fn setup(then: &[Option<Fault>]) -> Setup {
    let script = std::iter::repeat_n(None, QUICK).chain(then.iter().cloned()).collect();
    let latency = Duration::from_millis(5);
    let mut setup = Setup::new(Config { script, latency, ..Config::default() }).await;
    setup.openai().hedge = Some(0.9);
    setup
}

async fn paid(model: &Arc<dyn Model>, books: &Books) -> Reply {
    model.draw_paid(Call::new(&question(), 2, 1000), books).await
}

async fn warm(model: &Arc<dyn Model>, books: &Books) -> Reply {
    let mut last = None;
    for _ in 0..QUICK {
        last = Some(paid(model, books).await);
    }
    last.unwrap()
}

#[tokio::test]
async fn a_late_call_is_overtaken_by_a_second_one_and_both_are_booked() {
    let setup = setup(&[Some(Fault::Hang(LATE))]).await;
    let (model, books) = (setup.model(), Books::default());
    let quick = warm(&model, &books).await;
    let (calls, decoded) = (books.calls.load(Ordering::SeqCst), books.decoded.load(Ordering::SeqCst));
    assert_eq!(setup.server.served().arrived as u32, calls);
    let began = Instant::now();
    let reply = paid(&model, &books).await;
    assert!(began.elapsed() < LATE / 4, "well before it would time out, which takes 20 s");
    assert_eq!(texts(&reply), texts(&quick), "the same seeds say the same");
    assert_eq!(reply.billed.calls, 2);
    // What was given up counts as decoded to its end: twice 64 tokens.
    assert_eq!(reply.billed.decode, quick.billed.decode + 2 * 64);
    assert_eq!(books.open.load(Ordering::SeqCst), 0);
    assert_eq!(books.calls.load(Ordering::SeqCst), calls + 2);
    assert_eq!(u64::from(books.decoded.load(Ordering::SeqCst) - decoded), reply.billed.decode);
}

#[tokio::test]
async fn where_the_second_fails_the_first_counts() {
    let slow = Duration::from_secs(3);
    let setup = setup(&[Some(Fault::Hang(slow)), Some(Fault::Status(500))]).await;
    let (model, books) = (setup.model(), Books::default());
    let quick = warm(&model, &books).await;
    let reply = paid(&model, &books).await;
    assert_eq!(texts(&reply), texts(&quick));
    assert_eq!((reply.billed.calls, books.open.load(Ordering::SeqCst)), (2, 0));
    assert_eq!(reply.billed.decode, quick.billed.decode, "the server says nothing of what a failure took");
    assert_eq!(setup.server.served().arrived, QUICK + 2, "what failed beside it is not tried again");
}

#[tokio::test]
async fn no_second_call_is_made_without_room_in_the_budget_nor_without_the_option() {
    let slow = Duration::from_secs(2);
    for (hedge, full) in [(Some(0.9), true), (None, false)] {
        let mut setup = setup(&[Some(Fault::Hang(slow))]).await;
        setup.openai().hedge = hedge;
        let (model, books) = (setup.model(), Books::default());
        warm(&model, &books).await;
        books.full.store(full, Ordering::SeqCst);
        let began = Instant::now();
        let reply = paid(&model, &books).await;
        assert!(began.elapsed() >= slow, "the first answer is waited for");
        assert_eq!(reply.billed.calls, 1);
        assert_eq!(setup.server.served().arrived, QUICK + 1);
    }
}
