//! One rule: as it was typed, and checked as Prometheus checks it.
//!
//! Never knows which labels there are.

use serde::{Deserialize, Deserializer};

use crate::pattern::{self, Pattern};

/// The label that holds the metric's name.
pub(crate) const METRIC_NAME: &str = "__name__";

/// A rule as it was typed.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRule {
    #[serde(default)]
    source_labels: Vec<String>,
    separator: Option<Text>,
    target_label: Option<Text>,
    regex: Option<Text>,
    modulus: Option<u64>,
    replacement: Option<Text>,
    #[serde(default)]
    action: Action,
}

/// A text that YAML may have taken for something else: `regex: 80`, `replacement: true`.
#[derive(Debug)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged, expecting = "a text")]
        enum Scalar {
            Text(String),
            Bool(bool),
            Integer(i64),
            Float(f64),
        }
        Ok(Self(match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => text,
            Scalar::Bool(value) => value.to_string(),
            Scalar::Integer(value) => value.to_string(),
            Scalar::Float(value) => value.to_string(),
        }))
    }
}

/// What a rule does, by Prometheus' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    Lowercase,
    Uppercase,
    LabelMap,
    LabelDrop,
    LabelKeep,
}

/// A rule that says no more and no less than it needs.
#[derive(Debug)]
pub(crate) enum Rule {
    Replace {
        source: Source,
        regex: Pattern,
        target: String,
        replacement: String,
    },
    /// Keeps rows whose source matches, or drops them.
    Filter {
        source: Source,
        regex: Pattern,
        keep: bool,
    },
    /// Keeps rows whose source equals the target, or drops them.
    FilterEqual {
        source: Source,
        target: String,
        keep: bool,
    },
    HashMod {
        source: Source,
        target: String,
        modulus: u64,
    },
    Case {
        source: Source,
        target: String,
        upper: bool,
    },
    LabelMap {
        regex: Pattern,
        replacement: String,
    },
    /// Keeps labels whose name matches, or drops them.
    LabelFilter {
        regex: Pattern,
        keep: bool,
    },
}

/// The labels whose values, joined, a rule looks at.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) labels: Vec<String>,
    pub(crate) separator: String,
}

impl RawRule {
    /// The rule that this means.
    ///
    /// # Errors
    ///
    /// Which field is missing, too much, or wrong.
    pub(crate) fn check(self) -> Result<Rule, String> {
        self.check_fields()?;
        let or = |text: Option<Text>, default: &str| text.map_or(default.to_owned(), |text| text.0);
        let regex = Pattern::new(&or(self.regex, pattern::DEFAULT))?;
        let replacement = or(self.replacement, "$1");
        let target = or(self.target_label, "");
        let source = Source { labels: self.source_labels, separator: or(self.separator, ";") };
        Ok(match self.action {
            Action::Replace => Rule::Replace { source, regex, target, replacement },
            Action::Keep => Rule::Filter { source, regex, keep: true },
            Action::Drop => Rule::Filter { source, regex, keep: false },
            Action::KeepEqual => Rule::FilterEqual { source, target, keep: true },
            Action::DropEqual => Rule::FilterEqual { source, target, keep: false },
            Action::HashMod => {
                Rule::HashMod { source, target, modulus: self.modulus.unwrap_or_default() }
            }
            Action::Lowercase => Rule::Case { source, target, upper: false },
            Action::Uppercase => Rule::Case { source, target, upper: true },
            Action::LabelMap => Rule::LabelMap { regex, replacement },
            Action::LabelKeep => Rule::LabelFilter { regex, keep: true },
            Action::LabelDrop => Rule::LabelFilter { regex, keep: false },
        })
    }

    /// Which fields an action needs and which it may not have.
    fn check_fields(&self) -> Result<(), String> {
        use Action::*;
        let action = format!("{:?}", self.action).to_lowercase();
        if matches!(self.action, Replace | KeepEqual | DropEqual | HashMod | Lowercase | Uppercase)
        {
            let target = self.target_label.as_ref().map_or("", |text| &text.0);
            check_target(target, &action)?;
        }
        if self.action == HashMod && self.modulus.unwrap_or(0) == 0 {
            return Err("modulus: hashmod needs one above 0".to_owned());
        }
        if matches!(self.action, Lowercase | Uppercase) && self.replacement.is_some() {
            return Err(format!("replacement: {action} takes none; remove it"));
        }
        let given = [
            ("source_labels", !self.source_labels.is_empty()),
            ("separator", self.separator.is_some()),
            ("target_label", self.target_label.is_some()),
            ("regex", self.regex.is_some()),
            ("modulus", self.modulus.is_some()),
            ("replacement", self.replacement.is_some()),
        ];
        let takes: &[&str] = match self.action {
            KeepEqual | DropEqual => &["source_labels", "target_label"],
            LabelDrop | LabelKeep => &["regex"],
            _ => return Ok(()),
        };
        match given.iter().find(|(field, given)| *given && !takes.contains(field)) {
            Some((field, _)) => {
                Err(format!("{field}: {action} takes only {}; remove it", takes.join(" and ")))
            }
            None => Ok(()),
        }
    }
}

fn check_target(target: &str, action: &str) -> Result<(), String> {
    if target.is_empty() {
        return Err(format!("target_label: {action} needs one"));
    }
    if target.contains('$') {
        return Err(format!(
            "target_label: `{target}` would make names of values, but names are agreed at start; \
             write one rule for each name, with a regex that matches its rows"
        ));
    }
    check_name(target).map_err(|error| format!("target_label: {error}"))
}

/// Refuses what is no label's name, and the one label that is the metric's name.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.chars().any(char::is_control) {
        let name = name.escape_debug();
        return Err(format!(
            "`{name}` is not a label's name; write text without control characters"
        ));
    }
    if name == METRIC_NAME {
        return Err("`__name__` cannot be changed: a transform does not rename metrics".to_owned());
    }
    Ok(())
}
