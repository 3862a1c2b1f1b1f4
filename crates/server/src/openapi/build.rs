//! Operations to paths, types to schemas.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::access::Scope;
use crate::api_error::ErrorReply;

/// Where schemas are, as a JSON pointer.
const SCHEMAS: &str = "/components/schemas";

/// Collects operations.
pub(super) struct Builder {
    /// Of what is sent to us, and what we send: the same type may be asked for less than it promises.
    read: SchemaGenerator,
    written: SchemaGenerator,
    paths: Map<String, Value>,
}

/// What a key must allow, where the server has keys.
#[derive(Clone, Copy)]
pub(super) enum Needs {
    /// No key.
    Nothing,
    /// Any key.
    Key,
    /// A key of this scope.
    Scope(Scope),
}

/// An operation, without its address.
pub(super) struct Operation {
    tag: &'static str,
    summary: &'static str,
    needs: Needs,
    parameters: Vec<Value>,
    body: Option<Value>,
    replies: Vec<(&'static str, Value)>,
}

impl Default for Builder {
    fn default() -> Self {
        let settings = || SchemaSettings::draft2020_12().with(|s| s.definitions_path = SCHEMAS.into());
        let mut builder = Builder {
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
            paths: Map::new(),
        };
        builder.written.subschema_for::<ErrorReply>();
        builder
    }
}

impl Builder {
    /// An operation that nothing is said of yet.
    pub(super) fn operation(&self, tag: &'static str, needs: Needs, summary: &'static str) -> Operation {
        Operation { tag, summary, needs, parameters: Vec::new(), body: None, replies: Vec::new() }
    }

    /// What a JSON body is read as.
    pub(super) fn body<T: JsonSchema>(&mut self, mut operation: Operation) -> Operation {
        let schema = self.read.subschema_for::<T>();
        operation.body = Some(json!({"required": true, "content": {"application/json": {"schema": schema}}}));
        operation
    }

    /// What a query is read as: each of its fields is a parameter.
    pub(super) fn query<T: JsonSchema>(&mut self, mut operation: Operation) -> Operation {
        let mut schema = Value::from(T::json_schema(&mut self.read));
        let required = schema["required"].take();
        let required: Vec<&str> = required.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if let Value::Object(properties) = schema["properties"].take() {
            for (name, mut schema) in properties {
                let description = schema.as_object_mut().and_then(|s| s.remove("description"));
                let required = required.contains(&name.as_str());
                let mut parameter = json!({"name": name, "in": "query", "required": required, "schema": schema});
                if let Some(description) = description {
                    parameter["description"] = description;
                }
                operation.parameters.push(parameter);
            }
        }
        operation
    }

    /// A reply as JSON.
    pub(super) fn reply<T: JsonSchema>(&mut self, operation: Operation, status: &'static str, says: &str) -> Operation {
        let schema = self.written.subschema_for::<T>();
        operation.content(status, says, json!({"application/json": {"schema": schema}}))
    }

    /// Server-sent events, each with data of this type.
    pub(super) fn events<T: JsonSchema>(&mut self, mut operation: Operation, says: &str) -> Operation {
        let schema = self.written.subschema_for::<T>();
        // OpenAPI 3.1 has no word for the single events of a stream: the schema is of an event's data.
        let stream = json!({"schema": {"type": "string"}, "x-event-data": schema});
        match operation.replies.iter_mut().find(|(status, _)| *status == "200") {
            Some((_, reply)) => reply["content"]["text/event-stream"] = stream,
            None => return operation.content("200", says, json!({"text/event-stream": stream})),
        }
        operation
    }

    /// Puts an operation at its address.
    pub(super) fn put(&mut self, method: &str, path: &str, operation: Operation) {
        let mut parameters = path_parameters(path);
        parameters.extend(operation.parameters);
        let mut responses: Map<String, Value> = operation.replies.into_iter().map(|(s, r)| (s.to_owned(), r)).collect();
        responses.insert("default".into(), json!({"$ref": "#/components/responses/Error"}));
        let mut entry = json!({
            "tags": [operation.tag],
            "summary": operation.summary,
            "operationId": operation_id(method, path),
            "responses": responses,
        });
        if !parameters.is_empty() {
            entry["parameters"] = Value::Array(parameters);
        }
        if let Some(body) = operation.body {
            entry["requestBody"] = body;
        }
        match operation.needs {
            Needs::Scope(scope) => entry["x-scope"] = json!(scope.name()),
            Needs::Key => {}
            Needs::Nothing => entry["security"] = json!([]),
        }
        let path = self.paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        path[method] = entry;
    }

    /// The paths, and the schemas that they use.
    pub(super) fn finish(mut self) -> (Value, Value) {
        let mut schemas = self.written.take_definitions(true);
        for (name, schema) in self.read.take_definitions(true) {
            schemas.entry(name).or_insert(schema);
        }
        schemas.sort_keys();
        (Value::Object(self.paths), Value::Object(schemas))
    }
}

impl Operation {
    /// A reply of any kind.
    pub(super) fn content(mut self, status: &'static str, says: &str, content: Value) -> Self {
        self.replies.push((status, json!({"description": says, "content": content})));
        self
    }

    /// A text as reply.
    pub(super) fn text(self, says: &str, kind: &str) -> Self {
        self.content("200", says, json!({kind: {"schema": {"type": "string"}}}))
    }

    /// It changes something of a study, or calls models from the dashboard: the header that pages of elsewhere cannot send.
    pub(super) fn only_from_our_page(mut self) -> Self {
        self.parameters.push(json!({
            "name": "x-agenttts",
            "in": "header",
            "required": true,
            "schema": {"const": "1"},
            "description": "A header that pages of elsewhere cannot send without being asked first.",
        }));
        self
    }
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let (schema, description) = match name {
            "trial" => (Schema::from(true_integer()), "A trial's number."),
            "study" => (Schema::from(true_string()), "A study's name."),
            _ => (Schema::from(true_string()), "A plan's name, or a wish such as `NAME@cheap` or `NAME@usd=0.002`."),
        };
        json!({"name": name, "in": "path", "required": true, "schema": schema, "description": description})
    };
    names.map(parameter).collect()
}

fn true_integer() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!("integer")), ("minimum".to_owned(), json!(1))])
}

fn true_string() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!("string"))])
}

/// `get_api_studies_study`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(['/', '.', '-']).map(|part| part.trim_matches(['{', '}'])).filter(|part| !part.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}
