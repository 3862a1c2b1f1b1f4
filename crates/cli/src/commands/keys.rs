//! `agenttts keys`: who may use a server.

use agenttts_server::{KeyFile, Scope};

use crate::args::{KeysArgs, KeysCommand, ScopeArg};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

pub(super) fn keys(context: &Context, args: &KeysArgs) -> Result<Exit, Failure> {
    let mut file = KeyFile::read(&args.keys)?;
    let shown = args.keys.display();
    match &args.command {
        KeysCommand::New { name, scopes } => {
            let scopes: Vec<Scope> = scopes.iter().map(|s| scope(*s)).collect();
            let key = file.issue(name, &scopes).map_err(|message| {
                Failure::input(message, "choose another name, or take the key away with `agenttts keys revoke`")
            })?;
            file.write(&args.keys)?;
            context.screen.print(&key)?;
            context.screen.say(&format!("this is the only time that the key is shown; {shown} keeps its hash"));
        }
        KeysCommand::List => {
            for key in &file.keys {
                let scopes: Vec<&str> = key.scopes.iter().map(|s| s.name()).collect();
                context.screen.print(&format!("{}  {}", key.name, scopes.join(",")))?;
            }
        }
        KeysCommand::Revoke { name } => {
            if !file.revoke(name) {
                let hint = "`agenttts keys list` lists them";
                return Err(Failure::input(format!("there is no key {name:?} in {shown}"), hint));
            }
            file.write(&args.keys)?;
        }
    }
    Ok(Exit::Ok)
}

fn scope(scope: ScopeArg) -> Scope {
    match scope {
        ScopeArg::Use => Scope::Use,
        ScopeArg::View => Scope::View,
        ScopeArg::Administrate => Scope::Administrate,
    }
}
