//! OpenTelemetry of the server, as a real receiver gets it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;

use agenttts_server::Otel;
use agenttts_testkit::{Config, Fault, FaultServer, OtlpReceiver, Received, ReceivedSpan};
use serde_json::{Value, json};
use support::{Found, Running, question, with};

const SENTENCE: &str = "nine plates are twelve euros, and forks are extra";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A server that exports to a receiver, and the upstream of its plan.
struct Observed {
    upstream: FaultServer,
    receiver: OtlpReceiver,
    _found: Found,
    server: Running,
}

impl Observed {
    async fn start(script: Vec<Option<Fault>>, content: bool) -> Self {
        Observed::with(OtlpReceiver::start().await.unwrap(), script, content).await
    }

    async fn with(receiver: OtlpReceiver, script: Vec<Option<Fault>>, content: bool) -> Self {
        let upstream = FaultServer::start(Config { script, ..Config::default() }).await.unwrap();
        let found = Found::with_last_stage("samples = 1", &upstream).await;
        let mut options = found.options();
        options.otel =
            Some(Otel { endpoint: Some(receiver.endpoint()), content, timeout: Some(Duration::from_millis(500)) });
        options.queue = 300;
        let server = Running::start(options).await;
        Observed { upstream, receiver, _found: found, server }
    }

    /// What the receiver has after the server ended.
    async fn end(self) -> Received {
        self.server.stop().await.unwrap().unwrap();
        let received = self.receiver.received();
        assert_eq!(received.unreadable, 0);
        received
    }
}

fn spans<'r>(received: &'r Received, name: &str) -> Vec<&'r ReceivedSpan> {
    received.spans.iter().filter(|span| span.name == name).collect()
}

