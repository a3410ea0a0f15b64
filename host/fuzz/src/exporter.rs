//! Where the exporter is, as a program: guests are compiled by a child of its.

use std::env;
use std::path::PathBuf;

/// The variable that names it.
const VARIABLE: &str = "EXPORTER";

/// The exporter: what `EXPORTER` names, else the one that was built with this program, if there is one.
pub fn exporter() -> Option<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        return Some(named.into());
    }
    let program = env::current_exe().ok()?;
    let beside = program.ancestors().skip(1).take(2).map(|dir| dir.join("ebpf_wasm_exporter"));
    beside.into_iter().find(|file| file.is_file())
}
