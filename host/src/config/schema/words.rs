//! The keys of a config in words: for who points at one in an editor, and for the manual's tables.

use super::ITEMS;
use crate::config::raw::keys::{self, Key, Section, Unwritten, ValueKind};
use crate::config::raw::{policy, web};
use crate::config::size::shown;

/// The keys of one kind of mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTable {
    /// What the mapping is and where it stands: a sentence.
    pub says: &'static str,
    /// Its keys.
    pub rows: Vec<KeyRow>,
}

/// A key of a config, in Markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its name.
    pub name: &'static str,
    /// What may stand behind it.
    pub kind: String,
    /// What holds without it; empty for nothing.
    pub default: String,
    /// What it means: sentences.
    pub says: &'static str,
}

/// Every key of a config, by the mapping that it stands in.
pub fn tables() -> Vec<KeyTable> {
    let first = [&keys::FILE, &keys::METRICS, &keys::TRACING];
    let last = [&keys::LIMITS, &keys::COMPILE, &keys::CGROUP_ID_MAP];
    let sections = first.into_iter().chain(ITEMS).chain(last);
    sections.map(table).collect()
}

/// Every key of a policy of signatures, likewise.
pub fn policy_tables() -> Vec<KeyTable> {
    [&policy::POLICY, &policy::RULE, &policy::KEY, &policy::IDENTITY].map(table).to_vec()
}

/// Every key of a web config, likewise.
pub fn web_tables() -> Vec<KeyTable> {
    [&web::WEB, &web::TLS, &web::HTTP, &web::HEADERS, &web::RATE].map(table).to_vec()
}

fn table(section: &Section) -> KeyTable {
    KeyTable { says: section.says, rows: rows(section) }
}

fn rows(section: &Section) -> Vec<KeyRow> {
    let row = |key: &Key| {
        let default = match key.default {
            Unwritten::Written(text) => format!("`{text}`"),
            Unwritten::Said(text) => text.to_owned(),
            _ => need(key),
        };
        KeyRow { name: key.name, kind: kind(&key.kind), default, says: key.says }
    };
    section.keys.iter().map(row).collect()
}

/// Whether a key is needed, and where; empty if it is not.
fn need(key: &Key) -> String {
    match (key.default, key.only) {
        (Unwritten::Needed, None) => "needed".to_owned(),
        (Unwritten::Needed, Some(only)) => {
            let words: Vec<_> = only.is.iter().map(|word| format!("`{word}`")).collect();
            format!("needed for {}", words.join(", "))
        }
        (Unwritten::NeededWithout(other), _) => format!("needed without `{other}`"),
        _ => String::new(),
    }
}

/// What a person reads who points at a key.
pub(super) fn describe(key: &Key) -> String {
    let mut text = key.says.to_owned();
    if let Some(range) = range(&key.kind) {
        text += &format!(" From {range}.");
    }
    let need = need(key);
    match key.default {
        Unwritten::Written(default) | Unwritten::Said(default) => {
            text += &format!(" Default: {default}.");
        }
        _ if need.is_empty() => {}
        _ => text += &format!(" N{}.", &need[1..]),
    }
    if let ValueKind::Choice(words) = &key.kind {
        for choice in words().iter().filter(|choice| !choice.says.is_empty()) {
            text += &format!("\n- `{}`: {}", choice.word, choice.says);
        }
    }
    text
}

/// From where to where, if the kind has ends.
fn range(kind: &ValueKind) -> Option<String> {
    match kind {
        ValueKind::Whole((least, most)) => Some(format!("{least} to {most}")),
        ValueKind::Size((least, most)) => Some(format!("{} to {}", shown(*least), shown(*most))),
        ValueKind::Duration(Some((least, most))) => Some(format!("{least} to {most}")),
        _ => None,
    }
}

fn kind(kind: &ValueKind) -> String {
    let ranged = |what: &str| match range(kind) {
        Some(range) => format!("{what}, {range}"),
        None => what.to_owned(),
    };
    match kind {
        ValueKind::Word | ValueKind::Text | ValueKind::Name => "text".to_owned(),
        ValueKind::Choice(words) => {
            let words: Vec<_> = words().iter().map(|choice| format!("`{}`", choice.word)).collect();
            either(&words)
        }
        ValueKind::Boolean => "boolean".to_owned(),
        ValueKind::Whole(_) => ranged("whole number"),
        ValueKind::Number => "number".to_owned(),
        ValueKind::Numbers => "list of numbers".to_owned(),
        ValueKind::Duration(_) => ranged("duration"),
        ValueKind::Size(_) => ranged("size"),
        ValueKind::Digest => "64 hex digits".to_owned(),
        ValueKind::Reference => "reference with its digest".to_owned(),
        ValueKind::OnError(words) => {
            let words = words.iter().map(|word| format!("`{word}`"));
            either(&words.chain(["`{label: TEXT}`".to_owned()]).collect::<Vec<_>>())
        }
        ValueKind::Texts | ValueKind::Identifiers => "list of texts".to_owned(),
        ValueKind::Pairs => "mapping of texts".to_owned(),
        ValueKind::Items(section) => format!("list of {}s", section.name),
        ValueKind::Named(section) => format!("mapping of names to {}s", section.name),
        ValueKind::NamedOrOne(section) => {
            format!("mapping of names to {0}, or one {0}", section.name)
        }
        ValueKind::Section(_) | ValueKind::Optional(_) | ValueKind::Settings => {
            "mapping".to_owned()
        }
    }
}

/// `a`, `b` or `c`.
fn either(words: &[String]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}
