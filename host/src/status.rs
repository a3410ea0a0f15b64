//! The state of the exporter as one value: what it runs, how that goes, and what wants a look. `/` shows it to
//! people, `/api/v1/status` to programs.
//!
//! | type | is made by |
//! |---|---|
//! | [`Findings`] | the thread that scrapes, at the end of each reading |
//! | [`Status`] | the server, when somebody asks: findings, and what is known without a reading |
//!
//! Whoever can connect may read it. So it has no byte of a key and no label of a metric, and every text in it is
//! bounded and without characters that do not print: see [`said`] and [`named`].

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::advice::plain;

mod attention;
mod configs;
mod page;
mod words;

pub use attention::Problem;
pub use configs::{
    BundleState, ConfigState, EventState, MapState, PluginLimits, PluginState, ProgramState,
};
pub use page::{Links, content_security_policy, page};

/// The version of the form of the JSON. It grows when a field goes, or comes to mean something else.
const FORM: u32 = 1;
/// Bytes of a name.
const NAME: usize = 128;
/// Bytes of what is said of something.
const TEXT: usize = 400;

/// A name out of a file, as it may be shown.
pub fn named(text: &str) -> String {
    plain(text, NAME)
}

/// What is said of something, as it may be shown.
pub fn said(text: &str) -> String {
    plain(text, TEXT)
}

/// A moment. As JSON it is a text of RFC 3339, in UTC and in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub SystemTime);

impl Moment {
    /// The time now.
    pub fn now() -> Self {
        Self(SystemTime::now())
    }

    /// How long it has been at `now`; nothing if it is still to come.
    pub fn age(self, now: Self) -> Duration {
        now.0.duration_since(self.0).unwrap_or_default()
    }

    /// The moment so many seconds after 1970.
    pub fn of_seconds(seconds: f64) -> Option<Self> {
        let since = Duration::try_from_secs_f64(seconds).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(since).map(Self)
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = Timestamp::try_from(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        write!(f, "{time:.3}")
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// All that is told.
#[derive(Clone, Debug, Serialize)]
pub struct Status<'a> {
    /// The version of this form.
    form: u32,
    /// When it was asked for.
    pub now: Moment,
    /// Which build it is, and where it runs.
    pub exporter: Build<'a>,
    /// Whether it is well.
    pub health: Health,
    /// What wants a look, the worst first.
    pub problems: Vec<Problem>,
    /// How many problems there are beside those.
    pub more_problems: usize,
    /// What has come of reading and writing.
    pub scrapes: Scraped,
    /// What has become of reloads of configs, if they are read again.
    pub reloads: Option<ReloadState>,
    /// What has come of connections.
    pub http: Connections,
    /// The threads that live as long as it does.
    pub workers: Vec<WorkerState>,
    /// Cgroups, if something asks for them.
    pub cgroups: Option<CgroupCount>,
    /// Spans, if there are any.
    pub spans: Option<SpanCount>,
    /// What the log said.
    pub log: LogTail,
    /// The configs, in their order.
    pub configs: &'a [ConfigState],
}

/// What is known without a reading.
#[derive(Clone, Debug)]
pub struct Live<'a> {
    /// See [`Status::now`].
    pub now: Moment,
    /// See [`Status::exporter`].
    pub exporter: Build<'a>,
    /// See [`Status::health`].
    pub health: Health,
    /// Readings since the start, and those of them that a panic has cut short.
    pub readings: (u64, u64),
    /// How long a call has been under way, if one is.
    pub busy: Option<Duration>,
    /// See [`Status::reloads`].
    pub reloads: Option<ReloadState>,
    /// See [`Status::http`].
    pub http: Connections,
    /// See [`Status::workers`].
    pub workers: Vec<WorkerState>,
    /// See [`Status::log`].
    pub log: LogTail,
}

impl<'a> Status<'a> {
    /// What is known, and what the last reading found, if there was one.
    pub fn new(known: Live<'a>, findings: Option<&'a Findings>) -> Self {
        let Live { now, exporter, health, readings, busy, reloads, http, workers, log } = known;
        let scrapes = Scraped {
            readings: readings.0,
            failed: readings.1,
            busy_seconds: busy.map(|busy| busy.as_secs_f64()),
            last: findings.map(|findings| findings.last.clone()),
        };
        let mut status = Self {
            form: FORM,
            now,
            exporter,
            health,
            problems: Vec::new(),
            more_problems: 0,
            scrapes,
            reloads,
            http,
            workers,
            cgroups: findings.and_then(|findings| findings.cgroups.clone()),
            spans: findings.and_then(|findings| findings.spans.clone()),
            log,
            configs: findings.map_or(&[], |findings| &findings.configs),
        };
        (status.problems, status.more_problems) = attention::wanted(&status);
        status
    }

