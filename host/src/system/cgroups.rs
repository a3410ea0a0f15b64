//! Cgroups by id: those that there are, and those that there were not long ago.
//!
//! The id of a cgroup is the inode number of its directory. The kernel never uses an id again, so what was
//! found once stays true; it only has to be forgotten some time after the cgroup is gone.
//!
//! | where the kernel | cgroups are found by |
//! |---|---|
//! | tells who comes and goes (`watch`) | a walk at the start, and events from then on |
//! | has lost events | another walk, at most one in [`RETRY`] |
//! | does not tell | a walk when an id is not known, at most one in [`RETRY`], and each [`MAX_AGE`] |
//!
//! Nothing here fails a scrape, or takes a privilege once it has begun.

use std::fmt;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::files::Readable;

mod rolls;
mod tree;
mod walk;
mod watch;
mod watcher;

pub use rolls::{Roll, RollCount, RollError};
pub use tree::{KEEP_DEAD, MAX_DEAD};
pub use watcher::{INTERVAL, Watcher};

use rolls::Listing;
use tree::Tree;
use walk::Place;
use watch::{Event, Unwatched, Watch};

/// The shortest time between two walks that ids not found, or events that were lost, may cause.
pub const RETRY: Duration = Duration::from_secs(1);
/// The age from which is walked again before anything is looked up, if cgroups are not watched: only to
/// notice which ones died.
pub const MAX_AGE: Duration = Duration::from_secs(60);
/// How many cgroups may wait for the name of their parent.
const MAX_ORPHANS: usize = 1 << 10;

/// The cgroups of this host. Cheap to clone.
#[derive(Clone)]
pub struct Cgroups(Arc<Shared>);

struct Shared {
    wanted: AtomicBool,
    /// Whether nothing is to be known, whoever asks.
    hushed: AtomicBool,
    known: Mutex<Known>,
}

/// What is known of cgroups.
struct Known {
    place: Place,
    tree: Tree,
    rolls: Vec<Listing>,
    /// How many rolls there ever were.
    enrolled: u64,
    watch: Option<Watch>,
    /// Whether events were lost since the last walk.
    stale: bool,
    overflows: u64,
    /// Cgroups that went and whose parent is not known: it may be told to have gone next.
    orphans: Vec<Orphan>,
    walked: Option<Instant>,
    /// The last walk that an id not found, or events that were lost, have caused.
    retried: Option<Instant>,
    complained: bool,
}

struct Orphan {
    id: u64,
    parent: u64,
    name: Box<[u8]>,
    /// Whether it has waited already.
    waited: bool,
}

/// A roll that is kept in step as long as this lives.
pub struct Enrolled {
    cgroups: Cgroups,
    id: u64,
}

/// What is known of cgroups, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Whether anything asks for cgroups.
    pub wanted: bool,
    /// Those that live, as far as is known.
    pub living: usize,
    /// Those that are dead, and can still be named.
    pub dead: usize,
    /// Whether the kernel tells who comes and goes.
    pub watched: bool,
    /// How often the kernel has lost events.
    pub overflows: u64,
    /// The rolls.
    pub rolls: Vec<RollCount>,
}

