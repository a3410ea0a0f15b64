//! The families that maps feed, by their names. Metrics of the same name are one family, whichever
//! configs they belong to.
//!
//! A family is here as long as a feed fills it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::exposition::kept::Kept;
use crate::series::{Family, Moves};

/// The families that maps feed.
#[derive(Debug, Default)]
pub(super) struct Families(BTreeMap<Arc<str>, Kept>);

/// Which family a feed fills.
#[derive(Clone, Debug)]
pub(super) struct Filled {
    /// What the family is called.
    name: Arc<str>,
    /// A family like it, without series.
    blank: Arc<Family>,
}

impl Filled {
    /// A family like this one, which has no series.
    pub(super) fn new(blank: Family) -> Self {
        Self { name: blank.name.as_str().into(), blank: Arc::new(blank) }
    }

    /// What the family is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Families {
    /// The family that is filled.
    pub(super) fn of(&mut self, filled: &Filled) -> &mut Family {
        let blank = || Kept::from(filled.blank.without_series());
        let kept = self.0.entry(Arc::clone(&filled.name)).or_insert_with(blank);
        let family = kept.family_mut();
        if filled.blank.is_measured() {
            family.measure();
        }
        family
    }

    /// The family that is filled, if it has been before.
    pub(super) fn get(&self, filled: &Filled) -> Option<&Family> {
        self.0.get(&filled.name).map(|kept| &**kept.family())
    }

    /// All of them, sorted by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.0.values()
    }

    /// All of them, sorted by name, to be rendered.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Kept> {
        self.0.values_mut()
    }

    /// Has series without rows begin at 0 if any comes again, but not in families for which rows wait to be
    /// decided: they may belong there.
    pub(super) fn let_go<'a>(&mut self, waiting: impl Iterator<Item = &'a Filled>) {
        let waiting: BTreeSet<_> = waiting.map(|filled| &*filled.name).collect();
        for (name, kept) in &mut self.0 {
            match waiting.contains(&**name) {
                true => kept.family_mut().hold(),
                false => kept.family_mut().let_go(),
            }
        }
    }

    /// Gives back the memory of families that have lost many series. Which they are, and where their cells
    /// have moved to.
    pub(super) fn compact(&mut self) -> Vec<(Filled, Moves)> {
        let compact = |kept: &mut Kept| {
            let moves = kept.compact()?;
            Some((Filled::new(kept.family().without_series()), moves))
        };
        self.iter_mut().filter_map(compact).collect()
    }

    /// Forgets all but those that are filled.
    pub(super) fn keep<'a>(&mut self, filled: impl Iterator<Item = &'a Filled>) {
        let names: BTreeSet<_> = filled.map(|filled| Arc::clone(&filled.name)).collect();
        self.0.retain(|name, _| names.contains(name));
    }

    /// Forgets these, which whoever fills them makes anew.
    pub(super) fn forget(&mut self, names: &BTreeSet<String>) {
        self.0.retain(|name, _| !names.contains(&**name));
    }

    /// Forgets all series.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl PartialEq for Filled {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
