//! Which file it was that was read, and which of its contents: to know without reading it whether it is another one.
//!
//! Never says that a file is the same when it was written in between.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

/// Which file it is, and which of its contents: dev, inode, size, and when it was written and changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    file: (u64, u64),
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// A file whose times are no older than this when it is read may be written again without a trace.
    pub(crate) const UNSETTLED: Duration = Duration::from_secs(2);

    /// That of a file.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether it has the bytes that it had, as far as can be told: it may have been marked as still right.
    pub(crate) fn has_same_bytes(&self, other: &Self) -> bool {
        (self.size, self.written) == (other.size, other.written)
    }

    /// Whether whatever is written to the file from `now` on gives it another stamp.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        let since = |(seconds, nanos): (i64, i64)| {
            let at = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
            now.duration_since(SystemTime::UNIX_EPOCH + at).ok()
        };
        [self.written, self.changed].into_iter().all(|at| since(at) > Some(Self::UNSETTLED))
    }
}
