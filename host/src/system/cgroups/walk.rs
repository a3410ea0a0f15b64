//! Which cgroups there are now: a walk over the cgroup v2 hierarchy, wherever it is mounted.
//!
//! The id of a cgroup is the inode number of its directory. Names are read, and never a file below them.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::tree::Tree;

/// Where the cgroups of a host are.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Where its file system is seen from here.
    root: PathBuf,
}

impl Place {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The table of mounts.
    pub(super) fn mountinfo(&self) -> PathBuf {
        self.root.join("proc/self/mountinfo")
    }

    /// The top of the hierarchy, as it is found from here; or why that is not known.
    pub(super) fn top(&self) -> Result<PathBuf, String> {
        let mountinfo = self.mountinfo();
        let text = fs::read(&mountinfo);
        let text = text.map_err(|error| format!("{}: {error}", mountinfo.display()))?;
        let points: Vec<_> = mount_points(&text).iter().map(|point| self.seen(point)).collect();
        // The table also has those that another mount hides.
        let best = points.iter().find(|point| point.is_dir()).or(points.first()).cloned();
        best.ok_or_else(|| format!("{} has no mount of type cgroup2", mountinfo.display()))
    }

    /// A path of the host's as it is found from here.
    pub(super) fn seen(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A path that is found from here as the host has it.
    fn named(&self, path: &Path) -> PathBuf {
        Path::new("/").join(path.strip_prefix(&self.root).unwrap_or(path))
    }

    /// Has `tree` meet every cgroup. One that ends meanwhile, or may not be read, is passed over.
    pub(super) fn walk(&self, tree: &mut Tree) -> Result<(), String> {
        let top = self.top()?;
        let failed = |error| format!("{}: {error}", self.named(&top).display());
        let id = id(&top).map_err(failed)?;
        let mut meet = |id, path: &Path| tree.meet(id, self.named(path).as_os_str().as_bytes());
        meet(id, &top);
        let mut folders = vec![top];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let path = entry.path();
                    meet(entry.ino(), &path);
                    folders.push(path);
                }
            }
        }
        Ok(())
    }

    /// The id of the cgroup that is at this path of the host's now.
    pub(super) fn id(&self, path: &[u8]) -> io::Result<u64> {
        id(&self.seen(Path::new(OsStr::from_bytes(path))))
    }
}

fn id(folder: &Path) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(folder)?;
    if metadata.is_dir() { Ok(metadata.ino()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

/// Where cgroup v2 is mounted: first the places that show all of it, of these first the usual ones.
fn mount_points(mountinfo: &[u8]) -> Vec<PathBuf> {
    let lines = mountinfo.split(|byte| *byte == b'\n');
    let mut mounts: Vec<_> = lines.filter_map(parse).collect();
    mounts.sort_by_key(|(root, point)| (*root != b"/", !point.starts_with("/sys/fs/cgroup")));
    mounts.into_iter().map(|(_, point)| point).collect()
}

/// Root and mount point out of a line `31 23 0:28 ROOT POINT OPTIONS… - cgroup2 …`.
fn parse(line: &[u8]) -> Option<(&[u8], PathBuf)> {
    let mut words = line.split(|byte| *byte == b' ');
    let root = words.nth(3)?;
    let point = words.next()?;
    words.find(|word| *word == b"-")?;
    let point = || PathBuf::from(OsStr::from_bytes(&unescaped(point)));
    (words.next()? == b"cgroup2").then(|| (root, point()))
}

/// A path without the escapes of the table of mounts: `\040` is a space.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..3).filter(|_| *first == b'\\');
        let octal = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &behind[3..];
            }
            None => {
                plain.push(*first);
                rest = behind;
            }
        }
    }
    plain
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

    #[test]
    fn the_best_mount_of_cgroup_v2_is_taken() {
        for (mountinfo, expected) in [
            (HYBRID, Some("/sys/fs/cgroup/unified")),
            ("1 2 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", Some("/sys/fs/cgroup")),
            ("1 2 0:1 /a /b rw shared:1 - cgroup2 cgroup2 rw", Some("/b")),
            (r"1 2 0:1 / /a\040b\134c\9 rw - cgroup2 cgroup2 rw", Some(r"/a b\c\9")),
            ("1 2 0:1 / /sys/fs/cgroup rw - tmpfs cgroup2 rw", None),
            ("1 2 0:1 /\n\ncgroup2", None),
        ] {
            let points = mount_points(mountinfo.as_bytes());
            assert_eq!(points.first().map(PathBuf::as_path), expected.map(Path::new));
        }
    }

    #[test]
    fn a_mount_that_another_hides_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("proc/self")).unwrap();
        fs::write(at("proc/self/mountinfo"), HYBRID).unwrap();
        let place = Place::new(root.path().to_owned());
        assert_eq!(place.top(), Ok(at("sys/fs/cgroup/unified")));
        fs::create_dir_all(at("mnt/cgroup")).unwrap();
        assert_eq!(place.top(), Ok(at("mnt/cgroup")));
        fs::create_dir_all(at("sys/fs/cgroup/unified")).unwrap();
        assert_eq!(place.top(), Ok(at("sys/fs/cgroup/unified")));
    }
}
