//! `agenttts ui`: the dashboard, on this machine.

use std::time::Duration;

use agenttts_server::{ServeOptions, Server};

use super::serve::until_stopped;
use crate::args::UiArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// How long pages that follow a study may take to hear that the server ends.
const GRACE: Duration = Duration::from_millis(200);

pub(super) async fn ui(context: &Context, args: &UiArgs) -> Result<Exit, Failure> {
    if !args.listen.ip().is_loopback() {
        return Err(Failure::Usage {
            message: format!("{} can be reached from other machines, and `ui` asks for no key", args.listen),
            hint: "listen on 127.0.0.1, and reach it from elsewhere through `ssh -L`".into(),
        });
    }
    let options = ServeOptions::local(args.listen, context.workshop()?, context.store_path().to_owned());
    let server = Server::bind(options).await?;
    context.screen.say(&format!("the studies of {} are at", context.store_path().display()));
    context.screen.print(&format!("http://{}\n", server.address()?))?;
    context.screen.say("Ctrl-C ends it");
    let words = "ending: studies that were resumed here await their calls and keep them (Ctrl-C again exits at once)";
    until_stopped(context, server, words, GRACE).await
}
