//! The contract as one file: a WIT package in binary form, as registries of components take it.

use std::fmt::Display;

use wit_parser::{Resolve, SourceMap};

use crate::error::{ComponentizeError, shown};

/// The package that these files are, each with its name and its text.
///
/// # Errors
///
/// [`ComponentizeError::NoPackage`].
pub fn pack(files: &[(&str, &str)]) -> Result<Vec<u8>, ComponentizeError> {
    let why = |error: &dyn Display| ComponentizeError::NoPackage(shown(&format!("{error:#}")));
    let (mut resolve, mut sources) = (Resolve::default(), SourceMap::default());
    files.iter().for_each(|(path, text)| sources.push_str(path, *text));
    let parsed = sources.parse().map_err(|(_, error)| why(&error))?;
    let package = resolve.push_group(parsed).map_err(|error| why(&error))?;
    wit_component::encode(&resolve, package).map_err(|error| why(&error))
}
