//! The log: one line per event on standard error, for people.
//!
//! Level info; debug under `--debug`; `RUST_LOG` overrides both. Nothing is logged per row of a
//! map or per request.

use std::env;
use std::io::{self, IsTerminal};

use tracing::{Subscriber, subscriber, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What the flags say about the log.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Log debug messages as well (`--debug`).
    pub debug: bool,
    /// Begin each line with the time (unless `--log.no-timestamps`).
    pub timestamps: bool,
}

/// Starts the log of this process. A second call changes nothing.
pub fn start(options: Options) {
    let wanted = env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let (filter, refused) = filter(options.debug, wanted.as_deref());
    let colours = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    let log = subscriber(filter, options.timestamps, colours, io::stderr);
    // It fails only when a log was started before, and that one stays.
    if subscriber::set_global_default(log).is_ok()
        && let Some(refused) = refused
    {
        warn!("{refused}");
    }
}

/// What to let through, and what to say if `RUST_LOG` makes no sense.
fn filter(debug: bool, wanted: Option<&str>) -> (EnvFilter, Option<String>) {
    let default = EnvFilter::new(if debug { "debug" } else { "info" });
    match wanted.map(|text| (text, EnvFilter::try_new(text))) {
        None => (default, None),
        Some((_, Ok(filter))) => (filter, None),
        Some((text, Err(error))) => {
            let refused = format!("ignored RUST_LOG={text:?}: {error}; write RUST_LOG=debug");
            (default, Some(refused))
        }
    }
}

fn subscriber<W>(
    filter: EnvFilter,
    timestamps: bool,
    colours: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(colours)
        .with_writer(writer);
    if timestamps { Box::new(log.finish()) } else { Box::new(log.without_time().finish()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::{debug, info};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(debug: bool, wanted: Option<&str>, timestamps: bool) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let (filter, _) = filter(debug, wanted);
        let log = subscriber(filter, timestamps, false, move || writer.clone());
        subscriber::with_default(log, || {
            debug!("found {} symbols", 7);
            info!(config = "timers", "attached 2 programs");
            warn!("skipped kprobe/x: no such function");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn is_a_line_per_event() {
        insta::assert_snapshot!(logged(false, None, false), @"
         INFO attached 2 programs config=\"timers\"
         WARN skipped kprobe/x: no such function
        ");
        insta::assert_snapshot!(logged(true, None, false), @"
        DEBUG found 7 symbols
         INFO attached 2 programs config=\"timers\"
         WARN skipped kprobe/x: no such function
        ");
    }

    #[test]
    fn rust_log_overrides_the_flag() {
        assert_eq!(logged(true, Some("warn"), false).lines().count(), 1);
        assert_eq!(logged(false, Some("debug"), false).lines().count(), 3);
        let (_, refused) = filter(true, Some("=b=c"));
        insta::assert_snapshot!(
            refused.unwrap(),
            @r#"ignored RUST_LOG="=b=c": invalid filter directive; write RUST_LOG=debug"#
        );
        assert_eq!(logged(true, Some("=b=c"), false).lines().count(), 3);
    }

    #[test]
    fn timestamps_come_first() {
        let line = logged(false, None, true);
        let stamp = line.split_whitespace().next().unwrap();
        assert!(stamp.starts_with("20") && stamp.ends_with('Z') && stamp.contains('T'), "{line}");
    }
}
