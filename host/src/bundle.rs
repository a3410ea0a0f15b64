//! Bundles: a config with its object and plugins, a recording, and what that becomes, under one digest.
//!
//! ```text
//! part     what a file of a bundle is for, and how large it may be
//! form     the manifest, which names all files: made, read, checked
//! layout   the tar: an OCI image layout, written and read
//! place    where a bundle is looked for
//! ```
//!
//! A bundle is an OCI artifact. It is known by the SHA-256 of its manifest, which has that of each file, so
//! whoever has checked the one has checked all. Files have the names that the config calls them by: what a
//! bundle holds is a directory that can be served. The same files give the same bytes.
//!
//! What is read is hostile. It is bounded, it stays in memory, and nothing of it is handed out before its
//! digest was checked. Nothing here asks a registry, runs a plugin or looks into an object.

mod error;
mod form;
mod layout;
mod part;
mod place;

pub use crate::files::{BundleId, HeldFiles};
pub use error::BundleError;
pub use form::{Bundle, BundleManifest, BundledFile, ListedFile};
pub(crate) use part::LARGEST_TAR;
pub use part::Part;
pub use place::{BundlePlace, PlaceError, file_name, signatures_of};

#[cfg(test)]
mod tests;
