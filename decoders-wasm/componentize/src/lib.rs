//! Makes components of plugins: of the core module that a compiler gives, or of a component that another
//! tool has made. What its author says of it goes into sections of the component.
//!
//! ```text
//! sections  the sections of a file, one by one
//! metadata  what a plugin says of itself: read, merged, written
//! contract  whether a component is a plugin
//! said      metadata as it is typed
//! package   the contract as one file
//! error     why there is no component
//! ```
//!
//! Files are hostile: a fault of one is an error. Never gives a component that the exporter would refuse,
//! and never runs anything of it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use wit_component::ComponentEncoder;

mod contract;
mod error;
mod metadata;
mod package;
mod said;
mod sections;

pub use contract::{Interfaces, given};
pub use error::{ComponentizeError, MetadataError, Problem};
pub use metadata::{LARGEST_SCHEMA, LONGEST_TEXT, Metadata, SETTINGS};
pub use package::pack;
pub use said::Said;

use error::shown;

/// How large a file may be, in bytes. A Python guest has 18 MB.
pub const LARGEST: usize = 64 << 20;

/// What a core module imports functions of a system from, as C libraries name it.
const SYSTEM: &str = "wasi_snapshot_preview1";

/// A component that keeps to the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// All of it.
    pub bytes: Vec<u8>,
    /// What it exports and imports.
    pub interfaces: Interfaces,
    /// What it says of itself.
    pub metadata: Metadata,
}

/// Makes a component of these bytes: of a core module, whose sections name the world that it was built
/// for, or of a component. What is said of it here takes the place of what it says itself.
///
/// # Errors
///
/// See [`ComponentizeError`].
pub fn componentize(input: &[u8], said: Metadata) -> Result<Component, ComponentizeError> {
    if input.len() > LARGEST {
        return Err(ComponentizeError::TooLarge { size: input.len() });
    }
    let (own, component) = match sections::header(input) {
        Some(sections::MODULE) => {
            let (own, core) = metadata::lift(input)?;
            (own, encode(&core)?)
        }
        Some(sections::COMPONENT) => metadata::split(input)?,
        Some(_) => {
            return Err(ComponentizeError::Damaged("it is of an unknown version".to_owned()));
        }
        None => return Err(ComponentizeError::NoWasm),
    };
    let metadata = said.or(own);
    let bytes = metadata.add_to(component)?;
    if bytes.len() > LARGEST {
        return Err(ComponentizeError::TooLarge { size: bytes.len() });
    }
    let interfaces = Interfaces::of(&bytes)?;
    Ok(Component { bytes, interfaces, metadata })
}

fn encode(core: &[u8]) -> Result<Vec<u8>, ComponentizeError> {
    let system = sections::imported_from(core, SYSTEM);
    if !system.is_empty() {
        return Err(ComponentizeError::System(system));
    }
    let encoder = ComponentEncoder::default().validate(true).module(core);
    let encoded = encoder.and_then(|mut encoder| encoder.encode());
    encoded.map_err(|error| ComponentizeError::Encode(shown(&format!("{error:#}"))))
}

/// The bytes of a file, no more than [`componentize`] takes.
///
/// # Errors
///
/// When it cannot be read, or is too large.
pub fn read(path: &Path) -> Result<Vec<u8>, ComponentizeError> {
    read_most(path, LARGEST).and_then(|bytes| match bytes.len() {
        size if size > LARGEST => Err(ComponentizeError::TooLarge { size }),
        _ => Ok(bytes),
    })
}

/// So many bytes of a file, and one more if there is one.
fn read_most(path: &Path, most: usize) -> Result<Vec<u8>, ComponentizeError> {
    let mut bytes = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| words(&error));
    match read {
        Ok(_) => Ok(bytes),
        Err(problem) => Err(ComponentizeError::Unread { file: path.to_owned(), problem }),
    }
}

/// The system's words alone, as messages have them.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests;
