//! libbpf's own log: all of it goes to ours at debug level, and what it warns of during a call is
//! kept, so that a failure of that call can be explained.
//!
//! Never decides what a line means: [`super::reason`] does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Once;

use libbpf_rs::libbpf_sys::{self, LIBBPF_DEBUG, libbpf_print_level};

/// Lines kept of one call: a verifier's log can have millions, and its end tells what was wrong.
const KEPT_LINES: usize = 200;

/// The log's target in `tracing`, for filters such as `libbpf=debug`.
const TARGET: &str = "libbpf";

thread_local! {
    /// What libbpf said since [`capture`] began on this thread.
    static CAPTURED: RefCell<Option<VecDeque<String>>> = const { RefCell::new(None) };
}

unsafe extern "C" {
    /// The C library's, which `libc` does not declare. A `va_list` that is a parameter is a
    /// pointer, on x86-64 because it is an array, on AArch64 because it is a large struct.
    fn vasprintf(out: *mut *mut c_char, format: *const c_char, arguments: *mut c_void) -> c_int;
}

/// Takes libbpf's log over, once for the process.
fn install() {
    static ONCE: Once = Once::new();
    // Not libbpf_rs::set_print: it aborts when an object's names are not UTF-8.
    ONCE.call_once(|| {
        type Callback =
            unsafe extern "C" fn(libbpf_print_level, *const c_char, *mut c_void) -> c_int;
        let callback: Callback = on_print;
        // SAFETY: the two types differ only in what bindgen makes of a `va_list`, see above.
        unsafe {
            let callback: libbpf_sys::libbpf_print_fn_t =
                Some(std::mem::transmute::<Callback, unsafe extern "C" fn(_, _, _) -> _>(callback));
            libbpf_sys::libbpf_set_print(callback);
        }
    });
}

/// What libbpf calls.
///
/// # Safety
///
/// `arguments` has to be a `va_list` of what `format` asks for.
unsafe extern "C" fn on_print(
    level: libbpf_print_level,
    format: *const c_char,
    arguments: *mut c_void,
) -> c_int {
    let debug = level == LIBBPF_DEBUG;
    // Debug lines are many: format them only if someone wants them.
    if debug && !tracing::enabled!(target: TARGET, tracing::Level::DEBUG) {
        return 0;
    }
    let mut text: *mut c_char = ptr::null_mut();
    // SAFETY: the caller vouches for the arguments; what C gives is a string of ours to free.
    unsafe {
        if vasprintf(&raw mut text, format, arguments) >= 0 {
            print(debug, &CStr::from_ptr(text).to_string_lossy());
            libc::free(text.cast());
        }
    }
    0
}

/// Makes `call` and gives its result with the lines that libbpf warned of meanwhile, without
/// `libbpf: ` before them.
pub(crate) fn capture<T>(call: impl FnOnce() -> T) -> (T, Vec<String>) {
    install();
    CAPTURED.set(Some(VecDeque::new()));
    let result = call();
    let lines = CAPTURED.take().unwrap_or_default();
    (result, lines.into())
}

fn print(debug: bool, text: &str) {
    let text = text.trim_end();
    let text = text.strip_prefix("libbpf: ").unwrap_or(text);
    tracing::debug!(target: TARGET, "{text}");
    if debug {
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
            print(false, "libbpf: prog 'x': failed\n");
            print(true, "libbpf: not kept\n");
            let verifier: String = (0..KEPT_LINES).map(|i| format!("{i}\n")).collect();
            print(false, &verifier);
        });
        assert_eq!(lines.len(), KEPT_LINES);
        assert_eq!(lines.first().map(String::as_str), Some("0"));
        assert_eq!(lines.last().map(String::as_str), Some("199"));
    }

    #[test]
    fn forgets_between_calls() {
        let ((), first) = capture(|| print(false, "libbpf: one\n"));
        print(false, "libbpf: between\n");
        let ((), second) = capture(|| ());
        assert_eq!(first, ["one"]);
        assert!(second.is_empty());
    }
}
