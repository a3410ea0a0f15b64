//! Why what was fetched cannot be used, and what to do about it.

use std::path::{Path, PathBuf};

use super::{NAME, VERSION};
use crate::advice::Advise;
use crate::digest::Digest;
use crate::manifest::ManifestError;
use crate::reference::PinnedReference;

/// Why what was fetched cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// It is not known where to look.
    #[error("a plugin of a registry needs --plugins.dir")]
    NoDirectory,
    /// Nothing was fetched.
    #[error("there is no {}", .0.display())]
    NotThere(PathBuf),
    /// It cannot be read.
    #[error("{} {why}", file.display())]
    Unreadable {
        /// The lock.
        file: PathBuf,
        /// The end of the sentence.
        why: String,
    },
    /// It is not what `plugin fetch` writes.
    #[error("{} is damaged: {why}", file.display())]
    Damaged {
        /// The lock.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another exporter has written it.
    #[error("{} has the form {found}, and this exporter knows {VERSION}", file.display())]
    Version {
        /// The lock.
        file: PathBuf,
        /// What it says.
        found: u32,
    },
    /// This one was not fetched.
    #[error("{} has no {reference}", file.display())]
    NoEntry {
        /// The lock.
        file: PathBuf,
        /// What was looked for.
        reference: Box<PinnedReference>,
    },
    /// What was fetched is no plugin.
    #[error("{}: {fault}", file.display())]
    Manifest {
        /// Its manifest's file.
        file: PathBuf,
        /// What is wrong with it.
        fault: ManifestError,
    },
    /// It was fetched, and has gone.
    #[error("there is no {}, which {NAME} names", .0.display())]
    NoFile(PathBuf),
    /// It was fetched, and is another one now.
    #[error("{} was changed: its SHA-256 is {found}", file.display())]
    Changed {
        /// The file.
        file: PathBuf,
        /// What it is.
        found: Digest,
    },
}

impl Advise for LockError {
    fn remedy(&self) -> Option<String> {
        let dir = |file: &Path| file.parent().unwrap_or(Path::new(".")).display().to_string();
        let fetch = |dir: &str| {
            format!("`ebpf_wasm_exporter plugin fetch --plugins.dir={dir}` with the same configs")
        };
        Some(match self {
            Self::NoDirectory => format!("name the directory that was filled by {}", fetch("DIR")),
            Self::NotThere(file) | Self::NoEntry { file, .. } | Self::NoFile(file) => {
                format!("fetch it: {}", fetch(&dir(file)))
            }
            Self::Manifest { fault, .. } => return fault.remedy(),
            Self::Unreadable { file, .. } => {
                format!(
                    "make it a file that can be read, or remove it and run {}",
                    fetch(&dir(file))
                )
            }
            Self::Damaged { file, .. } | Self::Version { file, .. } => {
                format!("remove it, and run {}", fetch(&dir(file)))
            }
            Self::Changed { file, .. } => {
                format!("find out who has done that, then run {}", fetch(&dir(file)))
            }
        })
    }
}
