//! Why a plugin cannot be used, and what to do about it.

use std::io;
use std::path::PathBuf;

use super::compile::{CompileError, EXECUTABLE};
use super::inspect::World;
use super::instance::{Failure, Lacking};
use super::stats::Cause;
use super::{limits, log};
use crate::advice::Advise;
use crate::digest::Digest;

/// Why a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// No such file.
    #[error("there is no {}", paths(looked))]
    NotThere {
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// The file cannot be read.
    #[error("failed to read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{} is no regular file", file.display())]
    NoFile {
        /// What it is instead of a file.
        file: PathBuf,
    },
    /// The file is larger than any plugin.
    #[error("the file has {size} bytes, more than {}", limits::LARGEST_FILE)]
    TooLarge {
        /// Its bytes.
        size: u64,
    },
    /// The file is not the one that is pinned.
    #[error("the file's SHA-256 is {found}, not the one that is pinned")]
    Pin {
        /// What it is.
        found: Digest,
    },
    /// It is a decoder where a transform is wanted, or the other way round.
    #[error("the plugin is a {found}, not a {wanted}")]
    World {
        /// What it is.
        found: World,
        /// What is wanted.
        wanted: World,
    },
    /// It has no machine code.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Its machine code may not be run.
    #[error("failed to load the component's machine code: {0}")]
    Load(String),
    /// The component does not fit the contract.
    #[error("the component does not fit the contract: {0}")]
    Link(String),
    /// It refuses what it is given, or agreed to labels that cannot be.
    #[error("the plugin refuses its configuration: {0}")]
    Configure(String),
    /// It refuses what it is given, and has asked for a file that the config does not name.
    #[error("the plugin refuses its configuration: {text}")]
    Data {
        /// What it says.
        text: String,
        /// The file.
        lacking: Lacking,
    },
    /// It failed before it was ever asked.
    #[error("the plugin failed at its start: {text}")]
    Start {
        /// Why.
        cause: Cause,
        /// What happened.
        text: String,
    },
    /// The host cannot run any plugin.
    #[error("failed to start the engine of plugins: {0}")]
    Engine(String),
}

impl PluginError {
    /// What it is about: a key below the plugin, which stands at `path` of its config and comes from what
    /// the key `origin` says.
    pub fn place(&self, path: &str, origin: &str) -> String {
        let key = match self {
            Self::Pin { .. } => "sha256",
            Self::Configure(_) => "settings",
            Self::Data { lacking: Lacking { near: Some(_), .. }, .. } => "data",
            Self::Data { .. } | Self::Start { .. } | Self::Engine(_) => return path.to_owned(),
            _ => origin,
        };
        format!("{path}.{key}")
    }

    pub(super) fn engine(error: wasmtime::Error) -> Self {
        Self::Engine(words(&error))
    }

    pub(super) fn link(error: wasmtime::Error) -> Self {
        Self::Link(words(&error))
    }
}

impl Advise for PluginError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::NotThere { .. } => {
                "put the file there, or into the directory of --plugins.dir".to_owned()
            }
            Self::Read { .. } => "make it readable".to_owned(),
            Self::NoFile { .. } => "name a file that holds a component".to_owned(),
            Self::TooLarge { .. } => "strip it, or build it smaller".to_owned(),
            Self::Pin { found } => format!(
                "find out where the file comes from, and if it is right write `sha256: {found}`"
            ),
            Self::World { wanted, .. } => format!("name a plugin that is a {wanted}"),
            Self::Compile(error) => return error.remedy(),
            Self::Load(_) => EXECUTABLE.to_owned(),
            Self::Link(_) => "build it again against wit/0.1.0 of this exporter".to_owned(),
            Self::Configure(_) => "correct its `settings`".to_owned(),
            Self::Data { lacking: Lacking { name, near: Some(near) }, .. } => {
                format!("did you mean `{name}` by `{near}`?")
            }
            Self::Data { lacking: Lacking { name, near: None }, .. } => {
                format!("correct its `settings`, or name what it calls `{name}` under its `data`")
            }
            Self::Start { cause: Cause::Deadline, .. } => {
                "raise `limits.deadline`, or give it less to do in `configure`".to_owned()
            }
            Self::Start { cause: Cause::System, .. } => {
                "lift the limit on the process's addresses (`ulimit -v`, systemd: LimitAS), of which \
                 each memory of an instance has 4 GiB set aside and uses little"
                    .to_owned()
            }
            Self::Start { cause: Cause::Memory, .. } => {
                "raise that limit, or use a plugin that wants less".to_owned()
            }
            Self::Start { .. } => {
                "try it with `ebpf_wasm_exporter plugin check`, and tell its author".to_owned()
            }
            Self::Engine(_) => EXECUTABLE.to_owned(),
        };
        Some(remedy)
    }
}

impl From<Failure> for PluginError {
    fn from(Failure { cause, text, lacking, .. }: Failure) -> Self {
        match (cause, lacking) {
            (Cause::Configure, Some(lacking)) => Self::Data { text, lacking },
            (Cause::Configure, None) => Self::Configure(text),
            (cause, _) => Self::Start { cause, text },
        }
    }
}

/// An error of wasmtime's in one line, its causes behind it.
pub(super) fn words(error: &wasmtime::Error) -> String {
    let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
    log::plain(&causes.join(": ").replace('\n', " "), 500)
}

fn paths(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(" and no ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_called_otherwise_is_told_of_where_it_stands() {
        let said = |near: Option<&str>| {
            let mut failure = Failure::new(Cause::Configure, "it has no list of pods");
            let near = near.map(ToOwned::to_owned);
            failure.lacking = Some(Lacking { name: "pods".to_owned(), near });
            let error = PluginError::from(failure);
            format!("{}: {}", error.place("plugins.zone", "file"), error.advice())
        };
        insta::assert_snapshot!(said(Some("pod")), @"plugins.zone.data: the plugin refuses its configuration: it has no list of pods; did you mean `pods` by `pod`?");
        insta::assert_snapshot!(said(None), @"plugins.zone: the plugin refuses its configuration: it has no list of pods; correct its `settings`, or name what it calls `pods` under its `data`");
    }
}
