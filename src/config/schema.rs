//! The config as JSON Schema, for editors and charts: what decoding takes, no more and no less.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::root::Config;

/// The schema's own name; relative, so that it is right wherever the file is put.
pub const SCHEMA_ID: &str = "podvisor.schema.json";

/// What a service's name looks like.
const NAME_PATTERN: &str = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$";

/// The schema of a whole config (draft 2020-12).
pub fn schema() -> Value {
    let mut schema = types();
    loosen(&mut schema);
    if let Some(defs) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        let expansion = json!({
            "description": "A text with `${VAR}`, `${VAR:-default}` or `${file:/path}`.",
            "type": "string",
            "pattern": r"\$\{",
        });
        defs.insert("Expansion".to_owned(), expansion);
    }
    if let Some(root) = schema.as_object_mut() {
        root.insert("$id".to_owned(), SCHEMA_ID.into());
        root.insert("title".to_owned(), "podvisor config".into());
        root.insert("type".to_owned(), "object".into());
        // Keys of the user's own, to hang anchors on.
        root.insert("patternProperties".to_owned(), json!({ "^x-": true }));
        if let Some(services) = root
            .get_mut("properties")
            .and_then(|it| it.get_mut("services"))
            .and_then(Value::as_object_mut)
        {
            services.insert(
                "propertyNames".to_owned(),
                json!({ "pattern": NAME_PATTERN }),
            );
        }
    }
    schema
}

/// The schema as the types have it, before `${…}` and YAML's ways of writing text are let in.
pub(super) fn types() -> Value {
    let schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Config>();
    let mut schema = schema.to_value();
    without_rust(&mut schema);
    schema
}

/// Takes out what only Rust means: `uint32` and the like, and defaults of whole sections.
fn without_rust(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("format").is_some_and(Value::is_string) {
                map.remove("format");
            }
            if map
                .get("default")
                .is_some_and(|it| it.is_object() || it.is_null())
            {
                map.remove("default");
            }
            map.values_mut().for_each(without_rust);
        }
        Value::Array(items) => items.iter_mut().for_each(without_rust),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Lets in what decoding takes beside the type itself: `${…}` for anything that is not free text, numbers and
/// booleans for text (their own letters are taken), and nothing for an empty list or map.
fn loosen(schema: &mut Value) {
    let Value::Object(map) = schema else {
        return;
    };
    for (key, below) in map.iter_mut() {
        match (key.as_str(), below) {
            ("properties" | "$defs" | "patternProperties", Value::Object(named)) => {
                named.values_mut().for_each(loosen);
            }
            ("items" | "additionalProperties", below) => loosen(below),
            ("anyOf" | "allOf", Value::Array(choices)) => choices.iter_mut().for_each(loosen),
            _ => {}
        }
    }
    // `args:` with nothing below it is an empty list.
    let holds = map.get("type").and_then(Value::as_str).map(str::to_owned);
    match holds.as_deref() {
        Some(kind @ "array") => {
            map.insert("type".to_owned(), json!([kind, "null"]));
        }
        Some(kind @ "object") if !map.contains_key("required") => {
            map.insert("type".to_owned(), json!([kind, "null"]));
        }
        _ => {}
    }
    let is_choice = map.contains_key("enum") || is_choice_of_constants(map);
    if is_free_text(map) {
        let mut types = vec!["string", "number", "boolean"];
        if map.get("type").is_some_and(Value::is_array) {
            types.push("null");
        }
        map.insert("type".to_owned(), json!(types));
    } else if is_choice || is_typed(map) {
        wrap(map);
    }
}

/// Text with no rule of its own.
fn is_free_text(map: &Map<String, Value>) -> bool {
    map.get("type")
        .is_some_and(|it| it == "string" || *it == json!(["string", "null"]))
        && !map.contains_key("pattern")
        && !map.contains_key("enum")
        && !map.contains_key("const")
}

/// A scalar with rules: a number, a boolean, or text of a certain form.
fn is_typed(map: &Map<String, Value>) -> bool {
    let scalar = |name: &Value| {
        name.as_str()
            .is_some_and(|name| matches!(name, "integer" | "number" | "boolean" | "string"))
    };
    match map.get("type") {
        Some(Value::Array(names)) => names.iter().any(scalar),
        Some(name) => scalar(name),
        None => false,
    }
}

