//! `componentize INPUT.wasm OUTPUT.wasm`: what `ebpf_wasm_exporter plugin componentize` does, without an
//! exporter to be built before. It says in one line what it has made.
//!
//! Never decides anything: the library does.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool that is built and run by hand"
)]

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use componentize::{Component, ComponentizeError, Said};

/// Makes a plugin's core module a component, or says in a component what it is.
#[derive(Parser)]
struct Order {
    /// The core module, or the component
    input: PathBuf,

    /// The component to write
    output: PathBuf,

    #[command(flatten)]
    said: Said,
}

fn main() -> ExitCode {
    let order = Order::parse();
    let (input, output) = (order.input.display(), order.output.display());
    let Component { bytes, interfaces, .. } = match order.make() {
        Ok(component) => component,
        Err(error) => {
            eprintln!("failed to componentize {input}: {error}; {}", error.remedy());
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = fs::write(&order.output, &bytes) {
        eprintln!("failed to write {output}: {error}");
        return ExitCode::FAILURE;
    }
    let imports = match interfaces.imports.join(", ") {
        none if none.is_empty() => "nothing".to_owned(),
        imports => imports,
    };
    println!("{output}: {} bytes, exports {}, imports {imports}", bytes.len(), interfaces.export);
    ExitCode::SUCCESS
}

impl Order {
    fn make(&self) -> Result<Component, ComponentizeError> {
        let said = self.said.metadata()?;
        componentize::componentize(&componentize::read(&self.input)?, said)
    }
}
