//! Holds the JSON Schema of settings against the type that they are read as, by trying.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A name that no setting has.
const NOBODY: &str = "no setting has this name";

/// Checks that the schema and the type say the same of the settings' own keys:
///
/// - the type takes each of the schema's `examples`, which together have each of its `properties`;
/// - the type takes an example without a key if, and only if, the key is not `required`;
/// - the type takes each value of a property's `enum`, and no other text;
/// - the type refuses other keys if `additionalProperties` is false.
///
/// What is below these keys is not tried beyond the examples.
///
/// # Panics
///
/// When they do not agree, with the key and the reason.
#[track_caller]
pub fn check_schema<S: DeserializeOwned>(schema: &str) {
    let schema: Value = serde_json::from_str(schema).expect("the schema is JSON");
    let examples = list(&schema, "examples");
    assert!(!examples.is_empty(), "the schema has no `examples`");
    let examples = examples.iter().map(|example| example.as_object().expect("a mapping"));
    let examples: Vec<_> = examples.collect();
    for example in &examples {
        assert_eq!(refused::<S>(example), None, "an example is refused: {example:?}");
        for key in example.keys() {
            let required = list(&schema, "required").contains(&json!(key));
            let without = refused::<S>(&with(example, key, None)).is_some();
            assert_eq!(without, required, "whether settings without `{key}` are refused");
        }
    }
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    for (key, property) in properties {
        let example = examples.iter().find(|example| example.contains_key(key));
        let example = example.unwrap_or_else(|| panic!("no example has `{key}`"));
        let values = list(property, "enum");
        for value in values {
            let why = refused::<S>(&with(example, key, Some(value.clone())));
            assert_eq!(why, None, "`{key}`: {value} is refused");
        }
        if !values.is_empty() {
            let other = with(example, key, Some(json!(NOBODY)));
            assert!(refused::<S>(&other).is_some(), "`{key}` takes what is not in its enum");
        }
    }
    if schema["additionalProperties"] == json!(false) {
        let other = with(examples[0], NOBODY, Some(Value::Null));
        assert!(refused::<S>(&other).is_some(), "a key is taken that the schema does not know");
    }
}

/// Why settings are refused, if they are.
fn refused<S: DeserializeOwned>(settings: &Map<String, Value>) -> Option<String> {
    let json = Value::from(settings.clone()).to_string();
    crate::decoder::settings::<S>(&json).err()
}

/// The settings with another value for one key, or without that key.
fn with(settings: &Map<String, Value>, key: &str, value: Option<Value>) -> Map<String, Value> {
    let mut settings = settings.clone();
    match value {
        Some(value) => drop(settings.insert(key.to_owned(), value)),
        None => drop(settings.remove(key)),
    }
    settings
}

fn list<'s>(schema: &'s Value, key: &str) -> &'s [Value] {
    schema[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Settings {
        queues: Vec<String>,
        #[serde(default)]
        order: Order,
    }

    #[derive(Default, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        #[default]
        First,
        Last,
    }

    /// The schema of these settings, with something in another place.
    fn schema(change: impl Fn(&mut Value)) -> String {
        let mut schema = json!({
            "properties": {"queues": {"type": "array"}, "order": {"enum": ["first", "last"]}},
            "required": ["queues"],
            "additionalProperties": false,
            "examples": [{"queues": ["rx"]}, {"queues": [], "order": "last"}],
        });
        change(&mut schema);
        schema.to_string()
    }

    #[test]
    fn one_that_says_what_the_type_says_passes() {
        check_schema::<Settings>(&schema(|_| ()));
    }

    #[test]
    fn any_difference_is_found() {
        type Change = fn(&mut Value);
        let changes: [Change; 7] = [
            |schema| schema["examples"] = json!([]),
            |schema| schema["examples"][0]["queues"] = json!("rx"),
            |schema| schema["examples"][1] = json!({"queues": []}),
            |schema| schema["required"] = json!([]),
            |schema| schema["required"] = json!(["queues", "order"]),
            |schema| schema["properties"]["order"]["enum"] = json!(["first", "middle"]),
            |schema| schema["properties"]["queues"]["enum"] = json!(["first"]),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let schema = schema(change);
            let checked = std::panic::catch_unwind(|| check_schema::<Settings>(&schema));
            assert!(checked.is_err(), "change {n} is not found");
        }
        let open = schema(|schema| schema["properties"] = json!({}));
        let taken = std::panic::catch_unwind(|| check_schema::<Map<String, Value>>(&open));
        assert!(taken.is_err(), "that unknown keys are taken is not found");
    }
}
