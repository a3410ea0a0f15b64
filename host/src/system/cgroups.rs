//! Cgroups by id, from a walk over the cgroup v2 hierarchy.
//!
//! The id of a cgroup is the inode number of its directory. The kernel never uses an id again and
//! a cgroup of v2 never changes its path, so what was found once stays true; it only has to be
//! forgotten some time after the cgroup is gone.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::table::{Source, Table};
use crate::files::Readable;

/// How long a cgroup can be resolved after a walk that did not meet it any more. What is in a map
/// may be scraped long after the process that caused it ended.
pub const KEEP_DEAD: Duration = Duration::from_secs(600);

/// How many dead cgroups are remembered; the longest dead are forgotten first.
pub const MAX_DEAD: usize = 1 << 14;

/// The cgroups of this host.
pub struct Cgroups(Table<Tree>);

struct Tree {
    root: PathBuf,
    known: HashMap<u64, Cgroup>,
}

struct Cgroup {
    path: Box<[u8]>,
    /// The walk that met it last.
    met: Instant,
    /// The first walk since then; `None` while it lives.
    died: Option<Instant>,
}

impl Cgroups {
    /// The cgroups of the host whose file system is at `root`. Reads nothing yet.
    pub fn new(root: PathBuf) -> Self {
        Self(Table::new(Tree { root, known: HashMap::new() }))
    }

    /// Appends the path of the cgroup with this id, such as `/sys/fs/cgroup/system.slice`, to
    /// `out` and says whether there is one.
    pub fn path(&self, id: u64, out: &mut Vec<u8>) -> bool {
        self.path_at(Instant::now(), id, out)
    }

    /// The names below where cgroup v2 is mounted now, and the table of mounts.
    pub(super) fn readable(&self) -> Vec<Readable> {
        let rows = self.0.source();
        let mounts = Readable::Content(rows.mountinfo());
        let top = rows.mount_point().ok().map(|point| Readable::Names(rows.top(&point)));
        top.into_iter().chain([mounts]).collect()
    }

    fn path_at(&self, now: Instant, id: u64, out: &mut Vec<u8>) -> bool {
        let found = self.0.find(now, |rows| {
            out.extend_from_slice(&rows.known.get(&id)?.path);
            Some(())
        });
        found.is_some()
    }
}

impl Source for Tree {
    const RETRY: Duration = Duration::from_secs(1);
    /// Only to notice which ones died.
    const MAX_AGE: Duration = Duration::from_secs(60);

    fn read(&mut self, now: Instant) -> Result<(), String> {
        let walked = self.mount_point().and_then(|point| {
            self.walk(&point, now).map_err(|error| format!("{}: {error}", point.display()))
        });
        let problem = match walked {
            Ok(()) => {
                self.forget(now);
                return Ok(());
            }
            Err(problem) => problem,
        };
        Err(format!(
            "failed to list cgroups: {problem}, so they stay unknown; \
             mount cgroup v2 at /sys/fs/cgroup or /sys/fs/cgroup/unified"
        ))
    }
}

impl Tree {
    fn mountinfo(&self) -> PathBuf {
        self.root.join("proc/self/mountinfo")
    }

    /// Where cgroup v2 is mounted, or why that is not known.
    fn mount_point(&self) -> Result<PathBuf, String> {
        let mountinfo = self.mountinfo();
        match fs::read(&mountinfo).map(|text| mount_point(&text)) {
            Ok(Some(point)) => Ok(point),
            Ok(None) => Err(format!("{} has no mount of type cgroup2", mountinfo.display())),
            Err(error) => Err(format!("{}: {error}", mountinfo.display())),
        }
    }

    /// The mount point as it is found from here.
    fn top(&self, mount_point: &Path) -> PathBuf {
        self.root.join(mount_point.strip_prefix("/").unwrap_or(mount_point))
    }

