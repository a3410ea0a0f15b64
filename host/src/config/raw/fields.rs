//! Reading the entries of a mapping as what they should be.

use super::Field;
use super::keys::Section;
use crate::advice::near;
use crate::advice::{cut, quote};
use crate::config::faults::Faults;
use crate::config::node::{Entry, Node, Value};
use crate::config::older;
use crate::config::scalar;

/// Characters of a key that a path shows.
const LONGEST_KEY: usize = 100;

/// The entries of one mapping, and where to tell what is wrong with them.
pub(super) struct Fields<'f, 't> {
    node: &'f Node<'t>,
    section: &'static Section,
    pub(super) path: &'f str,
    pub(super) faults: &'f Faults<'f>,
}

impl<'f, 't> Fields<'f, 't> {
    /// The entries of `node`, which has to be a mapping; warns of keys that the section lacks.
    pub(super) fn open(
        node: &'f Node<'t>,
        path: &'f str,
        section: &'static Section,
        faults: &'f Faults<'_>,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            wrong_kind(node, path, A_MAPPING, faults);
            return None;
        };
        let fields = Self { node, section, path, faults };
        let unknown = |(key, _): &&Entry<'_>| !section.has(key);
        let unknown: Vec<_> = entries.iter().filter(unknown).collect();
        if !unknown.is_empty() {
            fields.tell_unknown(&unknown);
        }
        Some(fields)
    }

    /// Warns of keys that the section lacks.
    fn tell_unknown(&self, entries: &[&Entry<'_>]) {
        let known = self.section.names();
        // Of the file's own keys: where each ends.
        let mut lines: Vec<usize> = match (self.path, &self.node.value) {
            ("", Value::Map(all)) => all.iter().map(|(_, node)| node.line).collect(),
            _ => Vec::new(),
        };
        lines.sort_unstable();
        for (key, node) in entries {
            if !self.faults.shows_warnings() {
                self.faults.count_warnings(1);
                continue;
            }
            if key == "<<" {
                wrong_kind(node, &self.at(key), TO_MERGE, self.faults);
                continue;
            }
            let next = lines.get(lines.partition_point(|next| *next <= node.line));
            let within = node.line..next.copied().unwrap_or(usize::MAX);
            // A section that only holds what others use, as `x-labels: &labels [...]` does.
            let misspelt = near::nearest(key, known.iter().copied()).is_some();
            if self.path.is_empty() && !misspelt && self.faults.lends(&within) {
                continue;
            }
            if let Some(older) = older::find(key, &known) {
                let problem = format!("`{}` of ebpf_exporter before 2.0 does nothing", older.key);
                self.faults.warning(&self.at(key), problem, older.remedy);
                continue;
            }
            let remedy = near::suggest(key, &known, "remove it, or write one of");
            self.faults.warning(&self.at(key), "unknown key, which does nothing", remedy);
        }
    }

    /// The path of an entry, or of the mapping with as much of its key as helps.
    pub(super) fn at(&self, key: &str) -> String {
        let key = cut(key.to_owned(), LONGEST_KEY);
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }

    /// What is written at `key`, one of the section's, if it is not null.
    pub(super) fn get(&self, key: &str) -> Option<&'f Node<'t>> {
        debug_assert!(self.section.has(key), "{}.{key} is in no list of keys", self.section.name);
        self.node.get(key).filter(|node| !matches!(node.value, Value::Null))
    }

    /// Whether anything is written at `key` that means something: more than sections, lists and
    /// texts that are empty.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some_and(says)
    }

    fn scalar<T>(&self, key: &str, wanted: &str, read: fn(&str) -> Option<T>) -> Field<T> {
        match self.get(key) {
            None => Field::Absent,
            Some(node) => match one(node, &self.at(key), wanted, read, self.faults) {
                Some(value) => Field::Given(value),
                None => Field::Faulty,
            },
        }
    }

    /// A text that says nothing when it is empty.
    pub(super) fn word(&self, key: &str) -> Field<String> {
        match self.text(key) {
            Field::Given(text) if text.is_empty() => Field::Absent,
            field => field,
        }
    }

    pub(super) fn text(&self, key: &str) -> Field<String> {
        self.scalar(key, A_TEXT, |text| Some(text.to_owned()))
    }

    pub(super) fn integer(&self, key: &str) -> Field<i128> {
        self.scalar(key, A_WHOLE_NUMBER, scalar::integer)
    }

    pub(super) fn number(&self, key: &str) -> Field<f64> {
        self.scalar(key, A_NUMBER, scalar::float)
    }

    pub(super) fn boolean(&self, key: &str) -> Field<bool> {
        self.scalar(key, TRUE_OR_FALSE, scalar::boolean)
    }

    /// The items of a list, each with its path.
    pub(super) fn list(&self, key: &str) -> Field<Vec<(String, &'f Node<'t>)>> {
        let path = self.at(key);
        match self.get(key) {
            None => Field::Absent,
            Some(Node { value: Value::List(items), .. }) => {
                let at = |(index, item)| (format!("{path}[{index}]"), item);
                Field::Given(items.iter().enumerate().map(at).collect())
            }
            Some(node) => {
                wrong_kind(node, &path, A_LIST, self.faults);
                Field::Faulty
            }
        }
    }

    /// The texts of a list, each with its path; those that are none are told and left out.
    pub(super) fn texts(&self, key: &str) -> Vec<(String, String)> {
        let read = |(path, node): (String, &Node<'_>)| {
            let text = one(node, &path, A_TEXT, |text| Some(text.to_owned()), self.faults)?;
            Some((path, text))
        };
        self.list(key).given().unwrap_or_default().into_iter().filter_map(read).collect()
    }

    /// The numbers of a list; those that are none are told.
    pub(super) fn numbers(&self, key: &str) -> Field<Vec<Option<f64>>> {
        self.items(key, |node, path, faults| Some(one(node, path, A_NUMBER, scalar::float, faults)))
    }

    /// The items of a list as `read` reads them; faulty if it cannot read one.
    pub(super) fn items<T>(
        &self,
        key: &str,
        read: fn(&Node<'_>, &str, &Faults<'_>) -> Option<T>,
    ) -> Field<Vec<T>> {
        match self.list(key) {
            Field::Absent => Field::Absent,
            Field::Faulty => Field::Faulty,
            Field::Given(nodes) => {
                let read = |(path, node): &(String, &Node<'_>)| read(node, path, self.faults);
                let items: Vec<_> = nodes.iter().filter_map(read).collect();
                if items.len() == nodes.len() { Field::Given(items) } else { Field::Faulty }
            }
        }
    }

    /// The entries of a mapping.
    pub(super) fn entries(&self, key: &str) -> &'f [Entry<'t>] {
        match self.get(key) {
            None => &[],
            Some(Node { value: Value::Map(map), .. }) => map.entries(),
            Some(node) => {
                wrong_kind(node, &self.at(key), A_MAPPING, self.faults);
                &[]
            }
        }
    }

    /// The texts of a mapping to texts. Nothing behind a key is the empty text.
    pub(super) fn pairs(&self, key: &str) -> Vec<(String, String)> {
        let pair = |(from, node): &Entry<'_>| {
            let to = match &node.value {
                Value::Text(text) => text.to_string(),
                Value::Null => String::new(),
                Value::List(_) | Value::Map(_) => {
                    let at = format!("{}.{}", self.at(key), cut(from.to_string(), LONGEST_KEY));
                    wrong_kind(node, &at, A_TEXT, self.faults);
                    return None;
                }
            };
            Some((from.to_string(), to))
        };
        self.entries(key).iter().filter_map(pair).collect()
    }
}

