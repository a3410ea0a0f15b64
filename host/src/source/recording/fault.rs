//! Why a recording cannot be played, and what to do.

use std::io;
use std::path::PathBuf;

use crate::advice::{self, Advise, plain};

/// Bytes of a text of a recording that a message has.
const LONGEST_TEXT: usize = 256;

/// Why a recording cannot be played.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", .file.display())]
pub struct PlayError {
    /// The file.
    pub file: PathBuf,
    /// How many readings of it are whole.
    pub readings: u64,
    /// What is wrong with it.
    pub fault: RecordingFault,
}

/// What is wrong with a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingFault {
    /// It cannot be read.
    #[error("{}", advice::words(.0))]
    Read(io::Error),
    /// It is a directory, a pipe or a device.
    #[error("it {0}")]
    NoFile(String),
    /// It does not begin as recordings do.
    #[error("this is no recording")]
    Foreign,
    /// It begins as those of another version.
    #[error("this is a recording of another version, {0}")]
    Version(String),
    /// It ends before its first reading.
    #[error("the recording ends in the middle of its head")]
    Headless,
    /// It ends behind so many whole readings, and has no end.
    #[error("the recording ends behind reading {0}: it was interrupted, or is not all here")]
    Cut(u64),
    /// What it says cannot be.
    #[error("the recording is damaged: {0}")]
    Damaged(String),
    /// What it says is more than may be.
    #[error("the recording is too large: {0}")]
    TooLarge(String),
}

impl RecordingFault {
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}

impl Advise for PlayError {
    fn remedy(&self) -> Option<String> {
        let again = match &self.fault {
            RecordingFault::Read(error) if error.kind() == io::ErrorKind::NotFound => {
                "give the path of a file that `record` has written"
            }
            RecordingFault::Read(_) => "see to it that the file can be read",
            RecordingFault::NoFile(_) | RecordingFault::Foreign => {
                "give a file that `record` has written"
            }
            RecordingFault::Version(_) => "replay it with the exporter that wrote it",
            RecordingFault::Headless | RecordingFault::Cut(_) => "copy it again",
            RecordingFault::Damaged(_) => "copy it or record it again",
            RecordingFault::TooLarge(_) => "replay fewer of its configs with --config.names",
        };
        Some(match self.readings {
            0 => again.to_owned(),
            whole => format!("{again}, or replay what comes before with --at {whole}"),
        })
    }
}

/// A text of a recording, or one that repeats such a text, as a message may show it.
pub(super) fn shown(text: &str) -> String {
    plain(text, LONGEST_TEXT)
}
