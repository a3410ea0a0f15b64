//! A YAML file as a tree of texts: every scalar as it was written, every node with its line.
//!
//! YAML 1.2 resolves scalars and forgets how they were written. Config files rely on the looser 1.1
//! and on `static_map: {010: a, 0x1F: on}` keeping its texts. So the tree holds texts, made in one pass
//! from a parser's events. What such a text means (a number, a yes) is decided where it is wanted,
//! with [`super::scalar`].

mod build;
mod plain;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::{ErrorKind, Marker, ScanError};

use super::bounds::{self, Bounds};
use crate::advice::Advise;
pub(super) use plain::Plain;

/// A place in the tree.
#[derive(Clone, Debug)]
pub(super) struct Node<'t> {
    /// The line it is on, from 1: of its key if it has one.
    pub(super) line: usize,
    /// What YAML takes it for, if it is a scalar.
    pub(super) plain: Plain,
    pub(super) value: Value<'t>,
}

/// What stands at a place. Aliases share lists and mappings.
#[derive(Clone, Debug)]
pub(super) enum Value<'t> {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar, as it was written but for quotes and escapes.
    Text(Cow<'t, str>),
    List(Arc<[Node<'t>]>),
    Map(Arc<Map<'t>>),
}

/// The entries of a mapping, in the file's order. Keys are unique and merges (`<<`) done.
#[derive(Debug, Default)]
pub(super) struct Map<'t> {
    entries: Vec<Entry<'t>>,
    /// The entries by key: their indices, ascending by it.
    by_key: Vec<u32>,
}

/// A key and what stands behind it.
pub(super) type Entry<'t> = (Cow<'t, str>, Node<'t>);

impl<'t> Map<'t> {
    /// Of entries whose keys are unique.
    fn new(entries: Vec<Entry<'t>>) -> Self {
        // Indices are of 4 bytes: there are less nodes than that.
        let mut by_key: Vec<u32> = (0..).take(entries.len()).collect();
        by_key.sort_unstable_by(|one, other| key(&entries, *one).cmp(key(&entries, *other)));
        Self { entries, by_key }
    }

    /// What stands behind this key.
    pub(super) fn get(&self, wanted: &str) -> Option<&Node<'t>> {
        let found = self.by_key.binary_search_by(|index| key(&self.entries, *index).cmp(wanted));
        Some(&self.entries[self.by_key[found.ok()?] as usize].1)
    }

    /// The entries, in the file's order.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Entry<'t>> {
        self.entries.iter()
    }

    /// The same.
    pub(super) fn entries(&self) -> &[Entry<'t>] {
        &self.entries
    }
}

fn key<'n>(entries: &'n [Entry<'_>], index: u32) -> &'n str {
    &entries[index as usize].0
}

/// A file's first document.
#[derive(Debug)]
pub(super) struct Document<'t> {
    pub(super) root: Node<'t>,
    /// The line that the next one begins on, if one follows.
    pub(super) more: Option<usize>,
    pub(super) shadowed: Shadowed,
    /// Ascending by the anchors' lines.
    pub(super) lent: Vec<Lent>,
}

/// An anchor whose text aliases lend to other places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lent {
    /// The line that the text begins on.
    pub(super) line: usize,
    /// The lines of the first and the last alias.
    pub(super) first: usize,
    pub(super) last: usize,
}

impl Lent {
    /// Whether an alias is outside of these lines.
    pub(super) fn leaves(&self, lines: &Range<usize>) -> bool {
        self.first < lines.start || self.last >= lines.end
    }
}

/// Entries that do nothing, because a later one of the same mapping has their key.
#[derive(Debug, Default)]
pub(super) struct Shadowed {
    /// Line and key of each.
    pub(super) named: Vec<(usize, String)>,
    /// How many more there are.
    pub(super) more: usize,
}

/// Why a text is no YAML, or none that makes sense.
#[derive(Debug)]
pub(super) struct NoYaml {
    line: usize,
    /// The place of what is of the wrong kind.
    path: Option<String>,
    problem: String,
    remedy: &'static str,
}

impl fmt::Display for NoYaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed to read the YAML: ")?;
        if let Some(path) = self.path.as_deref().filter(|path| !path.is_empty()) {
            write!(f, "{}: ", path.strip_prefix('.').unwrap_or(path))?;
        }
        f.write_str(&self.problem)
    }
}

