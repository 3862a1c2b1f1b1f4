//! `agenttts init`: a pipeline folder to start from.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::args::InitArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

const FILES: [(&str, &str); 5] = [
    ("pipeline.toml", include_str!("starter/pipeline.toml")),
    ("prompts/pick.j2", include_str!("starter/prompts/pick.j2")),
    ("prompts/answer.j2", include_str!("starter/prompts/answer.j2")),
    ("data/search.jsonl", include_str!("starter/data/search.jsonl")),
    ("data/test.jsonl", include_str!("starter/data/test.jsonl")),
];

pub(super) fn init(context: &Context, args: &InitArgs) -> Result<Exit, Failure> {
    let screen = &context.screen;
    let mut left = 0;
    for (name, text) in FILES {
        let file = args.dir.join(name);
        if write_new(&file, text).map_err(|e| Failure::write(&file, e))? {
            screen.say(&format!("wrote {}", file.display()));
        } else {
            left += 1;
            screen.say(&format!("left  {} as it is", file.display()));
        }
    }
    if left > 0 {
        screen.warn("some files were there already; the pipeline may not be the one that `init` writes");
    }
    let dir = args.dir.display();
    screen.say(&format!("\nnext:\n  agenttts check {dir}\n  agenttts search {dir}"));
    Ok(Exit::Ok)
}

/// Writes a file unless there is one; false if there is.
fn write_new(file: &Path, text: &str) -> io::Result<bool> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(mut new) => new.write_all(text.as_bytes()).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}
