//! Why a component has no machine code.

use std::path::PathBuf;
use std::time::Duration;

use componentize::ComponentizeError;
use serde::{Deserialize, Serialize};

use crate::advice::Advise;
use crate::plugin::inspect::NoPlugin;
use crate::plugin::limits::LARGEST_CODE;

/// What to do when the system forbids a compiler in the process.
pub(in crate::plugin) const EXECUTABLE: &str = "allow this process memory that is writable, then \
                                                executable (systemd: MemoryDenyWriteExecute=no)";

/// Why a component is not compiled. The same file gives the same one, so it can be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum CompileError {
    /// It is no plugin.
    #[error(transparent)]
    NoPlugin(#[from] NoPlugin),
    /// No component is made of it.
    #[error(transparent)]
    Componentize(#[from] ComponentizeError),
    /// It is invalid, or uses what this host does not know.
    #[error("failed to compile the component: {0}")]
    Invalid(String),
    /// The system does not let it be made ready to run.
    #[error("failed to compile the component: {0}")]
    Forbidden(String),
    /// It imports what no plugin is given.
    #[error("the component does not fit the contract: {0}")]
    Link(String),
    /// It has more of something than a plugin may.
    #[error("the component has {found} {what}, more than {most}")]
    TooMany {
        /// Of what.
        what: String,
        /// How many; there may be more.
        found: u64,
        /// How many there may be.
        most: u64,
    },
    /// Its code would be too large.
    #[error("the component's machine code has more than {LARGEST_CODE} bytes")]
    Code,
    /// It takes too much processor time.
    #[error("compiling it took all of the {time:?} that `limits.compile.time` gives")]
    Time {
        /// The limit.
        time: Duration,
    },
    /// It takes too much memory.
    #[error("compiling it took all of the {memory} bytes that `limits.compile.memory` gives")]
    Memory {
        /// The limit.
        memory: u64,
    },
    /// It was not done for so long that something has to be wrong.
    #[error("compiling it was not done after {time:?} by the clock")]
    Clock {
        /// How long it was waited for.
        time: Duration,
    },
    /// The compiler has met something that it cannot deal with.
    #[error("the compiler failed on this component: {0}")]
    Crashed(String),
    /// Somebody else has ended the child.
    #[error("the process that compiled it was killed from outside")]
    Killed,
    /// The process may start no child any more.
    #[error("this exporter has given up what it takes to compile a plugin")]
    Sealed,
    /// There is no child.
    #[error("failed to start {} to compile it: {problem}", program.display())]
    NoChild {
        /// What was to run.
        program: PathBuf,
        /// Why it does not.
        problem: String,
    },
}

impl Advise for CompileError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::NoPlugin(error) => return error.remedy(),
            Self::Componentize(error) => error.remedy(),
            Self::Invalid(_) | Self::Link(_) => "build it again against wit/0.1.0 of this exporter",
            Self::Forbidden(_) => EXECUTABLE,
            Self::TooMany { .. } | Self::Code => "build it from fewer or smaller parts",
            Self::Time { .. } | Self::Memory { .. } => {
                "raise that limit if you trust where the file comes from, or build it smaller"
            }
            Self::Clock { .. } => "start again when the machine is less busy",
            Self::Crashed(_) => "build it again, with other tools if it stays so",
            Self::Sealed => "restart the exporter; with CAP_BPF kept it compiles when it reloads",
            Self::Killed => {
                "give the exporter's control group more memory (systemd: MemoryMax), or lower \
                 `limits.compile.memory`"
            }
            Self::NoChild { .. } => {
                "allow the exporter to start itself: mount /proc, lift the limit on processes, and \
                 let the file be executed"
            }
        };
        Some(remedy.to_owned())
    }
}
