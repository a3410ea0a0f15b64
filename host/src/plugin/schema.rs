//! Settings held against the JSON Schema that a plugin brings, before the plugin is asked: so that a person is
//! told the line, and the word that was meant.
//!
//! Understood are `type`, `properties`, `required`, `additionalProperties`, `enum` and `items`. What else a
//! schema says is left to the guest, which has the last word anyway. A schema is hostile: the work is bounded,
//! and beyond the bound nothing is found. Never shows a value of the settings, which may be a secret.

use serde_json::{Map, Value};

use crate::advice::{Advice, near, quote};

/// Comparisons of one plugin's settings with its schema: some 50 ms.
const MOST_STEPS: usize = 2_000_000;
/// Faults that are told.
const MOST_FAULTS: usize = 50;
/// Types that a value is held against: JSON has six, and whole numbers.
const MOST_TYPES: usize = 7;

/// What of these settings, the text of a JSON object, the schema does not allow: where below them, `.a[1]`, and
/// what to do.
pub(super) fn misfits(schema: &Value, settings: &str) -> Vec<(String, Advice)> {
    // What is nested deeper than this reader goes is left to the guest.
    let Ok(settings) = serde_json::from_str(settings) else { return Vec::new() };
    let mut walk = Walk { left: MOST_STEPS, path: String::new(), found: Vec::new() };
    walk.value(schema, &settings);
    walk.found
}

struct Walk {
    /// Comparisons that may still be made.
    left: usize,
    /// Where it is.
    path: String,
    found: Vec<(String, Advice)>,
}

impl Walk {
    fn value(&mut self, schema: &Value, value: &Value) {
        if !self.spend(1) {
            return;
        }
        if let Some(wanted) = unmet_types(&schema["type"], value) {
            let problem = format!("expected {wanted}, found {}", word(kind(value)));
            let is_plain = matches!(value, Value::Bool(_) | Value::Number(_));
            let remedy = match wanted.starts_with(word("string")) && is_plain {
                true => "put it in quotes".to_owned(),
                false => format!("write {wanted}"),
            };
            return self.fault(Advice::new(problem, remedy));
        }
        if let Some(values) = schema["enum"].as_array() {
            self.choice(values, value);
        }
        match value {
            Value::Object(entries) => self.mapping(schema, entries),
            Value::Array(items) if schema["items"].is_object() => {
                for (index, item) in items.iter().enumerate() {
                    self.below(&format!("[{index}]"), &schema["items"], item);
                }
            }
            _ => {}
        }
    }

    /// Tells of a value that is none of those that there are.
    fn choice(&mut self, values: &[Value], value: &Value) {
        if !self.spend(values.len()) || values.contains(value) {
            return;
        }
        let words: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        let remedy = near::suggest(value.as_str().unwrap_or_default(), &words, "write one of");
        self.fault(Advice::new("it is none of the values that this setting can have", remedy));
    }

    fn mapping(&mut self, schema: &Value, entries: &Map<String, Value>) {
        let none = Map::new();
        let known = schema["properties"].as_object().unwrap_or(&none);
        let others = &schema["additionalProperties"];
        // What patterns allow is not looked at.
        let closed = *others == Value::Bool(false) && schema["patternProperties"].is_null();
        for (key, value) in entries {
            match known.get(key) {
                Some(schema) => self.below(&format!(".{key}"), schema, value),
                None if closed => self.unknown(key, known),
                None => self.below(&format!(".{key}"), others, value),
            }
        }
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !self.spend(required.len()) {
            return;
        }
        for key in required.iter().filter_map(Value::as_str) {
            if !entries.contains_key(key) {
                let problem = format!("the setting {} is missing", quote(key));
                self.fault(Advice::new(problem, format!("add `{key}:`")));
            }
        }
    }

    fn unknown(&mut self, key: &str, known: &Map<String, Value>) {
        if !self.spend(known.len()) {
            return;
        }
        let words: Vec<_> = known.keys().map(String::as_str).collect();
        let remedy = match words.is_empty() {
            true => "remove it: there are none here".to_owned(),
            false => near::suggest(key, &words, "write one of"),
        };
        self.step(&format!(".{key}"), |walk| {
            walk.fault(Advice::new("the plugin knows no such setting", remedy));
        });
    }

    /// Looks at what is one step below.
    fn below(&mut self, step: &str, schema: &Value, value: &Value) {
        if schema.is_object() {
            self.step(step, |walk| walk.value(schema, value));
        }
    }

    fn step(&mut self, step: &str, look: impl FnOnce(&mut Self)) {
        let here = self.path.len();
        self.path.push_str(step);
        look(self);
        self.path.truncate(here);
    }

    fn fault(&mut self, advice: Advice) {
        if self.found.len() < MOST_FAULTS {
            self.found.push((self.path.clone(), advice));
        }
    }

    /// Whether so many comparisons may be made.
    fn spend(&mut self, steps: usize) -> bool {
        let left = self.left.checked_sub(steps);
        self.left = left.unwrap_or(0);
        left.is_some() && self.found.len() < MOST_FAULTS
    }
}

/// What a value would have to be, if it is none of these types. A type that nobody knows is any.
fn unmet_types(types: &Value, value: &Value) -> Option<String> {
    let types = names(types);
    let found = kind(value);
    let whole = || value.is_i64() || value.is_u64() || value.as_f64().is_some_and(is_whole);
    let meets = |name: &&str| match *name {
        "integer" => found == "number" && whole(),
        "string" | "number" | "boolean" | "object" | "array" | "null" => *name == found,
        _ => true,
    };
    (!types.is_empty() && !types.iter().any(meets)).then(|| listed(&types))
}

fn is_whole(number: f64) -> bool {
    number.fract() == 0.0
}

/// The names of types, of which a schema has one or a list.
fn names(types: &Value) -> Vec<&str> {
    match types {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().take(MOST_TYPES).filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// These types in words. Nothing is what can be left out, so nobody has to be told to write it.
fn listed(types: &[&str]) -> String {
    let words: Vec<_> =
        types.iter().filter(|name| **name != "null").map(|name| word(name)).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(" or ") }
}

/// The name of a value's type.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The settings that a schema names, at most so many, each with what it has to be.
pub fn outline(schema: &Value, most: usize) -> Vec<(&str, String)> {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |(name, property): (&'_ String, &Value)| {
        let types = names(&property["type"]);
        let values = property["enum"].as_array().map(Vec::as_slice).unwrap_or_default();
        let values: Vec<_> = values.iter().filter_map(Value::as_str).take(MOST_TYPES).collect();
        let is = match types.is_empty() {
            true => values.join(" or "),
            false => listed(&types),
        };
        let needed = required.iter().take(most).any(|is| is.as_str() == Some(name));
        if needed { format!("{is} (needed)") } else { is }
    };
    let properties = schema["properties"].as_object().into_iter().flatten().take(most);
    properties.map(|(name, property)| (name.as_str(), one((name, property)))).collect()
}

/// A type of JSON as messages call it.
fn word(kind: &str) -> &'static str {
    match kind {
        "string" => "a text",
        "number" => "a number",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        _ => "nothing",
    }
}

#[cfg(test)]
mod tests;
