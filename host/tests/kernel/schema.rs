//! Every config of these tests that has no fault is held against the JSON Schema, as an editor does.

use std::path::PathBuf;
use std::sync::LazyLock;

use ebpf_wasm_exporter::config::{self, ConfigFile, schema};
use jsonschema::Validator;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(&schema::json()).expect("JSON");
    jsonschema::draft202012::new(&schema).expect("a schema")
});

/// Fails if the exporter takes the YAML of `file` without a word, and the schema does not.
pub fn judge(file: PathBuf, yaml: &str) {
    let file = ConfigFile::new(file, yaml);
    let (_, faults) = config::load(vec![file], &[]);
    if faults.is_empty() {
        let instance = serde_yaml::from_str(yaml).expect("YAML of which JSON can be made");
        let said: Vec<_> = SCHEMA.iter_errors(&instance).map(|error| error.to_string()).collect();
        assert!(said.is_empty(), "the schema refuses what the exporter takes: {said:?}\n{yaml}");
    }
}
