//! Why there is no component, and what to do about it.
//!
//! Texts of files are cut and escaped before they come into a message.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::LARGEST;

/// Why no component is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ComponentizeError {
    /// The file, or the one of the schema.
    #[error("failed to read {}: {problem}", file.display())]
    Unread {
        /// Which file.
        file: PathBuf,
        /// The system's reason.
        problem: String,
    },
    /// It is larger than any plugin.
    #[error("the file has {size} bytes, more than {LARGEST}")]
    TooLarge {
        /// Its bytes, as far as they were read.
        size: usize,
    },
    /// Anything else, text included.
    #[error("found no WebAssembly, expected a core module or a component")]
    NoWasm,
    /// Cut short or forged.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// The core module calls functions of a system: their names.
    #[error("the core module calls functions of a system, which a plugin does not have: {}", some(.0))]
    System(Vec<String>),
    /// The core module was built for no world, or needs what no world has.
    #[error("failed to make a component of the core module: {0}")]
    Encode(String),
    /// It is a component of something else.
    #[error("it exports no plugin")]
    NoPlugin,
    /// These files are no contract.
    #[error("failed to make a package of the contract: {0}")]
    NoPackage(String),
    /// It is two plugins, or something else.
    #[error("a plugin exports one interface of the contract, not {}", .0.join(", "))]
    Exports(Vec<String>),
    /// It wants more than it is given.
    #[error("a plugin may import {} only, not {}", given.join(" and "), some(foreign))]
    Imports {
        /// What there is.
        given: Vec<String>,
        /// What there is not.
        foreign: Vec<String>,
    },
    /// What is said of it cannot be.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl ComponentizeError {
    /// What to do: lowercase, no final period.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unread { .. } => "name a file that can be read",
            Self::TooLarge { .. } => "strip it, or build it smaller",
            Self::NoWasm => "name the .wasm file that a compiler for WebAssembly wrote",
            Self::Damaged(_) => "build or copy the file again",
            Self::System(_) => {
                "do without files, clocks, random numbers and printing; in C, `snprintf` needs \
                 format.c of sdk-c"
            }
            Self::Encode(_) => {
                "build it for a world of wit/0.1.0: in Rust with export_decoder! or export_transform!, \
                 else with what wit-bindgen generates"
            }
            Self::NoPlugin => {
                "call export_decoder! or export_transform!, or export an interface of wit/0.1.0"
            }
            Self::NoPackage(_) => "correct its files",
            Self::Exports(_) => "export decoding or transforming of wit/0.1.0, and not both",
            Self::Imports { .. } => {
                "build it without what needs a system, such as files, clocks or WASI: \
                 componentize-py and componentize-qjs leave that out with `--stub-wasi`"
            }
            Self::Metadata(error) => error.remedy(),
        }
    }
}

/// A part of a plugin's metadata that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("`{field}` of the metadata {problem}")]
pub struct MetadataError {
    /// Which part: `version`, `settings`.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

impl MetadataError {
    /// What to do: lowercase, no final period.
    pub fn remedy(&self) -> &'static str {
        match self.problem {
            Problem::NoText | Problem::Damaged => "write it anew, as UTF-8",
            Problem::TooLong { .. } => "shorten it",
            Problem::NoSchema(_) => "write a JSON Schema, which is an object",
            Problem::TooDeep => "flatten the schema",
            Problem::Twice => "write it once",
            Problem::NoUrl => "write all of it, such as https://example.org/plugin",
            Problem::NoVersion => "write a whole one, such as 1.2.0",
            Problem::NoLicense => "write an SPDX expression, such as MIT OR Apache-2.0",
        }
    }
}

/// What is wrong with a part of metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Problem {
    /// Its bytes are no UTF-8.
    NoText,
    /// The section that it stands in cannot be read.
    Damaged,
    /// It has more bytes than it may.
    TooLong {
        /// Its bytes.
        bytes: usize,
        /// As many as it may have.
        most: usize,
    },
    /// It is no JSON, or no object: why.
    NoSchema(String),
    /// Objects and lists within each other.
    TooDeep,
    /// There are two sections of it.
    Twice,
    /// It is no URL.
    NoUrl,
    /// It is no version by the rules of semantic versions.
    NoVersion,
    /// It is no SPDX expression.
    NoLicense,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoText => f.write_str("is not UTF-8"),
            Self::Damaged => f.write_str("cannot be read"),
            Self::TooLong { bytes, most } => write!(f, "has {bytes} bytes, more than {most}"),
            Self::NoSchema(why) => write!(f, "is no JSON Schema: {why}"),
            Self::TooDeep => f.write_str("is nested too deep"),
            Self::Twice => f.write_str("is there twice"),
            Self::NoUrl => f.write_str("is no URL"),
            Self::NoVersion => f.write_str("is no semantic version"),
            Self::NoLicense => f.write_str("is no SPDX expression"),
        }
    }
}

/// The first of these names, and how many more there are.
fn some(names: &[String]) -> String {
    const MOST: usize = 4;
    let mut shown = names[..names.len().min(MOST)].join(", ");
    if let Some(more @ 1..) = names.len().checked_sub(MOST) {
        shown.push_str(&format!(" and {more} more"));
    }
    shown
}

/// A text of a file as a message may show it: not too much of it, on one line, nothing in it that a
/// terminal obeys.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut shown = String::new();
    for character in text.chars().take(LONGEST) {
        match character {
            '\n' => shown.push(' '),
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
