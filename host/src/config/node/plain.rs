//! What YAML takes a scalar for: its core schema, as `serde_yaml` reads it, and whatever is true or false with `!!bool`.

use granit_parser::Tag;
use serde_yaml::Number;

use crate::config::scalar;

/// What YAML 1.2 takes a scalar for: what plugins see in their settings.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) enum Plain {
    /// Written in quotes, or nothing else. Numbers that JSON has no form for are texts too.
    Text,
    Bool(bool),
    Number(serde_json::Number),
}

/// What `!!` stands for.
const NAMESPACE: &str = "tag:yaml.org,2002:";

/// What a scalar is with its tag, if it has one; none if it is null. An error says what its tag wants.
pub(super) fn tagged(
    text: &str,
    is_plain: bool,
    tag: Option<&Tag>,
) -> Result<Option<Plain>, &'static str> {
    let number = || text.parse::<Number>().ok();
    match tag.and_then(|tag| tag.suffix_in_namespace(NAMESPACE)).as_deref() {
        None if is_plain => Ok(untagged(text)),
        Some("null") => untagged(text).map_or(Ok(None), |_| Err("null")),
        Some("bool") => match scalar::boolean(text) {
            Some(boolean) => Ok(Some(Plain::Bool(boolean))),
            None => Err("a boolean"),
        },
        // It stands for bytes, which need not be a text.
        Some("binary") => Err("a text that is written as it is"),
        Some("int") => match number() {
            Some(number) if !number.is_f64() => Ok(Some(json(&number))),
            _ => Err("an integer"),
        },
        Some("float") => match number().and_then(|number| number.as_f64()) {
            Some(number) => Ok(Some(json(&number.into()))),
            None => Err("a float"),
        },
        _ => Ok(Some(Plain::Text)),
    }
}

fn untagged(text: &str) -> Option<Plain> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => None,
        "true" | "True" | "TRUE" => Some(Plain::Bool(true)),
        "false" | "False" | "FALSE" => Some(Plain::Bool(false)),
        _ => Some(text.parse().map_or(Plain::Text, |number| json(&number))),
    }
}

fn json(number: &Number) -> Plain {
    let whole = number.as_u64().map(Into::into).or_else(|| number.as_i64().map(Into::into));
    let json = whole.or_else(|| serde_json::Number::from_f64(number.as_f64()?));
    json.map_or(Plain::Text, Plain::Number)
}
