//! A YAML file as a tree of texts: every scalar as it was written, every entry with its line.
//!
//! `serde_yaml` resolves scalars by YAML 1.2 and forgets how they were written. Config files rely
//! on the looser 1.1 and on `static_map: {010: a, 0x1F: on}` keeping its texts. So a file is read
//! twice: once to see the shape of its tree, and once along that shape, asking for a text at
//! every scalar. What such a text means (a number, a yes) is decided where it is wanted, with
//! [`super::scalar`]. Lines come for free: a text that is borrowed from the file says where in
//! the file it stands.

mod look;
mod passes;

use std::borrow::Cow;

use super::bounds::{self, Bounds, Full};
use crate::advice::Advise;

use passes::Unparsed;

/// A place in the tree.
#[derive(Debug)]
pub(crate) struct Node<'t> {
    /// The line it is on, from 1: of its key if it has one.
    pub(crate) line: usize,
    /// What YAML takes it for, if it is a scalar.
    pub(crate) plain: Plain,
    pub(crate) value: Value<'t>,
}

/// What YAML 1.2 takes a scalar for: what plugins see in their settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plain {
    /// Written in quotes, or nothing else. Numbers that JSON has no form for are texts too.
    Text,
    Bool(bool),
    Number(serde_json::Number),
}

/// What stands at a place.
#[derive(Debug)]
pub(crate) enum Value<'t> {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar, as it was written but for quotes and escapes.
    Text(Cow<'t, str>),
    List(Vec<Node<'t>>),
    Map(Box<Map<'t>>),
}

/// The entries of a mapping, in the file's order. Keys are unique and merges (`<<`) done.
#[derive(Debug, Default)]
pub(crate) struct Map<'t> {
    entries: Vec<Entry<'t>>,
    /// The entries by key: their indices, ascending by it.
    by_key: Vec<u32>,
}

/// A key and what stands behind it.
pub(crate) type Entry<'t> = (Cow<'t, str>, Node<'t>);

impl<'t> Map<'t> {
    /// Of entries whose keys are unique.
    fn new(entries: Vec<Entry<'t>>) -> Self {
        // Indices are of 4 bytes: there are less nodes than that.
        let mut by_key: Vec<u32> = (0..).take(entries.len()).collect();
        by_key.sort_unstable_by(|one, other| key(&entries, *one).cmp(key(&entries, *other)));
        Self { entries, by_key }
    }

    /// What stands behind this key.
    pub(crate) fn get(&self, wanted: &str) -> Option<&Node<'t>> {
        let found = self.by_key.binary_search_by(|index| key(&self.entries, *index).cmp(wanted));
        Some(&self.entries[self.by_key[found.ok()?] as usize].1)
    }

    /// The entries, in the file's order.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Entry<'t>> {
        self.entries.iter()
    }

    /// The same.
    pub(crate) fn entries(&self) -> &[Entry<'t>] {
        &self.entries
    }
}

fn key<'n>(entries: &'n [Entry<'_>], index: u32) -> &'n str {
    &entries[index as usize].0
}

/// A file's first document.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    pub(crate) root: Node<'t>,
    /// Whether others follow it.
    pub(crate) more: bool,
    /// Line and key of entries that do nothing, because a later one of the same mapping has
    /// their key.
    pub(crate) shadowed: Vec<(usize, String)>,
    /// How many more of those there are.
    pub(crate) unnamed: usize,
}

/// Why a text is no YAML, or none that makes sense.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the YAML: {problem}")]
pub(crate) struct NoYaml {
    line: Option<usize>,
    problem: String,
    remedy: &'static str,
}

