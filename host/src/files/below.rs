//! Files below a directory into which others write: no link there leads to anything that is not below it too.
//!
//! The way is gone one name at a time, and the kernel follows no link of it. It could go all of it in one call,
//! `openat2`, but a filter of system calls cannot see that call's flags: a sandbox with it may open files to
//! write them.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;

use super::{Unread, is_readable};

/// Names on a way, those of links included.
const MOST_NAMES: usize = 100;

/// A file that was found, and is not opened yet.
#[derive(Debug)]
pub(crate) struct Found {
    dir: File,
    name: OsString,
    metadata: Metadata,
}

/// Why nothing is found.
#[derive(Debug)]
pub(crate) enum Astray {
    /// A link leads out of the directory, or is written from `/` on.
    LeadsOut,
    /// What is there is not read, or nothing is there.
    Unread(Unread),
}

impl From<io::Error> for Astray {
    fn from(error: io::Error) -> Self {
        Self::Unread(error.into())
    }
}

/// What is called so in a directory, behind all links.
///
/// # Errors
///
/// See [`Astray`].
pub(crate) fn find(dir: &Path, name: &OsStr) -> Result<Found, Astray> {
    let top = openat(CWD, dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let mut dirs = vec![File::from(top.map_err(io::Error::from)?)];
    // The next one is the last.
    let mut names = vec![name.to_owned()];
    for _ in 0..MOST_NAMES {
        let (Some(dir), Some(name)) = (dirs.last(), names.pop()) else { break };
        if name == ".." {
            dirs.pop();
            continue;
        }
        let entry = enter(dir, &name, OFlags::PATH)?;
        let metadata = entry.metadata()?;
        match metadata {
            link if link.is_symlink() => names.extend(target(&entry)?),
            _ if !names.is_empty() => dirs.push(entry),
            metadata => {
                let dir = dirs.pop().ok_or(Astray::LeadsOut)?;
                return Ok(Found { dir, name, metadata });
            }
        }
    }
    Err(match (dirs.is_empty(), names.is_empty()) {
        (true, _) => Astray::LeadsOut,
        (false, true) => Astray::Unread(Unread::Directory),
        (false, false) => io::Error::from(Errno::LOOP).into(),
    })
}

impl Found {
    /// What it is.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// It, if it has `most` bytes at the most as far as the system knows.
    ///
    /// # Errors
    ///
    /// See [`Unread`].
    pub(crate) fn open(&self, most: u64) -> Result<File, Unread> {
        is_readable(&self.metadata, most)?;
        let file = enter(&self.dir, &self.name, OFlags::NONBLOCK | OFlags::NOCTTY)?;
        // Another file may have come there meanwhile.
        is_readable(&file.metadata()?, most)?;
        Ok(file)
    }
}

/// What is called so in a directory. A link is opened itself, or refused.
fn enter(dir: &File, name: &OsStr, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(dir, name, flags, Mode::empty())?.into())
}

/// The names of the way that a link leads, the last of them first.
fn target(link: &File) -> Result<Vec<OsString>, Astray> {
    let text = readlinkat(link, "", Vec::new()).map_err(io::Error::from)?;
    let components = Path::new(OsStr::from_bytes(text.as_bytes())).components();
    let names = components.rev().filter(|component| *component != Component::CurDir);
    let name = |component: Component<'_>| match component {
        Component::RootDir => Err(Astray::LeadsOut),
        component => Ok(component.as_os_str().to_owned()),
    };
    names.map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn text(dir: &Path, name: &str) -> String {
        let found = find(dir, OsStr::new(name));
        match found.and_then(|found| found.open(99).map_err(Astray::Unread)) {
            Ok(file) => io::read_to_string(file).unwrap(),
            Err(Astray::LeadsOut) => "leads out".to_owned(),
            Err(Astray::Unread(unread)) => unread.why(),
        }
    }

    #[test]
    fn links_lead_only_to_what_is_below() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        let at = |name: &str| top.join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("file"), "the file").unwrap();
        fs::write(at("a/b/file"), "one below").unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        for (name, target) in [
            ("beside", "file"),
            ("below", "a/./b/file"),
            ("twice", "below"),
            ("through", "a/b/up/file"),
            ("a/b/up", "../.."),
            ("a/b/on", "../b/file"),
            ("down", "a/b/on"),
            ("out", "../secret"),
            ("round", "../top/file"),
            ("far", "a/b/up/../secret"),
            ("root", "/etc/hostname"),
            ("magic", "/proc/self/fd/0"),
            ("dir", "a/b"),
            ("here", "."),
            ("above", ".."),
            ("loop", "loop"),
            ("none", "gone"),
            ("no-dir", "file/file"),
        ] {
            symlink(target, at(name)).unwrap();
        }
        let said = |name: &str| format!("{name}: {}\n", text(&top, name));
        let all = [
            "file", "beside", "below", "twice", "through", "down", "out", "round", "far", "root",
            "magic", "dir", "here", "above", "loop", "none", "no-dir",
        ];
        insta::assert_snapshot!(all.map(said).concat(), @"
        file: the file
        beside: the file
        below: one below
        twice: one below
        through: the file
        down: one below
        out: leads out
        round: leads out
        far: leads out
        root: leads out
        magic: leads out
        dir: is a directory
        here: is a directory
        above: leads out
        loop: cannot be read: too many levels of symbolic links
        none: cannot be read: no such file or directory
        no-dir: cannot be read: not a directory
        ");
    }

    #[test]
    fn a_way_that_is_too_long_ends() {
        let dir = tempfile::tempdir().unwrap();
        let way = ["d"; MOST_NAMES];
        fs::create_dir_all(dir.path().join(way.join("/"))).unwrap();
        symlink(way.join("/"), dir.path().join("long")).unwrap();
        assert_eq!(text(dir.path(), "long"), "cannot be read: too many levels of symbolic links");
    }

    #[test]
    fn what_has_come_in_its_place_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "one").unwrap();
        let found = find(dir.path(), OsStr::new("file")).unwrap();
        fs::remove_file(at("file")).unwrap();
        symlink("/etc/hostname", at("file")).unwrap();
        assert!(matches!(found.open(99), Err(Unread::Refused(_))));
    }
}
