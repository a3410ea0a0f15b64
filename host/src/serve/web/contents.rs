//! A file that may change at any time, as it was when it was last read.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;

use crate::files::{self, Stamp, Unread};

/// A file, and what was in it.
pub(super) struct Contents {
    path: PathBuf,
    most: u64,
    /// Its bytes, or why they cannot be had: the end of a sentence.
    bytes: Result<Bytes, String>,
    /// Which file it was, if another one would be told from it.
    stamp: Option<Stamp>,
}

impl Contents {
    /// Those of a file of `most` bytes, read now.
    pub(super) fn of(path: &Path, most: u64) -> Self {
        let mut contents =
            Self { path: path.to_owned(), most, bytes: Ok(Bytes::new()), stamp: None };
        contents.read();
        contents
    }

    /// Reads it again, and says whether something else came of it.
    pub(super) fn read(&mut self) -> bool {
        let (bytes, stamp) = match read(&self.path, self.most) {
            Ok((bytes, stamp)) => (Ok(bytes), stamp),
            Err(unread) => (Err(unread.why()), None),
        };
        self.stamp = stamp;
        let is_new = self.bytes != bytes;
        self.bytes = bytes;
        is_new
    }

    /// Whether it is the file that was read, without reading it.
    pub(super) fn is_as_it_was(&self) -> bool {
        let now = || fs::metadata(&self.path).ok().map(|is| Stamp::of(&is));
        self.stamp.is_some() && self.stamp == now()
    }

    /// What was in it, or the end of a sentence about it.
    pub(super) fn bytes(&self) -> Result<&Bytes, &str> {
        self.bytes.as_ref().map_err(String::as_str)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for Contents {
    /// Without what was in it, which may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The bytes of a file, and which one it was before they were read.
fn read(path: &Path, most: u64) -> Result<(Bytes, Option<Stamp>), Unread> {
    let file = files::open(path, most)?;
    let stamp = Stamp::of(&file.metadata()?);
    let bytes = files::read_open(&file, most)?;
    Ok((bytes.into(), Some(stamp).filter(|stamp| stamp.is_settled(SystemTime::now()))))
}

/// What has to be readable for a file to be read again when another has taken its place: its directory, and that of
/// the file that it leads to. In `/` it is the file alone.
pub(super) fn places(path: &Path) -> Vec<PathBuf> {
    let file = path.canonicalize().ok();
    let beside = files::directory(path).canonicalize().ok();
    let behind = file.as_deref().map(|file| files::directory(file).to_owned());
    let dirs = [beside, behind].into_iter().flatten().filter(|dir| dir != Path::new("/"));
    let mut places: Vec<_> = dirs.collect();
    if places.is_empty() {
        places.extend(file);
    }
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;

    use super::*;

    /// As if it had been written long ago.
    fn settle(path: &Path) -> Contents {
        let long_ago = SystemTime::now() - Stamp::UNSETTLED * 2;
        File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
        let mut contents = Contents::of(path, 9);
        // Its change cannot be put back.
        contents.stamp = Some(Stamp::of(&fs::metadata(path).unwrap()));
        contents
    }

    #[test]
    fn a_file_is_read_when_it_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "one").unwrap();
        assert!(!Contents::of(&path, 9).is_as_it_was(), "it was written just now");
        let mut contents = settle(&path);
        assert!(contents.is_as_it_was() && !contents.read());
        let mut contents = settle(&path);
        fs::write(dir.path().join("b"), "two").unwrap();
        fs::rename(dir.path().join("b"), &path).unwrap();
        assert!(!contents.is_as_it_was() && contents.read());
        assert_eq!(contents.bytes().unwrap(), "two");
        fs::remove_file(&path).unwrap();
        assert!(!contents.is_as_it_was() && contents.read() && !contents.read());
        assert_eq!(contents.bytes().unwrap_err(), "cannot be read: no such file or directory");
        fs::write(&path, "more than it may").unwrap();
        assert!(contents.read());
        assert_eq!(contents.bytes().unwrap_err(), "is too large, with 16 bytes");
    }

    #[test]
    fn a_link_leads_to_another_place() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let [live, archive] = ["live", "archive"].map(|name| dir.join(name));
        [&live, &archive].into_iter().for_each(|dir| fs::create_dir(dir).unwrap());
        fs::write(archive.join("a1"), "").unwrap();
        symlink("../archive/a1", live.join("a")).unwrap();
        assert_eq!(places(&live.join("a")), [live.clone(), archive.clone()]);
        assert_eq!(places(&archive.join("a1")), [archive]);
        assert_eq!(places(&live.join("gone")), [live]);
        assert!(places(Path::new("/gone")).is_empty());
    }
}
