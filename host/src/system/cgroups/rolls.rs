//! Rolls of cgroups: who is on one is kept in step with the cgroups that there are.
//!
//! What a roll is, and which cgroups it wants, is for others to say: here it is only told who came and who
//! went. A roll that takes no more never holds up another.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::io;

use tracing::warn;

use super::tree::{Change, Tree};
use crate::advice::words;

/// A roll of cgroups.
pub trait Roll: Send {
    /// What it is called in the log: ``map `m` ``.
    fn name(&self) -> &str;

    /// Whether a cgroup with this path is to be on it.
    fn wants(&self, path: &[u8]) -> bool;

    /// How many it can hold.
    fn room(&self) -> usize;

    /// Those that are on it before any was taken in, as far as it can tell: it may have been another's.
    fn found(&self) -> Vec<u64>;

    /// Takes in this cgroup, which is at this path.
    ///
    /// # Errors
    ///
    /// [`RollError::Full`] if it can hold no more.
    fn add(&mut self, id: u64, path: &[u8]) -> Result<(), RollError>;

    /// Takes out this cgroup, which was at this path last. One that is not on it is no error.
    ///
    /// # Errors
    ///
    /// The system's reason.
    fn remove(&mut self, id: u64, path: &[u8]) -> io::Result<()>;
}

/// Why a cgroup is not on a roll.
#[derive(Debug)]
pub enum RollError {
    /// It is gone.
    Gone,
    /// The roll can hold no more.
    Full,
    /// The system's reason.
    System(io::Error),
}

/// How a roll is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollCount {
    /// The config whose it is.
    pub config: String,
    /// The cgroups that are on it.
    pub entries: usize,
    /// How often it has refused one.
    pub refused: u64,
}

/// A roll, and who is on it.
pub(super) struct Listing {
    /// What tells it from others.
    pub(super) id: u64,
    config: String,
    roll: Box<dyn Roll>,
    entries: HashSet<u64>,
    /// Those that it wants and refused.
    missing: BTreeSet<u64>,
    refused: u64,
    told_full: bool,
    told_failure: bool,
}

impl Listing {
    pub(super) fn new(id: u64, config: String, roll: Box<dyn Roll>) -> Self {
        Self {
            id,
            config,
            roll,
            entries: HashSet::new(),
            missing: BTreeSet::new(),
            refused: 0,
            told_full: false,
            told_failure: false,
        }
    }

    pub(super) fn count(&self) -> RollCount {
        let (entries, refused) = (self.entries.len(), self.refused);
        RollCount { config: self.config.clone(), entries, refused }
    }

    /// Takes out those that it was found with and is not to have, and takes in all that live.
    pub(super) fn fill(&mut self, tree: &Tree) {
        let found = self.roll.found();
        if !found.is_empty() {
            let living: HashSet<u64> = tree.living().collect();
            for id in found {
                let path = tree.last_path(id).unwrap_or_default();
                let stays = living.contains(&id) && self.roll.wants(path);
                // One that cannot be taken out is on it as before.
                let _ = if stays { Ok(()) } else { self.roll.remove(id, path) };
            }
        }
        tree.living().for_each(|id| self.follow(Change::Came(id), tree));
    }

    /// Follows what became of a cgroup.
    pub(super) fn follow(&mut self, change: Change, tree: &Tree) {
        match change {
            Change::Came(id) | Change::Renamed(id) => {
                let Some(path) = tree.last_path(id) else { return };
                match self.roll.wants(path) {
                    true => self.add(id, path),
                    false => self.remove(id, tree),
                }
            }
            Change::Went(id) => self.remove(id, tree),
        }
    }

    fn add(&mut self, id: u64, path: &[u8]) {
        if self.entries.contains(&id) {
            return;
        }
        let added = match self.entries.len() < self.roll.room() {
            true => self.roll.add(id, path),
            false => Err(RollError::Full),
        };
        let refused = match added {
            Ok(()) => {
                self.missing.remove(&id);
                self.entries.insert(id);
                return;
            }
            // It will be told that it went.
            Err(RollError::Gone) => return,
            Err(refused) => refused,
        };
        if self.missing.insert(id) {
            self.refused += 1;
        }
        self.tell(&refused, path);
    }

    fn remove(&mut self, id: u64, tree: &Tree) {
        self.missing.remove(&id);
        if !self.entries.remove(&id) {
            return;
        }
        let path = tree.last_path(id).unwrap_or_default();
        if let Err(error) = self.roll.remove(id, path) {
            self.tell(&RollError::System(error), path);
        }
        // There is room for one of those that had none.
        if let Some(next) = self.missing.first().copied()
            && let Some(path) = tree.last_path(next)
        {
            self.add(next, path);
        }
    }

    /// Says once what it cannot hold, and once what fails.
    fn tell(&mut self, refused: &RollError, path: &[u8]) {
        let told = match refused {
            RollError::Gone => return,
            RollError::Full => &mut self.told_full,
            RollError::System(_) => &mut self.told_failure,
        };
        if !std::mem::replace(told, true) {
            warn!("{}", said(&self.config, &*self.roll, refused, path));
        }
    }
}