/// Named choices with their descriptions, as schemars writes an enum.
fn is_choice_of_constants(map: &Map<String, Value>) -> bool {
    map.get("oneOf")
        .and_then(Value::as_array)
        .is_some_and(|choices| {
            choices
                .iter()
                .all(|choice| choice.get("const").is_some() || choice.get("enum").is_some())
        })
}

/// Makes a schema one of two: itself, or a text that is expanded.
fn wrap(map: &mut Map<String, Value>) {
    let mut outside = Map::new();
    for key in ["description", "default", "title"] {
        if let Some(value) = map.remove(key) {
            outside.insert(key.to_owned(), value);
        }
    }
    let inside = Value::Object(std::mem::take(map));
    outside.insert(
        "anyOf".to_owned(),
        json!([inside, { "$ref": "#/$defs/Expansion" }]),
    );
    *map = outside;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::Fake;
    use crate::config::{Report, load_texts};

    /// A value that a schema takes, with every property of a map set. Of a probe's checks, the one named.
    fn sample(defs: &Value, schema: &Value, check: &str) -> Value {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.rsplit('/').next().unwrap();
            return sample(defs, &defs[name], check);
        }
        if let Some(example) = schema.get("examples").and_then(|it| it.get(0)) {
            return example.clone();
        }
        for choice in ["anyOf", "oneOf"] {
            let first = schema.get(choice).and_then(|it| it.get(0));
            if let Some(first) = first.filter(|it| it.get("required").is_none()) {
                return sample(defs, first, check);
            }
        }
        if let Some(value) = schema
            .get("const")
            .or(schema.get("enum").and_then(|it| it.get(0)))
        {
            return value.clone();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds[0].as_str().unwrap(),
            kind => kind.as_str().unwrap(),
        };
        match kind {
            "object" => {
                let named = schema.get("properties").and_then(Value::as_object);
                let is_probe = named.is_some_and(|it| it.contains_key("httpGet"));
                let mut map = Map::new();
                for (name, below) in named.into_iter().flatten() {
                    let is_check = super::super::probe_form::CHECKS.contains(&name.as_str());
                    if !is_probe || !is_check || name == check {
                        map.insert(name.clone(), sample(defs, below, check));
                    }
                }
                if let Some(below) = schema
                    .get("additionalProperties")
                    .filter(|it| it.is_object())
                {
                    map.insert("name".to_owned(), sample(defs, below, check));
                }
                Value::Object(map)
            }
            "array" => json!([sample(defs, &schema["items"], check)]),
            "boolean" => json!(true),
            "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
            _ => json!("text"),
        }
    }

    fn whole(check: &str) -> Value {
        let schema = types();
        sample(&schema["$defs"], &schema, check)
    }

    fn problems(config: &Value) -> Vec<String> {
        // JSON is YAML.
        let text = config.to_string();
        match load_texts(&[("schema.yaml", &text)], &Fake::new()) {
            Ok(_) => Vec::new(),
            Err(Report { problems, .. }) => problems
                .iter()
                .map(|problem| problem.message.clone())
                .collect(),
        }
    }

    #[test]
    fn every_property_of_the_schema_is_decoded() {
        for check in super::super::probe_form::CHECKS {
            for problem in problems(&whole(check)) {
                for sign in [
                    "unknown field",
                    "expected ",
                    "not known here",
                    "is missing",
                    "needs a check",
                ] {
                    assert!(!problem.contains(sign), "{check}: {problem}");
                }
            }
        }
    }

    /// Every map within a value, by the JSON pointer that leads to it.
    fn maps(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.push(path.to_owned());
                for (name, below) in map {
                    maps(below, &format!("{path}/{name}"), found);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    maps(item, &format!("{path}/{index}"), found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn what_the_schema_does_not_know_is_refused() {
        let whole = whole("httpGet");
        let mut all = Vec::new();
        maps(&whole, "", &mut all);
        // Maps from the user's own names.
        let free = [
            "/services",
            "/env",
            "/labels",
            "/headers",
            "/sinks",
            "/query",
            "/dependsOn",
        ];
        all.retain(|path| !free.iter().any(|end| path.ends_with(end)));
        assert!(all.len() > 20, "{all:?}");
        for path in all {
            let mut config = whole.clone();
            let map = config
                .pointer_mut(&path)
                .and_then(Value::as_object_mut)
                .unwrap();
            map.insert("frobnicate".to_owned(), json!(1));
            let problems = problems(&config);
            assert!(
                problems.iter().any(|it| it.contains("`frobnicate`")),
                "{path}: {problems:?}"
            );
        }
    }
}
