//! What one plugin of one config costs, for whoever tells of it, and the worker that looks at what it reads.
//!
//! Never asks a plugin.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::data::{DataStats, watch};
use super::instance::Shared;
use super::{Budget, Digest, Limits, Stats, World};
use crate::files::Readable;
use crate::workers::{HireError, Hired};

/// Reads the numbers of one plugin of one config.
#[derive(Clone)]
pub struct Gauge {
    pub(super) shared: Arc<Shared>,
    pub(super) digest: Digest,
    pub(super) world: World,
    pub(super) contract: String,
    pub(super) said: [String; 5],
}

impl Gauge {
    /// The config's name.
    pub fn config(&self) -> &str {
        &self.shared.config
    }

    /// The plugin's name in it.
    pub fn plugin(&self) -> &str {
        &self.shared.plugin
    }

    /// Of its file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What it is.
    pub fn world(&self) -> World {
        self.world
    }

    /// The version of the contract that it was built for.
    pub fn contract(&self) -> &str {
        &self.contract
    }

    /// What it says that it is called, its own version, its authors, licences and source: escaped, cut, and empty if it
    /// does not say.
    pub fn said(&self) -> [&str; 5] {
        self.said.each_ref().map(String::as_str)
    }

    /// Bounds the time of its calls by that of a scraper from now on. Only the first such counts.
    pub fn join(&self, budget: &Arc<Budget>) {
        let _ = self.shared.budget.set(Arc::clone(budget));
    }

    /// The time that all of its guests have taken so far.
    pub fn time(&self) -> Duration {
        self.shared.time()
    }

    /// What it may take.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Bytes of text that its labels may have in a metric.
    pub fn most_text(&self) -> usize {
        self.shared.limits.text
    }

    /// Counts a row whose labels would have been more than that.
    pub fn refuse(&self) {
        self.shared.refuse();
    }

    /// Counts keys that did not get their turn in a scrape.
    pub fn defer(&self, keys: usize) {
        self.shared.defer(keys);
    }

    /// Has a worker watch the time of its calls, and of those of all plugins of its loader. None is called
    /// until the worker begins.
    ///
    /// # Errors
    ///
    /// When the system has no thread for it.
    pub fn hire_clock(&self, hired: &mut Hired) -> Result<(), HireError> {
        self.shared.engine.hire_clock(hired)
    }

    /// How often the files that it reads have changed.
    pub fn data_changes(&self) -> u64 {
        self.shared.given.data.changes()
    }

    /// What has come of each file that it reads, by its name.
    pub fn data(&self) -> impl Iterator<Item = (&str, DataStats)> {
        self.shared.given.data.stats()
    }

    /// What is to be readable for the worker that looks at its files.
    pub fn readable(&self) -> Vec<Readable> {
        self.shared.given.data.readable()
    }

    /// Has its files looked at by this worker too.
    pub fn watched_by(&self, watch: &DataWatch) {
        watch.0.add(&self.shared.given.data);
    }

    /// Its numbers now.
    pub fn read(&self) -> Stats {
        self.shared.stats()
    }
}

/// A worker that looks at the files that plugins read.
#[derive(Clone, Debug)]
pub struct DataWatch(watch::DataWatch);

impl DataWatch {
    /// Hires it for these plugins, and for those that come later; `later` is whether any may. There is none if there is
    /// nothing to look at.
    ///
    /// # Errors
    ///
    /// When the system has no thread for it.
    pub fn hire<'a>(
        plugins: impl Iterator<Item = &'a Gauge>,
        later: bool,
        hired: &mut Hired,
    ) -> Result<Option<Self>, HireError> {
        let all: Vec<_> = plugins.map(|plugin| Arc::clone(&plugin.shared.given.data)).collect();
        Ok(watch::hire(&all, later, hired)?.map(Self))
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gauge({}/{})", self.config(), self.plugin())
    }
}
