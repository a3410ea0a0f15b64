//! The labels that rows had when all of their keys had names, for whoever asks of a row whose names have gone.
//!
//! Equal ones are kept once: the buckets of a histogram are rows with the same labels. Bounded by the rows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Row;
use crate::series::LabelSet;

/// The last names of rows.
#[derive(Debug, Default)]
pub(super) struct LastNames {
    of: HashMap<Row, Arc<LabelSet>>,
    /// Each of them once, with some that no row has any more.
    all: HashSet<Arc<LabelSet>>,
}

impl LastNames {
    /// Remembers the labels of a row.
    pub(super) fn set(&mut self, row: Row, labels: &LabelSet) {
        if self.of.get(&row).is_some_and(|known| **known == *labels) {
            return;
        }
        let known = self.all.get(labels).cloned();
        let shared = known.unwrap_or_else(|| Arc::new(labels.clone()));
        self.all.insert(Arc::clone(&shared));
        self.of.insert(row, shared);
        if self.all.len() > 2 * self.of.len() + 64 {
            self.all.retain(|labels| Arc::strong_count(labels) > 1);
        }
    }

    /// The labels of a row, if they are remembered.
    pub(super) fn get(&self, row: Row) -> Option<&LabelSet> {
        self.of.get(&row).map(|labels| &**labels)
    }

    /// Forgets those of a row.
    pub(super) fn forget(&mut self, row: Row) {
        if !self.of.is_empty() {
            self.of.remove(&row);
        }
    }

    /// How many are kept, with some that no row has any more.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.of.len().max(self.all.len())
    }
}