    /// The same as JSON, which ends a line.
    pub fn json(&self) -> String {
        // Texts, numbers and lists of them: none of it can fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// Which build it is, and where it runs.
#[derive(Clone, Debug, Serialize)]
pub struct Build<'a> {
    /// Of the package.
    pub version: &'a str,
    /// The git branch.
    pub branch: &'a str,
    /// The git revision.
    pub revision: &'a str,
    /// The kernel's name and release, and the machine.
    pub system: String,
    /// When the process was started.
    pub started: Option<Moment>,
}

/// Whether it is well.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// As `/-/healthy` says.
    pub healthy: bool,
    /// As `/-/ready` says.
    pub ready: bool,
    /// Why it is not both, if it is not.
    pub reason: Option<String>,
}

/// What has come of reading and writing.
#[derive(Clone, Debug, Serialize)]
pub struct Scraped {
    /// Readings of all maps that were finished; pages share them.
    pub readings: u64,
    /// Readings that a bug has cut short.
    pub failed: u64,
    /// How long the thread that scrapes has been at something, if it is.
    pub busy_seconds: Option<f64>,
    /// The last reading that was finished.
    pub last: Option<LastReading>,
}

/// What the last reading was.
#[derive(Clone, Debug, Serialize)]
pub struct LastReading {
    /// When it began.
    pub at: Moment,
    /// How long it took, decoding included.
    pub seconds: f64,
    /// Entries that it read.
    pub entries: u64,
    /// Series that are exposed, of all families that maps feed.
    pub series: u64,
    /// Whether the kernel measures what programs cost.
    pub measured: bool,
    /// Seconds that all readings and pages have spent, by phase.
    pub phases: BTreeMap<&'static str, f64>,
}

/// What has become of reloads of configs since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReloadState {
    /// Those that worked.
    pub successes: u64,
    /// Those that failed.
    pub failures: u64,
    /// The last one, if there was one.
    pub last: Option<LastReload>,
}

/// A reload of configs that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastReload {
    /// When it was over.
    pub at: Moment,
    /// Whether it worked.
    pub success: bool,
    /// What it has changed, or why it failed, as it may be shown.
    pub text: String,
    /// What to do, as it may be shown, if it failed and something is known.
    pub remedy: Option<String>,
}

/// What has come of connections since the start.
#[derive(Clone, Debug, Serialize)]
pub struct Connections {
    /// Those that are open.
    pub open: u64,
    /// Those that were accepted.
    pub accepted: u64,
    /// Those that were closed, by cause.
    pub closed: BTreeMap<&'static str, u64>,
    /// Answers that were cut off for want of room.
    pub refused: u64,
    /// Bytes that clients have not taken yet.
    pub unsent_bytes: u64,
}

impl Connections {
    /// Those that the exporter has closed otherwise than behind an answer, or for want of a request.
    pub fn cut_off(&self) -> u64 {
        let harmless = |cause: &str| ["client", "idle", "crowded", "evicted_idle"].contains(&cause);
        let cut = self.closed.iter().filter(|(cause, _)| !harmless(cause));
        cut.map(|(_, count)| count).sum()
    }
}

/// A thread that lives as long as the exporter.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerState {
    /// What it is called.
    pub name: &'static str,
    /// Whether it works.
    pub up: bool,
}

/// Cgroups that have names.
#[derive(Clone, Debug, Serialize)]
pub struct CgroupCount {
    /// Those that live.
    pub living: usize,
    /// Those that died not long ago.
    pub dead: usize,
    /// Whether the kernel tells of those that come and go.
    pub watched: bool,
    /// How often more came and went than it could tell of.
    pub overflows: u64,
}

/// What has become of spans since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpanCount {
    /// Those that there were.
    pub read: u64,
    /// Those that a collector has.
    pub sent: u64,
    /// Those that nobody will have.
    pub dropped: u64,
    /// Those that wait to be sent.
    pub waiting: u64,
}

/// The end of the log.
#[derive(Clone, Debug, Serialize)]
pub struct LogTail {
    /// Lines that nobody got.
    pub lost_lines: u64,
    /// The last warnings and errors, the newest first.
    pub warnings: Vec<LoggedWarning>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedWarning {
    /// When it was said.
    pub at: Moment,
    /// `warning` or `error`.
    pub level: &'static str,
    /// What it said.
    pub text: String,
}

/// What a reading found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The reading.
    pub last: LastReading,
    /// Cgroups, if something asks for them.
    pub cgroups: Option<CgroupCount>,
    /// Spans, if there are any.
    pub spans: Option<SpanCount>,
    /// The configs, in their order.
    pub configs: Vec<ConfigState>,
}

#[cfg(test)]
mod tests;
