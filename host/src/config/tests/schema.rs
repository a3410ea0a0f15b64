//! The JSON Schema: that it and the reader know the same keys, and that the examples keep to it.

mod agree;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::{faults, good};
use crate::config::bounds::Bounds;
use crate::config::node;
use crate::config::raw::keys::{self, Key, Section, Unwritten, ValueKind};
use crate::config::raw::{Setting, setting};
use crate::config::schema;
use crate::config::{Fault, Severity};

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(&schema::json()).expect("JSON");
    jsonschema::draft202012::new(&schema).expect("a schema")
});

/// The file as an editor has it: scalars as YAML 1.2 reads them, aliases and merges written out.
fn as_json(text: &str) -> Value {
    let document = node::parse(text, &Bounds::default()).expect("YAML");
    value(setting(&document.root))
}

fn value(setting: Setting) -> Value {
    match setting {
        Setting::Null => Value::Null,
        Setting::Bool(value) => value.into(),
        Setting::Number(number) => number.into(),
        Setting::Text(text) => text.into(),
        Setting::List(items) => items.into_iter().map(value).collect(),
        Setting::Map(entries) => {
            entries.into_iter().map(|(key, setting)| (key, value(setting))).collect()
        }
    }
}

/// What the schema says against a file, a line each.
fn refusals(instance: &Value) -> String {
    let errors = SCHEMA.iter_errors(instance);
    errors.map(|error| format!("{}: {error}\n", error.instance_path())).collect()
}

/// Every file that a test finds without fault comes here.
pub(super) fn takes(text: &str) {
    let said = refusals(&as_json(text));
    assert!(said.is_empty(), "the schema refuses what the reader takes:\n{said}{text}");
}

/// Faults that no schema can say: parts of what people are told.
const BEYOND: &[&str] = &[
    // The range of a number with a unit.
    "is no size that this can have",
    "is no time that",
    // One number beside another.
    "is above bucket_max",
    "list each key once, ascending",
    "are no numbers of their own",
    "keys are kept for no time",
    "do not end at powers of two",
    "decodes the 1 bytes of the label before it",
    // Names that stand elsewhere, in this file or in the exporter.
    "the file has no plugin",
    "is the name of",
    "is read by",
    "is what the exporter tells of itself",
    "with escaping=",
    // The place of a label or a decoder in its list.
    "the histogram has no label for its buckets, only `cpu`",
    "the label of the buckets has",
    "is no bucket's key",
    "`le` is what",
    "hex digits",
    "is a decimal number",
    // What all files have together.
    "the configs have more than",
    "the histograms have more than",
    "all together",
    // Another grammar, or another file.
    "is not a regular expression",
    "names no file",
    "failed to read",
    // Others, which the file has more of than are told.
    "are not shown",
];

/// Every file in which a test finds faults comes here: the schema sees an error, unless it is beyond it.
pub(super) fn refuses(text: &str, faults: &[Fault]) {
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
    let beyond = |problem: &str| BEYOND.iter().any(|part| problem.contains(part));
    let seen: Vec<_> = errors.map(|fault| fault.to_string()).filter(|told| !beyond(told)).collect();
    let Ok(document) = node::parse(text, &Bounds::default()) else { return };
    if !seen.is_empty() && refusals(&value(setting(&document.root))).is_empty() {
        panic!("the schema takes what the reader refuses:\n{}\n{text}", seen.join("\n"));
    }
}

/// A file with every key that there is, without a fault.
const WHOLE: &str = "
metrics:
  counters:
    - name: a_total
      help: A
      perf_event_array: false
      ringbuf: false
      flush_interval: 1s
      max_series: 9
      labels:
        - {name: mapped, size: 1, padding: 3, decoders: [
            {name: static_map, static_map: {1: one}, allow_unknown: false, on_error: drop}]}
        - {name: found, size: 4, reuse: false, decoders: [{name: regexp, regexps: [a]}]}
        - {name: said, size: 1, decoders: [
            {name: wasm, plugin: zone, on_error: {label: error}}]}
      transforms:
        - {plugin: pods, on_error: {label: error}}
  histograms:
    - name: h
      help: H
      bucket_type: linear
      bucket_min: 0
      bucket_max: 3
      bucket_multiplier: 1
      max_series: 9
      labels: [{name: bucket, size: 4, decoders: [{name: uint}]}]
      transforms: [{plugin: pods}]
    - name: fixed
      help: F
      bucket_type: fixed
      bucket_keys: [1, 2]
      labels: [{name: bucket, size: 4, decoders: [{name: uint}]}]
    - name: native
      help: h
      bucket_type: native
      bucket_schema: 3
      bucket_max: 3
      native: true
      classic: false
      labels: [{name: bucket, size: 4, decoders: [{name: uint}]}]
