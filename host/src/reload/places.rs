//! The directories that configs are read from, as the sandbox knows them: it holds to those that their names meant
//! when the process gave up its rights, whatever they mean now.
//!
//! Never decides what may be read.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::advice::Advice;
use crate::files::Readable;

/// What names of directories meant at the start.
#[derive(Debug, Default)]
pub struct ReadPlaces(Vec<(PathBuf, Option<Place>)>);

/// Its file system, and its number there.
type Place = (u64, u64);

impl ReadPlaces {
    /// What these mean now.
    pub fn of(all: &[Readable]) -> Self {
        let dirs = all.iter().map(|readable| match readable {
            Readable::Content(dir) | Readable::Names(dir) => dir.clone(),
        });
        Self(dirs.map(|dir| (dir.clone(), place(&dir))).collect())
    }

    /// That one means another directory now, which cannot be read.
    pub(super) fn moved(&self) -> Option<Advice> {
        let denied = |dir: &Path| {
            fs::read_dir(dir).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        let mut moved = self.0.iter().filter(|(dir, was)| place(dir) != *was && denied(dir));
        moved.next().map(|(dir, _)| {
            Advice::new(
                format!(
                    "{} is another directory than at the start, and the sandbox (Landlock) of this exporter lets only that one be read",
                    dir.display()
                ),
                "restart the exporter to have the other, or give --config.dir a directory whose files are replaced",
            )
        })
    }
}

fn place(dir: &Path) -> Option<Place> {
    fs::metadata(dir).ok().map(|found| (found.dev(), found.ino()))
}