impl NoYaml {
    /// The parser's error, in our words where its own do not say what to do.
    fn new(text: &str, error: &ScanError) -> Self {
        let at = *error.marker();
        let problem = match error.kind() {
            ErrorKind::RecursionLimitExceeded => return Self::deep(at),
            ErrorKind::UnknownAnchor => "unknown anchor".to_owned(),
            _ => error.info(),
        };
        let written = lines(text).nth(at.line() - 1).unwrap_or_default();
        let indent = &written[..written.len() - written.trim_start().len()];
        let remedy = match indent.contains('\t') {
            true => "indent with spaces: YAML does not take tabs there",
            false => CORRECT,
        };
        Self::at(at, format!("{problem}{}", Place(at)), remedy)
    }

    /// Something is not of the kind that it has to be.
    fn invalid(problem: &str, at: Marker) -> Self {
        let problem = format!("invalid {problem}{}", Place(at));
        Self { path: Some(String::new()), ..Self::at(at, problem, CORRECT) }
    }

    fn deep(at: Marker) -> Self {
        let problem = format!("it is nested more than {} levels deep", bounds::DEPTH);
        Self::at(at, problem, "flatten it, and let no anchor hold its own alias")
    }

    fn too_many(at: Marker) -> Self {
        let most = format!("{} keys, items and texts", bounds::NODES);
        Self::too_much(at, &most, "use fewer aliases, list less, or split the files")
    }

    fn too_long(at: Marker) -> Self {
        let most = format!("{} bytes", bounds::TEXT);
        Self::too_much(at, &most, "use fewer aliases, or split the files")
    }

    fn too_much(at: Marker, most: &str, remedy: &'static str) -> Self {
        let problem = format!(
            "with its aliases written out, and with the configs before it, it has more than {most}"
        );
        Self::at(at, problem, remedy)
    }

    fn at(at: Marker, problem: String, remedy: &'static str) -> Self {
        Self { line: at.line(), path: None, problem, remedy }
    }

    /// The same, of a file with secrets: without texts and keys of it.
    pub(super) fn of_secrets(self) -> Self {
        match self.path {
            None => self,
            Some(_) => {
                let problem = "what stands there is not of the kind that it has to be".to_owned();
                Self { path: None, problem, ..self }
            }
        }
    }

    /// The same, of what is at `step` of a list or mapping.
    fn below(mut self, step: &str) -> Self {
        if let Some(path) = &mut self.path {
            path.insert_str(0, step);
        }
        self
    }

    /// The line of the fault, from 1.
    pub(super) fn line(&self) -> usize {
        self.line
    }
}

impl std::error::Error for NoYaml {}

impl Advise for NoYaml {
    fn remedy(&self) -> Option<String> {
        Some(self.remedy.to_owned())
    }
}

const CORRECT: &str = "correct the YAML there";

/// Where in the text something is, behind the words for what it is.
struct Place(Marker);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " at line {} column {}", self.0.line(), self.0.col() + 1)
    }
}

/// The lines of a text, which may end with a line feed, a carriage return, or both.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// Reads the first document of `text`.
///
/// # Errors
///
/// When it is no YAML, or is nested or expands beyond any sense, or beyond what is left of the
/// bounds.
pub(super) fn parse<'t>(text: &'t str, bounds: &Bounds) -> Result<Document<'t>, NoYaml> {
    build::document(text.strip_prefix('\u{feff}').unwrap_or(text), bounds)
}

impl<'t> Node<'t> {
    /// The entry of a mapping; none if this is no mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Node<'t>> {
        match &self.value {
            Value::Map(entries) => entries.get(key),
            _ => None,
        }
    }

    /// The same tree without its texts: all that a line can be found with.
    pub(super) fn places(&self) -> Node<'static> {
        let value = match &self.value {
            Value::Null | Value::Text(_) => Value::Null,
            Value::List(items) => Value::List(items.iter().map(Node::places).collect()),
            Value::Map(map) => {
                let entry = |(key, node): &Entry<'_>| (Cow::Owned(key.to_string()), node.places());
                let entries = map.iter().map(entry).collect();
                Value::Map(Arc::new(Map { entries, by_key: map.by_key.clone() }))
            }
        };
        Node { line: self.line, plain: Plain::Text, value }
    }

    /// The line of the node at `path` (`metrics.counters[2].name`), or of the nearest one above
    /// it that is there.
    pub(super) fn line_of(&self, path: &str) -> usize {
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
