//! The log: one line per event on standard error, for people or for programs.
//!
//! | what decides the level | if |
//! |---|---|
//! | `RUST_LOG` | it is set and makes sense |
//! | `--log.level` | it is given |
//! | `--debug`: debug | it is given |
//! | info | |
//!
//! Whom it holds for is said in `speakers`: libraries are silent. Nothing is logged per row of a map or per request. A line that cannot be written costs nothing but
//! itself: see `lines`.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Stderr};
use std::panic::{self, Location, PanicHookInfo};
use std::sync::{LazyLock, OnceLock};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use tracing::{Subscriber, debug, subscriber, warn};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

use crate::series::Kind;
use crate::telemetry::{Collect, Report, about};
use tracing_subscriber::fmt::{self, MakeWriter, format};
use tracing_subscriber::registry;

mod lines;
mod recent;
mod speakers;
mod structured;

use lines::Lines;
use structured::{Structured, now};

pub use recent::{RecentLine, recent};
pub(crate) use structured::printable;

use crate::workers::{Hired, Post, SMALL_STACK};

/// How long the end waits for a reader, and the start, before it goes on without.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the flags say about the log.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The least level that is logged (`--log.level`).
    pub level: Option<Level>,
    /// How lines are written (`--log.format`).
    pub format: LogFormat,
    /// Log debug messages as well (`--debug`).
    pub debug: bool,
    /// Begin each line with the time (unless `--log.no-timestamps`).
    pub timestamps: bool,
    /// Wait for whoever reads the log, however long that takes: for commands whose output is all
    /// that they are started for.
    pub patient: bool,
}

/// How much a line of the log matters: the value of `--log.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// All that may help to find a fault.
    Debug,
    /// What happens.
    Info,
    /// What should not happen, and costs something.
    Warn,
    /// What should not happen, and costs much.
    Error,
}

/// The value of `--log.format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// `key=value`, as Prometheus has it.
    Logfmt,
    /// An object a line.
    Json,
}

/// What the log of this process was started with.
static STARTED: OnceLock<Options> = OnceLock::new();
static STDERR: LazyLock<Lines<Stderr>> = LazyLock::new(|| Lines::new(io::stderr(), lost_line));

/// Starts the log of this process, which from now on says what threads panic of, too. A second call
/// changes nothing.
pub fn start(options: Options) {
    let wanted = env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let (filter, refused) = filter(options, wanted.as_deref());
    let colours = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    let log = subscriber(filter, options, colours, || Pen);
    // It fails only when a log was started before, and that one stays.
    if subscriber::set_global_default(log.with(recent::Keeper)).is_ok() {
        let _ = STARTED.set(options);
        STDERR.set_patience((!options.patient).then_some(PATIENCE));
        panic::set_hook(Box::new(panicked));
        if let Some(refused) = refused {
            warn!("{refused}");
        }
    }
}

/// Leaves the writing to a worker: from when it begins a reader that does not read keeps nobody waiting,
/// and costs lines once a mebibyte of them waits.
pub fn hire(hired: &mut Hired) {
    let post = Post { name: "log", stack: SMALL_STACK, patience: PATIENCE };
    if let Err(error) = hired.hire(post, || STDERR.work(), || STDERR.end_work()) {
        // Whoever logs writes, then, and waits a second once.
        debug!("no thread writes the log: {}", error.source);
    }
}

/// What the log has lost.
#[derive(Clone, Copy, Debug)]
pub struct Lost;

/// How many lines of the log nobody got.
pub fn lost() -> u64 {
    STDERR.lost()
}

impl Collect for Lost {
    fn collect(&self, report: &mut Report) {
        report.family(
            about(
                "ebpf_exporter_log_lines_lost_total",
                "Lines of the log that could not be written, or were not read in time",
                [],
            ),
            Kind::RealCounter,
            [([], lost() as f64)],
        );
    }
}

/// Waits until all is written, but for a reader that does not read no longer than a second.
pub fn finish() {
    STDERR.finish(PATIENCE);
}

/// Says what has to be said whatever the level: faults, and why the process ends. For people it
/// stands without time and level, behind `prefix`.
#[track_caller]
pub fn say(level: Level, prefix: &str, text: &str) {
    let place = Location::caller();
    recent::keep(level, harmless(text));
    let line = match STARTED.get().and_then(|options| options.structured()) {
        Some(style) => style.line(level.in_events(), (place.file(), place.line()), text),
        None => format!("{prefix}{}\n", harmless(text)),
    };
    STDERR.put(line.as_bytes());
}

