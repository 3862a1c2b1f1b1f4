//! Templates: what they may do, and how their mistakes are reported.

use std::collections::{BTreeMap, BTreeSet};

use agenttts_core::Example;
use serde_json::json;

use super::{RenderError, Scope, Templates, template_value};

fn scope() -> Scope {
    Scope {
        fields: ["question", "documents", "context"].map(String::from).into(),
        stages: vec![("pick-docs".into(), "pick_docs".into())],
        unseen_stages: vec!["check-it".into()],
        extra: vec![],
    }
}

fn problems(text: &str) -> Vec<String> {
    let mut templates = Templates::new("answer", &scope().fields);
    templates.add("prompt", "prompt.j2".into(), text, &scope()).iter().map(ToString::to_string).collect()
}

fn render(text: &str, fields: serde_json::Value) -> Result<String, Box<RenderError>> {
    let example = Example { id: "q7".into(), line: 12, fields: fields.as_object().unwrap().clone() };
    let mut templates = Templates::new("answer", &scope().fields);
    assert_eq!(templates.add("prompt", "prompt.j2".into(), text, &scope()), []);
    let mut context: BTreeMap<_, _> = example.fields.iter().map(|(k, v)| (k.clone(), template_value(v))).collect();
    context.insert("example".into(), template_value(&fields));
    templates.render("prompt", &context, &example)
}

#[test]
fn blocks_leave_no_blank_lines_and_nothing_is_escaped() {
    let text = "Q: {{ question }}\n{% for d in documents %}\n  {% if d.title %}\n- {{ d.title }}\n  {% endif %}\n{% endfor %}\nAnswer:\n";
    let rendered = render(text, json!({"question": "a < b & c?", "documents": [{"title": "x"}, {"title": "y"}]}));
    assert_eq!(rendered.unwrap(), "Q: a < b & c?\n- x\n- y\nAnswer:");
}

#[test]
fn numbers_lists_and_objects_have_a_form() {
    let fields = json!({"question": 2.5, "documents": ["a", {"y": 1, "x": null}], "context": 7});
    assert_eq!(
        render("{{ question }} {{ context }} {{ documents|tojson }}", fields).unwrap(),
        "2.5 7 [\"a\", {\"x\": null, \"y\": 1}]"
    );
}

#[test]
fn an_undefined_variable_is_placed_with_advice() {
    assert_eq!(
        problems("Hello\n  {{ question }} {{ questoin }}"),
        ["prompt.j2:2:21: the variable `questoin` is not defined\n  hint: did you mean `question`? There are: \
          pick_docs, context, documents, question, example, stages"]
    );
    let text = &problems("{{ example.contxt }}")[0];
    assert!(
        text.starts_with("prompt.j2:1:12: the variable `contxt` is not defined\n  hint: did you mean `context`?"),
        "{text}"
    );
    let text = &problems("{{ check_it }}")[0];
    assert!(text.ends_with("hint: this stage does not read the stage \"check-it\": add it to `from`"), "{text}");
}

#[test]
fn the_place_is_that_of_the_variable_and_not_of_a_namesake() {
    let text = "{# x #}{{ question.x }}{{ question|default(x='x') }}{{ '{{ x }}' }}\n{{ x }}";
    assert!(problems(text).iter().any(|p| p.starts_with("prompt.j2:2:4: the variable `x`")), "{:?}", problems(text));
}

#[test]
fn all_undefined_variables_are_reported_in_order() {
    let found = problems("{{ one }}{% if two %}{% endif %}{{ one }}");
    assert_eq!(found.len(), 2);
    assert!(found[0].contains("`one`") && found[1].contains("`two`"), "{found:?}");
}

#[test]
fn what_a_template_defines_itself_is_defined() {
    let text = "{% set a = 1 %}{% if question %}{% set b, c = 1, 2 %}{% endif %}{{ a + b + c }}\
                {% macro m(x) %}{{ x }}{% endmacro %}{{ m(1) }}{% for i in range(2) %}{{ loop.index }}{% endfor %}\
                {% for k, v in example|items %}{{ k }}{{ v }}{% endfor %}{{ stages[\"pick-docs\"] }}{{ context is defined }}";
    assert_eq!(problems(text), Vec::<String>::new());
}

#[test]
fn mistakes_that_would_only_show_while_running_are_found_before() {
    let text = &problems("x\n{{ question|uper }}")[0];
    assert!(text.starts_with("prompt.j2:2:13: there is no filter `uper`"), "{text}");
    let text = &problems("{% if question is not defned %}{% endif %}")[0];
    assert!(text.contains(":1:23: there is no test `defned`"), "{text}");
    let text = &problems("{% include 'x' %}")[0];
    assert!(text.contains(":1:4: `include` needs another template"), "{text}");
}

#[test]
fn a_syntax_error_is_placed() {
    let found = problems("fine\n{% for x in %}\n{% endfor %}");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("prompt.j2:2:13: the template cannot be read: "), "{}", found[0]);
    assert!(problems("{% if question %}").iter().any(|p| p.contains("cannot be read")));
    assert!(problems("{{ question").iter().any(|p| p.contains("cannot be read")));
}

#[test]
fn a_field_that_one_example_lacks_is_named_with_the_example() {
    let error = render("A\n{{ context|upper }}", json!({"question": "?"})).unwrap_err();
    assert_eq!(error.field.as_deref(), Some("context"));
    assert_eq!(
        error.to_string(),
        "prompt.j2:2: the example has no field `context` (stage \"answer\", example \"q7\" in line 12 of its file)\n  \
         hint: add the field to the example, or write {{ context|default(\"\") }}"
    );
    for text in [
        "{{ context }}",
        "{% for x in context %}{{ x }}{% endfor %}",
        "{% if context %}x{% endif %}",
        "{{ context.x }}",
        "{{ context|join(', ') }}",
        "{{ example.context }}",
    ] {
        let error = render(text, json!({"question": "?"})).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("context"), "{text}: {error}");
    }
    assert_eq!(render("{{ context|default('-') }}", json!({})).unwrap(), "-");
}

#[test]
fn other_failures_name_the_expression() {
    let error = render("{{ question + 1 }}", json!({"question": "x"})).unwrap_err().to_string();
    assert!(error.starts_with("prompt.j2:1: invalid operation in `question + 1`"), "{error}");
    let error = render("{{ question }}", json!({"question": " \n"})).unwrap_err().to_string();
    assert!(error.starts_with("prompt.j2: the rendered text is empty"), "{error}");
}

#[test]
fn no_template_runs_for_ever() {
    let text = "{% for a in range(90000) %}{% for b in range(90000) %}{{ a }}{% endfor %}{% endfor %}";
    let error = render(text, json!({})).unwrap_err();
    assert_eq!(error.message, "the template does too much work");
    assert!(render("{{ 'x' * 10000000000 }}", json!({})).is_err());
    assert!(render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", json!({})).is_err());
}

#[test]
fn long_prompts_are_well_within_the_limit() {
    let documents: Vec<String> = (0..2000).map(|i| format!("document {i} {}", "text ".repeat(40))).collect();
    let fields = json!({"documents": documents});
    assert!(render("{% for d in documents %}{{ loop.index }}. {{ d }}\n{% endfor %}", fields).unwrap().len() > 400_000);
}

proptest::proptest! {
    #[test]
    fn no_template_makes_the_check_panic(text in "([{}%# \n]|question|x|set|is|\\||=|for|in|if|endif|'|\\.){0,20}|\\PC{0,30}") {
        let fields: BTreeSet<String> = scope().fields;
        Templates::new("s", &fields).add("prompt", "p".into(), &text, &scope());
    }
}