impl Cgroups {
    /// The cgroups of the host whose file system is at `root`. Reads nothing yet.
    pub fn new(root: PathBuf) -> Self {
        let known = Known {
            place: Place::new(root),
            tree: Tree::default(),
            rolls: Vec::new(),
            enrolled: 0,
            watch: None,
            stale: false,
            overflows: 0,
            orphans: Vec::new(),
            walked: None,
            retried: None,
            complained: false,
        };
        let (wanted, hushed) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Shared { wanted, hushed, known: Mutex::new(known) }))
    }

    /// Does not complain from now on that nothing can be read, and is not watched.
    pub(super) fn hush(&self) {
        self.0.hushed.store(true, Ordering::Relaxed);
        self.lock().complained = true;
    }

    /// Says that something will ask, so that [`Cgroups::watch`] begins to watch.
    pub fn want(&self) {
        self.0.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether something will ask.
    pub fn is_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::Relaxed) && !self.0.hushed.load(Ordering::Relaxed)
    }

    /// Appends the path of the cgroup with this id, such as `/sys/fs/cgroup/system.slice`, to
    /// `out` and says whether there is one.
    pub fn path(&self, id: u64, out: &mut Vec<u8>) -> bool {
        self.path_at(Instant::now(), id, out)
    }

    fn path_at(&self, now: Instant, id: u64, out: &mut Vec<u8>) -> bool {
        let mut known = self.lock();
        let fresh = known.watch.is_none() && known.walk_if_old(now);
        let found = known.append(now, id, out);
        if found || fresh {
            return found;
        }
        known.retry(now);
        known.append(now, id, out)
    }

    /// Keeps a roll of a config in step from now on, until what is given back is dropped. All cgroups that
    /// live and that it wants are on it already then.
    pub fn enroll(&self, config: &str, roll: Box<dyn Roll>) -> Enrolled {
        self.enroll_at(Instant::now(), config, roll)
    }

    fn enroll_at(&self, now: Instant, config: &str, roll: Box<dyn Roll>) -> Enrolled {
        self.want();
        let mut known = self.lock();
        known.enrolled += 1;
        let id = known.enrolled;
        known.catch_up(now);
        let Known { rolls, tree, .. } = &mut *known;
        let mut listing = Listing::new(id, config.to_owned(), roll);
        listing.fill(tree);
        rolls.push(listing);
        Enrolled { cgroups: self.clone(), id }
    }

    /// Whether there is any roll.
    pub fn has_rolls(&self) -> bool {
        !self.lock().rolls.is_empty()
    }

    /// Begins to watch cgroups, if anything will ask for them, by fanotify if it may; and says once in the log
    /// why not. Takes CAP_SYS_ADMIN. What is given back is to be given a thread; there is none if there is
    /// nothing to do for it.
    ///
    /// # Errors
    ///
    /// If no descriptor is left.
    pub fn watch(&self, fanotify: bool) -> io::Result<Option<Watcher>> {
        if !self.is_wanted() {
            return Ok(None);
        }
        let mut known = self.lock();
        let watched = known.begin_watch(fanotify);
        match watched {
            Ok(()) => debug!("cgroups are watched by fanotify"),
            Err(why) if known.rolls.is_empty() => info!("{}", unwatched(why)),
            Err(why) => warn!("{}", unwatched_rolls(why)),
        }
        // Who came or went before it was watched.
        known.catch_up(Instant::now());
        let events = known.watch.as_ref().map(|watch| watch.as_fd().try_clone_to_owned());
        let events = events.transpose()?;
        if events.is_none() && known.rolls.is_empty() {
            return Ok(None);
        }
        Watcher::new(self.clone(), events).map(Some)
    }

    /// Brings rolls up to date before maps are read.
    pub fn keep_up(&self, now: Instant) {
        let mut known = self.lock();
        if !known.rolls.is_empty() {
            known.retry(now);
        }
    }

    /// As [`Cgroups::keep_up`], with rolls or without.
    fn follow(&self, now: Instant) {
        self.lock().retry(now);
    }

    fn is_watched(&self) -> bool {
        self.lock().watch.is_some()
    }

    /// How long the worker may sleep without events.
    fn patience(&self) -> Option<Duration> {
        let known = self.lock();
        match (&known.watch, known.stale) {
            (Some(_), false) => None,
            (Some(_), true) => Some(RETRY),
            (None, _) => Some(INTERVAL),
        }
    }

    /// What is known, in numbers.
    pub fn census(&self) -> Census {
        let known = self.lock();
        Census {
            wanted: self.is_wanted(),
            living: known.tree.living_count(),
            dead: known.tree.dead_count(),
            watched: known.watch.is_some(),
            overflows: known.overflows,
            rolls: known.rolls.iter().map(Listing::count).collect(),
        }
    }

    /// The names below where cgroup v2 is mounted now, and the table of mounts.
    pub(super) fn readable(&self) -> Vec<Readable> {
        let known = self.lock();
        let mounts = Readable::Content(known.place.mountinfo());
        let top = known.place.top().ok().map(Readable::Names);
        top.into_iter().chain([mounts]).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // What a panic left half known is known again after the next walk.
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Cgroups {
    /// Those of this host.
    fn default() -> Self {
        Self::new("/".into())
    }
}

impl fmt::Debug for Cgroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cgroups").finish_non_exhaustive()
    }
}

impl fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Enrolled").field(&self.id).finish()
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        self.cgroups.lock().rolls.retain(|listing| listing.id != self.id);
    }
}

impl Known {
    fn begin_watch(&mut self, fanotify: bool) -> Result<(), Unwatched> {
        if !fanotify {
            return Err(Unwatched::TurnedOff);
        }
        let top = self.place.top().map_err(|_| Unwatched::NoCgroups)?;
        self.watch = Some(Watch::begin(&top)?);
        self.stale = true;
        Ok(())
    }

