//! Which cgroups there are, and which there were: paths by id.
//!
//! It is told, by a walk or by events, and never looks at a file. What it takes is bounded by the cgroups
//! that live and by [`MAX_DEAD`].

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::time::{Duration, Instant};

/// How long a cgroup can be resolved once it is gone. What is in a map may be scraped long after the process
/// that caused it ended.
pub const KEEP_DEAD: Duration = Duration::from_secs(600);

/// How many dead cgroups are remembered; the longest dead are forgotten first.
pub const MAX_DEAD: usize = 1 << 14;

/// All cgroups that can be named.
#[derive(Debug, Default)]
pub(super) struct Tree {
    known: HashMap<u64, Cgroup>,
    /// Those of them that died, the longest dead first.
    dead: VecDeque<(Instant, u64)>,
    /// The number of the last walk.
    walk: u64,
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Cgroup {
    path: Box<[u8]>,
    /// The number of the walk that met it last, or after which it was met otherwise.
    met: u64,
    died: Option<Instant>,
}

/// What became of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Came(u64),
    Renamed(u64),
    Went(u64),
}

impl Tree {
    /// The path of a cgroup that lives, or has not been dead for long.
    pub(super) fn path(&self, id: u64, now: Instant) -> Option<&[u8]> {
        let cgroup = self.known.get(&id)?;
        let long_dead = cgroup.died.is_some_and(|died| is_long(died, now));
        (!long_dead).then_some(&*cgroup.path)
    }

    /// The path of a cgroup, as long as anything is known of it.
    pub(super) fn last_path(&self, id: u64) -> Option<&[u8]> {
        self.known.get(&id).map(|cgroup| &*cgroup.path)
    }

    /// Those that live.
    pub(super) fn living(&self) -> impl Iterator<Item = u64> {
        self.known.iter().filter(|(_, cgroup)| cgroup.died.is_none()).map(|(id, _)| *id)
    }

    /// How many are dead, and can still be named.
    pub(super) fn dead_count(&self) -> usize {
        self.dead.len()
    }

    /// How many live.
    pub(super) fn living_count(&self) -> usize {
        self.known.len() - self.dead.len()
    }

    /// What has changed since this was asked last, in its order.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        mem::take(&mut self.changes)
    }

    /// Is told that this cgroup lives, at this path.
    pub(super) fn meet(&mut self, id: u64, path: &[u8]) {
        let Some(cgroup) = self.known.get_mut(&id) else {
            let cgroup = Cgroup { path: path.into(), met: self.walk, died: None };
            self.known.insert(id, cgroup);
            self.changes.push(Change::Came(id));
            return;
        };
        cgroup.met = self.walk;
        let renamed = *cgroup.path != *path;
        if renamed {
            cgroup.path = path.into();
        }
        if cgroup.died.take().is_some() {
            // It was only out of sight, which is rare.
            self.dead.retain(|(_, dead)| *dead != id);
            self.changes.push(Change::Came(id));
        } else if renamed {
            self.changes.push(Change::Renamed(id));
        }
    }

    /// Is told that this cgroup is gone, which had this path.
    pub(super) fn bury(&mut self, id: u64, path: &[u8], now: Instant) {
        if self.known.get(&id).is_some_and(|cgroup| cgroup.died.is_some()) {
            return;
        }
        self.meet(id, path);
        self.die(id, now);
    }

    fn die(&mut self, id: u64, now: Instant) {
        if let Some(cgroup) = self.known.get_mut(&id)
            && cgroup.died.is_none()
        {
            cgroup.died = Some(now);
            self.dead.push_back((now, id));
            self.changes.push(Change::Went(id));
        }
    }

    /// Begins a walk: who is not met until [`Tree::end_walk`] is gone.
    pub(super) fn begin_walk(&mut self) {
        self.walk += 1;
    }

    /// Ends a walk.
    pub(super) fn end_walk(&mut self, now: Instant) {
        let walk = self.walk;
        let gone = |(_, cgroup): &(&u64, &Cgroup)| cgroup.met != walk && cgroup.died.is_none();
        let mut gone: Vec<_> = self.known.iter().filter(gone).map(|(id, _)| *id).collect();
        // Of those that died together the oldest is forgotten first.
        gone.sort_unstable();
        gone.into_iter().for_each(|id| self.die(id, now));
        self.forget(now);
        self.known.shrink_to(self.known.len() * 2);
    }

    /// Forgets the long dead, and those that are too many.
    pub(super) fn forget(&mut self, now: Instant) {
        while let Some((died, id)) = self.dead.front().copied()
            && (self.dead.len() > MAX_DEAD || is_long(died, now))
        {
            self.dead.pop_front();
            self.known.remove(&id);
        }
    }
}

fn is_long(died: Instant, now: Instant) -> bool {
    now.saturating_duration_since(died) >= KEEP_DEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_bounded_and_the_living_stay() {
        let mut tree = Tree::default();
        let start = Instant::now();
        let second = |seconds| start + Duration::from_secs(seconds);
        tree.begin_walk();
        tree.meet(0, b"/living");
        (1..=10).for_each(|id| tree.meet(id, b"/early"));
        tree.end_walk(second(0));
        tree.begin_walk();
        tree.meet(0, b"/living");
        (11..=MAX_DEAD as u64 + 5).for_each(|id| tree.meet(id, b"/late"));
        tree.end_walk(second(1));
        tree.begin_walk();
        tree.meet(0, b"/living");
        tree.end_walk(second(2));
        assert!(tree.known.contains_key(&0));
        assert!(!tree.known.contains_key(&1));
        assert!(tree.known.contains_key(&11));
        assert_eq!((tree.living_count(), tree.dead_count()), (1, MAX_DEAD));
    }

    #[test]
    fn a_million_dead_take_no_more_than_the_bound() {
        let mut tree = Tree::default();
        let start = Instant::now();
        tree.meet(1, b"/");
        let mut most = 0;
        for id in 2..1_000_002 {
            let now = start + Duration::from_micros(id);
            tree.meet(id, b"/sys/fs/cgroup/system.slice/run-short.scope");
            tree.bury(id, b"/sys/fs/cgroup/system.slice/run-short.scope", now);
            tree.forget(now);
            most = most.max(tree.changes().len());
        }
        assert_eq!((tree.living_count(), tree.dead_count(), most), (1, MAX_DEAD, 3));
        assert!(tree.known.capacity() <= 4 * MAX_DEAD, "{}", tree.known.capacity());
        assert!(tree.dead.capacity() <= 4 * MAX_DEAD, "{}", tree.dead.capacity());
        let end = start + Duration::from_secs(1) + KEEP_DEAD;
        assert!(tree.path(1_000_001, end - Duration::from_secs(1)).is_some());
        tree.forget(end + Duration::from_secs(1));
        assert_eq!((tree.living_count(), tree.dead_count()), (1, 0));
    }

    #[test]
    fn what_changes_is_told_once() {
        let mut tree = Tree::default();
        let now = Instant::now();
        tree.meet(7, b"/a");
        tree.meet(7, b"/a");
        assert_eq!(tree.changes(), [Change::Came(7)]);
        tree.meet(7, b"/b");
        assert_eq!(tree.changes(), [Change::Renamed(7)]);
        assert_eq!(tree.path(7, now), Some(&b"/b"[..]));
        tree.bury(7, b"/b", now);
        tree.bury(7, b"/b", now);
        assert_eq!(tree.changes(), [Change::Went(7)]);
    }
}
