//! `agenttts serve`: answers requests with found plans.

use std::path::PathBuf;
use std::time::Duration;

use agenttts_engine::Adaptive;
use agenttts_server::{ExampleLog, Otel, PlanSource, ServeOptions, Server, Tls};
use tokio::sync::oneshot;

use crate::args::{AccessArgs, ServeArgs};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::watch_with;

/// How often plan files are looked at.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn serve(context: &Context, args: &ServeArgs) -> Result<Exit, Failure> {
    let seconds = |s: u32| Duration::from_secs(u64::from(s));
    let options = ServeOptions {
        plans: args.plans.iter().map(|text| source(text)).collect(),
        keys: args.access.keys.clone(),
        tls: tls(&args.access),
        behind_proxy: args.access.behind_proxy,
        at_once: args.at_once as usize,
        queue: args.queue as usize,
        deadline: seconds(args.deadline),
        body: args.max_body as usize,
        adaptive: args.adaptive.map(|error| Adaptive { error }),
        examples: args.log_examples.as_ref().map(|folder| ExampleLog {
            folder: folder.clone(),
            answer: args.log_answer_as.clone(),
            most: u64::from(args.log_examples_mb) << 20,
        }),
        reload: (!args.no_reload).then_some(LOOK),
        otel: otel(args),
        ..ServeOptions::local(args.listen, context.workshop()?, context.store_path().to_owned())
    };
    let server = Server::bind(options).await?;
    let address = server.address()?;
    let scheme = if args.access.tls_cert.is_some() { "https" } else { "http" };
    context.screen.say(&format!("serving {} at {scheme}://{address}/v1 (Ctrl-C ends it)", server.plans().join(", ")));
    let words = "ending: requests under way are answered (Ctrl-C again exits at once)";
    until_stopped(context, server, words, seconds(args.grace)).await
}

fn otel(args: &ServeArgs) -> Option<Otel> {
    let wanted = (args.otel && !Otel::is_disabled()) || Otel::is_asked_for();
    wanted.then(|| Otel { content: args.otel_content, ..Otel::default() })
}

/// Answers requests until the first signal, then says so and gives those under way `grace` to end.
pub(super) async fn until_stopped(
    context: &Context,
    server: Server,
    words: &'static str,
    grace: Duration,
) -> Result<Exit, Failure> {
    let (stop, stopped) = oneshot::channel::<()>();
    let screen = context.screen;
    let _watch = watch_with(move || drop(stop), words, move |text| screen.say(text));
    let wait = async {
        // The sender is dropped at the first signal.
        let _ = stopped.await;
    };
    server.run(wait, grace).await?;
    Ok(Exit::Ok)
}

/// `NAME=FILE`, or a file alone. A path that exists is a path, whatever is in it.
fn source(text: &str) -> PlanSource {
    let whole = PathBuf::from(text);
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !name.contains(['/', '\\']) && !whole.exists() => {
            PlanSource { name: Some(name.to_owned()), file: file.into() }
        }
        _ => PlanSource { name: None, file: whole },
    }
}

fn tls(access: &AccessArgs) -> Option<Tls> {
    let (certificate, key) = access.tls_cert.clone().zip(access.tls_key.clone())?;
    Some(Tls { certificate, key })
}