    fn append(&self, now: Instant, id: u64, out: &mut Vec<u8>) -> bool {
        let path = self.tree.path(id, now);
        path.inspect(|path| out.extend_from_slice(path)).is_some()
    }

    /// Learns what has happened: from events if there are any, else by a walk.
    fn catch_up(&mut self, now: Instant) {
        self.take_events(now);
        if self.is_behind() {
            self.walk(now);
        }
    }

    /// As [`Known::catch_up`], but walks at most once in [`RETRY`].
    fn retry(&mut self, now: Instant) {
        self.take_events(now);
        if self.is_behind() && is_older(self.retried, RETRY, now) {
            self.retried = Some(now);
            self.walk(now);
        }
    }

    /// Whether there may be something that no event has told.
    fn is_behind(&self) -> bool {
        self.watch.is_none() || self.stale
    }

    /// Says whether it walked.
    fn walk_if_old(&mut self, now: Instant) -> bool {
        let old = is_older(self.walked, MAX_AGE, now);
        if old {
            self.walk(now);
        }
        old
    }

    fn walk(&mut self, now: Instant) {
        self.walked = Some(now);
        self.stale = false;
        self.tree.begin_walk();
        match self.place.walk(&mut self.tree) {
            Ok(()) => self.tree.end_walk(now),
            Err(problem) if !self.complained => {
                self.complained = true;
                warn!("{}", complaint(&problem));
            }
            Err(_) => {}
        }
        self.tell_rolls();
    }

    /// Takes all events that wait.
    fn take_events(&mut self, now: Instant) {
        let Some(mut watch) = self.watch.take() else { return };
        watch.events(|event| self.take_event(event, now));
        self.watch = Some(watch);
        self.settle_orphans(now);
        self.tree.forget(now);
        self.tell_rolls();
    }

    fn take_event(&mut self, event: Event<'_>, now: Instant) {
        match event {
            Event::Came(spot) => {
                let Some(path) = self.path_below(spot.parent, spot.name) else { return };
                // It may have gone meanwhile, which is told next, or another may have its name.
                if let Ok(id) = self.place.id(&path) {
                    self.tree.meet(id, &path);
                }
            }
            Event::Went(id, spot) => match self.path_below(spot.parent, spot.name) {
                Some(path) => self.tree.bury(id, &path, now),
                None => self.orphans.push(Orphan {
                    id,
                    parent: spot.parent,
                    name: spot.name.into(),
                    waited: false,
                }),
            },
            Event::Lost => {
                self.overflows += 1;
                self.stale = true;
            }
            Event::Other => self.stale = true,
        }
    }

    fn path_below(&self, parent: u64, name: &[u8]) -> Option<Vec<u8>> {
        let parent = self.tree.last_path(parent)?;
        Some([parent, b"/", name].concat())
    }

    /// Names those whose parents went after them, now or the next time. A parent that is not met by then is
    /// outside of what is mounted here.
    fn settle_orphans(&mut self, now: Instant) {
        let mut left = Vec::new();
        while let Some(orphan) = self.orphans.pop() {
            match self.path_below(orphan.parent, &orphan.name) {
                Some(path) => self.tree.bury(orphan.id, &path, now),
                None if !orphan.waited && left.len() < MAX_ORPHANS => {
                    left.push(Orphan { waited: true, ..orphan });
                }
                None => {}
            }
        }
        left.reverse();
        self.orphans = left;
    }

    fn tell_rolls(&mut self) {
        let changes = self.tree.changes();
        for listing in &mut self.rolls {
            changes.iter().for_each(|change| listing.follow(*change, &self.tree));
        }
    }
}

/// Whether something was never done, or this long ago.
fn is_older(done: Option<Instant>, age: Duration, now: Instant) -> bool {
    done.is_none_or(|at| now.saturating_duration_since(at) >= age)
}

fn complaint(problem: &str) -> String {
    format!(
        "failed to list cgroups: {problem}, so they stay unknown; \
         mount cgroup v2 at /sys/fs/cgroup or /sys/fs/cgroup/unified"
    )
}

fn unwatched(why: Unwatched) -> String {
    format!(
        "cgroups are not watched ({why}): they are looked for when an id is not known, and one that is \
         gone by then has no name"
    )
}

fn unwatched_rolls(why: Unwatched) -> String {
    format!(
        "cgroups are not watched ({why}): `cgroup_id_map` is brought up to date every {INTERVAL:?} and at \
         each scrape, so cgroups are in it late"
    )
}

#[cfg(test)]
mod tests;
