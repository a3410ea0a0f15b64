//! What the log is told of files that change: each fault once, and that all is good again.

use std::path::Path;

use tracing::{error, info};

use crate::config::Fault;

/// What marks a line that only the log is to have: see [`crate::logging::recent`].
const PRIVATE: &str = concat!(module_path!(), "::private");

/// The faults that the log knows of.
#[derive(Debug, Default)]
pub(super) struct Said(pub(super) Vec<String>);

/// What there is to say of a file that was read again.
pub(super) enum News {
    Nothing,
    Faults(Vec<String>),
    Good,
}

impl Said {
    /// What is new about what came of reading it.
    pub(super) fn take(&mut self, settled: Result<(), Vec<Fault>>) -> News {
        let faults = settled.err().unwrap_or_default();
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        if faults == self.0 {
            return News::Nothing;
        }
        self.0.clone_from(&faults);
        if faults.is_empty() { News::Good } else { News::Faults(faults) }
    }
}

impl News {
    /// Tells the log, and that it is `so` meanwhile.
    pub(super) fn tell(self, path: &Path, so: &str) {
        match self {
            Self::Nothing => {}
            Self::Faults(faults) => {
                faults.iter().for_each(|fault| error!(target: PRIVATE, "{fault}"));
                error!("{}: {so}", path.display());
            }
            Self::Good => info!("{}: all is good again", path.display()),
        }
    }
}
