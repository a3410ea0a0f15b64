//! The faults of one file as they are found, each with the line that its path leads to.
//!
//! However many a file has, so many are kept as a person would read; the others are only counted.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use super::bounds::Bounds;
use super::error::{ConfigFile, Fault, LONGEST, LONGEST_PATH, SHOWN, Severity, hidden};
use super::node::{Document, Lent, Node};
use crate::advice::{Advice, cut};

/// Collects the faults of one file.
pub(super) struct Faults<'t> {
    file: &'t ConfigFile,
    root: &'t Node<'t>,
    /// What the file may still ask for.
    pub(super) bounds: &'t Bounds,
    /// Whether texts may be shown.
    quotes: bool,
    found: RefCell<Vec<Fault>>,
    errors: Cell<usize>,
    warnings: Cell<usize>,
    /// What its anchors lend, ascending by line.
    lent: &'t [Lent],
    /// The lines that [`Faults::lends`] was asked for last, and its answer: keys on one line ask for the same.
    lends: RefCell<(Range<usize>, bool)>,
}

impl<'t> Faults<'t> {
    pub(super) fn new(
        file: &'t ConfigFile,
        document: &'t Document<'t>,
        bounds: &'t Bounds,
    ) -> Self {
        Self {
            file,
            root: &document.root,
            bounds,
            quotes: true,
            found: RefCell::default(),
            errors: Cell::new(0),
            warnings: Cell::new(0),
            lent: &document.lent,
            lends: RefCell::new((0..0, false)),
        }
    }

    /// The same, of a file with secrets: no text of it is shown.
    pub(super) fn of_secrets(self) -> Self {
        Self { quotes: false, ..self }
    }

    /// Whether a text of the file may be shown.
    pub(super) fn may_quote(&self) -> bool {
        self.quotes
    }

    /// Adds a fault that stops the exporter.
    pub(super) fn error(&self, path: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        if count(&self.errors) {
            self.add(Severity::Error, path, Advice::new(problem, remedy));
        }
    }

    /// As [`Faults::error`], of what was found elsewhere.
    pub(super) fn refuse(&self, path: &str, advice: Advice) {
        if count(&self.errors) {
            self.add(Severity::Error, path, advice);
        }
    }

    /// Adds one that does not.
    pub(super) fn warning(
        &self,
        path: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if count(&self.warnings) {
            self.add(Severity::Warning, path, Advice::new(problem, remedy));
        }
    }

    /// As [`Faults::warning`], of what was found elsewhere.
    pub(super) fn warn(&self, path: &str, advice: Advice) {
        if count(&self.warnings) {
            self.add(Severity::Warning, path, advice);
        }
    }

    /// As [`Faults::error`], of something on this line that no path leads to.
    pub(super) fn error_at(&self, line: usize, path: &str, problem: &str, remedy: &str) {
        if count(&self.errors) {
            self.add(Severity::Error, path, Advice::new(problem, remedy));
            self.is_on(line);
        }
    }

    /// As [`Faults::warning`], likewise.
    pub(super) fn warning_at(&self, line: usize, path: &str, problem: &str, remedy: &str) {
        if count(&self.warnings) {
            self.add(Severity::Warning, path, Advice::new(problem, remedy));
            self.is_on(line);
        }
    }

    /// The last one that was added is on this line.
    fn is_on(&self, line: usize) {
        if let Some(fault) = self.found.borrow_mut().last_mut() {
            fault.line = Some(line);
        }
    }

    /// Whether another warning would be shown. If not, one that takes long to make is counted by
    /// [`Faults::count_warnings`] instead.
    pub(super) fn shows_warnings(&self) -> bool {
        self.warnings.get() < SHOWN
    }

    /// Counts warnings that are not shown, which others have to be then.
    pub(super) fn count_warnings(&self, more: usize) {
        self.warnings.set(self.warnings.get() + more);
    }

    /// Counts errors that are not shown, which others have to be then.
    pub(super) fn count_errors(&self, more: usize) {
        self.errors.set(self.errors.get() + more);
    }

    /// Whether another error would be shown. If not, it is counted, and need not be made.
    pub(super) fn shows_errors(&self) -> bool {
        let shows = self.errors.get() < SHOWN;
        if !shows {
            count(&self.errors);
        }
        shows
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
        let (asked, answer) = &mut *self.lends.borrow_mut();
        if asked != lines {
            let first = self.lent.partition_point(|lent| lent.line < lines.start);
            let mut within = self.lent[first..].iter().take_while(|lent| lent.line < lines.end);
            *answer = within.any(|lent| lent.leaves(lines));
            *asked = lines.clone();
        }
        *answer
    }

    pub(super) fn into_found(self) -> Vec<Fault> {
        let mut found = self.found.into_inner();
        let counts = [(Severity::Error, self.errors), (Severity::Warning, self.warnings)];
        for (severity, count) in counts.map(|(severity, count)| (severity, count.get())) {
            if count > SHOWN {
                found.push(hidden(self.file.path.clone(), severity, count - SHOWN));
            }
        }
        found
    }

    fn add(&self, severity: Severity, path: &str, advice: Advice) {
        let line = (!path.is_empty()).then(|| self.root.line_of(path));
        let file = self.file.path.clone();
        let path = cut(path.to_owned(), LONGEST_PATH);
        let Advice { problem, remedy, evidence } = advice;
        let short = |text| cut(text, LONGEST);
        let (remedy, evidence) = (remedy.map(short), evidence.map(short));
        let advice = Advice { problem: short(problem), remedy, evidence };
        let fault = Fault { severity, file, line, path, advice, count: 1 };
        self.found.borrow_mut().push(fault);
    }
}

/// Counts one more, and says whether it is to be shown.
fn count(faults: &Cell<usize>) -> bool {
    faults.set(faults.get() + 1);
    faults.get() <= SHOWN
}
