//! What guests write to the log: marked as theirs, escaped, cut, and not too often.

use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::bindings::log::Level;
pub(super) use crate::advice::plain;

/// Lines of one plugin in each [`WINDOW`] that are written.
const LINES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);
/// What marks a line that only the log is to have: see [`crate::logging::recent`].
const PRIVATE: &str = concat!(module_path!(), "::private");
/// Bytes of a message that are written.
const LONGEST: usize = 1024;

/// The lines of one plugin.
#[derive(Debug, Default)]
pub(super) struct GuestLog {
    window: Option<Instant>,
    lines: u32,
    /// Since the start.
    pub(super) written: u64,
    pub(super) dropped: u64,
}

impl GuestLog {
    /// Whether a line may be written at `now`. Counts it either way.
    fn admit(&mut self, now: Instant) -> bool {
        if self.window.is_none_or(|start| now.saturating_duration_since(start) >= WINDOW) {
            (self.window, self.lines) = (Some(now), 0);
        }
        let admitted = self.lines < LINES;
        if admitted {
            self.lines += 1;
            self.written += 1;
        } else {
            self.dropped += 1;
        }
        admitted
    }

    /// Writes a line of a guest, unless there were too many.
    pub(super) fn write(&mut self, config: &str, plugin: &str, level: Level, message: &str) {
        if !self.admit(Instant::now()) {
            return;
        }
        let message = plain(message, LONGEST);
        // What a guest says may have keys in it.
        match level {
            Level::Error => error!(target: PRIVATE, config, plugin, "guest: {message}"),
            Level::Warn => warn!(target: PRIVATE, config, plugin, "guest: {message}"),
            Level::Info => info!(config, plugin, "guest: {message}"),
            Level::Debug => debug!(config, plugin, "guest: {message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_a_second() {
        let (mut log, now) = (GuestLog::default(), Instant::now());
        let admitted = (0..100).filter(|_| log.admit(now)).count();
        assert_eq!((admitted, log.written, log.dropped), (10, 10, 90));
        assert!(!log.admit(now + WINDOW / 2));
        assert!(log.admit(now + WINDOW));
    }

    #[test]
    fn nothing_in_it_is_obeyed() {
        insta::assert_snapshot!(
            plain("it's \"ok\": ü\n\x1b[31mred\u{202e}\\n", 99),
            @r#"it's "ok": ü\n\u{1b}[31mred\u{202e}\\n"#
        );
        assert_eq!(plain("aü", 2), "a…");
        assert_eq!(plain("aü", 3), "aü");
    }
}
