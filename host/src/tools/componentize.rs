//! `plugin componentize`: the component that a core module becomes, or a component with what is said of it.

use std::fs;
use std::path::Path;

use componentize::Said;

use super::ToolError;
use super::plugin::{self, CompileLimits, Compiler};

/// What is made of which file.
pub(super) struct Order<'a> {
    pub(super) input: &'a Path,
    pub(super) output: &'a Path,
    pub(super) said: &'a Said,
}

impl Order<'_> {
    /// Writes the component, and says what it is in one line.
    pub(super) fn make(
        &self,
        compiler: &Compiler,
        limits: CompileLimits,
    ) -> Result<String, ToolError> {
        let said = self.said.metadata()?;
        let (inspection, bytes) = plugin::componentize_file(self.input, &said, compiler, limits)?;
        let file = self.output;
        fs::write(file, &bytes)
            .map_err(|source| ToolError::Unwritten { file: file.to_owned(), source })?;
        let (world, version) = (inspection.world, inspection.version);
        Ok(format!("{}: {} bytes, a {world} for {version}\n", file.display(), bytes.len()))
    }
}
