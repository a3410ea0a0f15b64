//! What is made of core modules and components, and what is refused.

use std::fs;

use serde_json::json;
use wit_component::{DecodedWasm, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

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

fn decoder() -> Vec<u8> {
    core(None, "decoder")
}

fn made(input: &[u8], said: Metadata) -> Component {
    componentize(input, said).unwrap()
}

fn refused(input: &[u8], said: Metadata) -> String {
    let error = componentize(input, said).unwrap_err();
    format!("{error}; {}", error.remedy())
}

/// All that can be said, each text being its field's name.
fn everything() -> Metadata {
    let text = |text: &str| Some(text.to_owned());
    Metadata {
        name: text("a name"),
        version: text("1.2.0"),
        description: text("does — ü"),
        authors: text("somebody"),
        licenses: text("MIT OR Apache-2.0"),
        source: text("https://example.org/source"),
        homepage: text("https://example.org/"),
        revision: text("0123abc"),
        settings: Some(json!({"type": "object"})),
    }
}

/// What a host reads at the top level.
fn read_back(component: &[u8]) -> Metadata {
    metadata::split(component).unwrap().0
}

#[test]
fn both_worlds_become_components() {
    for (world, interface) in [("decoder", "decoding"), ("transform", "transforming")] {
        let Component { mut interfaces, bytes, metadata } =
            made(&core(None, world), Metadata::default());
        interfaces.imports.sort();
        assert_eq!(interfaces.export, format!("ebpf-exporter:plugin/{interface}@0.1.0"));
        assert_eq!(interfaces.imports, given("0.1.0").collect::<Vec<_>>());
        assert!(wit_component::decode(&bytes).is_ok());
        assert!(metadata.is_empty());
    }
}

#[test]
fn what_is_said_stands_in_the_component() {
    let component = made(&decoder(), everything()).bytes;
    assert_eq!(read_back(&component), everything());
}

#[test]
fn what_is_said_takes_the_place_of_what_was() {
    let first = made(&decoder(), everything()).bytes;
    let text = |text: &str| Some(text.to_owned());
    let said = Metadata { name: text("other"), version: text("2.0.0"), ..Metadata::default() };
    let again = made(&first, said.clone());
    assert_eq!(again.metadata, said.or(everything()));
    assert_eq!(read_back(&again.bytes), again.metadata);
    // The same again is the same file.
    assert_eq!(made(&first, everything()).bytes, first);
}

#[test]
fn what_a_core_module_says_is_lifted() {
    let mut core = decoder();
    let link = |core: &mut Vec<u8>, field: &str, text: &str| {
        sections::append(core, &format!("ebpf-exporter:{field}"), text.as_bytes());
    };
    for (field, text) in everything().texts() {
        link(&mut core, field, text.unwrap());
    }
    link(&mut core, "authors", "");
    link(&mut core, "settings", r#"{"type": "object"}"#);
    link(&mut core, "unknown", "stays");
    let component = made(&core, Metadata::default());
    assert_eq!(component.metadata, everything());
    assert_eq!(read_back(&component.bytes), everything());
    let holds = |text: &str| component.bytes.windows(text.len()).any(|is| is == text.as_bytes());
    assert!(!holds("ebpf-exporter:version") && holds("ebpf-exporter:unknown"));
    let two = Metadata { authors: Some("a <a@b>, c".to_owned()), ..Metadata::default() };
    let mut core = decoder();
    link(&mut core, "authors", "a <a@b>:c");
    assert_eq!(made(&core, Metadata::default()).metadata, two);
}

#[test]
fn what_is_no_plugin_is_refused() {
    let of = |core: &[u8]| refused(core, Metadata::default());
    let made_up = |text| of(&core(Some(text), "w"));
    insta::assert_snapshot!(made_up("package a:b@1.0.0; interface i { f: func(); } world w { export i; }"), @"a plugin exports one interface of the contract, not a:b/i@1.0.0; export decoding or transforming of wit/0.1.0, and not both");
    insta::assert_snapshot!(made_up(
        "package ebpf-exporter:plugin@0.1.0; interface decoding { f: func(); }
         interface clock { f: func(); } world w { import clock; export decoding; }"
    ), @"a plugin may import ebpf-exporter:plugin/data@0.1.0 and ebpf-exporter:plugin/log@0.1.0 only, not ebpf-exporter:plugin/clock@0.1.0; build it without what needs a system, such as files, clocks or WASI: componentize-py and componentize-qjs leave that out with `--stub-wasi`");
    insta::assert_snapshot!(of(b"\0asm\x01\0\0\0"), @"it exports no plugin; call export_decoder! or export_transform!, or export an interface of wit/0.1.0");
    insta::assert_snapshot!(of(b"\0asm\x0d\0\x01\0"), @"it exports no plugin; call export_decoder! or export_transform!, or export an interface of wit/0.1.0");
    insta::assert_snapshot!(of(b"\0asm\x02\0\0\0"), @"the file is damaged: it is of an unknown version; build or copy the file again");
    insta::assert_snapshot!(of(b"text"), @"found no WebAssembly, expected a core module or a component; name the .wasm file that a compiler for WebAssembly wrote");
    insta::assert_snapshot!(of(b"\0asm\x01\0\0\0\x00\x7f"), @"the file is damaged: unexpected end-of-file at byte 10; build or copy the file again");
}

#[test]
fn what_needs_a_system_is_refused_by_its_names() {
    use wasm_encoder::{EntityType, ImportSection, Module, TypeSection};

    let (mut types, mut imports, mut core) =
        (TypeSection::new(), ImportSection::new(), Module::new());
    types.ty().function([], []);
    for name in ["fd_write", "fd_close", "clock_time_get", "fd_close", "random_get", "fd_seek"] {
        imports.import("wasi_snapshot_preview1", name, EntityType::Function(0));
    }
    core.section(&types).section(&imports);
    insta::assert_snapshot!(refused(&core.finish(), Metadata::default()), @"the core module calls functions of a system, which a plugin does not have: clock_time_get, fd_close, fd_seek, fd_write and 1 more; do without files, clocks, random numbers and printing; in C, `snprintf` needs format.c of sdk-c");
}

#[test]
fn what_cannot_be_said_is_refused() {
    let of = |field: &str, text: &[u8]| {
        let mut core = decoder();
        sections::append(&mut core, &format!("ebpf-exporter:{field}"), text);
        refused(&core, Metadata::default())
    };
    insta::assert_snapshot!(of("version", &[0xff]), @"`version` of the metadata is not UTF-8; write it anew, as UTF-8");
    insta::assert_snapshot!(of("description", &[b'a'; 1025]), @"`description` of the metadata has 1025 bytes, more than 1024; shorten it");
    insta::assert_snapshot!(of("licenses", "§ 7".as_bytes()), @"`licenses` of the metadata is no SPDX expression; write an SPDX expression, such as MIT OR Apache-2.0");
    for license in
        ["nonsense license", "MIT OR", "OR MIT", "(MIT", "MIT)", "()", "MIT () OR X", "MIT/X"]
    {
        let said = of("licenses", license.as_bytes()).to_string();
        assert!(said.contains("is no SPDX expression"), "{license}: {said}");
    }
    insta::assert_snapshot!(of("version", b"v1"), @"`version` of the metadata is no semantic version; write a whole one, such as 1.2.0");
    insta::assert_snapshot!(of("source", b"git@example.org:x"), @"`source` of the metadata is no URL; write all of it, such as https://example.org/plugin");
    insta::assert_snapshot!(of("settings", b"{"), @"`settings` of the metadata is no JSON Schema: EOF while parsing an object at line 1 column 1; write a JSON Schema, which is an object");
    insta::assert_snapshot!(of("settings", b"[]"), @"`settings` of the metadata is no JSON Schema: it is no object; write a JSON Schema, which is an object");
    let deep = format!("{}{}", r#"{"a":"#.repeat(40), "1".to_owned() + &"}".repeat(40));
    insta::assert_snapshot!(of("settings", deep.as_bytes()), @"`settings` of the metadata is nested too deep; flatten the schema");
    let mut core = decoder();
    sections::append(&mut core, "ebpf-exporter:version", b"1");
    sections::append(&mut core, "ebpf-exporter:version", b"2");
    insta::assert_snapshot!(refused(&core, Metadata::default()), @"`version` of the metadata is there twice; write it once");
    let long = Said { name: Some("a".repeat(2000)), ..Said::default() };
    insta::assert_snapshot!(long.metadata().unwrap_err(), @"`name` of the metadata has 2000 bytes, more than 1024");
    let gone = Said { settings_schema: Some("gone.json".into()), ..Said::default() };
    insta::assert_snapshot!(gone.metadata().unwrap_err(), @"failed to read gone.json: no such file or directory");
}

#[test]
fn damage_anywhere_is_told_or_harmless() {
    let (core, component) = (decoder(), made(&decoder(), everything()).bytes);
    for file in [core, component] {
        for at in 0..file.len() {
            let mut bytes = file.clone();
            bytes[at] ^= 0x55;
            let _ = componentize(&bytes, everything());
            let _ = componentize(&file[..at], everything());
        }
    }
}

#[test]
fn files_are_read_within_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let large = dir.path().join("large.wasm");
    File::create(&large).unwrap().set_len(LARGEST as u64 + 1).unwrap();
    insta::assert_snapshot!(read(&large).unwrap_err(), @"the file has 67108865 bytes, more than 67108864");
}

#[test]
fn the_contract_becomes_a_package() {
    let wit = |name| fs::read_to_string(format!("../../wit/0.1.0/{name}.wit")).unwrap();
    let names = ["data", "decoding", "log", "transforming", "worlds"];
    let texts = names.map(wit);
    let files: Vec<_> = names.into_iter().zip(texts.iter().map(String::as_str)).collect();
    let packed = pack(&files).unwrap();
    let DecodedWasm::WitPackage(resolve, package) = wit_component::decode(&packed).unwrap() else {
        panic!("no package");
    };
    let package = &resolve.packages[package];
    assert_eq!(package.name.to_string(), "ebpf-exporter:plugin@0.1.0");
    assert_eq!(package.worlds.keys().collect::<Vec<_>>(), ["decoder", "transform"]);
    let refused = pack(&[("a.wit", "package a:b; world {")]).unwrap_err();
    assert!(refused.to_string().starts_with("failed to make a package of the contract: "));
}
