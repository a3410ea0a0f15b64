//! The faults of one file as they are found, each with the line that its path leads to.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ops::Range;

use super::error::{Fault, Severity, Source};
use super::node::Node;

/// Collects the faults of one file.
pub(super) struct Faults<'t> {
    source: &'t Source,
    root: &'t Node<'t>,
    found: RefCell<Vec<Fault>>,
    errors: Cell<usize>,
}

impl<'t> Faults<'t> {
    pub(super) fn new(source: &'t Source, root: &'t Node<'t>) -> Self {
        Self { source, root, found: RefCell::default(), errors: Cell::new(0) }
    }

    /// Adds a fault that stops the exporter.
    pub(super) fn error(&self, path: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.errors.set(self.errors.get() + 1);
        self.add(Severity::Error, path, problem.into(), remedy.into());
    }

    /// Adds one that does not.
    pub(super) fn warning(
        &self,
        path: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Warning, path, problem.into(), remedy.into());
    }

    /// Adds one that does not, of an entry that no path leads to.
    pub(super) fn warning_at(&self, line: usize, path: &str, problem: &str, remedy: &str) {
        self.warning(path, problem, remedy);
        if let Some(fault) = self.found.borrow_mut().last_mut() {
            fault.line = Some(line);
        }
    }

    /// How many errors there are so far: what is read while this number stays is good.
    pub(super) fn errors(&self) -> usize {
        self.errors.get()
    }

    /// The line of the node at `path`.
    pub(super) fn line(&self, path: &str) -> usize {
        self.root.line_of(path)
    }

    /// Whether an anchor in these lines is used in others.
    pub(super) fn lends(&self, lines: &Range<usize>) -> bool {
        let numbered = self.source.text.lines().zip(1..);
        let (within, others): (Vec<_>, Vec<_>) = numbered.partition(|(_, n)| lines.contains(n));
        let used: HashSet<_> = others.iter().flat_map(|(line, _)| marked(line, '*')).collect();
        within.iter().flat_map(|(line, _)| marked(line, '&')).any(|name| used.contains(name))
    }

    pub(super) fn into_found(self) -> Vec<Fault> {
        self.found.into_inner()
    }

    fn add(&self, severity: Severity, path: &str, problem: String, remedy: String) {
        let line = (!path.is_empty()).then(|| self.root.line_of(path));
        let file = self.source.file.clone();
        let fault = Fault { severity, file, line, path: path.to_owned(), problem, remedy };
        self.found.borrow_mut().push(fault);
    }
}

/// The names in a line that stand behind `mark`: of anchors behind `&`, of aliases behind `*`.
fn marked(line: &str, mark: char) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| c.is_whitespace() || "[]{},".contains(c));
    words.filter_map(move |word| word.strip_prefix(mark))
}
