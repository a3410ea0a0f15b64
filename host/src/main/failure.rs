//! Why the process ends, as its exit code and its last lines say it.

use ebpf_wasm_exporter::advice::{Advice, Advise};
use ebpf_wasm_exporter::cli::Exit;
use ebpf_wasm_exporter::descriptors;
use ebpf_wasm_exporter::logging::{self, Level};

/// Why the process ends, and the exit code that says so.
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What is to be said, if anything.
    pub(crate) told: Vec<Advice>,
}

/// The failure that an error is, and whether it is for want of file descriptors.
pub(crate) fn fail(exit: Exit, error: impl Advise) -> Failure {
    let descriptors = descriptors::explain_error(&error);
    Failure { exit, told: [error.advice()].into_iter().chain(descriptors).collect() }
}

pub(crate) fn refuse(exit: Exit, advice: Advice) -> Failure {
    Failure { exit, told: vec![advice] }
}

pub(crate) fn say(advice: &Advice) {
    logging::say(Level::Error, "error: ", &advice.to_string());
}
