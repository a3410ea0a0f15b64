//! A recording, played reading after reading into a scraper, for who prints what its maps become.
//!
//! What is printed depends on the recording and on the configs alone. Where it would depend on how fast this machine
//! is, there is an error instead.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::advice::Advise;
use crate::plugin::{Cause, Gauge, OutcomeKind, Stats};
use crate::scrape::{Scraper, Unit};
use crate::source::recording::{PlayError, Tape};

/// As long as plugins may run in a reading if nobody says less: no reading takes so long that a person waits for it.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A recording and what becomes of its maps.
#[derive(Debug)]
pub struct Playback {
    tape: Arc<Mutex<Tape>>,
    scraper: Scraper,
    plugins: Vec<Gauge>,
}

/// Why no more is played.
#[derive(Debug, thiserror::Error)]
pub enum PlaybackError {
    /// The recording is faulty.
    #[error(transparent)]
    Recording(#[from] PlayError),
    /// A plugin was not asked, or not heard out, for all that a reading has.
    #[error(
        "plugin `{plugin}` of config `{config}` does not answer in time at reading {reading}, so that what it makes of \
         the recording is not always the same"
    )]
    Late {
        /// The config's name.
        config: String,
        /// The plugin's name in it.
        plugin: String,
        /// Which reading it was.
        reading: u64,
    },
}

impl Advise for PlaybackError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Recording(error) => error.remedy(),
            Self::Late { .. } => Some("raise its `limits.deadline`, or mend it".to_owned()),
        }
    }
}

impl Playback {
    /// Of a recording of which these units are.
    pub fn new(tape: Arc<Mutex<Tape>>, units: Vec<Unit>) -> Self {
        let plugins = units.iter().flat_map(|unit| unit.plugins.iter().cloned()).collect();
        Self { tape, scraper: Scraper::new(units), plugins }
    }

    /// Plays the next reading, in which all plugins may run for `most`; `false` if there is none.
    ///
    /// # Errors
    ///
    /// If the reading is not whole, or a plugin took too long.
    pub fn advance(&mut self, most: Option<Duration>) -> Result<bool, PlaybackError> {
        // It is played here: nobody else does so if no map of it feeds a metric.
        if !self.tape().advance()? {
            return Ok(false);
        }
        let scraper = std::mem::take(&mut self.scraper);
        self.scraper = scraper.with_plugin_budget(most.unwrap_or(DAY));
        self.scraper.read_maps();
        match self.plugins.iter().find(|plugin| is_late(&plugin.read())) {
            None => Ok(true),
            Some(plugin) => Err(PlaybackError::Late {
                config: plugin.config().to_owned(),
                plugin: plugin.plugin().to_owned(),
                reading: self.tape().readings(),
            }),
        }
    }

    /// What is played.
    pub fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the maps have become.
    pub fn text(&self) -> Vec<u8> {
        self.scraper.maps_text()
    }

    /// The metrics of which there is no series, by their full names.
    pub fn empty_metrics(&self) -> BTreeSet<&str> {
        self.scraper.empty_metrics()
    }
}

/// Whether a faster machine could have made something else of what a plugin was asked.
fn is_late(stats: &Stats) -> bool {
    let failed = [Cause::Deadline, Cause::Budget, Cause::System];
    let failed = failed.iter().any(|cause| stats.failures[*cause as usize] > 0);
    failed || stats.deferred > 0 || stats.outcomes[OutcomeKind::NotAsked as usize] > 0
}
