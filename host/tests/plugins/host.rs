//! The host, asked as a table.

use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use ebpf_wasm_exporter::advice::Advise as _;
use ebpf_wasm_exporter::decode::{Answers, Batch, Decoder, Outcome};
use ebpf_wasm_exporter::plugin::{CacheDir, Compiler, Limits, Loader, PluginError, Request};
use serde_json::Value;

use crate::directory;

/// The memory is what a config without `limits` gives. The deadline is not: tests run beside others, in a
/// compiler's shadow.
const LIMITS: fn() -> Limits = || Limits { deadline: Duration::from_secs(10), ..Limits::default() };

/// Asks all inputs, in hex, in one call, and compares the answers. One that is an error is
/// `(error: TEXT)`.
pub fn check(plugin: &str, settings: &Value, cases: &[(&str, &str)]) {
    let mut decoder = start(plugin, settings, LIMITS()).unwrap();
    let mut batch = Batch::default();
    cases.iter().for_each(|(input, _)| batch.push(&bytes(input)));
    let mut answers = Answers::default();
    decoder.decode_batch(&batch, &mut answers);
    assert_eq!(answers.iter().count(), cases.len(), "{plugin}");
    for ((input, expected), (text, outcome)) in cases.iter().zip(answers.iter()) {
        let answer = match outcome {
            Ok(Outcome::Label) => String::from_utf8(text.to_vec()).unwrap(),
            Ok(other) => format!("({other:?})"),
            Err(error) => format!("(error: {error})"),
        };
        assert_eq!(answer, *expected, "{plugin}: {input}");
    }
}

/// Checks that settings are refused with this text, and that the user is told what to correct.
pub fn refuses(plugin: &str, cases: &[(Value, &str)]) {
    for (settings, expected) in cases {
        let said = start(plugin, settings, LIMITS()).err().unwrap_or_default();
        let text = said.strip_prefix("the plugin refuses its configuration: ");
        let text = text.and_then(|text| text.strip_suffix("; correct its `settings`"));
        assert_eq!(text, Some(*expected), "{plugin}: {settings}: {said}");
    }
}

/// Whether it refuses these settings, with whatever text.
pub fn is_refused(plugin: &str, settings: &Value) -> bool {
    let said = start(plugin, settings, LIMITS()).err().unwrap_or_default();
    said.starts_with("the plugin refuses its configuration: ")
}

/// What the user is told when an instance is given less memory than it wants.
pub fn without_memory(plugin: &str, memory: usize) -> String {
    let limits = Limits { memory, ..LIMITS() };
    start(plugin, &serde_json::json!({}), limits).err().unwrap()
}

fn start(plugin: &str, settings: &Value, limits: Limits) -> Result<Box<dyn Decoder>, String> {
    /// So that each plugin is compiled once, and not again by the next run of the tests.
    static LOADER: LazyLock<Mutex<Loader>> = LazyLock::new(|| {
        let compiler = Compiler::program(env!("CARGO_BIN_EXE_ebpf_wasm_exporter"));
        let dir = concat!(env!("CARGO_TARGET_TMPDIR"), "/plugins").as_ref();
        Mutex::new(Loader::new(compiler, CacheDir::chosen(Some(dir), None)))
    });
    let request = Request {
        config: "test",
        name: plugin,
        file: &Path::new(plugin).with_extension("wasm"),
        places: &[&directory()],
        held: None,
        pin: None,
        settings: &settings.to_string(),
        data: &[],
        limits,
    };
    let said = |error: PluginError| error.advice().to_string();
    let loaded = LOADER.lock().unwrap_or_else(PoisonError::into_inner).load(&request);
    loaded.map_err(said)?.decoder().map_err(said)
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}
