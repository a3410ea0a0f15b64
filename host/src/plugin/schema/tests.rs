//! What is found of settings that do not fit.

use serde_json::json;

use super::*;

/// What a person would read, a fault a line.
fn told(schema: &Value, settings: &Value) -> String {
    let found = misfits(schema, &settings.to_string());
    let lines: Vec<_> = found.iter().map(|(path, advice)| format!("{path}: {advice}")).collect();
    lines.join("\n")
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "prefixes": {"type": "object", "additionalProperties": {"type": "string"}},
            "default": {"type": ["string", "null"]},
            "order": {"enum": ["network", "host"]},
            "digits": {"type": "integer"},
            "rules": {"type": "array", "items": {
                "properties": {"action": {"enum": ["keep", "drop"]}},
                "required": ["action"],
                "additionalProperties": false,
            }},
        },
        "required": ["prefixes"],
        "additionalProperties": false,
    })
}

#[test]
fn all_faults_are_told_with_their_places() {
    let settings = json!({
        "prefixs": {"10.0.0.0/8": "lan"},
        "default": 7,
        "order": "netwrok",
        "digits": 1.5,
        "rules": [{"action": "keep"}, {"acton": "drop"}, "x", {"action": 1}],
    });
    insta::assert_snapshot!(told(&schema(), &settings), @"
    .default: expected a text, found a number; put it in quotes
    .digits: expected a whole number, found a number; write a whole number
    .order: it is none of the values that this setting can have; did you mean `network`?
    .prefixs: the plugin knows no such setting; did you mean `prefixes`?
    .rules[1].acton: the plugin knows no such setting; did you mean `action`?
    .rules[1]: the setting `action` is missing; add `action:`
    .rules[3].action: it is none of the values that this setting can have; write one of keep, drop
    : the setting `prefixes` is missing; add `prefixes:`
    ");
    let settings = json!({"prefixes": {"10.0.0.0/8": ["lan"], "::/0": null}, "digits": true});
    insta::assert_snapshot!(told(&schema(), &settings), @"
    .digits: expected a whole number, found true or false; write a whole number
    .prefixes.10.0.0.0/8: expected a text, found a list; write a text
    .prefixes.::/0: expected a text, found nothing; write a text
    ");
}

#[test]
fn what_fits_or_is_not_understood_is_left_to_the_guest() {
    let fits = [
        (schema(), json!({"prefixes": {}, "default": null, "digits": 8, "rules": []})),
        (schema(), json!({"prefixes": {"a": "b"}, "digits": 8.0, "order": "host"})),
        (
            json!({"type": "color", "enum": "x", "required": {"a": 1}, "items": true}),
            json!({"b": 1}),
        ),
        (
            json!({"properties": {"a": false}, "additionalProperties": true}),
            json!({"a": 1, "b": 2}),
        ),
        (json!({"patternProperties": {"^x": {}}, "additionalProperties": false}), json!({"xy": 1})),
        (json!({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}), json!({})),
        (json!({}), json!({"a": [1, {"b": 2}]})),
    ];
    for (schema, settings) in fits {
        assert_eq!(told(&schema, &settings), "", "{schema}: {settings}");
    }
    assert_eq!(misfits(&schema(), &"[".repeat(1000)).len(), 0);
}

#[test]
fn a_plugin_without_settings_takes_none() {
    let schema = json!({"type": "object", "additionalProperties": false});
    insta::assert_snapshot!(told(&schema, &json!({"zone": "x"})), @".zone: the plugin knows no such setting; remove it: there are none here");
}

/// Neither more faults than a person reads, nor more work than a start may take.
#[test]
fn a_hostile_schema_costs_little() {
    let many: Map<String, Value> = (0..100_000).map(|n| (format!("k{n}"), json!(n))).collect();
    let closed = json!({"additionalProperties": false, "properties": {"k": {}}});
    assert_eq!(misfits(&closed, &Value::from(many.clone()).to_string()).len(), MOST_FAULTS);
    let choices: Vec<_> = (0..10_000).map(|n| format!("c{n}")).collect();
    let slow = json!({"additionalProperties": {"enum": choices}});
    let mut walk = Walk { left: MOST_STEPS, path: String::new(), found: Vec::new() };
    walk.found.reserve(MOST_FAULTS);
    let fitting: Map<String, Value> =
        many.into_iter().map(|(key, _)| (key, json!("c9999"))).collect();
    walk.value(&slow, &Value::from(fitting));
    assert_eq!((walk.left, walk.found.len()), (0, 0));
}
