//! `agenttts show`: a study as it stands.

use crate::args::ShowArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::study::{self, title};
use crate::output::{trials, why};

pub(super) fn show(context: &Context, args: &ShowArgs) -> Result<Exit, Failure> {
    let (_, summary) = context.summary(args.study.as_deref())?;
    if args.json {
        context.screen.print_json(&summary)?;
        return Ok(Exit::Ok);
    }
    let mut text = study::study(&context.screen, &summary, !args.why);
    if args.why {
        text.push_str(&why::whole(&context.screen, &summary));
    }
    if args.trials {
        text.push_str(&title(&context.screen, "All trials"));
        text.push_str(&trials::all(&summary));
    }
    if args.guidelines {
        text.push_str(&title(&context.screen, "Guidelines"));
        text.push_str(&trials::guidelines(&summary));
    }
    context.screen.print(&text)?;
    Ok(Exit::Ok)
}
