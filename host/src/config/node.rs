//! A YAML file as a tree of texts: every scalar as it was written, every entry with its line.
//!
//! `serde_yaml` resolves scalars by YAML 1.2 and forgets how they were written. Config files rely
//! on the looser 1.1 and on `static_map: {010: a, 0x1F: on}` keeping its texts. So a file is read
//! twice: once to see the shape of its tree, and once along that shape, asking for a text at
//! every scalar. What such a text means (a number, a yes) is decided where it is wanted, with
//! [`super::scalar`]. Lines come for free: a text that is borrowed from the file says where in
//! the file it stands.

mod passes;

use std::borrow::Cow;

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
    /// Keys are unique and merges (`<<`) done.
    Map(Vec<(Cow<'t, str>, Node<'t>)>),
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
}

/// Why a text is no YAML, or none that makes sense.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the YAML: {problem}")]
pub(crate) struct NoYaml {
    line: Option<usize>,
    problem: String,
}

impl NoYaml {
    /// `serde_yaml`'s error in our words where its own do not say what to do.
    fn new(text: &str, error: &serde_yaml::Error) -> Self {
        let problem = error.to_string();
        let line = error.location().map(|location| location.line());
        // An error of single characters comes with an offset and no line.
        if let Some(offset) = problem.split("at position ").nth(1).and_then(|at| at.parse().ok()) {
            return Self { line: Some(passes::Lines::of(text).at(offset)), problem };
        }
        let problem = match problem {
            _ if problem.starts_with("recursion limit exceeded") => DEEP.to_owned(),
            _ if problem.starts_with("repetition limit exceeded") => EXPANDS.to_owned(),
            _ if problem.contains(EXPANDS) => EXPANDS.to_owned(),
            other => other,
        };
        Self { line, problem }
    }

    /// The line of the fault, from 1.
    pub(crate) fn line(&self) -> Option<usize> {
        self.line
    }

    /// What to do about it in `text`.
    pub(crate) fn remedy(&self, text: &str) -> &'static str {
        let line = self.line.and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
        let indent = &line[..line.len() - line.trim_start().len()];
        match &*self.problem {
            DEEP => "flatten it, and let no anchor hold its own alias",
            EXPANDS => "use fewer aliases",
            _ if indent.contains('\t') => "indent with spaces: YAML does not take tabs there",
            _ => "correct the YAML there",
        }
    }
}

const DEEP: &str = "it is nested more than 128 levels deep";
const EXPANDS: &str = "its aliases expand to too much";

/// Reads the first document of `text`.
///
/// # Errors
///
/// When it is no YAML, or is nested or expands beyond any sense.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, NoYaml> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    passes::read(text).map_err(|error| NoYaml::new(text, &error))
}

impl<'t> Node<'t> {
    /// The entry of a mapping; none if this is no mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'t>> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, n)| n),
            _ => None,
        }
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
            Value::Map(entries) => {
                let below = path.strip_prefix('.').unwrap_or(path);
                let rest = |key: &str| below.strip_prefix(key).or_else(|| path.strip_prefix(key));
                entries
                    .iter()
                    .filter_map(|(key, node)| Some((node, rest(key)?)))
                    .filter(|(_, rest)| rest.is_empty() || rest.starts_with(['.', '[']))
                    .min_by_key(|(_, rest)| rest.len())
            }
            Value::List(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                Some((items.get(index.parse::<usize>().ok()?)?, rest))
            }
            Value::Null | Value::Text(_) => None,
        }
    }
}
