//! Why a tool gives no result, with what the process is to end, and what there is to be said all the same.

use std::io;
use std::path::PathBuf;

use componentize::ComponentizeError;

use crate::advice::{Advice, Advise};
use crate::bundle::BundleError;
use crate::cli::Exit;
use crate::config::Fault;
use crate::lock::LockError;
use crate::plugin::PluginError;
use crate::reference::{ArtifactReference, ReferenceError};
use crate::registry::RegistryError;
use crate::signature::SignatureError;
use crate::source::recording::PlayError;
use crate::trust::TrustError;

/// Why a tool gives no result.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The plugin cannot be used.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The file with the settings cannot be read.
    #[error("failed to read {}", file.display())]
    NoSettings {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The settings are no YAML, name files that cannot be read, or are not what the plugin says that it takes.
    #[error("{}", lines(.0))]
    Settings(Vec<Fault>),
    /// Configs that cannot be served.
    #[error("{}", lines(.0))]
    Configs(Vec<Fault>),
    /// Some plugins cannot be had, or asked for.
    #[error("{}", lines(faults))]
    Unfetched {
        /// What is to be said of the others.
        report: String,
        /// What is wrong with each.
        faults: Vec<Fault>,
    },
    /// What was fetched before is not known.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Somebody else does it.
    #[error("{}", .0.problem)]
    Busy(Advice),
    /// What was typed names nothing in a registry.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A registry gives or takes nothing.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What a registry has is no plugin.
    #[error("{reference}: {error}")]
    Foreign {
        /// What was pulled.
        reference: Box<ArtifactReference>,
        /// What is wrong with it.
        error: Box<PluginError>,
    },
    /// Nobody has signed it whom the policy trusts.
    #[error("{}", .0.problem)]
    Untrusted(Advice),
    /// What is said of a plugin cannot be.
    #[error(transparent)]
    Said(#[from] ComponentizeError),
    /// What was made cannot be written.
    #[error("failed to write {}", file.display())]
    Unwritten {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What was to be read cannot be.
    #[error("{} {why}", file.display())]
    Unread {
        /// The file, or a directory.
        file: PathBuf,
        /// The end of the sentence.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A recording that is none.
    #[error(transparent)]
    Play(#[from] PlayError),
    /// A recording that cannot be played to its end.
    #[error("{}", .0.problem)]
    Unplayed(Advice),
    /// Something is no bundle that can be used.
    #[error("{}: {fault}", file.display())]
    Bundle {
        /// The bundle, as it was typed.
        file: PathBuf,
        /// What is wrong with it.
        fault: BundleError,
    },
    /// A bundle does not prove itself.
    #[error("the bundle does not prove itself, in {faults} of {points} points")]
    Proof {
        /// What was found, as a table.
        report: String,
        /// How many points failed.
        faults: usize,
        /// Of how many.
        points: usize,
    },
    /// Limits that cannot be.
    #[error("{}", lines(.0))]
    Limits(Vec<Advice>),
    /// Files that the plugin is to read, and cannot.
    #[error("{}", lines(.0))]
    Data(Vec<Advice>),
    /// What was typed makes no sense for this plugin.
    #[error("{}", .0.problem)]
    Usage(Advice),
    /// The plugin breaks the contract.
    #[error("the plugin breaks the contract in {faults} of {points} points")]
    Contract {
        /// What was found, as a table.
        report: String,
        /// How many points failed.
        faults: usize,
        /// Of how many.
        points: usize,
    },
}

impl ToolError {
    /// With what the process is to end.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoSettings { .. } | Self::Settings(_) | Self::Data(_) => Exit::Usage,
            Self::Said(_) | Self::Limits(_) | Self::Usage(_) | Self::Reference(_) => Exit::Usage,
            Self::Plugin(_) | Self::Foreign { .. } | Self::Contract { .. } => Exit::Config,
            Self::Configs(_) | Self::Lock(_) | Self::Unread { .. } | Self::Untrusted(_) => {
                Exit::Config
            }
            Self::Play(_) | Self::Unplayed(_) => Exit::Config,
            Self::Bundle { .. } | Self::Proof { .. } => Exit::Config,
            Self::Unwritten { .. } | Self::Unfetched { .. } | Self::Busy(_) => Exit::Unexpected,
            Self::Registry(error) => match error {
                RegistryError::Unnamed(_) | RegistryError::Trust(TrustError::File { .. }) => {
                    Exit::Usage
                }
                RegistryError::Artifact { .. } | RegistryError::Taken { .. } => Exit::Config,
                _ => Exit::Unexpected,
            },
        }
    }

    /// What there is to be said although it failed.
    pub fn report(&self) -> &str {
        match self {
            Self::Contract { report, .. }
            | Self::Proof { report, .. }
            | Self::Unfetched { report, .. } => report,
            _ => "",
        }
    }
}

impl Advise for ToolError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Plugin(error) => error.remedy(),
            Self::Lock(error) => error.remedy(),
            Self::Reference(error) => error.remedy(),
            Self::Registry(error) => error.remedy(),
            Self::Play(error) => error.remedy(),
            Self::Bundle { fault, .. } => fault.remedy(),
            Self::Usage(advice)
            | Self::Busy(advice)
            | Self::Unplayed(advice)
            | Self::Untrusted(advice) => advice.remedy.clone(),
            Self::Unread { remedy, .. } => Some((*remedy).to_owned()),
            Self::Foreign { .. } => Some(
                "see whether the reference is the right one; if it is, push a plugin there"
                    .to_owned(),
            ),
            Self::Said(error) => Some(error.remedy().to_owned()),
            Self::Unwritten { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                Some("nothing is written over: remove it, or write elsewhere".to_owned())
            }
            Self::Unwritten { .. } => Some("name a file that you may write".to_owned()),
            // Each fault has its own.
            Self::NoSettings { .. }
            | Self::Settings(_)
            | Self::Configs(_)
            | Self::Unfetched { .. }
            | Self::Limits(_)
            | Self::Data(_)
            | Self::Contract { .. }
            | Self::Proof { .. } => None,
        }
    }
}

impl From<SignatureError> for ToolError {
    fn from(error: SignatureError) -> Self {
        Self::Untrusted(error.advice())
    }
}

/// Faults, one a line.
pub(super) fn lines<T: ToString>(faults: &[T]) -> String {
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    faults.join("\n  ")
}

/// A text on one line, nothing in it that a terminal obeys.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|char| match char {
            '"' | '\'' | '\\' => char.to_string().chars().collect::<Vec<_>>(),
            _ => char.escape_debug().collect(),
        })
        .collect()
}