/// What a histogram counted, over all points with these attributes: how many values, and their sum.
fn counted(received: &Received, metric: &str, attributes: Value) -> (u64, f64) {
    let wanted = attributes.as_object().unwrap();
    let points = received
        .points
        .iter()
        .filter(|p| p.metric == metric && wanted.iter().all(|(key, value)| p.attributes.get(key) == Some(value)));
    points.fold((0, 0.0), |(count, sum), p| (count + p.count, sum + p.sum))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_trace_from_the_client_to_the_models_server() {
    let observed = Observed::start(Vec::new(), false).await;
    let asked = observed.server.post("/v1/chat/completions", &question(SENTENCE));
    let asked = asked.header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01")).header("tracestate", "v=1");
    let reply: Value = asked.send().await.unwrap().json().await.unwrap();
    assert_eq!(reply["choices"][0]["message"]["content"], SENTENCE);
    let passed_on = observed.upstream.served().traces;
    let port = observed.upstream.port();
    let received = observed.end().await;

    let [request] = spans(&received, "POST /v1/chat/completions")[..] else { panic!("{:?}", received.spans) };
    assert_eq!((request.trace.as_str(), request.parent.as_str(), request.kind), (TRACE, "b7ad6b7169203331", 2));
    assert_eq!(request.service, "agenttts");
    assert!(received.spans.iter().all(|span| span.trace == TRACE && span.error.is_none()));
    let of = |span: &ReceivedSpan, key: &str| span.attributes.get(key).cloned().unwrap_or_default();
    for (key, value) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.request.model", json!("sums")),
        ("http.response.status_code", json!(200)),
        ("agenttts.outcome", json!("ok")),
        ("gen_ai.usage.input_tokens", reply["usage"]["prompt_tokens"].clone()),
        ("gen_ai.usage.output_tokens", reply["usage"]["completion_tokens"].clone()),
    ] {
        assert_eq!(of(request, key), value, "{key}");
    }
    let stages: Vec<_> = ["stage look", "stage answer"].iter().flat_map(|name| spans(&received, name)).collect();
    assert_eq!(stages.len(), 2);
    assert!(stages.iter().all(|stage| stage.parent == request.id && stage.kind == 1));
    let calls = spans(&received, "chat p100");
    assert_eq!(calls.len(), 2);
    for (stage, traceparent) in stages.iter().zip(passed_on) {
        let call = calls.iter().find(|call| call.parent == stage.id).unwrap();
        assert_eq!(traceparent.unwrap(), format!("00-{TRACE}-{}-01", call.id));
        assert_eq!(
            (call.kind, of(call, "server.address"), of(call, "server.port")),
            (3, json!("127.0.0.1"), json!(port))
        );
        assert_eq!(of(call, "gen_ai.provider.name"), "openai");
        assert_eq!(of(call, "gen_ai.request.max_tokens"), 20);
        assert_eq!(of(call, "gen_ai.response.model"), "p100");
        assert!(of(call, "gen_ai.response.id").as_str().unwrap().starts_with("chatcmpl-"));
        let finishes = of(call, "gen_ai.response.finish_reasons");
        assert!(finishes.as_array().unwrap().iter().all(|finish| finish == "stop"), "{finishes}");
    }
    let tokens: i64 = calls.iter().map(|call| of(call, "gen_ai.usage.output_tokens").as_i64().unwrap()).sum();
    assert_eq!(reply["usage"]["completion_tokens"], tokens);
    assert_eq!(
        counted(&received, "gen_ai.client.token.usage", json!({"gen_ai.token.type": "output"})).1,
        tokens as f64
    );
    assert_eq!(counted(&received, "gen_ai.client.operation.duration", json!({"server.port": port})).0, 2);
    assert_eq!(counted(&received, "gen_ai.server.request.duration", json!({"gen_ai.request.model": "sums"})).0, 1);
    assert_eq!(counted(&received, "http.server.request.duration", json!({"http.response.status_code": 200})).0, 1);
    let all = format!("{received:?}");
    assert!(!all.contains("twelve euros") && !all.contains("how much"), "no prompt and no answer leaves");
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_and_answers_are_in_spans_only_where_that_was_asked_for() {
    let observed = Observed::start(Vec::new(), true).await;
    observed.server.chat(&question(SENTENCE)).await;
    let received = observed.end().await;
    let [stage] = spans(&received, "stage answer")[..] else { panic!("{:?}", received.spans) };
    let call = received.spans.iter().find(|span| span.parent == stage.id).unwrap();
    let messages = |key: &str| -> Value { serde_json::from_str(call.attributes[key].as_str().unwrap()).unwrap() };
    let prompt = messages("gen_ai.input.messages");
    assert_eq!(prompt[0]["role"], "user");
    assert!(prompt[0]["parts"][0]["content"].as_str().unwrap().contains("how much?"));
    assert_eq!(messages("gen_ai.output.messages")[0]["parts"][0]["content"], SENTENCE);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_a_kind_and_say_nothing_else() {
    let observed = Observed::start(vec![None, Some(Fault::Truncated)], false).await;
    let body = with(question(SENTENCE), json!({"stream": true}));
    let streamed = observed.server.post("/v1/chat/completions", &body).send().await.unwrap().text().await.unwrap();
    assert!(streamed.contains("upstream_failed"));
    assert_eq!(observed.server.chat(&json!({"model": "sums", "messages": []})).await.0, 400);
    let received = observed.end().await;
    let requests = spans(&received, "POST /v1/chat/completions");
    let outcomes: Vec<_> = requests.iter().map(|r| (r.attributes["error.type"].clone(), r.error.clone())).collect();
    assert_eq!(outcomes, [(json!("upstream"), Some(String::new())), (json!("400"), None)]);
    let failed: Vec<_> = spans(&received, "chat p100").into_iter().filter(|call| call.error.is_some()).collect();
    let [call] = failed[..] else { panic!("{failed:?}") };
    assert_eq!((call.error.as_deref(), &call.attributes["error.type"]), (Some(""), &json!("bad-reply")));
    assert_eq!(call.attributes["gen_ai.request.stream"], true);
    assert!(call.attributes["gen_ai.response.time_to_first_chunk"].as_f64().unwrap() > 0.0);
    assert_eq!(counted(&received, "gen_ai.client.operation.duration", json!({"error.type": "bad-reply"})).0, 1);
    assert_eq!(counted(&received, "gen_ai.server.time_to_first_token", json!({})).0, 1);
    assert!(!format!("{received:?}").contains("plates"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_given_up_is_told_as_that() {
    let observed = Observed::start(vec![Some(Fault::Hang(Duration::from_secs(60)))], false).await;
    let sent = observed.server.post("/v1/chat/completions", &question("3")).timeout(Duration::from_millis(300));
    assert!(sent.send().await.unwrap_err().is_timeout());
    while observed.server.outcomes().await != json!({"cancelled": 1}) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let received = observed.end().await;
    for name in ["POST /v1/chat/completions", "stage look", "chat p100"] {
        let [span] = spans(&received, name)[..] else { panic!("{name}: {:?}", received.spans) };
        assert_eq!(span.attributes["error.type"], "cancelled", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_dead_or_hangs_costs_no_request_and_not_the_end() {
    let hanging = OtlpReceiver::hanging().await.unwrap();
    let gone = OtlpReceiver::start().await.unwrap();
    for (collector, is_there) in [(hanging, true), (gone, false)] {
        let observed = Observed::with(collector, Vec::new(), false).await;
        let Observed { server, receiver, upstream: _upstream, _found } = observed;
        if !is_there {
            drop(receiver);
        }
        let asked = (0..200).map(|i| {
            let (question, server) = (question(&i.to_string()), &server);
            async move { server.chat(&question).await.0 }
        });
        let statuses = futures::future::join_all(asked).await;
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        server.stop().await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sampled_out_trace_is_passed_on_as_that() {
    let observed = Observed::start(Vec::new(), false).await;
    let asked = observed.server.post("/v1/chat/completions", &question("1"));
    let asked = asked.header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-00"));
    assert_eq!(asked.send().await.unwrap().status(), 200);
    let passed_on = observed.upstream.served().traces;
    let received = observed.end().await;
    assert!(received.spans.is_empty(), "{:?}", received.spans);
    assert!(
        passed_on.iter().all(|t| t.as_ref().is_some_and(|t| t.contains(TRACE) && t.ends_with("-00"))),
        "{passed_on:?}"
    );
    assert_eq!(counted(&received, "gen_ai.client.operation.duration", json!({})).0, 2, "measured all the same");
}
