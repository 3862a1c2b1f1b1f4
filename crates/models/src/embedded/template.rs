//! Chat templates: from messages to the text that the model was trained on.
//!
//! The model's own template (Jinja, from its GGUF) is rendered as it is, so that the default system prompt that many
//! templates insert when a conversation has none is there. llama.cpp's list of built-in templates, which leaves that
//! prompt out, is only used where the template needs something that the renderer does not know. Base models have no
//! template: their prompt is the messages' plain text.

use std::ops::Range;

use agenttts_core::{Message, Role};
use llama_cpp_2::model::{LlamaChatMessage, LlamaChatTemplate, LlamaModel};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, context};

/// How a model's prompts are written.
pub(super) enum ChatTemplate {
    /// The model's own template.
    Own(Box<Jinja>),
    /// One that the engine recognises by the look of the model's template.
    Builtin(LlamaChatTemplate),
    /// None: plain text.
    Plain,
}

/// A parsed template with the special tokens that it may write.
pub(super) struct Jinja {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

const NAME: &str = "chat";
/// Instructions that rendering may take: a template comes with a downloaded file and must not run for ever.
const FUEL: u64 = 20_000_000;

impl ChatTemplate {
    /// The template of a model; `None` in `source` is a base model.
    pub(super) fn new(source: Option<&str>, bos: &str, eos: &str, model: &LlamaModel) -> Result<Self, String> {
        let Some(source) = source else { return Ok(ChatTemplate::Plain) };
        let probe = [Message::user("hello")];
        let own = Jinja::new(source, bos, eos).and_then(|t| t.render(&probe).map(|_| t));
        match own {
            Ok(own) => Ok(ChatTemplate::Own(Box::new(own))),
            Err(error) => {
                tracing::debug!(%error, "the chat template cannot be rendered, trying the engine's own");
                let builtin = LlamaChatTemplate::new(source).map_err(|e| e.to_string())?;
                builtin_render(&builtin, &probe, model)
                    .map_err(|_| format!("its chat template cannot be used: {error}"))?;
                Ok(ChatTemplate::Builtin(builtin))
            }
        }
    }

    /// Whether special tokens in the rendered text are meant.
    pub(super) fn writes_special_tokens(&self) -> bool {
        !matches!(self, ChatTemplate::Plain)
    }

    /// Renders a conversation up to where the model's answer begins.
    pub(super) fn render(&self, messages: &[Message], model: &LlamaModel) -> Result<String, String> {
        match self {
            ChatTemplate::Own(jinja) => jinja.render_tolerantly(messages),
            ChatTemplate::Builtin(builtin) => builtin_render(builtin, messages, model),
            ChatTemplate::Plain => Ok(messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n\n")),
        }
    }

    /// Which parts of `text`, the rendered conversation, are the messages' own words; `None` where that cannot be
    /// told because the template changes them.
    ///
    /// The conversation is rendered a second time with marks around the words. Without the marks that rendering must be
    /// the same text.
    pub(super) fn words(&self, messages: &[Message], text: &str, model: &LlamaModel) -> Option<Vec<Range<usize>>> {
        let marks = Marks::beside(messages, text)?;
        let marked: Vec<Message> =
            messages.iter().map(|m| Message { content: marks.around(&m.content), ..m.clone() }).collect();
        let (unmarked, words) = marks.taken_from(&self.render(&marked, model).ok()?)?;
        (unmarked == text).then_some(words)
    }
}

/// Two characters that mark words.
#[derive(Clone, Copy, Debug)]
struct Marks {
    open: char,
    close: char,
}

impl Marks {
    /// Marks that are in neither the messages nor the text: characters that Unicode reserves for such uses.
    fn beside(messages: &[Message], text: &str) -> Option<Self> {
        let is_free = |c: &char| !text.contains(*c) && !messages.iter().any(|m| m.content.contains(*c));
        let mut free = ('\u{fdd0}'..='\u{fdef}').filter(is_free);
        Some(Marks { open: free.next()?, close: free.next()? })
    }

    /// Words with marks inside of the white space around them, which templates like to trim.
    fn around(self, content: &str) -> String {
        let words = content.trim();
        if words.is_empty() {
            return content.to_owned();
        }
        let before = &content[..content.len() - content.trim_start().len()];
        let after = &content[content.trim_end().len()..];
        format!("{before}{}{words}{}{after}", self.open, self.close)
    }

