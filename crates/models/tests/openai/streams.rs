//! Streamed samples: told while they are decoded, and in the end the same as samples that come whole.

use std::sync::Mutex;
use std::time::Duration;

use agenttts_models::{ModelErrorKind, TraceContext};
use agenttts_testkit::{Config, Fault};

use super::*;

const ANSWER: &str = "the Aare, which comes from the Grimsel";

fn sentence() -> Request {
    request(&format!("Which river flows through Bern?\nanswer: {ANSWER}"))
}

/// A call that is heard: the parts of the text, and the reply.
async fn heard(model: &Arc<dyn Model>, request: &Request) -> (Vec<String>, Reply) {
    let parts = Mutex::new(Vec::new());
    let hear = |part: &str| parts.lock().unwrap().push(part.to_owned());
    let reply = model.draw(Call { on_text: Some(&hear), ..Call::new(request, 1, 1000) }).await;
    (parts.into_inner().unwrap(), reply)
}

async fn setup(config: Config) -> Setup {
    let mut setup = Setup::new(config).await;
    setup.spec.id = "p100".into();
    setup
}

#[tokio::test]
async fn a_heard_sample_is_told_word_by_word_and_is_the_same_as_one_that_comes_whole() {
    let setup = setup(Config { fingerprint: Some("fp".into()), ..Config::default() }).await;
    let (parts, reply) = heard(&setup.model(), &sentence()).await;
    let whole = draw(&setup.model(), &sentence(), 1).await;
    assert_eq!((parts.len(), parts.concat().as_str()), (7, ANSWER));
    let of = |reply: &Reply| {
        let draw = reply.draws[0].clone().unwrap();
        (draw.text, draw.finish, draw.prompt_tokens, draw.decode_tokens, reply.billed, reply.fingerprint.clone())
    };
    assert_eq!(of(&reply), of(&whole));
    let bodies = setup.server.served().bodies;
    assert_eq!(bodies[0]["stream_options"]["include_usage"], true);
    assert!(bodies[1].get("stream").is_none(), "nobody listens, so nothing is streamed");
}

#[tokio::test]
async fn a_first_word_is_heard_before_the_reply_is_at_its_end() {
    let script = vec![Some(Fault::SlowDrip(Duration::from_millis(20)))];
    let setup = setup(Config { script, ..Config::default() }).await;
    let model = setup.model();
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let drawing = tokio::spawn(async move {
        let hear = move |part: &str| told.send(part.to_owned()).unwrap();
        model.draw(Call { on_text: Some(&hear), ..Call::new(&sentence(), 1, 1000) }).await
    });
    assert_eq!(hears.recv().await.unwrap(), "the ");
    assert_eq!(setup.server.served().under_way, 1, "the reply is still on its way");
    assert_eq!(drawing.await.unwrap().draws[0].as_ref().unwrap().text, ANSWER);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_is_dropped() {
    let script = vec![Some(Fault::Stalled)];
    let setup = setup(Config { script, ..Config::default() }).await;
    let model = setup.model();
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let drawing = tokio::spawn(async move {
        let hear = move |part: &str| told.send(part.to_owned()).unwrap();
        model.draw(Call { on_text: Some(&hear), ..Call::new(&sentence(), 1, 1000) }).await
    });
    hears.recv().await.unwrap();
    drawing.abort();
    while setup.server.served().under_way > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_stream_that_dies_after_its_first_word_is_not_tried_again_and_what_came_is_booked() {
    for (fault, kind) in [
        (Fault::Truncated, ModelErrorKind::BadReply),
        (Fault::ErrorInBody, ModelErrorKind::Server),
        (Fault::Stalled, ModelErrorKind::Timeout),
    ] {
        let mut setup = setup(Config { script: vec![Some(fault.clone())], ..Config::default() }).await;
        setup.openai().timeout_seconds = 1;
        let (parts, reply) = heard(&setup.model(), &sentence()).await;
        assert!(!parts.is_empty() && ANSWER.starts_with(&parts.concat()), "{fault:?}: {parts:?}");
        let error = reply.draws[0].as_ref().unwrap_err();
        assert_eq!((error.kind, setup.server.served().requests), (kind, 1), "{fault:?}: {error}");
        // No usage came, so bounds are booked: of the prompt, and of the part that came.
        assert_eq!(reply.billed.decode, parts.concat().len() as u64 + 1, "{fault:?}");
        assert!(reply.billed.prompt >= sentence().prompt_bytes() as u64, "{fault:?}");
    }
}

#[tokio::test]
async fn before_the_first_word_a_failure_is_got_over_as_ever() {
    for fault in [Fault::Status(503), Fault::Reset, Fault::TooManyRequests(None), Fault::Html, Fault::WrongJson] {
        let setup = setup(Config { script: vec![Some(fault.clone())], ..Config::default() }).await;
        let (parts, reply) = heard(&setup.model(), &sentence()).await;
        assert_eq!((parts.concat().as_str(), reply.billed.calls), (ANSWER, 2), "{fault:?}: {:?}", reply.draws);
    }
}

#[tokio::test]
async fn providers_that_do_not_stream_answer_all_the_same() {
    let mute =
        [Config { ignores_stream: true, ..Config::default() }, Config { refuses_stream: true, ..Config::default() }];
    for config in mute {
        let setup = setup(config).await;
        let (parts, reply) = heard(&setup.model(), &sentence()).await;
        assert_eq!((parts.len(), reply.draws[0].as_ref().unwrap().text.as_str()), (0, ANSWER));
    }
    let setup = setup(Config { refuses_stream_options: true, ..Config::default() }).await;
    let model = setup.model();
    for calls in [2, 1] {
        let (parts, reply) = heard(&model, &sentence()).await;
        assert_eq!((parts.concat().as_str(), reply.billed.calls), (ANSWER, calls));
        // Without usage a bound from bytes is booked.
        assert_eq!(reply.billed.decode, ANSWER.len() as u64 + 1);
    }
}

#[tokio::test]
async fn a_trace_is_passed_on() {
    let setup = setup(Config::default()).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = TraceContext { parent: parent.into(), state: Some("vendor=1".into()) };
    let request = sentence();
    setup.model().draw(Call { trace: Some(&trace), ..Call::new(&request, 2, 0) }).await;
    draw(&setup.model(), &request, 1).await;
    assert_eq!(setup.server.served().traces, [Some(parent.to_owned()), None]);
}
