//! What all shipped plugins say of themselves, those in Rust too.

use std::process::Command;

use ebpf_wasm_exporter::plugin::{self, CompileLimits, Compiler, Inspection, Metadata};

use crate::{directory, host};

const EXPORTER: &str = env!("CARGO_BIN_EXE_ebpf_wasm_exporter");

fn inspected(plugin: &str) -> Inspection {
    let file = directory().join(plugin).with_extension("wasm");
    let compiler = Compiler::program(EXPORTER);
    plugin::inspect_file(&file, &compiler, CompileLimits::default()).unwrap()
}

/// Name, version, authors, licence, source, and a schema of its settings that is one.
pub fn says_what_it_is(plugin: &str) {
    let Inspection { metadata, notes, .. } = inspected(plugin);
    let Metadata { name, version, authors, licenses, source, description, settings, .. } = metadata;
    assert_eq!(authors.as_deref(), Some("The ebpf_wasm_exporter authors"), "{plugin}");
    assert_eq!(notes, [""; 0], "{plugin}");
    assert_eq!(name.as_deref(), Some(plugin));
    assert_eq!(version.as_deref(), Some(env!("CARGO_PKG_VERSION")), "{plugin}");
    // This one holds a list of somebody else's.
    let license = if plugin == "domain" { "Apache-2.0 AND MPL-2.0" } else { "Apache-2.0" };
    assert_eq!(licenses.as_deref(), Some(license), "{plugin}");
    assert_eq!(source.as_deref(), Some(env!("CARGO_PKG_REPOSITORY")), "{plugin}");
    assert!(description.is_some_and(|text| text.contains(" plugin: ")), "{plugin}");
    let schema = settings.unwrap();
    let judge = jsonschema::draft202012::new(&schema).unwrap();
    let examples = schema["examples"].as_array().unwrap();
    assert!(!examples.is_empty(), "{plugin}");
    for example in examples {
        assert!(judge.is_valid(example), "{plugin}: {example}");
    }
}

/// The guest takes what its schema calls an example, and refuses other keys, as the schema says.
pub fn means_what_it_says(plugin: &str) {
    let schema = inspected(plugin).metadata.settings.unwrap();
    for example in schema["examples"].as_array().unwrap() {
        host::check(plugin, example, &[]);
        let mut other = example.clone();
        other["nobody-knows-this-key"] = 1.into();
        assert!(host::is_refused(plugin, &other), "{plugin}: {other}");
    }
    assert_eq!(schema["additionalProperties"], false, "{plugin}");
}

/// By the process that does it for strangers' files, within what that may take.
pub fn is_made_again(plugin: &str) {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("made.wasm");
    let mut command = Command::new(EXPORTER);
    command.args(["plugin", "componentize"]).arg(directory().join(plugin).with_extension("wasm"));
    let output = command.arg(&made).args(["--version", "9.0.0"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let compiler = Compiler::program(EXPORTER);
    let found = plugin::inspect_file(&made, &compiler, CompileLimits::default()).unwrap();
    let before = inspected(plugin).metadata;
    assert_eq!(found.metadata, Metadata { version: Some("9.0.0".to_owned()), ..before });
}
