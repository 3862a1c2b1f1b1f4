//! Prints completions of a GGUF model: `complete FILE.gguf PROMPT [N] [TEMPERATURE] [MAX_TOKENS]`.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "an example talks to a person")]

use agenttts_core::{Decoding, Message, Request, Temperature};
use agenttts_models::{Call, Embedded, EmbeddedOptions, Model};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, prompt, rest @ ..] = &args[..] else {
        eprintln!("usage: complete FILE.gguf PROMPT [N] [TEMPERATURE] [MAX_TOKENS]");
        return;
    };
    let number = |at: usize, default: f64| rest.get(at).map_or(default, |t| t.parse().unwrap());
    let model = match Embedded::open(path.as_ref(), EmbeddedOptions::default()) {
        Ok(model) => model,
        Err(error) => {
            eprintln!("{error}\nhint: {}", error.hint.as_deref().unwrap_or_default());
            return;
        }
    };
    let request = Request {
        messages: vec![Message::user(prompt.replace("\\n", "\n"))],
        decoding: Decoding {
            temperature: Temperature::new(number(1, 0.7)).unwrap(),
            top_p: None,
            max_tokens: number(2, 100.0) as u32,
            stop: vec![],
            constraint: None,
        },
    };
    println!(
        "identity: {:?}\nfacts: {:?}",
        model.identity(),
        model.facts().map(|f| agenttts_models::gguf::GgufFacts { chat_template: None, ..f.clone() })
    );
    println!(
        "prompt: {:?}\n{} tokens",
        model.render(&request).unwrap(),
        model.prompt_tokens(&request).unwrap().upper_bound()
    );
    let started = std::time::Instant::now();
    let reply = model.draw(Call::new(&request, number(0, 4.0) as u32, 1)).await;
    let seconds = started.elapsed().as_secs_f64();
    for draw in &reply.draws {
        println!("--- {draw:?}");
    }
    println!("{:?} in {seconds:.2} s: {:.1} decoded tokens/s", reply.billed, reply.billed.decode as f64 / seconds);
}
