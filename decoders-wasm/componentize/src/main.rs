//! `componentize CORE.wasm COMPONENT.wasm`: makes the core module that cargo built a component,
//! checks what it exports and imports against the contract, and says so in one line.
//!
//! Never writes a component that the exporter would refuse.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool that is built and run by hand"
)]

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{Resolve, WorldId, WorldItem, WorldKey};

/// What every interface of the contract is called, in front of its own name.
const PACKAGE: &str = "ebpf-exporter:plugin/";

fn main() -> Result<()> {
    let mut paths = env::args_os().skip(1).map(PathBuf::from);
    let (Some(core), Some(component), None) = (paths.next(), paths.next(), paths.next()) else {
        bail!("usage: componentize CORE.wasm COMPONENT.wasm");
    };
    let plugin = read(&core).and_then(|core| componentize(&core));
    let plugin = plugin.with_context(|| format!("failed to componentize {}", core.display()))?;
    fs::write(&component, &plugin.bytes)
        .with_context(|| format!("failed to write {}", component.display()))?;
    let Plugin { bytes, export, import } = plugin;
    let import = import.as_deref().unwrap_or("nothing");
    println!("{}: {} bytes, exports {export}, imports {import}", component.display(), bytes.len());
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("failed to read {}", path.display()))
}

/// A component that keeps to the contract.
#[derive(Debug)]
struct Plugin {
    bytes: Vec<u8>,
    /// The one interface that it exports.
    export: String,
    /// The one interface that it imports, if it does.
    import: Option<String>,
}

/// Makes a core module a component. The worlds that it was built for stand in its own sections.
fn componentize(core: &[u8]) -> Result<Plugin> {
    let bytes = encode(core).context("is this a core module of a crate that exports a plugin?")?;
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&bytes)? else {
        bail!("the encoder gave no component");
    };
    let world = Names::of(&resolve, world);
    let export = match world.exports.as_slice() {
        [one] if is_plugin(one) => one.clone(),
        [] => bail!("the module exports no plugin; call export_decoder! or export_transform!"),
        others => bail!("a plugin exports one interface, not {}", others.join(", ")),
    };
    let (_, version) = export.split_once('@').context("the exported interface has no version")?;
    let log = format!("{PACKAGE}log@{version}");
    let foreign: Vec<_> = world.imports.iter().filter(|name| **name != log).cloned().collect();
    if !foreign.is_empty() {
        bail!("a plugin may import {log} only, not {}", foreign.join(", "));
    }
    Ok(Plugin { bytes, export, import: world.imports.into_iter().next() })
}

fn encode(core: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(core)?.encode()
}

fn is_plugin(name: &str) -> bool {
    name.strip_prefix(PACKAGE).is_some_and(|interface| {
        interface.starts_with("decoding@") || interface.starts_with("transforming@")
    })
}

/// The full names of what a component exports and imports.
struct Names {
    exports: Vec<String>,
    imports: Vec<String>,
}

impl Names {
    fn of(resolve: &Resolve, world: WorldId) -> Self {
        let world = &resolve.worlds[world];
        let name = |(key, _): (&WorldKey, &WorldItem)| resolve.name_world_key(key);
        Self {
            exports: world.exports.iter().map(name).collect(),
            imports: world.imports.iter().map(name).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use wit_component::{StringEncoding, dummy_module, embed_component_metadata};
    use wit_parser::{LiftLowerAbi, ManglingAndAbi};

    use super::*;

    /// A core module of this world: of our contract, or of a package made up here.
    fn core(text: Option<&str>, world: &str) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let package = match text {
            None => resolve.push_dir("../../wit/0.1.0").unwrap().0,
            Some(text) => resolve.push_str("made-up.wit", text).unwrap(),
        };
        let world = resolve.select_world(&[package], Some(world)).unwrap();
        let abi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
        let mut core = dummy_module(&resolve, world, abi);
        embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).unwrap();
        core
    }

    #[test]
    fn both_worlds_become_components() {
        for (world, interface) in [("decoder", "decoding"), ("transform", "transforming")] {
            let plugin = componentize(&core(None, world)).unwrap();
            assert_eq!(plugin.export, format!("ebpf-exporter:plugin/{interface}@0.1.0"));
            assert_eq!(plugin.import.as_deref(), Some("ebpf-exporter:plugin/log@0.1.0"));
            assert!(wit_component::decode(&plugin.bytes).is_ok());
        }
    }

    #[test]
    fn what_is_no_plugin_is_refused() {
        let refused = |core: &[u8]| format!("{:#}", componentize(core).unwrap_err());
        let made_up = |text| refused(&core(Some(text), "w"));
        assert_eq!(
            made_up("package a:b@1.0.0; interface i { f: func(); } world w { export i; }"),
            "a plugin exports one interface, not a:b/i@1.0.0"
        );
        assert_eq!(
            made_up(
                "package ebpf-exporter:plugin@0.1.0; interface decoding { f: func(); }
                 interface clock { f: func(); } world w { import clock; export decoding; }"
            ),
            "a plugin may import ebpf-exporter:plugin/log@0.1.0 only, \
             not ebpf-exporter:plugin/clock@0.1.0"
        );
        assert!(refused(b"\0asm\x01\0\0\0").contains("call export_decoder!"));
        assert!(refused(b"text").contains("is this a core module"));
    }
}