    /// Meets every cgroup below the mount point. One that ends meanwhile, or may not be read, is
    /// passed over.
    fn walk(&mut self, mount_point: &Path, now: Instant) -> std::io::Result<()> {
        let top = self.top(mount_point);
        self.meet(fs::metadata(&top)?.ino(), &top, now);
        let mut folders = vec![top];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let path = entry.path();
                    self.meet(entry.ino(), &path, now);
                    folders.push(path);
                }
            }
        }
        Ok(())
    }

    fn meet(&mut self, id: u64, path: &Path, now: Instant) {
        let cgroup = self.known.entry(id).or_insert_with(|| {
            let below = path.strip_prefix(&self.root).unwrap_or(path);
            let path = Path::new("/").join(below).as_os_str().as_bytes().into();
            Cgroup { path, met: now, died: None }
        });
        cgroup.met = now;
        cgroup.died = None;
    }

    /// Marks what the walk of this moment did not meet as dead, and forgets the long dead.
    fn forget(&mut self, now: Instant) {
        let mut dead = Vec::new();
        self.known.retain(|_, cgroup| {
            if cgroup.met == now {
                return true;
            }
            let died = *cgroup.died.get_or_insert(now);
            let keep = now.saturating_duration_since(died) < KEEP_DEAD;
            if keep {
                dead.push(died);
            }
            keep
        });
        if dead.len() > MAX_DEAD {
            let index = dead.len() - MAX_DEAD;
            let (_, youngest_forgotten, _) = dead.select_nth_unstable(index - 1);
            let limit = *youngest_forgotten;
            self.known.retain(|_, cgroup| cgroup.died.is_none_or(|died| died > limit));
        }
        self.known.shrink_to(self.known.len() * 2);
    }
}

/// Where cgroup v2 is mounted: of several places, one that shows all of it and is the usual one.
fn mount_point(mountinfo: &[u8]) -> Option<PathBuf> {
    mountinfo
        .split(|byte| *byte == b'\n')
        .filter_map(parse)
        .min_by_key(|(root, point)| (*root != b"/", !point.starts_with("/sys/fs/cgroup")))
        .map(|(_, point)| point.to_owned())
}