kaddrs: [jiffies]
plugins:
  pods: {oci: 'ghcr.io/acme/pods:1.2.0@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}
  zone:
    file: zone.wasm
    sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    settings: {default: lan}
    data:
      pods: {file: pods.json, refresh: 10s, size: 16MiB}
    limits:
      memory: 16MiB
      deadline: 100ms
      output: 1MiB
      table: 100000
      instances: 128
      answers: 4MiB
      text: 32MiB
      hold: 5s
      compile: {time: 10s, memory: 448MiB}
tracing:
  spans:
    - name: span
      ringbuf: spans
      service: kernel
      labels: [{name: trace_id, size: 16, decoders: [{name: hex}]}]
cgroup_id_map: {name: m, type: hash, regexps: [a]}
";

/// A key that stands in a file: where, by a JSON pointer and as faults say it, and what it is.
struct Place {
    pointer: String,
    path: String,
    section: &'static Section,
    key: &'static Key,
}

/// The places of all keys of a section that `at` holds, those below it included.
fn places(at: &Value, pointer: &str, path: &str, section: &'static Section) -> Vec<Place> {
    let mut all = Vec::new();
    for (name, value) in at.as_object().expect("a mapping") {
        let known = section.keys.iter().find(|key| key.name == name);
        let key = known.unwrap_or_else(|| panic!("{}: no list of keys has {name}", section.name));
        let dot = if path.is_empty() { "" } else { "." };
        let (pointer, path) = (format!("{pointer}/{name}"), format!("{path}{dot}{name}"));
        all.extend(below(value, &pointer, &path, key));
        all.push(Place { pointer, path, section, key });
    }
    all
}

fn below(value: &Value, pointer: &str, path: &str, key: &Key) -> Vec<Place> {
    match (&key.kind, value) {
        (ValueKind::Items(section), Value::Array(items)) => {
            let item = |(n, item)| {
                places(item, &format!("{pointer}/{n}"), &format!("{path}[{n}]"), section)
            };
            items.iter().enumerate().flat_map(item).collect()
        }
        (ValueKind::Named(section), Value::Object(map)) => {
            let one = |(name, value): (&String, _)| {
                places(value, &format!("{pointer}/{name}"), &format!("{path}.{name}"), section)
            };
            map.iter().flat_map(one).collect()
        }
        (ValueKind::NamedOrOne(section), value) if value["file"].is_string() => {
            places(value, pointer, path, section)
        }
        (ValueKind::NamedOrOne(section), value) => {
            below(value, pointer, path, &Key { kind: ValueKind::Named(section), ..*key })
        }
        (ValueKind::Section(section) | ValueKind::Optional(section), value) => {
            places(value, pointer, path, section)
        }
        (ValueKind::OnError(_), Value::Object(_)) => places(value, pointer, path, &keys::ON_ERROR),
        _ => Vec::new(),
    }
}

/// The mapping in which the key at this pointer stands.
fn around<'v>(file: &'v mut Value, pointer: &str) -> &'v mut Map<String, Value> {
    let parent = pointer.rsplit_once('/').expect("a parent").0;
    file.pointer_mut(parent).and_then(Value::as_object_mut).expect("a mapping")
}

/// What cannot stand behind a key of this kind.
fn wrong(kind: &ValueKind) -> Value {
    match kind {
        ValueKind::Word | ValueKind::Text => json!(["x"]),
        ValueKind::Name => json!("a\nb"),
        ValueKind::Choice(_) | ValueKind::OnError(_) => json!("nonsense"),
        ValueKind::Boolean => json!("maybe"),
        ValueKind::Whole(_) | ValueKind::Number => json!("many"),
        ValueKind::Numbers => json!([1, "two"]),
        ValueKind::Duration(_) | ValueKind::Size(_) => json!("much"),
        ValueKind::Digest | ValueKind::Reference => json!("much"),
        ValueKind::Identifiers => json!(["a-b"]),
        ValueKind::Settings => json!(["x"]),
        ValueKind::Texts | ValueKind::Pairs | ValueKind::Items(_) | ValueKind::Named(_) => {
            json!("x")
        }
        ValueKind::NamedOrOne(_) | ValueKind::Section(_) | ValueKind::Optional(_) => json!("x"),
    }
}