impl NoYaml {
    /// `serde_yaml`'s error in our words where its own do not say what to do.
    fn new(text: &str, Unparsed { error, full }: &Unparsed) -> Self {
        let problem = error.to_string();
        let mut line = error.location().map(|location| location.line());
        // An error of single characters comes with an offset and no line.
        if let Some(offset) = problem.split("at position ").nth(1).and_then(|at| at.parse().ok()) {
            line = Some(passes::Lines::of(text).at(offset));
        }
        let bound = match full {
            Some(Full::Nodes) => Some((too_many(), USE_FEWER)),
            Some(Full::Text) => Some((too_long(), "use fewer aliases, or split the files")),
            // `serde_yaml` has two bounds of its own, and no types for them.
            None if problem.contains("recursion limit exceeded") => {
                Some((deep(), "flatten it, and let no anchor hold its own alias"))
            }
            None if problem.contains("repetition limit exceeded") => Some((too_many(), USE_FEWER)),
            None => None,
        };
        if let Some((problem, remedy)) = bound {
            return Self { line, problem, remedy };
        }
        let written = line.and_then(|line| lines(text).nth(line - 1)).unwrap_or_default();
        let indent = &written[..written.len() - written.trim_start().len()];
        let remedy = match indent.contains('\t') {
            true => "indent with spaces: YAML does not take tabs there",
            false => "correct the YAML there",
        };
        Self { line, problem, remedy }
    }

    /// The line of the fault, from 1.
    pub(crate) fn line(&self) -> Option<usize> {
        self.line
    }
}

impl Advise for NoYaml {
    fn remedy(&self) -> Option<String> {
        Some(self.remedy.to_owned())
    }
}

const USE_FEWER: &str = "use fewer aliases, list less, or split the files";

fn deep() -> String {
    format!("it is nested more than {} levels deep", bounds::DEPTH)
}

fn too_many() -> String {
    format!(
        "with its aliases written out, and with the configs before it, it has more than {} keys, \
         items and texts",
        bounds::NODES
    )
}

fn too_long() -> String {
    format!(
        "with its aliases written out, and with the configs before it, it has more than {} bytes",
        bounds::TEXT
    )
}

/// The lines of a text, which may end with a line feed, a carriage return, or both.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// Reads the first document of `text`.
///
/// # Errors
///
/// When it is no YAML, or is nested or expands beyond any sense, or beyond what is left of the
/// bounds.
pub(crate) fn parse<'t>(text: &'t str, bounds: &Bounds) -> Result<Document<'t>, NoYaml> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    look::look(text)?;
    passes::read(text, bounds).map_err(|error| NoYaml::new(text, &error))
}

impl<'t> Node<'t> {
    /// The entry of a mapping; none if this is no mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'t>> {
        match &self.value {
            Value::Map(entries) => entries.get(key),
            _ => None,
        }
    }

    /// The same tree without its texts: all that a line can be found with.
    pub(crate) fn places(&self) -> Node<'static> {
        let value = match &self.value {
            Value::Null | Value::Text(_) => Value::Null,
            Value::List(items) => Value::List(items.iter().map(Node::places).collect()),
            Value::Map(map) => {
                let entry = |(key, node): &Entry<'_>| (Cow::Owned(key.to_string()), node.places());
                let entries = map.iter().map(entry).collect();
                Value::Map(Box::new(Map { entries, by_key: map.by_key.clone() }))
            }
        };
        Node { line: self.line, plain: Plain::Text, value }
    }

    /// The line of the node at `path` (`metrics.counters[2].name`), or of the nearest one above
    /// it that is there.
    pub(crate) fn line_of(&self, path: &str) -> usize {
        match self.step(path) {
            Some((node, rest)) => node.line_of(rest),
            None => self.line,
        }
    }

    /// The child that `path` starts with and the path below it. Keys may hold dots: the longest
    /// that fits is meant.
    fn step<'n, 'p>(&'n self, path: &'p str) -> Option<(&'n Node<'t>, &'p str)> {
        match &self.value {
            Value::Map(map) => {
                let ends = path.match_indices(['.', '[']).map(|(end, _)| end);
                let ends: Vec<_> = ends.chain([path.len()]).collect();
                ends.into_iter().rev().find_map(|end| {
                    let (key, rest) = path.split_at(end);
                    // The dot before a key may be its own.
                    let below = key.strip_prefix('.').and_then(|key| map.get(key));
                    Some((below.or_else(|| map.get(key))?, rest))
                })
            }
            Value::List(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                Some((items.get(index.parse::<usize>().ok()?)?, rest))
            }
            Value::Null | Value::Text(_) => None,
        }
    }
}
