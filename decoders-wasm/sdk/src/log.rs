//! Lines for the exporter's log, marked by it with the plugin's name.
//!
//! The host lets 10 lines a second through and cuts each at 1,024 bytes. Natively (in tests) they
//! go to standard error.

/// Logs that something is wrong.
pub fn error(message: &str) {
    write(Level::Error, message);
}

/// Logs that something looks wrong.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// Logs something worth knowing.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Logs something for whoever hunts a fault.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

use crate::bindings::decoder::ebpf_exporter::plugin::log::Level;

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    crate::bindings::decoder::ebpf_exporter::plugin::log::log(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
fn write(level: Level, message: &str) {
    use std::io::Write as _;

    // Where it cannot be written, nobody reads it.
    let _ = writeln!(std::io::stderr(), "{level:?}: {message}");
}