#[test]
fn the_reader_reads_every_key_of_the_list_and_no_other() {
    assert_eq!(faults(WHOLE), "");
    let whole = as_json(WHOLE);
    let places = places(&whole, "", "", &keys::FILE);
    let found: BTreeSet<_> =
        places.iter().map(|place| (place.section.name, place.key.name)).collect();
    let sections: BTreeSet<_> = places.iter().map(|place| place.section.name).collect();
    let mut listed = BTreeSet::new();
    for section in places.iter().map(|place| place.section) {
        listed.extend(section.keys.iter().map(|key| (section.name, key.name)));
    }
    assert_eq!(found, listed, "`WHOLE` lacks a key");
    assert_eq!(sections.len(), 15, "`WHOLE` lacks a section");
    for Place { pointer, path, key, .. } in &places {
        let mut faulty = whole.clone();
        *faulty.pointer_mut(pointer).expect("it is there") = wrong(&key.kind);
        let told = faults(&faulty.to_string());
        let here = [":", "["].map(|end| format!(" {path}{end}"));
        assert!(here.iter().any(|here| told.contains(here)), "nobody reads {path}: {told}");
        assert!(!refusals(&faulty).is_empty(), "the schema takes {path}: {faulty}");
    }
}

#[test]
fn slips_are_refused() {
    let whole = as_json(WHOLE);
    for Place { pointer, path, section, key } in places(&whole, "", "", &keys::FILE) {
        if std::ptr::eq(section, &keys::FILE) {
            continue;
        }
        let mut faulty = whole.clone();
        around(&mut faulty, &pointer).insert(format!("{}x", key.name), json!([]));
        assert!(faults(&faulty.to_string()).contains("unknown key"), "{path}");
        assert!(!refusals(&faulty).is_empty(), "{path}");
    }
}

#[test]
fn what_is_needed_is_needed_by_both() {
    let whole = as_json(WHOLE);
    for Place { pointer, path, key, .. } in places(&whole, "", "", &keys::FILE) {
        let mut without = whole.clone();
        around(&mut without, &pointer).remove(key.name);
        let told = faults(&without.to_string());
        let needed = match key.default {
            Unwritten::Needed | Unwritten::NeededWithout(_) => true,
            Unwritten::Nothing | Unwritten::Written(_) | Unwritten::Said(_) => false,
        };
        if needed {
            assert!(told.lines().any(|line| !line.contains("warning")), "{path}: {told}");
        }
        assert_eq!(refusals(&without).is_empty(), !needed, "{path}");
    }
}

#[test]
fn defaults_are_what_the_reader_does() {
    let plan = |text: &str| {
        let config = good(text);
        (config.metrics, config.plugins, config.cgroup_id_map)
    };
    let whole = as_json(WHOLE);
    for Place { pointer, path, key, .. } in places(&whole, "", "", &keys::FILE) {
        let Unwritten::Written(default) = key.default else { continue };
        let (mut with, mut without) = (whole.clone(), whole.clone());
        *with.pointer_mut(&pointer).expect("it is there") = as_json(default);
        around(&mut without, &pointer).remove(key.name);
        assert_eq!(plan(&with.to_string()), plan(&without.to_string()), "{path}");
    }
}

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

#[test]
fn the_file_for_editors_is_what_the_program_prints() {
    let file = fs::read_to_string(repository("docs/config.schema.json")).unwrap_or_default();
    assert!(
        file == schema::json(),
        "docs/config.schema.json is not what the program prints; renew it: \
         cargo run -p ebpf_wasm_exporter -- config schema > docs/config.schema.json"
    );
}

#[test]
fn examples_name_the_schema_and_keep_to_it() {
    let mut names = Vec::new();
    for entry in fs::read_dir(repository("examples")).expect("the examples").flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path).expect("text");
            let first = text.lines().next();
            let expected = "# yaml-language-server: $schema=../docs/config.schema.json";
            assert_eq!(first, Some(expected), "{}", path.display());
            takes(&text);
            names.push(path);
        }
    }
    assert!(!names.is_empty());
    takes(&fs::read_to_string(repository("host/tests/bpf/workload.yaml")).expect("text"));
}