    /// The text without marks and what stood between them; `None` if they are not in pairs.
    fn taken_from(self, marked: &str) -> Option<(String, Vec<Range<usize>>)> {
        let mut text = String::with_capacity(marked.len());
        let mut words = Vec::new();
        let mut opened = None;
        for c in marked.chars() {
            if c == self.open {
                if opened.replace(text.len()).is_some() {
                    return None;
                }
            } else if c == self.close {
                words.push(opened.take()?..text.len());
            } else {
                text.push(c);
            }
        }
        opened.is_none().then_some((text, words))
    }
}

impl Jinja {
    pub(super) fn new(source: &str, bos: &str, eos: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        // As the reference implementation renders them.
        let syntax =
            SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(|e| e.to_string())?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |text: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, text))
        });
        // `strftime_now` is left out on purpose: a prompt that holds today's date could not be drawn again tomorrow, and
        // templates that use it bring a fixed date for this case.
        environment.add_template_owned(NAME, source.to_owned()).map_err(|e| e.to_string())?;
        Ok(Jinja { environment, bos: bos.to_owned(), eos: eos.to_owned() })
    }

    pub(super) fn render(&self, messages: &[Message]) -> Result<String, String> {
        let template = self.environment.get_template(NAME).map_err(|e| e.to_string())?;
        let messages: Vec<Value> =
            messages.iter().map(|m| context! { role => role(m.role), content => m.content.as_str() }).collect();
        template
            .render(context! {
                messages => messages,
                add_generation_prompt => true,
                bos_token => self.bos.as_str(),
                eos_token => self.eos.as_str(),
                tools => Value::from(()),
            })
            .map_err(|e| e.detail().map_or_else(|| e.to_string(), str::to_owned))
    }

    /// Some templates refuse system messages: then they go in front of the first question.
    fn render_tolerantly(&self, messages: &[Message]) -> Result<String, String> {
        self.render(messages).or_else(|error| match without_system(messages) {
            Some(merged) => self.render(&merged).map_err(|_| error),
            None => Err(error),
        })
    }
}

fn without_system(messages: &[Message]) -> Option<Vec<Message>> {
    let (system, mut rest): (Vec<_>, Vec<_>) = messages.iter().cloned().partition(|m| m.role == Role::System);
    let first = rest.iter_mut().find(|m| m.role == Role::User)?;
    if system.is_empty() {
        return None;
    }
    let texts = system.into_iter().map(|m| m.content).chain([std::mem::take(&mut first.content)]);
    first.content = texts.collect::<Vec<_>>().join("\n\n");
    Some(rest)
}

fn builtin_render(template: &LlamaChatTemplate, messages: &[Message], model: &LlamaModel) -> Result<String, String> {
    let chat = messages
        .iter()
        .map(|m| LlamaChatMessage::new(role(m.role).into(), m.content.replace('\0', "")))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| e.to_string())?;
    model.apply_chat_template(template, &chat, true).map_err(|e| e.to_string())
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML_WITH_DEFAULT: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
        {{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + \
        message['content'].strip() + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}\
        {{ '<|im_start|>assistant\n' }}{% endif %}";

    #[test]
    fn the_default_system_prompt_is_there_unless_one_is_given() {
        let chat = Jinja::new(CHATML_WITH_DEFAULT, "", "").unwrap();
        assert_eq!(
            chat.render(&[Message::user(" hi ")]).unwrap(),
            "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
        );
        let own = chat.render(&[Message::system("Be brief."), Message::user("hi")]).unwrap();
        assert!(own.starts_with("<|im_start|>system\nBe brief.<|im_end|>") && !own.contains("kind"));
    }

    #[test]
    fn a_refused_system_message_goes_in_front_of_the_question() {
        let source = "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}\
            {% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}";
        let chat = Jinja::new(source, "<s>", "</s>").unwrap();
        let text = chat.render_tolerantly(&[Message::system("Be brief."), Message::user("hi")]).unwrap();
        assert_eq!(text, "<s>[user] Be brief.\n\nhi");
        assert_eq!(chat.render_tolerantly(&[Message::system("alone")]).unwrap_err(), "no system");
    }

    #[test]
    fn marks_show_where_the_words_are() {
        let messages = [Message::user(" hi\u{fdd0} "), Message::user(" "), Message::user("é")];
        let marks = Marks::beside(&messages, "").unwrap();
        let marked: String = messages.iter().map(|m| marks.around(&m.content)).collect();
        let (text, words) = marks.taken_from(&marked).unwrap();
        assert_eq!(text, " hi\u{fdd0}  é");
        assert_eq!(words.into_iter().map(|w| &text[w]).collect::<Vec<_>>(), ["hi\u{fdd0}", "é"]);
        for torn in [marked.replace(marks.open, ""), marked.replace(marks.close, "")] {
            assert_eq!(marks.taken_from(&torn), None);
        }
    }

    #[test]
    fn a_template_that_is_no_template_is_an_error() {
        assert!(Jinja::new("{% for %}", "", "").is_err());
    }
}
