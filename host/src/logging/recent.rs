//! The last warnings and errors of the log, for who has no log at hand: a bounded number of bounded lines.
//!
//! Never keeps what quotes keys, a guest, a collector or a web config: see [`PRIVATE`]; nor what a library says, though `RUST_LOG`
//! lets it speak: it could push out all else. What the log leaves out is not here either.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::{Level, harmless, speakers};

/// How many lines are kept.
const MOST: usize = 20;
/// Characters of a line that are kept.
const LONGEST: usize = 400;
/// What the target of an event ends in whose text may have bytes of keys, words of a guest or a collector, or what
/// somebody has written into a web config: `target: concat!(module_path!(), "::private")`. The log has it, and others
/// are only told that there is it.
const PRIVATE: &str = "::private";

/// A line of the log.
#[derive(Clone, Debug)]
pub struct RecentLine {
    /// When it was said.
    pub time: SystemTime,
    /// A warning or an error.
    pub level: Level,
    /// What it said: one line, or what stands for one that is not for everyone.
    pub text: String,
}

static RECENT: Mutex<VecDeque<RecentLine>> = Mutex::new(VecDeque::new());

/// The last warnings and errors, the newest first.
pub fn recent() -> Vec<RecentLine> {
    let lines = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().rev().cloned().collect()
}

/// Keeps a line, if it is a warning or an error.
pub(super) fn keep(level: Level, text: String) {
    if !matches!(level, Level::Warn | Level::Error) {
        return;
    }
    let line =
        RecentLine { time: SystemTime::now(), level, text: crate::advice::cut(text, LONGEST) };
    let mut lines = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.len() == MOST {
        lines.pop_front();
    }
    lines.push_back(line);
}

/// Keeps warnings and errors that are logged.
pub(super) struct Keeper;

impl<S: Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !speakers::is_own(event.metadata().target()) {
            return;
        }
        let level = match *event.metadata().level() {
            tracing::Level::WARN => Level::Warn,
            tracing::Level::ERROR => Level::Error,
            _ => return,
        };
        let mut told =
            Told { private: event.metadata().target().ends_with(PRIVATE), ..Told::default() };
        event.record(&mut told);
        keep(level, told.finish());
    }
}

/// A line in the making.
#[derive(Default)]
struct Told {
    private: bool,
    message: String,
    fields: String,
}

impl Told {
    fn finish(self) -> String {
        let Self { private, message, fields } = self;
        let hidden = "a line about keys, a plugin, a collector or the web config: the log has it";
        let message = if private { hidden } else { &message };
        harmless(&format!("{message}{fields}"))
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing::{info, subscriber, warn};
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::registry;

    use super::*;

    /// Other tests of this process may log meanwhile: the lines of this one have a mark.
    #[test]
    fn the_last_warnings_are_kept_and_no_key_among_them() {
        let long = "x".repeat(2 * LONGEST);
        subscriber::with_default(registry().with(Keeper), || {
            info!("mark: all is well");
            warn!(config = "timers", "mark: skipped \n\u{1b}[31m");
            warn!(target: concat!(module_path!(), "::private"), config = "mark", "failed to decode 0x1234");
            warn!(target: "h2::proto", "mark: of a library");
            warn!("mark: {long}");
        });
        keep(Level::Info, "mark: nothing".to_owned());
        let lines: Vec<_> =
            recent().into_iter().filter(|line| line.text.contains("mark")).collect();
        let texts: Vec<_> = lines.iter().map(|line| &*line.text).collect();
        let [last, private, first] = texts[..] else { panic!("{texts:?}") };
        assert_eq!(last.chars().count(), LONGEST + 1);
        assert_eq!(
            private,
            "a line about keys, a plugin, a collector or the web config: the log has it config=mark"
        );
        assert_eq!(first, "mark: skipped \\n\\u{1b}[31m config=timers");
        (0..2 * MOST).for_each(|n| keep(Level::Error, format!("{n}")));
        assert_eq!(recent().len(), MOST);
    }
}
