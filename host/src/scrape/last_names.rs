//! The labels that each row had when all parts of its key last had names. When a name is gone, transforms are asked
//! with these.
//!
//! Equal labels are kept once: the buckets of a histogram are rows with the same labels. How many are kept is bounded
//! by how many rows there are. Labels of rows that have gone may stay for a while, so never ask for a row that is not
//! there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::rows::{Known, Row};
use crate::series::LabelSet;

/// At most twice as many are kept as there are rows, and these.
const SPARE: usize = 64;

/// The last names of rows.
#[derive(Debug, Default)]
pub(super) struct LastNames {
    of: HashMap<Row, Arc<LabelSet>>,
    /// Each of them once, with some that no row has any more.
    all: HashSet<Arc<LabelSet>>,
}

impl LastNames {
    /// Notes the labels of a row that was decided, if it is known by them.
    pub(super) fn note(&mut self, row: Row, labels: Option<&LabelSet>) {
        let Some(labels) = labels else {
            self.of.remove(&row);
            return;
        };
        if self.of.get(&row).is_some_and(|last| **last == *labels) {
            return;
        }
        let shared = self.all.get(labels).cloned().unwrap_or_else(|| Arc::new(labels.clone()));
        self.all.insert(Arc::clone(&shared));
        self.of.insert(row, shared);
    }

    /// The labels of a row.
    pub(super) fn get(&self, row: Row) -> Option<&LabelSet> {
        self.of.get(&row).map(|labels| &**labels)
    }

    /// Forgets those of rows that have gone, once they are many.
    pub(super) fn prune(&mut self, Known { rows, decided }: &Known) {
        if self.of.len() > 2 * rows.len() + SPARE {
            self.of.retain(|row, _| decided.is_known(*row));
        }
        if self.all.len() > 2 * self.of.len() + SPARE {
            self.all.retain(|labels| Arc::strong_count(labels) > 1);
        }
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.of.len().max(self.all.len())
    }
}
