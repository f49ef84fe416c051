//! The schema against real configs, by a small JSON Schema validator: what loads, validates.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot do its part has failed"
)]

use std::path::Path;

use podvisor::config::schema::schema;
use regex::Regex;
use serde_json::Value;

/// Why `value` does not fit `rule`; empty when it does. Knows the keywords that our schema uses, and refuses others.
fn misfits(root: &Value, rule: &Value, value: &Value, at: &str) -> Vec<String> {
    let Value::Object(rules) = rule else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut fail = |what: String| found.push(format!("{at}: {what}"));
    let below = |rule: &Value, value: &Value, step: &str| {
        misfits(root, rule, value, &format!("{at}/{step}"))
    };
    let mut deeper = Vec::new();
    for (keyword, argument) in rules {
        match keyword.as_str() {
            "$ref" => {
                let pointer = argument.as_str().unwrap().trim_start_matches('#');
                deeper.extend(misfits(root, root.pointer(pointer).unwrap(), value, at));
            }
            "type" => {
                let names: Vec<&str> = match argument {
                    Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                    name => name.as_str().into_iter().collect(),
                };
                let fits = |name: &&str| match *name {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    name => panic!("type {name}"),
                };
                if !names.iter().any(fits) {
                    fail(format!("{value} is not {names:?}"));
                }
            }
            "const" if value != argument => fail(format!("{value} is not {argument}")),
            "enum" if !argument.as_array().unwrap().contains(value) => {
                fail(format!("{value} is not in {argument}"))
            }
            "pattern" => {
                let pattern = Regex::new(argument.as_str().unwrap()).unwrap();
                if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                    fail(format!("{value} does not match {argument}"));
                }
            }
            "minimum"
                if value
                    .as_f64()
                    .is_some_and(|it| it < argument.as_f64().unwrap()) =>
            {
                fail("too small".into())
            }
            "maximum"
                if value
                    .as_f64()
                    .is_some_and(|it| it > argument.as_f64().unwrap()) =>
            {
                fail("too large".into())
            }
            "required" => {
                for name in argument.as_array().unwrap() {
                    if value
                        .as_object()
                        .is_some_and(|map| !map.contains_key(name.as_str().unwrap()))
                    {
                        fail(format!("{name} is missing"));
                    }
                }
            }
            "anyOf" | "oneOf" => {
                let tries: Vec<Vec<String>> = argument
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|rule| misfits(root, rule, value, at))
                    .collect();
                let fitting = tries.iter().filter(|misfits| misfits.is_empty()).count();
                if fitting == 0 || (keyword == "oneOf" && fitting != 1) {
                    fail(format!("{fitting} of {keyword} fit: {tries:?}"));
                }
            }
            "properties" => {
                for (name, rule) in argument.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        deeper.extend(below(rule, value, name));
                    }
                }
            }
            "additionalProperties" => {
                let named = rules.get("properties").and_then(Value::as_object);
                let patterns = rules.get("patternProperties").and_then(Value::as_object);
                for (name, value) in value.as_object().into_iter().flatten() {
                    let known = named.is_some_and(|it| it.contains_key(name))
                        || patterns.is_some_and(|it| {
                            it.keys()
                                .any(|pattern| Regex::new(pattern).unwrap().is_match(name))
                        });
                    if !known && *argument == Value::Bool(false) {
                        deeper.push(format!("{at}: {name} is unknown"));
                    } else if !known {
                        deeper.extend(below(argument, value, name));
                    }
                }
            }
            "propertyNames" => {
                for name in value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name)
                {
                    deeper.extend(below(argument, &Value::from(name.as_str()), name));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    deeper.extend(below(argument, item, &index.to_string()));
                }
            }
            "const" | "enum" | "minimum" | "maximum" | "$schema" | "$id" | "$defs" | "title"
            | "description" | "default" | "examples" | "patternProperties" | "uniqueItems" => {}
            other => panic!("{at}: the validator of this test does not know `{other}`"),
        }
    }
    found.extend(deeper);
    found
}

fn check(text: &str) -> Vec<String> {
    let value: Value = serde_yaml::from_str(text).unwrap();
    let schema = schema();
    misfits(&schema, &schema, &value, "")
}

#[test]
fn good_configs_validate() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_good");
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let misfits = check(&std::fs::read_to_string(&path).unwrap());
        assert!(misfits.is_empty(), "{}: {misfits:#?}", path.display());
    }
}

#[test]
fn what_decoding_refuses_does_not_validate() {
    for text in [
        "service: {}",
        "services: { web: { comand: [a] } }",
        "services: { web: { command: a } }",
        "services: { web: { command: [[a]] } }",
        "services: { '-web': { command: [a] } }",
        "services: { web: { nice: '5' } }",
        "services: { web: { nice: -21 } }",
        "services: { web: { type: Daemon } }",
        "services: { web: { stop: { timeout: 10 } } }",
        "services: { web: { stop: { timeout: 10sec } } }",
        "services: { web: { autostart: 'yes' } }",
        "services: { web: { readinessProbe: { periodSeconds: 5 } } }",
        "services: { web: { readinessProbe: { httpGet: { port: 80 }, exec: { command: [a] } } } }",
        "services: { web: { readinessProbe: { httpGet: { port: 0 } } } }",
        "services: { web: { readinessProbe: { tcpSocket: {} } } }",
        "services: { web: { dependsOn: db } }",
        "services: { web: { dependsOn: { db: { condition: healthy } } } }",
        "services: { web: { limits: { nofiles: 5 } } }",
        "services: { web: { limits: { core: { soft: 5 } } } }",
        "services: { web: { logs: { maxLine: 5mb } } }",
        "http: { listen: 8080 }",
        "http: { listen: 'web:8080' }",
        "logs: { sinks: { v: { endpoint: 'http://v/' } } }",
    ] {
        assert!(!check(text).is_empty(), "{text}");
    }
}

#[test]
fn what_decoding_takes_validates() {
    for text in [
        "x-anchors: [anything]",
        "services: { web: { command: [a, 1, 1.5, true, '${B}'], nice: '${NICE}', autostart: '${AUTO}' } }",
        "services: { web: { type: '${KIND}', restartPolicy: '${POLICY:-Always}', stop: { timeout: '${T}', signal: 15 } } }",
        "services: { web: { readinessProbe: { httpGet: { port: '80' }, periodSeconds: '${P}' } } }",
        "services: { web: { dependsOn: { db: , cache: { required: false } } } }",
        "services: { web: { limits: { core: 0, nofile: unlimited, stack: 8Mi, cpu: '${CPU}' } } }",
        "services: { web: { logs: { maxLine: 1048576 }, restart: { resetAfter: 0 } } }",
        "http: { listen: off }\nshutdown: { signals: [SIGRTMIN+3, term, '${SIGNAL}'] }",
        "http: { listen: '[::]:4747' }",
    ] {
        let misfits = check(text);
        assert!(misfits.is_empty(), "{text}: {misfits:#?}");
    }
}
