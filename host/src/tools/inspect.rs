//! `plugin inspect`: what a file is, from its bytes alone.

use std::fmt::Write as _;
use std::path::Path;

use super::ToolError;
use super::plugin::{self, CompileLimits, Compiler, Import, Inspection};

pub(super) fn inspect(
    file: &Path,
    compiler: &Compiler,
    limits: CompileLimits,
) -> Result<String, ToolError> {
    let found = plugin::inspect_file(file, compiler, limits)?;
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
    Ok(out)
}
