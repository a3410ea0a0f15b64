//! Why a registry gives or takes nothing, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;

use super::artifact::ArtifactError;
use super::credentials::CredentialsError;
use super::limits::MOST_REDIRECTS;
use crate::advice::Advise;
use crate::digest::Digest;
use crate::reference::Repository;
use crate::trust::{Trouble, TrustError};

/// Why a registry gives or takes nothing.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Neither a tag nor a digest.
    #[error("{0} has neither tag nor digest")]
    Unnamed(Repository),
    /// It has something else than it should, or too much of it.
    #[error("{name}: {fault}")]
    Artifact {
        /// What was asked for.
        name: String,
        /// What is wrong with it.
        fault: ArtifactError,
    },
    /// What is known of who asks cannot be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// TLS cannot be had, or nobody can be trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// No answer, or not all of it.
    #[error("failed to ask {host}: {why}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// What failed, as far as something can be done about it.
        trouble: Trouble,
        /// What failed.
        why: String,
    },
    /// No end within the time that it may take.
    #[error("it took longer than {0:?}")]
    TooLong(Duration),
    /// It has no such thing.
    #[error("{host} has no {what}")]
    NotThere {
        /// Who was asked.
        host: String,
        /// What for.
        what: Box<Wanted>,
    },
    /// Who asks may not.
    #[error("{host} refuses {what}{}{said}", if *known { "" } else { " without credentials" })]
    Denied {
        /// Who was asked.
        host: String,
        /// What for.
        what: Box<Wanted>,
        /// Whether there were credentials.
        known: bool,
        /// Its words, behind a colon.
        said: String,
    },
    /// Any other answer.
    #[error("{host} answers {status} when asked for {what}{said}")]
    Status {
        /// Who was asked.
        host: String,
        /// What for.
        what: Box<Wanted>,
        /// The answer.
        status: StatusCode,
        /// Its words, behind a colon.
        said: String,
    },
    /// An answer that no registry should give.
    #[error("{host} gives no good answer: {why}")]
    Answer {
        /// Who was asked.
        host: String,
        /// What is wrong with it.
        why: String,
    },
    /// It leads on and on.
    #[error("{host} redirects more than {MOST_REDIRECTS} times")]
    Redirects {
        /// Who was asked first.
        host: String,
    },
    /// It leads to where anybody can read and change what is said.
    #[error("{host} redirects to {to} without TLS")]
    Insecure {
        /// Who was asked.
        host: String,
        /// Where it leads to.
        to: String,
    },
    /// A version that somebody may rely on.
    #[error("{name} is there already, with the digest {}", found.tagged())]
    Taken {
        /// The artifact.
        name: String,
        /// The manifest that has this tag.
        found: Digest,
    },
    /// The file that is written, or the part of it that is there.
    #[error("failed to {doing} {}", file.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        file: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Somebody else writes it.
    #[error("another process pulls to {}", .0.display())]
    Busy(PathBuf),
    /// The system has no means to wait for several things.
    #[error("failed to prepare for asking")]
    Runtime(#[source] io::Error),
}

/// What a registry was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A repository.
    Repository(Repository),
    /// A manifest of it, by tag or digest.
    Manifest(Repository, String),
    /// What a manifest names.
    Blob(Digest),
    /// To take what a manifest names.
    Upload,
    /// A token.
    Token,
}

impl Wanted {
    /// What to do if there is none.
    fn if_missing(&self) -> String {
        match self {
            Self::Repository(_) | Self::Token => "see whether the name is the right one".to_owned(),
            Self::Manifest(repository, _) => {
                format!("`plugin list {repository}` lists the tags that there are")
            }
            Self::Blob(_) => "push it again: its manifest is there without it".to_owned(),
            Self::Upload => "see whether the host is a registry that takes something".to_owned(),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(repository) => write!(f, "repository {}", repository.path()),
            Self::Manifest(repository, name) => {
                write!(f, "manifest {name} of {}", repository.path())
            }
            Self::Blob(digest) => write!(f, "blob {}", digest.tagged()),
            Self::Upload => f.write_str("upload"),
            Self::Token => f.write_str("token"),
        }
    }
}

impl Advise for RegistryError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Artifact { fault, .. } => return fault.remedy(),
            Self::Credentials(error) => return error.remedy(),
            Self::Unnamed(repository) => {
                return Some(format!(
                    "write one behind it; `plugin list {repository}` lists the tags"
                ));
            }
            Self::Trust(TrustError::File { remedy: Some(remedy), .. }) => remedy,
            Self::Trust(TrustError::File { .. }) => {
                "name a file of certificates in PEM format in --ca-file"
            }
            Self::Trust(_) => "install ca-certificates, or name a file in --ca-file",
            Self::Unreachable { trouble, .. } => match trouble {
                Trouble::Certificate => {
                    "name the authority that has signed the certificate, or the certificate itself, in --ca-file, if you trust it"
                }
                Trouble::OtherName => "write the host by a name that its certificate is for",
                Trouble::NoTls => {
                    "add --plain-http if the registry has no TLS, and the network to it is yours"
                }
                Trouble::Other => "see whether the host is the right one, and can be reached",
            },
            Self::TooLong(_) => "raise --timeout, or try again: a pull would go on where it ended",
            Self::NotThere { what, .. } => return Some(what.if_missing()),
            Self::Denied { known: false, .. } => "log in with `docker login` or `podman login`",
            Self::Denied { .. } => {
                "log in with `docker login` or `podman login` as somebody who may"
            }
            Self::Status { status, .. } if *status == StatusCode::TOO_MANY_REQUESTS => {
                "try again later, or log in"
            }
            Self::Status { status, .. } if status.is_server_error() => "try again later",
            Self::Status { .. } | Self::Answer { .. } => "see whether the host is a registry",
            Self::Redirects { .. } | Self::Insecure { .. } => "tell who runs the registry",
            Self::Taken { .. } => {
                "push another version; --force puts this one in its place, which breaks who relies on it"
            }
            Self::File { .. } => "name another file with -o",
            Self::Busy(_) => "wait for it, then try again",
            Self::Runtime(_) => return None,
        };
        Some(remedy.to_owned())
    }
}