/// What a line begins with that goes on with the one before: no name out of a file can begin another.
const MORE: &str = "\n  ";

/// `text` as a terminal may get it: indented lines stay, other characters that do not print are named, also
/// those that have what follows read in another order.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, line) in text.split(MORE).enumerate() {
        out.push_str(if n == 0 { "" } else { MORE });
        for character in line.chars() {
            match character {
                '\t' | '"' | '\'' | '\\' => out.push(character),
                _ => out.extend(character.escape_debug()),
            }
        }
    }
    out
}

/// Says what a thread panics of. This goes past the log, which may be what panics.
fn panicked(info: &PanicHookInfo<'_>) {
    let current = thread::current();
    let name = current.name().unwrap_or("without a name");
    let what = info.payload_as_str().unwrap_or("no message");
    let (file, line) = info.location().map_or(("?", 0), |place| (place.file(), place.line()));
    let mut text = format!("thread {name} panicked at {file}:{line}: {what}; this is a bug");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        // Writing to a string does not fail.
        let _ = write!(text, "\n{backtrace}");
    }
    recent::keep(Level::Error, harmless(&text));
    STDERR.put(own_line(Level::Error, &text).as_bytes());
}

fn lost_line(lost: u64) -> String {
    let lines = if lost == 1 { "line" } else { "lines" };
    let text = format!("{lost} {lines} of this log could not be written, or were not read in time");
    own_line(Level::Warn, &text)
}

/// A line of the log that is no event.
fn own_line(level: Level, text: &str) -> String {
    let (options, level) = (STARTED.get(), level.in_events());
    if let Some(style) = options.and_then(|options| options.structured()) {
        return style.line(level, (file!(), line!()), text);
    }
    let time =
        if options.is_some_and(|options| options.timestamps) { now() } else { String::new() };
    format!("{time} {level:>5} {}\n", harmless(text))
}

/// Writes what the log formats: a line at a time.
struct Pen;

impl io::Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        STDERR.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whom to let speak from which level on, and what to say if `RUST_LOG` makes no sense.
fn filter(options: Options, wanted: Option<&str>) -> (Targets, Option<String>) {
    let level = options.level.unwrap_or(if options.debug { Level::Debug } else { Level::Info });
    speakers::filter(level, wanted)
}

fn subscriber<W>(
    filter: Targets,
    options: Options,
    colours: bool,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let log = fmt::layer()
        .with_target(false)
        .with_ansi(colours && options.format == LogFormat::Text)
        // It would print, and panic if that fails.
        .log_internal_errors(false)
        .with_writer(writer);
    let fields = format::debug_fn(|writer, field, value| {
        let value = harmless(&format!("{value:?}"));
        match field.name() {
            "message" => writer.write_str(&value),
            name => write!(writer, "{name}={value}"),
        }
    });
    let log = log.fmt_fields(fields.delimited(" "));
    let log = match options.structured() {
        Some(style) => log.event_format(style).boxed(),
        None if options.timestamps => log.boxed(),
        None => log.without_time().boxed(),
    };
    registry().with(log).with(filter)
}

impl Level {
    /// The same as the log's events have it.
    fn in_events(self) -> tracing::Level {
        match self {
            Self::Debug => tracing::Level::DEBUG,
            Self::Info => tracing::Level::INFO,
            Self::Warn => tracing::Level::WARN,
            Self::Error => tracing::Level::ERROR,
        }
    }
}

