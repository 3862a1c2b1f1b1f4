//! Templates: what they may do, and how their mistakes are reported.

use std::collections::{BTreeMap, BTreeSet};

use agenttts_core::Example;
use serde_json::json;

use super::{RenderError, Scope, Templates, Value, plain_value, template_value};

fn scope() -> Scope {
    Scope {
        fields: ["question", "documents", "context"].map(String::from).into(),
        stages: vec![("pick-docs".into(), "pick_docs".into())],
        unseen_stages: vec!["check-it".into()],
        extra: vec![],
    }
}

fn turn_problems(text: &str) -> Vec<String> {
    let mut templates = Templates::new("answer", &scope().fields);
    templates.add_turns("prompt", "prompt.j2".into(), text, &scope()).iter().map(ToString::to_string).collect()
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
    assert!(text.ends_with("hint: this stage does not read \"check-it\": add it to `from`"), "{text}");
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

#[test]
fn problems_and_errors_in_a_turn_are_placed_in_the_whole_file() {
    let text = "A\n<<assistant>>\nB\n\n<<user>>\n\n{{ question }} {{ qestion }}\n";
    assert!(
        turn_problems(text)[0]
            .starts_with("prompt.j2:7:19: the variable `qestion` is not defined\n  hint: did you mean")
    );
    let found = turn_problems("A\n<<assistant>>\n{{ B\n<<user>>\n{% for %}{% endfor %}\n");
    assert!(
        found[0].starts_with("prompt.j2:3:") && found[1].starts_with("prompt.j2:5:8: the template cannot"),
        "{found:?}"
    );

    let mut templates = Templates::new("answer", &scope().fields);
    let text = "A\n<<assistant>>\nB\n\n<<user>>\n\nQ\n{{ context|upper }}\n";
    assert_eq!(templates.add_turns("prompt", "prompt.j2".into(), text, &scope()), []);
    let example = Example { id: "q7".into(), line: 12, fields: serde_json::Map::new() };
    let error = templates.render_turns("prompt", &BTreeMap::new(), &example).unwrap_err();
    assert_eq!((error.line, error.field.as_deref()), (Some(8), Some("context")));
}

#[test]
fn a_block_may_not_cross_a_marker() {
    for text in [
        "{% for d in documents %}\n{{ d }}\n<<assistant>>\nx\n<<user>>\n{% endfor %}\ny",
        "a\n{% if question %}\n<<assistant>>\nx\n{% endif %}\n<<user>>\ny",
        "a {# b\n\n<<assistant>>\nx #}\n<<user>>\ny",
    ] {
        assert_eq!(
            turn_problems(text),
            [
                "prompt.j2:3:1: a block or tag that begins before this `<<assistant>>` ends after it\n  hint: each turn is a \
              template of its own: close {% for %}, {% if %} and the like before the marker"
            ]
        );
    }
}

#[test]
fn what_one_turn_defines_is_not_defined_in_another() {
    let text = "{% set a = 1 %}{{ a }}\n<<assistant>>\nx\n<<user>>\n{{ a }}";
    assert_eq!(
        turn_problems(text),
        [
            "prompt.j2:5:4: the variable `a` is not defined\n  hint: each turn is a template of its own: repeat the `set` \
          or `macro` of the other turn in this one"
        ]
    );
}

#[test]
fn white_space_control_hides_no_tag() {
    assert_eq!(problems("{%- if question -%}{%- set b = 1 -%}{%- endif -%}{{- b -}}"), Vec::<String>::new());
    assert!(problems("{%- include 'x' -%}")[0].contains("`include` needs another template"));
}

fn needs(text: &str) -> Vec<String> {
    let mut templates = Templates::new("answer", &scope().fields);
    assert_eq!(templates.add_turns("prompt", "prompt.j2".into(), text, &scope()), []);
    templates.needs("prompt").cloned().collect()
}

#[test]
fn fields_that_every_rendering_reads_are_needed() {
    for text in [
        "{{ question }}",
        "{{ question|upper }}",
        "{{- question.text -}}",
        "{% if question %}x{% endif %}",
        "{% if not question %}x{% endif %}",
        "{% if question == 'x' %}x{% endif %}",
        "{% for d in question if d.id in pick_docs %}{{ d }}{% endfor %}",
        "{% for d in documents|default([]) %}{{ d }}{% endfor %}{{ question }}",
        "{{ example.question }}",
        "{% set x = 1 %}{{ question + x }}",
        "x\n<<assistant>>\n{{ question }}\n<<user>>\ny",
    ] {
        assert_eq!(needs(text), ["question"], "{text}");
    }
}

#[test]
fn fields_that_a_rendering_may_do_without_are_not_needed() {
    for text in [
        "{{ question|default('x') }}",
        "{{ question|tojson }}",
        "{{ 'x' if context is defined and question else 'y' }}",
        "{% if question is defined %}{{ question }}{% endif %}",
        "{% for d in documents|default([]) %}{{ question }}{% endfor %}",
        "{% macro m() %}{{ question }}{% endmacro %}",
        "{% set question = 1 %}{{ question }}",
        "{% with question = 1 %}{{ question }}{% endwith %}",
        "{{ [question]|length }}",
        "{# {{ question }} #}{% raw %}{{ question }}{% endraw %}",
        "{{ pick_docs.question }}",
        "{{ 1 < 0 < question }}",
    ] {
        assert_eq!(needs(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_templates_see_comes_back_as_it_was() {
    for value in
        [json!(null), json!(true), json!(-3), json!(u64::MAX), json!(2.0), json!("x"), json!([1, [], {"a": [null]}])]
    {
        assert_eq!(plain_value(&template_value(&value)), Some(value));
    }
    assert_eq!(plain_value(&Value::from(f64::NAN)), None);
}

const PIECES: &str = "(\\{\\{ (question|context|example\\.question|documents)(\\|(default\\(1\\)|upper|tojson|length))? \\}\\}\
    |\\{\\{ question (or|and|==|<|~|if|in|\\+) context \\}\\}|\\{% if (not )?(question|context)( is defined)? %\\}|\\{% else %\\}\
    |\\{% endif %\\}|\\{% for x in documents( if question)? %\\}|\\{% endfor %\\}|\\{% set question = context %\\}|x){1,8}";

proptest::proptest! {
    #[test]
    fn an_example_without_a_needed_field_never_renders(text in PIECES, has in proptest::collection::vec(proptest::bool::ANY, 3)) {
        let mut templates = Templates::new("s", &scope().fields);
        if templates.add("prompt", "p".into(), &text, &scope()).is_empty() {
            let all = ["question", "context", "documents"].into_iter().zip(has);
            let fields: serde_json::Map<_, _> = all.filter(|(_, has)| *has).map(|(f, _)| (f.to_owned(), json!(["y"]))).collect();
            let lacks = templates.needs("prompt").any(|f| !fields.contains_key(f));
            let example = Example { id: "q".into(), line: 1, fields: fields.clone() };
            let mut context: BTreeMap<_, _> = fields.iter().map(|(k, v)| (k.clone(), template_value(v))).collect();
            context.insert("example".into(), template_value(&fields.into()));
            let rendered = templates.render("prompt", &context, &example);
            proptest::prop_assert!(!lacks || rendered.is_err(), "{rendered:?}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_template_makes_the_check_panic(text in "([{}%# \n]|question|x|set|is|\\||=|for|in|if|endif|'|\\.){0,20}|\\PC{0,30}") {
        let fields: BTreeSet<String> = scope().fields;
        Templates::new("s", &fields).add("prompt", "p".into(), &text, &scope());
    }
}
