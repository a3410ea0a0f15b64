//! Why something is no bundle that can be used, and what to do about it.

use super::part::{LARGEST_BUNDLE, MOST_FILES, Part};
use crate::advice::Advise;
use crate::digest::Digest;
use crate::manifest::MANIFEST;

/// Why something is no bundle that can be used. The bundle itself is named by whoever tells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Its file cannot be read.
    #[error("it {0}")]
    Unreadable(String),
    /// Not what a tar looks like.
    #[error("it is no tar, or a damaged one")]
    NoTar,
    /// It ends too early.
    #[error("it ends in the middle of {0}")]
    Cut(String),
    /// Something in the tar that no bundle has.
    #[error("it has {name}, which is {what}")]
    Entry {
        /// What the tar calls it.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// Something in the tar that every bundle has.
    #[error("it has no {0}")]
    Missing(String),
    /// Not what JSON, or a manifest, looks like.
    #[error("{what} of it is damaged: {why}")]
    Damaged {
        /// Which part of it.
        what: &'static str,
        /// What the reader says.
        why: String,
    },
    /// The tar has another number of artifacts.
    #[error("it has {0} artifacts, expected one")]
    Artifacts(usize),
    /// A manifest of something else.
    #[error("it is an artifact of the type `{0}`, not a bundle")]
    Foreign(String),
    /// A manifest of another kind.
    #[error("its manifest is of the type `{0}`, not {MANIFEST}")]
    Type(String),
    /// A layer that no bundle of this version has.
    #[error("it has a layer of the type `{0}`, which this exporter does not know")]
    Layer(String),
    /// More files than anybody should have to take.
    #[error("it has more than {MOST_FILES} files")]
    TooMany,
    /// More bytes than anybody should have to take.
    #[error("{what} has more than {most} bytes")]
    TooLarge {
        /// What it is.
        what: String,
        /// The bound.
        most: u64,
    },
    /// A file without a name, or with one that leads elsewhere.
    #[error("it has a file that is called `{0}`")]
    Name(String),
    /// A name that two files have.
    #[error("it has two files that are called `{0}`")]
    Twice(String),
    /// A needed file that is not there.
    #[error("it has no {}", .0.word())]
    NoPart(Part),
    /// Too many of what there may be one of.
    #[error("it has several files that are its {}", .0.word())]
    Parts(Part),
    /// A config and an object that do not belong together by their names.
    #[error("its config is called `{config}`, and its object `{object}`")]
    Apart {
        /// The config's file.
        config: String,
        /// The object's file.
        object: String,
    },
    /// A config that is no text.
    #[error("{0} of it is not UTF-8")]
    NoText(String),
    /// Other bytes than the manifest says.
    #[error("{what} of it was changed: its digest is {}, not {}", found.tagged(), wanted.tagged())]
    Changed {
        /// The file.
        what: String,
        /// What it was.
        wanted: Digest,
        /// What it is.
        found: Digest,
    },
    /// Another number of bytes than the manifest says.
    #[error("{what} of it has {found} bytes, not {wanted}")]
    Size {
        /// The file.
        what: String,
        /// What it had.
        wanted: u64,
        /// What it has.
        found: u64,
    },
    /// A blob that nothing names.
    #[error("it has the blob {}, which its manifest does not name", .0.tagged())]
    Unnamed(Digest),
    /// Another bundle than the one that was asked for.
    #[error("it is another bundle: its digest is {}, not {}", found.tagged(), wanted.tagged())]
    Pin {
        /// What was asked for.
        wanted: Digest,
        /// What it is.
        found: Digest,
    },
}

impl BundleError {
    pub(super) fn all_too_large() -> Self {
        Self::TooLarge { what: "all of it".to_owned(), most: LARGEST_BUNDLE }
    }
}

impl Advise for BundleError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Unreadable(_) => "name a file that the exporter may read; `bundle pull` gets one",
            Self::NoTar | Self::Foreign(_) | Self::Type(_) | Self::Missing(_) => {
                "name what `bundle pack` or `bundle pull` has written"
            }
            Self::Cut(_) | Self::Damaged { .. } => "copy or pull it again",
            Self::Entry { .. } | Self::Artifacts(_) | Self::Unnamed(_) => {
                "write it with `bundle pack` or `bundle pull`, which put nothing else into it"
            }
            Self::Layer(_) => "use a newer exporter, or pack it with this one",
            Self::TooMany | Self::TooLarge { .. } => "pack something smaller",
            Self::Name(_)
            | Self::Twice(_)
            | Self::NoPart(_)
            | Self::Parts(_)
            | Self::Apart { .. }
            | Self::NoText(_) => "pack it again with `bundle pack`",
            Self::Changed { .. } | Self::Size { .. } => {
                "find out who has done that, then copy or pull it again"
            }
            Self::Pin { .. } => "find out who has put it there, then pull it again",
        };
        Some(remedy.to_owned())
    }
}
