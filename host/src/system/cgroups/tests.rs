//! Cgroups of a made-up host, which come and go when a test says so.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

use super::watch::Spot;
use super::*;

const MOUNTINFO: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:8 master:2 - cgroup2 cgroup2 rw
";

/// A host with cgroups.
struct Host {
    dir: tempfile::TempDir,
    cgroups: Cgroups,
}

impl Host {
    fn new(mountinfo: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        fs::write(dir.path().join("proc/self/mountinfo"), mountinfo).unwrap();
        let cgroups = Cgroups::new(dir.path().to_owned());
        Self { dir, cgroups }
    }

    /// Makes a cgroup and says its id.
    fn make(&self, path: &str) -> u64 {
        let path = self.dir.path().join(path);
        fs::create_dir_all(&path).unwrap();
        fs::metadata(&path).unwrap().ino()
    }

    /// A made-up cgroup, unlike a real one, could pass its id on: it is moved out, not removed.
    fn remove(&self, path: &str) {
        let name = path.replace('/', "-");
        fs::rename(self.dir.path().join(path), self.dir.path().join(name)).unwrap();
    }

    fn path(&self, now: Instant, id: u64) -> Option<String> {
        let mut out = Vec::new();
        let found = self.cgroups.path_at(now, id, &mut out);
        found.then(|| String::from_utf8(out).unwrap())
    }

    /// Is told events, as if the kernel had.
    fn told(&self, now: Instant, events: &[Event<'_>]) {
        let mut known = self.cgroups.lock();
        events.iter().for_each(|event| known.take_event(*event, now));
        known.settle_orphans(now);
        known.tell_rolls();
    }

    fn complaint(&self) -> String {
        let mut known = self.cgroups.lock();
        let Known { place, tree, .. } = &mut *known;
        let problem = place.walk(tree).unwrap_err();
        complaint(&problem.replace(&format!("{}/", self.dir.path().display()), "ROOT/"))
    }
}

fn spot(parent: u64, name: &str) -> Spot<'_> {
    Spot { parent, name: name.as_bytes() }
}

#[test]
fn cgroups_are_found_when_they_come_and_forgotten_long_after_they_go() {
    let host = Host::new(MOUNTINFO);
    let top = host.make("sys/fs/cgroup/unified");
    let old = host.make("sys/fs/cgroup/unified/system.slice/a.service");
    let start = Instant::now();
    let old_path = Some("/sys/fs/cgroup/unified/system.slice/a.service".to_owned());
    assert_eq!(host.path(start, top).as_deref(), Some("/sys/fs/cgroup/unified"));
    assert_eq!(host.path(start, old), old_path);

    let new = host.make("sys/fs/cgroup/unified/b");
    assert_eq!(host.path(start, new).as_deref(), Some("/sys/fs/cgroup/unified/b"));
    let next = host.make("sys/fs/cgroup/unified/c");
    assert_eq!(host.path(start + RETRY / 2, next), None);
    let second = start + RETRY;
    assert_eq!(host.path(second, next).as_deref(), Some("/sys/fs/cgroup/unified/c"));

    host.remove("sys/fs/cgroup/unified/system.slice/a.service");
    let noticed = second + MAX_AGE;
    assert_eq!(host.path(noticed, old), old_path);
    assert_eq!(host.path(noticed + KEEP_DEAD - Duration::from_secs(1), old), old_path);
    assert_eq!(host.path(noticed + KEEP_DEAD + MAX_AGE, old), None);
    assert!(host.path(noticed + KEEP_DEAD + MAX_AGE, new).is_some());
}

#[test]
fn a_renamed_cgroup_has_its_new_name_and_so_have_those_below() {
    let host = Host::new(MOUNTINFO);
    let below = host.make("sys/fs/cgroup/unified/a/b");
    let start = Instant::now();
    assert_eq!(host.path(start, below).as_deref(), Some("/sys/fs/cgroup/unified/a/b"));
    let at = |name: &str| host.dir.path().join("sys/fs/cgroup/unified").join(name);
    fs::rename(at("a"), at("c")).unwrap();
    assert_eq!(host.path(start + MAX_AGE, below).as_deref(), Some("/sys/fs/cgroup/unified/c/b"));
    // An event that says so leads to a walk.
    fs::rename(at("c"), at("d")).unwrap();
    let later = start + MAX_AGE + RETRY;
    host.told(later, &[Event::Other]);
    host.cgroups.follow(later);
    assert_eq!(host.path(later, below).as_deref(), Some("/sys/fs/cgroup/unified/d/b"));
}

