//! The reference of the config as Markdown, from the same doc comments as the schema.

use std::collections::VecDeque;
use std::fmt::Write as _;

use serde_json::Value;

use super::schema::types;

/// What stands before the tables.
const INTRO: &str = "# The config

<!-- Generated from the types in src/config: run `UPDATE_EXPECT=1 cargo test reference`. -->

`podvisor run` reads `-c PATH` (repeatable), else `$PODVISOR_CONFIG`, else `/etc/podvisor/podvisor.yaml`. A path is a YAML
file, or a folder whose `*.yaml` and `*.yml` files are merged in name order: services of all files together; a service or
section that is defined in two files is an error that names both places. Top-level keys that begin with `x-` are yours, to
hang YAML anchors on; merge keys (`<<: *name`) work.

Unknown fields are errors. `podvisor validate` shows every error and warning at once; `podvisor schema` prints the JSON
Schema for editors: put `# yaml-language-server: $schema=./podvisor.schema.json` on the first line.

**Values.** Where text is asked for, a number or `yes` is taken as it is written: `1.10` stays `1.10`. Where a boolean is
asked for, only `true` and `false` are taken. Nothing (`key:`, `~`, `null`) is an empty list or map, and an error for
anything else that has no default.

**Expansion.** In values (never in keys): `${VAR}`, `${VAR:-default}` (also when VAR is empty) and `${file:/path}` (a final
line end is cut; 64 KiB at most; never shown in messages). They nest: `${A:-${B:-c}}`. An unset variable without default is
an error. `$$` is a dollar, and any other `$` stays as it is. What comes out is never read as YAML, but it may be a number
or boolean where one is asked for, also within quotes: `{ port: \"${PORT}\" }`. In a `shell:` script, write `$${VAR}` for the
shell's own variables; forms that podvisor does not know, such as `${f%.txt}`, are left to the shell.

**Bounds.** 1 MiB a file, 100000 values, 64 levels, 100 errors shown.

Fields marked * must be set.
";

/// The whole reference.
pub fn markdown() -> String {
    let schema = types();
    let defs = &schema["$defs"];
    let mut text = INTRO.to_owned();
    let mut told: Vec<String> = Vec::new();
    let mut queue: VecDeque<String> = VecDeque::new();
    text.push_str("\n## Config\n\n");
    table(&mut text, &schema, &mut queue);
    while let Some(name) = queue.pop_front() {
        if told.contains(&name) {
            continue;
        }
        let def = &defs[name.as_str()];
        // Writing to a String never fails.
        let _ = write!(text, "\n## {name}\n\n{}\n", description(def));
        if def.get("properties").is_some() {
            text.push('\n');
            table(&mut text, def, &mut queue);
        } else {
            choices(&mut text, def, &mut queue);
        }
        told.push(name);
    }
    text
}

fn description(schema: &Value) -> &str {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or("")
}

/// The fields of a map.
fn table(text: &mut String, def: &Value, queue: &mut VecDeque<String>) {
    text.push_str("| field | type | |\n|---|---|---|\n");
    let required: Vec<&str> = def
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let fields = def.get("properties").and_then(Value::as_object);
    for (name, field) in fields.into_iter().flatten() {
        let star = if required.contains(&name.as_str()) {
            "*"
        } else {
            ""
        };
        let about = description(field).replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{name}`{star} | {} | {about} |",
            type_of(field, queue)
        );
    }
}

/// The choices of an enum, or examples of a text with a form.
fn choices(text: &mut String, def: &Value, queue: &mut VecDeque<String>) {
    for choice in def
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let Some(name) = choice.get("const") {
            let _ = write!(text, "\n- `{}`: {}", plain(name), description(choice));
        }
    }
    for choice in def
        .get("anyOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let _ = write!(text, "\n- {}", type_of(choice, queue));
    }
    if let Some(examples) = def.get("examples").and_then(Value::as_array) {
        let examples: Vec<String> = examples
            .iter()
            .map(|it| format!("`{}`", plain(it)))
            .collect();
        let _ = write!(text, "\nExamples: {}.", examples.join(", "));
    }
    if def.get("oneOf").is_some() || def.get("anyOf").is_some() || def.get("examples").is_some() {
        text.push('\n');
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A type in words, with links to those that have a section; these are queued.
fn type_of(schema: &Value, queue: &mut VecDeque<String>) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.rsplit('/').next().unwrap_or(name).to_owned();
        let link = format!("[{name}](#{})", name.to_ascii_lowercase());
        queue.push_back(name);
        return link;
    }
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        let words: Vec<String> = choices
            .iter()
            .filter(|choice| choice.get("type").is_none_or(|it| it != "null"))
            .map(|choice| type_of(choice, queue))
            .collect();
        return words.join(" or ");
    }
    let names: Vec<&str> = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(name) => name.as_str().into_iter().collect(),
        None => Vec::new(),
    };
    let words: Vec<String> = names
        .into_iter()
        .filter(|name| *name != "null")
        .map(|name| {
            match (
                name,
                schema.get("items"),
                schema.get("additionalProperties"),
            ) {
                ("array", Some(items), _) => format!("list of {}", type_of(items, queue)),
                ("object", _, Some(values)) if values.is_object() => {
                    format!("map of {}", type_of(values, queue))
                }
                ("object", ..) => fields_of(schema, queue),
                ("integer", ..) => "whole number".to_owned(),
                ("string", ..) => "text".to_owned(),
                (name, ..) => name.to_owned(),
            }
        })
        .collect();
    words.join(" or ")
}

/// A map whose fields have one type each, such as `limits`.
fn fields_of(schema: &Value, queue: &mut VecDeque<String>) -> String {
    let Some(fields) = schema.get("properties").and_then(Value::as_object) else {
        return "map".to_owned();
    };
    let names: Vec<String> = fields.keys().map(|name| format!("`{name}`")).collect();
    let of = fields
        .values()
        .next()
        .map_or_else(String::new, |first| type_of(first, queue));
    format!("map from {} to {of}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_in_docs_is_up_to_date() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
        let markdown = markdown();
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
            std::fs::write(file, &markdown).unwrap();
        }
        let committed = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            committed == markdown,
            "docs/config.md is out of date: UPDATE_EXPECT=1 cargo test reference"
        );
    }
}
