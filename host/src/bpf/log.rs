//! libbpf's own log: all of it goes to ours at debug level, and what it warns of during a call is
//! kept, so that a failure of that call can be explained.
//!
//! Never decides what a line means: [`super::reason`] does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Once;

use libbpf_rs::PrintLevel;

/// Lines kept of one call: a verifier's log can have millions, and its end tells what was wrong.
const KEPT_LINES: usize = 200;

/// The log's target in `tracing`, for filters such as `libbpf=debug`.
const TARGET: &str = "libbpf";

thread_local! {
    /// What libbpf said since [`capture`] began on this thread.
    static CAPTURED: RefCell<Option<VecDeque<String>>> = const { RefCell::new(None) };
}

/// Takes libbpf's log over, once for the process.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // libbpf formats what it may print: debug lines are many, so ask for them only if wanted.
        let wanted = tracing::enabled!(target: TARGET, tracing::Level::DEBUG);
        let level = if wanted { PrintLevel::Debug } else { PrintLevel::Info };
        libbpf_rs::set_print(Some((level, print)));
    });
}

/// Makes `call` and gives its result with the lines that libbpf warned of meanwhile, without
/// `libbpf: ` before them.
pub(super) fn capture<T>(call: impl FnOnce() -> T) -> (T, Vec<String>) {
    install();
    CAPTURED.set(Some(VecDeque::new()));
    let result = call();
    let lines = CAPTURED.take().unwrap_or_default();
    (result, lines.into())
}

fn print(level: PrintLevel, text: String) {
    let text = text.trim_end();
    let text = text.strip_prefix("libbpf: ").unwrap_or(text);
    tracing::debug!(target: TARGET, "{text}");
    if level == PrintLevel::Debug {
        return;
    }
    CAPTURED.with_borrow_mut(|captured| {
        let Some(lines) = captured else { return };
        for line in text.lines() {
            if lines.len() == KEPT_LINES {
                lines.pop_front();
            }
            lines.push_back(line.to_owned());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_end_of_a_long_log() {
        let ((), lines) = capture(|| {
            print(PrintLevel::Warn, "libbpf: prog 'x': failed\n".to_owned());
            print(PrintLevel::Debug, "libbpf: not kept\n".to_owned());
            let verifier: String = (0..KEPT_LINES).map(|i| format!("{i}\n")).collect();
            print(PrintLevel::Warn, verifier);
        });
        assert_eq!(lines.len(), KEPT_LINES);
        assert_eq!(lines.first().map(String::as_str), Some("0"));
        assert_eq!(lines.last().map(String::as_str), Some("199"));
    }

    #[test]
    fn forgets_between_calls() {
        let ((), first) = capture(|| print(PrintLevel::Warn, "libbpf: one\n".to_owned()));
        print(PrintLevel::Warn, "libbpf: between\n".to_owned());
        let ((), second) = capture(|| ());
        assert_eq!(first, ["one"]);
        assert!(second.is_empty());
    }
}