/// Whether there is more at a place than emptiness.
pub(super) fn says(node: &Node<'_>) -> bool {
    match &node.value {
        Value::Null => false,
        Value::Text(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(map) => map.iter().any(|(_, node)| says(node)),
    }
}

/// A scalar's meaning. Nothing at all is read as the empty text.
fn one<T>(
    node: &Node<'_>,
    path: &str,
    wanted: &str,
    read: fn(&str) -> Option<T>,
    faults: &Faults<'_>,
) -> Option<T> {
    let text = match &node.value {
        Value::Text(text) => text,
        Value::Null => "",
        Value::List(_) | Value::Map(_) => {
            wrong_kind(node, path, wanted, faults);
            return None;
        }
    };
    let value = read(text);
    if value.is_none() {
        let problem = format!("expected {wanted}, found {}", shown(text, faults));
        faults.error(path, problem, example(wanted));
    }
    value
}

fn wrong_kind(node: &Node<'_>, path: &str, wanted: &str, faults: &Faults<'_>) {
    let found = match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Text(text) => shown(text, faults),
        Value::List(_) => A_LIST.to_owned(),
        Value::Map(_) => A_MAPPING.to_owned(),
    };
    faults.error(path, format!("expected {wanted}, found {found}"), example(wanted));
}

/// A text that is not what is wanted, as far as it may be shown.
fn shown(text: &str, faults: &Faults<'_>) -> String {
    if faults.may_quote() { quote(text) } else { A_TEXT.to_owned() }
}

/// How to write what is wanted.
fn example(wanted: &str) -> &'static str {
    match wanted {
        A_LIST => "write `- ` before each item, or `[ITEM, ITEM]`",
        A_MAPPING => "write lines of `KEY: VALUE`, or `{KEY: VALUE}`",
        A_WHOLE_NUMBER => "write digits alone, such as 8",
        A_NUMBER => "write digits alone, such as 8 or 0.001",
        TO_MERGE => "write an alias of a mapping, such as `<<: *NAME`",
        TRUE_OR_FALSE => "write one of the two",
        _ => "write one text, in quotes if it has special characters",
    }
}

const A_LIST: &str = "a list";
const A_MAPPING: &str = "a mapping";
const A_NUMBER: &str = "a number";
const A_TEXT: &str = "a text";
const A_WHOLE_NUMBER: &str = "a whole number";
const TO_MERGE: &str = "a mapping to merge";
const TRUE_OR_FALSE: &str = "true or false";
