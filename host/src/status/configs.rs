//! What is told of a config: its programs, its maps and its plugins.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Moment;

/// A config at work.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigState {
    /// Its name, as it may be shown.
    pub name: String,
    /// Its name, as it is asked for.
    #[serde(skip)]
    pub raw_name: String,
    /// Its file, as the user gave it.
    pub file: String,
    /// The bundle that it is of, if it is of one.
    pub bundle: Option<BundleState>,
    /// Whether all of its maps could be read.
    pub success: bool,
    /// When they last could.
    pub last_success: Option<Moment>,
    /// How long it took to read and decode its maps.
    pub seconds: f64,
    /// Entries that were read.
    pub entries: u64,
    /// Series of the families that its maps feed.
    pub series: u64,
    /// Labels that could not be decoded, since the start.
    pub decoder_errors: u64,
    /// New entries that maps had no room for, if its programs count them.
    pub insert_failures: Option<u64>,
    /// Records that ring buffers had no room for, if its programs count them.
    pub lost_events: Option<u64>,
    /// Its programs, in the order of its object.
    pub programs: Vec<ProgramState>,
    /// Its maps, in the order of its metrics.
    pub maps: Vec<MapState>,
    /// Its plugins.
    pub plugins: Vec<PluginState>,
}

/// A bundle.
#[derive(Clone, Debug, Serialize)]
pub struct BundleState {
    /// Of its manifest.
    pub digest: String,
    /// What it says of itself.
    pub version: String,
}

/// A program.
#[derive(Clone, Debug, Serialize)]
pub struct ProgramState {
    /// Its function's name.
    pub name: String,
    /// Its section, which says where it is to be attached.
    pub section: String,
    /// The kernel's number of it, if it has it.
    pub id: Option<u32>,
    /// Whether it runs.
    pub attached: bool,
    /// Why it does not, if it does not.
    pub reason: Option<String>,
    /// What to do about that, if something is known.
    pub remedy: Option<String>,
    /// How often it ran, while the kernel measures.
    pub runs: Option<u64>,
    /// The time spent in it, while the kernel measures.
    pub run_seconds: Option<f64>,
    /// How often it did not run although its hook was reached, if the kernel says so.
    pub missed: Option<u64>,
}

/// A map, and the metric that it feeds.
#[derive(Clone, Debug, Serialize)]
pub struct MapState {
    /// Its name.
    pub name: String,
    /// The family that it feeds.
    pub metric: String,
    /// The kernel's name for its type.
    pub r#type: String,
    /// Entries that were read.
    pub entries: u64,
    /// Entries that it can have.
    pub max_entries: u64,
    /// What becomes of new entries once it is full: `none_come`, `evicts` or `refuses`.
    pub when_full: &'static str,
    /// How it was read.
    pub way: &'static str,
    /// Why so.
    pub why: &'static str,
    /// Rows that are known.
    pub rows: u64,
    /// Rows that wait for a plugin.
    pub waiting: u64,
    /// Series of its family.
    pub series: u64,
    /// Rows that were gone at the next reading, of a map that evicts: an estimate.
    pub evicted: Option<u64>,
    /// How long it took to read it, and to hold it against what was known.
    pub seconds: f64,
    /// When it was last read whole.
    pub last_success: Option<Moment>,
    /// Why it was not read whole this time, if it was not.
    pub error: Option<String>,
    /// What has come of its records, if it streams them.
    pub events: Option<EventState>,
}

/// What has come of the records of a map since the start.
#[derive(Clone, Debug, Serialize)]
pub struct EventState {
    /// Those that were received.
    pub received: u64,
    /// Those that the kernel had no room for, if it says so.
    pub lost: Option<u64>,
    /// Those that were shorter than the labels.
    pub short: u64,
    /// Those whose keys were too many.
    pub beyond: u64,
}

/// A plugin.
#[derive(Clone, Debug, Serialize)]
pub struct PluginState {
    /// Its name in the config.
    pub name: String,
    /// `decoder` or `transform`.
    pub world: &'static str,
    /// SHA-256 of its file.
    pub digest: String,
    /// What it says that it is called.
    pub says: String,
    /// The version that it says it has.
    pub version: String,
    /// Whether it is asked: `closed` it is, `half_open` the next call decides, `open` it is not.
    pub breaker: &'static str,
    /// Calls of its guests.
    pub calls: u64,
    /// Time in its guests.
    pub call_seconds: f64,
    /// What it was to answer.
    pub inputs: u64,
    /// Calls that failed, by cause; causes that there were none of are left out.
    pub failures: BTreeMap<&'static str, u64>,
    /// Answers that are remembered.
    pub remembered: u64,
    /// Keys that had to wait for another reading, in each anew.
    pub deferred: u64,
    /// The most memory that an instance took.
    pub memory_peak_bytes: u64,
    /// What it may take.
    pub limits: PluginLimits,
}

/// What a plugin may take.
#[derive(Clone, Debug, Serialize)]
pub struct PluginLimits {
    /// Of an instance.
    pub memory_bytes: u64,
    /// Of a call.
    pub deadline_seconds: f64,
    /// Of what a call returns.
    pub output_bytes: u64,
    /// Of answers that are remembered.
    pub answers_bytes: u64,
    /// Of its labels in a metric.
    pub text_bytes: u64,
}