/// Root and mount point out of a line `31 23 0:28 ROOT POINT OPTIONS… - cgroup2 …`.
fn parse(line: &[u8]) -> Option<(&[u8], &Path)> {
    let mut words = line.split(|byte| *byte == b' ');
    let root = words.nth(3)?;
    let point = words.next()?;
    words.find(|word| *word == b"-")?;
    (words.next()? == b"cgroup2").then(|| (root, Path::new(OsStr::from_bytes(point))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime shared:7 - cgroup cgroup rw,name=systemd
50 23 0:38 /kube /var/lib/kube/cgroup rw - cgroup2 cgroup2 rw
51 23 0:38 / /mnt/cgroup rw - cgroup2 cgroup2 rw
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:8 master:2 - cgroup2 cgroup2 rw
";

    fn host(mountinfo: &str) -> tempfile::TempDir {
        let host = tempfile::tempdir().unwrap();
        fs::create_dir_all(host.path().join("proc/self")).unwrap();
        fs::write(host.path().join("proc/self/mountinfo"), mountinfo).unwrap();
        host
    }

    /// Makes a cgroup and says its id.
    fn make(host: &tempfile::TempDir, path: &str) -> u64 {
        let path = host.path().join(path);
        fs::create_dir_all(&path).unwrap();
        fs::metadata(&path).unwrap().ino()
    }

    fn path(cgroups: &Cgroups, now: Instant, id: u64) -> Option<String> {
        let mut out = Vec::new();
        cgroups.path_at(now, id, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_best_mount_of_cgroup_v2_is_taken() {
        for (mountinfo, expected) in [
            (HYBRID, Some("/sys/fs/cgroup/unified")),
            ("1 2 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", Some("/sys/fs/cgroup")),
            ("1 2 0:1 /a /b rw shared:1 - cgroup2 cgroup2 rw", Some("/b")),
            ("1 2 0:1 / /sys/fs/cgroup rw - tmpfs cgroup2 rw", None),
            ("1 2 0:1 /\n\ncgroup2", None),
        ] {
            assert_eq!(mount_point(mountinfo.as_bytes()).as_deref(), expected.map(Path::new));
        }
    }

    #[test]
    fn cgroups_are_found_when_they_come_and_forgotten_long_after_they_go() {
        let host = host(HYBRID);
        let top = make(&host, "sys/fs/cgroup/unified");
        let old = make(&host, "sys/fs/cgroup/unified/system.slice/a.service");
        let cgroups = Cgroups::new(host.path().to_owned());
        let start = Instant::now();
        let old_path = Some("/sys/fs/cgroup/unified/system.slice/a.service".to_owned());
        assert_eq!(path(&cgroups, start, top).as_deref(), Some("/sys/fs/cgroup/unified"));
        assert_eq!(path(&cgroups, start, old), old_path);

        let new = make(&host, "sys/fs/cgroup/unified/b");
        assert_eq!(path(&cgroups, start + Tree::RETRY / 2, new), None);
        let second = start + Tree::RETRY;
        assert_eq!(path(&cgroups, second, new).as_deref(), Some("/sys/fs/cgroup/unified/b"));

        // A fake cgroup, unlike a real one, could pass its id on: it is moved out, not removed.
        let moved = host.path().join("a.service");
        fs::rename(host.path().join("sys/fs/cgroup/unified/system.slice/a.service"), moved)
            .unwrap();
        let noticed = second + Tree::MAX_AGE;
        assert_eq!(path(&cgroups, noticed, old), old_path);
        assert_eq!(path(&cgroups, noticed + KEEP_DEAD - Duration::from_secs(1), old), old_path);
        assert_eq!(path(&cgroups, noticed + KEEP_DEAD + Tree::MAX_AGE, old), None);
        assert!(path(&cgroups, noticed + KEEP_DEAD + Tree::MAX_AGE, new).is_some());
    }

    #[test]
    fn the_dead_are_bounded_and_the_living_stay() {
        let mut rows = Tree { root: "/".into(), known: HashMap::new() };
        let start = Instant::now();
        let second = |seconds| start + Duration::from_secs(seconds);
        rows.meet(0, Path::new("/living"), second(0));
        for id in 1..=10 {
            rows.meet(id, Path::new("/early"), second(0));
        }
        rows.meet(0, Path::new("/living"), second(1));
        rows.forget(second(1));
        for id in 11..=MAX_DEAD as u64 + 5 {
            rows.meet(id, Path::new("/late"), second(1));
        }
        rows.meet(0, Path::new("/living"), second(2));
        rows.forget(second(2));
        assert!(rows.known.contains_key(&0));
        assert!(!rows.known.contains_key(&1));
        assert!(rows.known.contains_key(&11));
        assert!(rows.known.len() <= MAX_DEAD + 1);
    }

    #[test]
    fn no_cgroups_are_a_complaint() {
        let complaint = |host: &tempfile::TempDir| {
            let mut rows = Tree { root: host.path().to_owned(), known: HashMap::new() };
            let complaint = rows.read(Instant::now()).unwrap_err();
            complaint.replace(&format!("{}/", host.path().display()), "ROOT/")
        };
        insta::assert_snapshot!(
            complaint(&host("")),
            @"failed to list cgroups: ROOT/proc/self/mountinfo has no mount of type cgroup2, so they stay unknown; mount cgroup v2 at /sys/fs/cgroup or /sys/fs/cgroup/unified"
        );
        insta::assert_snapshot!(
            complaint(&tempfile::tempdir().unwrap()),
            @"failed to list cgroups: ROOT/proc/self/mountinfo: No such file or directory (os error 2), so they stay unknown; mount cgroup v2 at /sys/fs/cgroup or /sys/fs/cgroup/unified"
        );
        insta::assert_snapshot!(
            complaint(&host(HYBRID)),
            @"failed to list cgroups: /sys/fs/cgroup/unified: No such file or directory (os error 2), so they stay unknown; mount cgroup v2 at /sys/fs/cgroup or /sys/fs/cgroup/unified"
        );
    }
}
