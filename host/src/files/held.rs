//! Files that are in memory because they were checked there: those of a bundle. Nothing of them is looked for
//! on disk again, so that nobody can put others in their place meanwhile.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};

use bytes::Bytes;

use super::Unread;
use crate::digest::Digest;
use crate::reference::Repository;

/// Which bundle something is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleId {
    /// Of its manifest.
    pub digest: Digest,
    /// The version that it says it has; empty if it says none. Whoever packed it chose the text.
    pub version: String,
    /// The repository whose it is, if it was asked for by a reference.
    pub repository: Option<Repository>,
}

/// The files of a bundle.
#[derive(Clone, PartialEq, Eq)]
pub struct HeldFiles {
    id: BundleId,
    /// By their names, as [`inner_name`] has them.
    files: BTreeMap<String, Bytes>,
}

impl HeldFiles {
    pub(crate) fn new(id: BundleId, files: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        Self { id, files: files.into_iter().collect() }
    }

    /// Which bundle they are of.
    pub fn id(&self) -> &BundleId {
        &self.id
    }

    /// The file of this name.
    pub(crate) fn get(&self, name: &Path) -> Option<&Bytes> {
        self.files.get(&inner_name(name)?)
    }

    /// All files whose names end so.
    pub(crate) fn ending_in<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a Bytes> {
        self.files.iter().filter(move |(name, _)| name.ends_with(end)).map(|(_, bytes)| bytes)
    }

    /// The bytes of a file, as [`super::read`] has those of one on disk.
    ///
    /// # Errors
    ///
    /// When there is none, or it has more than `most` bytes.
    pub(crate) fn read(&self, name: &Path, most: u64) -> Result<Bytes, Unread> {
        match self.get(name) {
            None => Err(Unread::Refused(io::ErrorKind::NotFound.into())),
            Some(bytes) if bytes.len() as u64 > most => Err(Unread::TooLarge(bytes.len() as u64)),
            Some(bytes) => Ok(bytes.clone()),
        }
    }
}

/// Their bytes are nobody's to read in a log.
impl std::fmt::Debug for HeldFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldFiles").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a file is called in a bundle that a config beside it calls so: words with `/` between. None if it would
/// be outside.
pub(crate) fn inner_name(path: &Path) -> Option<String> {
    let mut words = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(word) => words.push(word.to_str()?),
            _ => return None,
        }
    }
    (!words.is_empty()).then(|| words.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out() {
        let named = |path: &str| inner_name(Path::new(path));
        assert_eq!(named("./a/./b.json").as_deref(), Some("a/b.json"));
        for path in ["/etc/passwd", "../a", "a/../../b", "a/..", "", "."] {
            assert_eq!(named(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_not_held_is_not_there() {
        let (digest, version) = (Digest::of(b""), String::new());
        let id = BundleId { digest, version, repository: None };
        let held = HeldFiles::new(id, [("a".to_owned(), Bytes::from_static(b"abc"))]);
        let read = |name: &str, most| held.read(Path::new(name), most).map_err(|why| why.why());
        assert_eq!(read("./a", 3).as_deref(), Ok(&b"abc"[..]));
        assert_eq!(read("a", 2), Err("is too large, with 3 bytes".to_owned()));
        assert_eq!(read("/proc/self/maps", 3), Err("cannot be read: entity not found".to_owned()));
    }
}