#[test]
fn events_name_who_came_and_who_went() {
    let host = Host::new(MOUNTINFO);
    let top = host.make("sys/fs/cgroup/unified");
    let now = Instant::now();
    assert!(host.path(now, top).is_some());
    let a = host.make("sys/fs/cgroup/unified/a");
    let b = host.make("sys/fs/cgroup/unified/a/b");
    host.told(now, &[Event::Came(spot(top, "a")), Event::Came(spot(a, "b"))]);
    assert_eq!(host.path(now, b).as_deref(), Some("/sys/fs/cgroup/unified/a/b"));
    // The last of the second one's life is told after another has its name.
    host.remove("sys/fs/cgroup/unified/a/b");
    let c = host.make("sys/fs/cgroup/unified/a/b");
    host.told(now, &[Event::Came(spot(a, "b")), Event::Went(b, spot(a, "b"))]);
    let census = host.cgroups.census();
    assert_eq!((census.living, census.dead), (3, 1));
    for id in [b, c] {
        assert_eq!(host.path(now, id).as_deref(), Some("/sys/fs/cgroup/unified/a/b"));
    }
    // Those that were gone before anybody looked have names too, also below others that were.
    let gone = [
        Event::Came(spot(top, "x")),
        Event::Came(spot(1 << 40, "y")),
        Event::Went((1 << 40) + 2, spot((1 << 40) + 1, "z")),
        Event::Went((1 << 40) + 1, spot(1 << 40, "y")),
        Event::Went(1 << 40, spot(top, "x")),
    ];
    host.told(now, &gone);
    let path = host.path(now, (1 << 40) + 2);
    assert_eq!(path.as_deref(), Some("/sys/fs/cgroup/unified/x/y/z"));
    assert_eq!(host.path(now + KEEP_DEAD, 1 << 40), None);
}

#[test]
fn a_parent_may_be_told_of_the_next_time_and_no_later() {
    let host = Host::new(MOUNTINFO);
    let top = host.make("sys/fs/cgroup/unified");
    let now = Instant::now();
    assert!(host.path(now, top).is_some());
    host.told(now, &[Event::Went(1 << 40, spot((1 << 40) + 1, "a"))]);
    host.told(now, &[Event::Went((1 << 40) + 1, spot(top, "p"))]);
    assert_eq!(host.path(now, 1 << 40).as_deref(), Some("/sys/fs/cgroup/unified/p/a"));
    let many = (0..2 * MAX_ORPHANS as u64).map(|n| Event::Went((2 << 40) + n, spot(3 << 40, "a")));
    host.told(now, &many.collect::<Vec<_>>());
    assert_eq!(host.cgroups.lock().orphans.len(), MAX_ORPHANS);
    host.told(now, &[]);
    assert!(host.cgroups.lock().orphans.is_empty());
}

#[test]
fn lost_events_lead_to_one_walk_a_second() {
    let host = Host::new(MOUNTINFO);
    host.make("sys/fs/cgroup/unified");
    let start = Instant::now();
    host.cgroups.follow(start);
    let living = |now| {
        host.told(now, &[Event::Lost]);
        host.cgroups.follow(now);
        host.cgroups.census().living
    };
    host.make("sys/fs/cgroup/unified/a");
    assert_eq!(living(start + RETRY / 2), 1);
    assert_eq!(living(start + RETRY), 2);
    host.make("sys/fs/cgroup/unified/b");
    assert_eq!(living(start + RETRY), 2);
    assert_eq!(living(start + 2 * RETRY), 3);
    assert_eq!(host.cgroups.census().overflows, 4);
}

/// Notes who is on it.
struct Noting(Arc<Mutex<Vec<String>>>);

impl Roll for Noting {
    fn name(&self) -> &str {
        "map `noting`"
    }

    fn wants(&self, path: &[u8]) -> bool {
        OsStr::from_bytes(path).to_str().is_some_and(|path| path.contains("/a"))
    }

