//! What was found of something that is checked, point by point, as a table.

use std::fmt::Write as _;

/// What was found of a point.
enum Found {
    /// It is kept: what there is to say of it.
    Kept(String),
    /// It is not, and need not be: what to do about it.
    Hint(String),
    /// It is broken: how.
    Broken(String),
}

/// What was found, point by point.
#[derive(Default)]
pub(super) struct Points(Vec<(String, Found)>);

/// Some points are broken.
pub(super) struct Broken {
    /// All that was found, as a table.
    pub(super) report: String,
    /// How many are broken.
    pub(super) faults: usize,
    /// Of how many.
    pub(super) points: usize,
}

impl Points {
    pub(super) fn note(&mut self, point: &str, found: Result<String, String>) {
        let found = found.map_or_else(Found::Broken, Found::Kept);
        self.0.push((point.to_owned(), found));
    }

    pub(super) fn hint(&mut self, point: &str, text: String) {
        self.0.push((point.to_owned(), Found::Hint(text)));
    }

    pub(super) fn faults(&self) -> usize {
        self.0.iter().filter(|(_, found)| matches!(found, Found::Broken(_))).count()
    }

    pub(super) fn finish(self) -> Result<String, Broken> {
        let width = self.0.iter().map(|(point, _)| point.len()).max().unwrap_or(0);
        let mut report = format!("RESULT  {:width$}  FOUND\n", "POINT");
        for (point, found) in &self.0 {
            let (mark, text) = match found {
                Found::Kept(text) => ("ok", text),
                Found::Hint(text) => ("hint", text),
                Found::Broken(text) => ("FAIL", text),
            };
            // Further lines of a text stand below its first.
            let text = text.replace('\n', &format!("\n{:1$}", "", width + 10));
            let _ = writeln!(report, "{}", format!("{mark:6}  {point:width$}  {text}").trim_end());
        }
        match (self.faults(), self.0.len()) {
            (0, _) => Ok(report),
            (faults, points) => Err(Broken { report, faults, points }),
        }
    }
}
