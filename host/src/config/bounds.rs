//! How much the configs of one start may ask for, all together.
//!
//! A config is text from somewhere: a few of its lines can ask for more memory and time than a host
//! has. What is counted here is what grows with the text, or faster. Each bound is far above what
//! people write, and whatever is refused is refused by the bound's name.

use std::cell::Cell;

use crate::decode::builtin::Room;

/// Bytes of one file.
pub(super) const FILE: u64 = 16 << 20;
/// Bytes of all files.
pub(super) const FILES: u64 = 64 << 20;
/// Keys, items and texts, once aliases are written out. A thousand take some 0.1 MB while a file is
/// checked, and up to 0.3 MB as decoders.
pub(super) const NODES: usize = 650_000;
/// Bytes of keys and texts, once aliases are written out.
pub(super) const TEXT: usize = 32 << 20;
/// Levels of lists and mappings in each other.
pub(super) const DEPTH: usize = 128;
/// Characters of a plugin's name.
pub(super) const NAME: usize = 128;
/// Kernel symbols that objects get the addresses of.
pub(super) const KADDRS: usize = 20_000;
/// Metrics.
pub(super) const METRICS: usize = 10_000;
/// Labels of all metrics. A thousand, each with a decoder, take some 50 ms to be read.
pub(super) const LABELS: usize = 20_000;
/// Plugins.
pub(super) const PLUGINS: usize = 1_000;
/// Buckets of all histograms, each counted once however many label sets it has.
pub(super) const BUCKETS: usize = 1_000_000;
/// Bytes of the settings of all plugins, as JSON with the files they name.
pub(super) const SETTINGS: usize = 64 << 20;
/// Bytes that all files together may have that plugins read.
pub(super) const DATA: usize = 1 << 30;

/// What is left of the bounds.
#[derive(Debug)]
pub(super) struct Bounds {
    nodes: Cell<usize>,
    text: Cell<usize>,
    kaddrs: Cell<usize>,
    metrics: Cell<usize>,
    labels: Cell<usize>,
    plugins: Cell<usize>,
    buckets: Cell<usize>,
    settings: Cell<usize>,
    data: Cell<usize>,
    /// For patterns.
    pub(super) patterns: Room,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            nodes: Cell::new(NODES),
            text: Cell::new(TEXT),
            kaddrs: Cell::new(KADDRS),
            metrics: Cell::new(METRICS),
            labels: Cell::new(LABELS),
            plugins: Cell::new(PLUGINS),
            buckets: Cell::new(BUCKETS),
            settings: Cell::new(SETTINGS),
            data: Cell::new(DATA),
            patterns: Room::default(),
        }
    }
}

/// More was asked for than is left.
pub(super) struct Exceeded;

impl Bounds {
    /// As much room for nodes and text, and none other: for a file that may be refused.
    pub(super) fn for_a_file(&self) -> Self {
        Self { nodes: self.nodes.clone(), text: self.text.clone(), ..Self::default() }
    }

    /// Takes what a file took of such a room.
    pub(super) fn take_file(&self, room: &Self) {
        self.nodes.set(room.nodes.get());
        self.text.set(room.text.get());
    }

    pub(super) fn nodes(&self, count: usize) -> Result<(), Exceeded> {
        take(&self.nodes, count)
    }

    pub(super) fn text(&self, bytes: usize) -> Result<(), Exceeded> {
        take(&self.text, bytes)
    }

    pub(super) fn kaddr(&self) -> Result<(), Exceeded> {
        take(&self.kaddrs, 1)
    }

    pub(super) fn metric(&self) -> Result<(), Exceeded> {
        take(&self.metrics, 1)
    }

    pub(super) fn labels(&self, count: usize) -> Result<(), Exceeded> {
        take(&self.labels, count)
    }

    pub(super) fn plugin(&self) -> Result<(), Exceeded> {
        take(&self.plugins, 1)
    }

    pub(super) fn buckets(&self, count: usize) -> Result<(), Exceeded> {
        take(&self.buckets, count)
    }

    pub(super) fn settings(&self, bytes: usize) -> Result<(), Exceeded> {
        take(&self.settings, bytes)
    }

    pub(super) fn data(&self, bytes: usize) -> Result<(), Exceeded> {
        take(&self.data, bytes)
    }

    /// Bytes of settings that are left.
    pub(super) fn settings_left(&self) -> usize {
        self.settings.get()
    }
}

/// Takes `amount` of what is left; all of it if that is too little, so that nothing after it tries
/// again.
fn take(left: &Cell<usize>, amount: usize) -> Result<(), Exceeded> {
    let rest = left.get().checked_sub(amount);
    left.set(rest.unwrap_or_default());
    rest.map(|_| ()).ok_or(Exceeded)
}
