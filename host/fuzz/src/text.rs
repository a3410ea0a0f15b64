//! What all texts have to be that people read.

use ebpf_wasm_exporter::config::{Fault, Severity, shown};

/// Bytes of the longest message: a path, a problem, a remedy and an evidence, each cut.
const LONGEST: usize = 64 << 10;

/// How many lines a text has as YAML counts them, where a carriage return ends one too.
pub(crate) fn lines(text: &str) -> usize {
    text.replace("\r\n", "\n").split(['\n', '\r']).count()
}

/// Panics unless it is one line that no terminal obeys.
pub(crate) fn one_line(text: &str) {
    assert!(!text.is_empty(), "an empty message");
    assert!(text.len() <= LONGEST, "a message of {} bytes", text.len());
    assert!(!text.chars().any(char::is_control), "a message with control characters: {text:?}");
}

/// Panics unless each can be shown, and all are few. Whether one of them is an error.
pub(crate) fn faults(faults: Vec<Fault>, lines: usize) -> bool {
    let is_error = faults.iter().any(|fault| fault.severity == Severity::Error);
    for fault in shown(faults) {
        one_line(&fault.to_string());
        let line = fault.line.unwrap_or(1);
        // What is told behind all others has a line behind all others.
        assert!((1..=lines + 1).contains(&line) || line == usize::MAX, "line {line} of {lines}");
    }
    is_error
}