fn said(config: &str, roll: &dyn Roll, refused: &RollError, path: &[u8]) -> String {
    let (name, path) = (roll.name(), String::from_utf8_lossy(path));
    match refused {
        RollError::System(error) => format!(
            "config `{config}`: failed to keep {name} in step with the cgroup {path}: {}; \
             the next failures are only counted",
            words(error)
        ),
        RollError::Gone | RollError::Full => format!(
            "config `{config}`: {name} is full, so {path} and others are missing in it; raise its \
             max_entries, or want fewer cgroups in `regexps`"
        ),
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing")
            .field("config", &self.config)
            .field("entries", &self.entries)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use super::*;

    /// Holds cgroups below `/a`.
    struct Few {
        on: Arc<Mutex<BTreeSet<u64>>>,
        room: usize,
    }

    impl Roll for Few {
        fn name(&self) -> &str {
            "map `few`"
        }

        fn wants(&self, path: &[u8]) -> bool {
            path.starts_with(b"/a/")
        }

        fn found(&self) -> Vec<u64> {
            self.on.lock().unwrap().iter().copied().collect()
        }

        fn room(&self) -> usize {
            self.room
        }

        fn add(&mut self, id: u64, _: &[u8]) -> Result<(), RollError> {
            match id {
                13 => Err(RollError::System(io::ErrorKind::PermissionDenied.into())),
                14 => Err(RollError::Gone),
                id => {
                    self.on.lock().unwrap().insert(id);
                    Ok(())
                }
            }
        }

        fn remove(&mut self, id: u64, _: &[u8]) -> io::Result<()> {
            assert!(self.on.lock().unwrap().remove(&id), "{id}");
            Ok(())
        }
    }

    struct Trial {
        tree: Tree,
        listing: Listing,
        on: Arc<Mutex<BTreeSet<u64>>>,
    }

    impl Trial {
        fn new(room: usize) -> Self {
            let on = Arc::default();
            let roll = Few { on: Arc::clone(&on), room };
            Self {
                tree: Tree::default(),
                listing: Listing::new(0, "c".to_owned(), Box::new(roll)),
                on,
            }
        }

        /// What is on it, and how often it refused.
        fn after(&mut self, told: impl FnOnce(&mut Tree)) -> (Vec<u64>, u64) {
            told(&mut self.tree);
            let changes = self.tree.changes();
            changes.into_iter().for_each(|change| self.listing.follow(change, &self.tree));
            let on: Vec<_> = self.on.lock().unwrap().iter().copied().collect();
            assert_eq!(self.listing.count().entries, on.len());
            (on, self.listing.refused)
        }
    }

    #[test]
    fn who_comes_goes_and_is_renamed_is_followed() {
        let mut trial = Trial::new(9);
        let now = Instant::now();
        let met = trial.after(|tree| {
            tree.meet(1, b"/a");
            tree.meet(2, b"/a/two");
            tree.meet(3, b"/b/three");
            tree.meet(4, b"/a/four");
        });
        assert_eq!(met, (vec![2, 4], 0));
        assert_eq!(trial.after(|tree| tree.meet(3, b"/a/three")), (vec![2, 3, 4], 0));
        assert_eq!(trial.after(|tree| tree.meet(2, b"/b/two")), (vec![3, 4], 0));
        assert_eq!(trial.after(|tree| tree.bury(3, b"/a/three", now)), (vec![4], 0));
        let short = trial.after(|tree| {
            tree.meet(5, b"/a/five");
            tree.bury(5, b"/a/five", now);
        });
        assert_eq!(short, (vec![4], 0));
        let failing =
            trial.after(|tree| [13, 14].into_iter().for_each(|id| tree.meet(id, b"/a/x")));
        assert_eq!(failing, (vec![4], 1), "what is gone is not refused");
    }

    #[test]
    fn a_late_roll_is_filled_with_those_that_live() {
        let mut trial = Trial::new(9);
        trial.tree.meet(2, b"/a/two");
        trial.tree.bury(3, b"/a/three", Instant::now());
        trial.tree.changes();
        trial.listing.fill(&trial.tree);
        assert_eq!(trial.after(|_| ()), (vec![2], 0));
    }

    #[test]
    fn a_roll_that_was_anothers_keeps_those_that_live_alone() {
        let mut trial = Trial::new(2);
        trial.on.lock().unwrap().extend([2, 3, 7]);
        trial.tree.meet(2, b"/a/two");
        trial.tree.meet(7, b"/b/seven");
        trial.tree.bury(3, b"/a/three", Instant::now());
        trial.tree.meet(4, b"/a/four");
        trial.tree.changes();
        trial.listing.fill(&trial.tree);
        assert_eq!(trial.after(|_| ()), (vec![2, 4], 0));
    }

    #[test]
    fn who_had_no_room_comes_in_when_another_goes() {
        let mut trial = Trial::new(2);
        let now = Instant::now();
        let full = trial.after(|tree| (1..=4).for_each(|id| tree.meet(id, b"/a/x")));
        assert_eq!(full, (vec![1, 2], 2));
        assert_eq!(trial.after(|tree| tree.bury(3, b"/a/x", now)), (vec![1, 2], 2));
        assert_eq!(trial.after(|tree| tree.bury(1, b"/a/x", now)), (vec![2, 4], 2));
        assert_eq!(trial.after(|tree| tree.bury(2, b"/a/x", now)), (vec![4], 2));
    }

    #[test]
    fn says_what_is_missing() {
        let roll = Few { on: Arc::default(), room: 0 };
        insta::assert_snapshot!(said("c", &roll, &RollError::Full, b"/a/x"), @"config `c`: map `few` is full, so /a/x and others are missing in it; raise its max_entries, or want fewer cgroups in `regexps`");
        let denied = RollError::System(io::Error::from_raw_os_error(libc::EACCES));
        insta::assert_snapshot!(said("c", &roll, &denied, b"/a/x"), @"config `c`: failed to keep map `few` in step with the cgroup /a/x: permission denied; the next failures are only counted");
    }
}
