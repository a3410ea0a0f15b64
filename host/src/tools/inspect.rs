//! `plugin inspect`: what a component is, from its bytes alone.

use std::fmt::Write as _;
use std::path::Path;

use super::ToolError;
use super::plugin::{self, CompileLimits, Compiler, Import, Inspection};

/// Looks at components, in a process of their own.
#[derive(Clone, Copy)]
pub(super) struct Looker<'a> {
    pub(super) compiler: &'a Compiler,
    pub(super) limits: CompileLimits,
}

impl Looker<'_> {
    /// What there is to be said of a file.
    pub(super) fn file(&self, file: &Path) -> Result<String, ToolError> {
        Ok(text(plugin::inspect_file(file, self.compiler, self.limits)?))
    }

    /// What there is to be said of bytes.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Result<String, ToolError> {
        Ok(text(self.look(bytes)?))
    }

    /// What bytes are.
    pub(super) fn look(&self, bytes: &[u8]) -> Result<Inspection, ToolError> {
        Ok(plugin::inspect_bytes(bytes, self.compiler, self.limits)?)
    }
}

fn text(found: Inspection) -> String {
    let Inspection { world, version, imports, size, digest, memory, .. } = found;
    let mut out = format!(
        "world    {world}\nversion  {version}\nsize     {size} bytes\nsha256   {digest}\n\
         memory   {memory} bytes at the start\n"
    );
    let _ = match imports.len() {
        0 => writeln!(out, "imports  nothing"),
        _ => writeln!(out, "imports"),
    };
    for Import { name, given } in imports {
        let state = if given { "given" } else { "not given: a call of it traps" };
        let _ = writeln!(out, "  {}  ({state})", name.escape_debug());
    }
    out
}