impl Options {
    /// How lines for programs are written, if they are.
    fn structured(self) -> Option<Structured> {
        let json = match self.format {
            LogFormat::Text => return None,
            LogFormat::Logfmt => false,
            LogFormat::Json => true,
        };
        Some(Structured { json, timestamps: self.timestamps })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::{debug, info};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const DEFAULT: Options = Options {
        level: None,
        format: LogFormat::Text,
        debug: false,
        timestamps: false,
        patient: false,
    };
    const DEBUG: Options = Options { debug: true, ..DEFAULT };

    fn logged(options: Options, wanted: Option<&str>) -> String {
        let lines = Written::default();
        let writer = lines.clone();
        let (filter, _) = filter(options, wanted);
        let log = subscriber(filter, options, false, move || writer.clone());
        subscriber::with_default(log, || {
            debug!("found {} symbols", 7);
            info!(config = "timers", "attached 2 programs");
            warn!("skipped kprobe/x: no such function");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn is_a_line_per_event() {
        insta::assert_snapshot!(logged(DEFAULT, None), @"
         INFO attached 2 programs config=\"timers\"
         WARN skipped kprobe/x: no such function
        ");
        insta::assert_snapshot!(logged(DEBUG, None), @"
        DEBUG found 7 symbols
         INFO attached 2 programs config=\"timers\"
         WARN skipped kprobe/x: no such function
        ");
    }

    #[test]
    fn of_all_that_decides_the_level_the_closest_counts() {
        let count = |options, wanted| logged(options, wanted).lines().count();
        let warn = Options { level: Some(Level::Warn), ..DEBUG };
        assert_eq!(count(warn, None), 1, "--log.level, whatever --debug says");
        assert_eq!(count(Options { level: Some(Level::Debug), ..DEFAULT }, None), 3);
        assert_eq!(count(DEBUG, Some("warn")), 1, "RUST_LOG, whatever the flags say");
        assert_eq!(count(warn, Some("debug")), 3);
        let (_, refused) = filter(DEBUG, Some("=b=c"));
        insta::assert_snapshot!(
            refused.unwrap(),
            @r#"ignored RUST_LOG="=b=c": invalid filter directive: too many '=' in filter directive, expected 0 or 1; write RUST_LOG=debug"#
        );
        assert_eq!(count(DEBUG, Some("=b=c")), 3);
    }

    #[test]
    fn programs_read_the_keys_of_prometheus() {
        let log = |format| {
            let text = logged(Options { format, ..DEFAULT }, None);
            regex::Regex::new("[.]rs:[0-9]+").unwrap().replace_all(&text, ".rs:LINE").into_owned()
        };
        insta::assert_snapshot!(log(LogFormat::Json), @r#"
        {"level":"INFO","source":"logging.rs:LINE","msg":"attached 2 programs","config":"timers"}
        {"level":"WARN","source":"logging.rs:LINE","msg":"skipped kprobe/x: no such function"}
        "#);
        insta::assert_snapshot!(log(LogFormat::Logfmt), @r#"
        level=INFO source=logging.rs:LINE msg="attached 2 programs" config=timers
        level=WARN source=logging.rs:LINE msg="skipped kprobe/x: no such function"
        "#);
        let timed = Options { format: LogFormat::Json, timestamps: true, ..DEFAULT };
        for line in logged(timed, None).lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["time"].as_str().unwrap().ends_with('Z'), "{line}");
        }
    }

    #[test]
    fn an_event_is_one_line_whatever_it_tells() {
        let lines = Written::default();
        let writer = lines.clone();
        let log = subscriber(filter(DEFAULT, None).0, DEFAULT, false, move || writer.clone());
        subscriber::with_default(log, || {
            let name = "x\r\n ERROR fake \u{1b}[31m\u{7}\u{202e}ü\\";
            warn!(config = name, map = %name, "skipped {name}");
        });
        let line = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        insta::assert_snapshot!(line, @r#" WARN skipped x\r\n ERROR fake \u{1b}[31m\u{7}\u{202e}ü\ config="x\r\n ERROR fake \u{1b}[31m\u{7}\u{202e}ü\\" map=x\r\n ERROR fake \u{1b}[31m\u{7}\u{202e}ü\"#);
    }

    #[test]
    fn what_is_said_reaches_a_terminal_as_text() {
        assert_eq!(harmless("a\u{1b}[2J\n  \tb\u{9b}\n"), "a\\u{1b}[2J\n  \tb\\u{9b}\\n");
        assert_eq!(harmless("\r\u{202e}\"it's\\ü\""), "\\r\\u{202e}\"it's\\ü\"");
    }

    #[test]
    fn timestamps_come_first() {
        let line = logged(Options { timestamps: true, ..DEFAULT }, None);
        let stamp = line.split_whitespace().next().unwrap();
        assert!(stamp.starts_with("20") && stamp.ends_with('Z') && stamp.contains('T'), "{line}");
    }
}
