//! Letting go of a config: its programs are detached, and its maps go with what they hold.
//!
//! All of it is looked at before the first file is removed: a file that is named otherwise has it refused.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::config::read_name;
use super::{KINDS, Kind, PinDir, names_in};
use crate::advice::{self, Advise};

/// What was let go of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpinned {
    /// Programs that were attached.
    pub programs: Vec<String>,
    /// Maps, those of variables too.
    pub maps: Vec<String>,
}

/// Why a config is not let go of.
#[derive(Debug, thiserror::Error)]
pub enum NotUnpinned {
    /// There is something that no exporter has put there. Nothing was removed.
    #[error("no exporter has put {} there", .0.display())]
    Foreign(PathBuf),
    /// It cannot be read or removed.
    #[error("failed to remove {}: {}", .0.display(), advice::words(.1))]
    System(PathBuf, io::Error),
}

impl Advise for NotUnpinned {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Foreign(_) => Some("see whose it is, and remove it by hand".to_owned()),
            Self::System(..) => None,
        }
    }
}

impl PinDir {
    /// Lets go of all that is pinned of a config.
    ///
    /// # Errors
    ///
    /// See [`NotUnpinned`].
    pub fn unpin(&self, config: &str) -> Result<Unpinned, NotUnpinned> {
        let own = self.file(config, "");
        let (at, shown) = (own.path(), own.shown().to_owned());
        let failed = |error| NotUnpinned::System(shown.clone(), error);
        let known = |dir: &String| KINDS.iter().any(|kind| kind.name() == dir);
        let dirs = names_in(&at).map_err(failed)?;
        if let Some(other) = dirs.iter().find(|dir| !known(dir)) {
            return Err(NotUnpinned::Foreign(shown.join(other)));
        }
        let mut unpinned = Unpinned::default();
        let mut files = Vec::new();
        for kind in KINDS.into_iter().filter(|kind| dirs.iter().any(|dir| dir == kind.name())) {
            let below = Path::new(kind.name());
            for file in names_in(&at.join(below)).map_err(failed)? {
                let foreign = || NotUnpinned::Foreign(shown.join(below).join(&file));
                let name = read_name(kind, &file).ok_or_else(foreign)?;
                match kind {
                    Kind::Links => unpinned.programs.push(name),
                    Kind::Maps => unpinned.maps.push(name),
                    Kind::Programs => {}
                }
                files.push(below.join(file));
            }
        }
        for file in &files {
            let removed = fs::remove_file(at.join(file));
            removed.map_err(|error| NotUnpinned::System(shown.join(file), error))?;
        }
        for dir in dirs {
            fs::remove_dir(at.join(dir)).map_err(failed)?;
        }
        fs::remove_dir(&at).map_err(failed)?;
        Ok(unpinned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_let_go_of_says_why() {
        let at = || PathBuf::from("/sys/fs/bpf/x/tcp/maps/mine");
        let said = [
            NotUnpinned::Foreign(at()),
            NotUnpinned::System(at(), io::Error::from_raw_os_error(libc::EPERM)),
        ]
        .map(|error| error.advice().to_string());
        insta::assert_snapshot!(said.join("\n"), @r"
        no exporter has put /sys/fs/bpf/x/tcp/maps/mine there; see whose it is, and remove it by hand
        failed to remove /sys/fs/bpf/x/tcp/maps/mine: operation not permitted
        ");
    }
}