    fn found(&self) -> Vec<u64> {
        Vec::new()
    }

    fn room(&self) -> usize {
        9
    }

    fn add(&mut self, _: u64, path: &[u8]) -> Result<(), RollError> {
        self.0.lock().unwrap().push(format!("+{}", String::from_utf8_lossy(path)));
        Ok(())
    }

    fn remove(&mut self, _: u64, path: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().push(format!("-{}", String::from_utf8_lossy(path)));
        Ok(())
    }
}

#[test]
fn a_roll_is_filled_at_once_and_kept_in_step_while_it_is_wanted() {
    let host = Host::new(MOUNTINFO);
    let top = host.make("sys/fs/cgroup/unified");
    host.make("sys/fs/cgroup/unified/a");
    host.make("sys/fs/cgroup/unified/b");
    let (start, noted) = (Instant::now(), Arc::default());
    let seen = || std::mem::take(&mut *Mutex::lock(&noted).unwrap());
    let roll = Box::new(Noting(Arc::clone(&noted)));
    let enrolled = host.cgroups.enroll_at(start, "c", roll);
    assert_eq!(seen(), ["+/sys/fs/cgroup/unified/a"]);
    // By walks, of which the first may come at once.
    host.cgroups.keep_up(start);
    host.make("sys/fs/cgroup/unified/ab");
    host.remove("sys/fs/cgroup/unified/a");
    host.cgroups.keep_up(start + RETRY / 2);
    assert!(seen().is_empty());
    host.cgroups.keep_up(start + RETRY);
    assert_eq!(seen(), ["+/sys/fs/cgroup/unified/ab", "-/sys/fs/cgroup/unified/a"]);
    // By events.
    host.make("sys/fs/cgroup/unified/ac");
    host.told(start + RETRY, &[Event::Came(spot(top, "ac"))]);
    assert_eq!(seen(), ["+/sys/fs/cgroup/unified/ac"]);
    let rolls = host.cgroups.census().rolls;
    assert_eq!(rolls, [RollCount { config: "c".to_owned(), entries: 2, refused: 0 }]);
    drop(enrolled);
    host.make("sys/fs/cgroup/unified/ad");
    host.cgroups.keep_up(start + 9 * RETRY);
    assert!(seen().is_empty() && host.cgroups.census().rolls.is_empty());
}

#[test]
fn no_cgroups_are_a_complaint() {
    insta::assert_snapshot!(
        Host::new("").complaint(),
        @"failed to list cgroups: ROOT/proc/self/mountinfo has no mount of type cgroup2, so they stay unknown; mount cgroup v2 at /sys/fs/cgroup or /sys/fs/cgroup/unified"
    );
    let host = Host::new("");
    fs::remove_file(host.dir.path().join("proc/self/mountinfo")).unwrap();
    insta::assert_snapshot!(
        host.complaint(),
        @"failed to list cgroups: ROOT/proc/self/mountinfo: No such file or directory (os error 2), so they stay unknown; mount cgroup v2 at /sys/fs/cgroup or /sys/fs/cgroup/unified"
    );
    insta::assert_snapshot!(
        Host::new(MOUNTINFO).complaint(),
        @"failed to list cgroups: /sys/fs/cgroup/unified: No such file or directory (os error 2), so they stay unknown; mount cgroup v2 at /sys/fs/cgroup or /sys/fs/cgroup/unified"
    );
}

#[test]
fn says_what_follows_from_not_watching() {
    insta::assert_snapshot!(unwatched(Unwatched::TurnedOff), @"cgroups are not watched (--no-cgroup.fanotify): they are looked for when an id is not known, and one that is gone by then has no name");
    insta::assert_snapshot!(unwatched_rolls(Unwatched::NoCgroups), @"cgroups are not watched (no cgroup v2 is mounted): `cgroup_id_map` is brought up to date every 5s and at each scrape, so cgroups are in it late");
}

/// Where names are not to be known, nobody watches for them.
#[test]
fn hushed_ones_are_not_watched() {
    let host = Host::new(MOUNTINFO);
    host.cgroups.want();
    assert!(host.cgroups.is_wanted());
    host.cgroups.hush();
    assert!(!host.cgroups.is_wanted() && host.cgroups.watch(false).unwrap().is_none());
}
