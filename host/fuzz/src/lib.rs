//! What the exporter reads from outside, each fed with any bytes: one [`Target`] for each door.
//!
//! A target is a plain function. libFuzzer calls it with what it makes up, `make fuzz`, and a test calls it with
//! all that is kept below `seeds/`, `make test`. A target panics if what it was given broke a rule; all other
//! outcomes are good ones. It never needs a kernel, the network, or a file that the input names.

use std::path::Path;
use std::sync::LazyLock;

use ebpf_wasm_exporter::system::System;

mod bundle;
mod component;
mod encoder;
mod exporter;
mod guest_answer;
mod http;
mod key;
mod object;
mod reader;
mod recording;
mod text;
mod yaml;

pub use bundle::bundle;
pub use component::component;
pub use encoder::encoder;
pub use exporter::exporter;
pub use guest_answer::guest_answer;
pub use http::http;
pub use key::key;
pub use object::object;
pub use recording::recording;
pub use yaml::yaml;

/// A door to the exporter.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called: a file of `fuzz_targets/`, a folder of `seeds/`.
    pub name: &'static str,
    /// Takes in any bytes, and panics if a rule is broken.
    pub run: fn(&[u8]),
    /// Whether it has the exporter itself compile a guest: see [`exporter()`].
    pub compiles: bool,
}

/// All of them.
pub const ALL: [Target; 9] = [
    target("bundle", bundle),
    target("component", component),
    target("encoder", encoder),
    Target { name: "guest_answer", run: guest_answer, compiles: true },
    target("http", http),
    target("key", key),
    target("object", object),
    target("recording", recording),
    target("yaml", yaml),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run, compiles: false }
}

/// A host of few names, the same on each machine. Its tables are read once for all inputs.
static SYSTEM: LazyLock<System> =
    LazyLock::new(|| System::at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("root")));
