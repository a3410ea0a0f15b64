//! A config from checked to running, phase by phase: what is not yet possible cannot be written.
//!
//! Never decides what a failure means for the process.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use super::buffers::{rings, streams};
use super::renew::With;
use super::{Making, rolls};
use crate::advice::{self, Advice};
use crate::bpf::{
    AttachError, Attached, Handover, Layout, LoadError, Loaded, MapRef, MapSpec, NotSwapped,
    Opened, Passage, PinDir, RecordLayout, Swap, Swapped, TakenBack,
};
use crate::config::{Config, ConfigFile, Metric, SpanPlan, StreamKind};
use crate::descriptors;
use crate::digest::Digest;
use crate::files::BundleId;
use crate::link::{Linked, LinkedSpan};
use crate::plugin::Gauge;
use crate::source::{ReadError, Reading, Source};
use crate::spans::{ConfigTimes, TracedRing};
use crate::system::System;
use crate::system::cgroups::Enrolled;

/// A config whose plan fits its object: all that can be known of it without the kernel.
#[derive(Debug)]
pub struct Checked {
    pub(super) config: Config,
    pub(super) opened: Opened,
    pub(super) layouts: Vec<Layout>,
    pub(super) metrics: Vec<Linked>,
    pub(super) spans: Vec<(LinkedSpan, RecordLayout)>,
    pub(super) plugins: Vec<Gauge>,
}

/// A config whose programs run.
#[derive(Debug)]
pub struct Running {
    /// The config's name.
    pub name: String,
    /// Its metrics, each with the layout of its map.
    pub metrics: Vec<(Linked, Layout)>,
    /// What is open already of what its metrics read, by the names of maps: all that its programs stream to.
    pub sources: BTreeMap<String, Box<dyn Source>>,
    /// The ring buffers of its spans.
    pub spans: Vec<TracedRing>,
    /// Its object in the kernel.
    pub attached: Attached,
    /// What its plugins cost.
    pub plugins: Vec<Gauge>,
    /// What keeps its map of cgroups in step.
    pub enrolled: Option<Enrolled>,
    /// The bundle that it is of, if it is of one.
    pub bundle: Option<BundleId>,
    /// When the kernel loaded it and attached it.
    pub times: ConfigTimes,
    /// What it was made of.
    pub made_of: MadeOf,
}

/// What a config at work was made of: what is the same when configs are read again need not be made anew.
#[derive(Clone, Debug, PartialEq)]
pub struct MadeOf {
    /// The config.
    pub config: Config,
    /// Its object.
    pub object: Digest,
    /// The files of its plugins, in its order.
    pub plugins: Vec<Digest>,
}

impl Checked {
    /// The config's file.
    pub fn file(&self) -> &ConfigFile {
        &self.config.file
    }

    /// The config's name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The maps of its object.
    pub(crate) fn maps(&self) -> Vec<MapSpec> {
        self.opened.maps()
    }

    /// Bytes of its object.
    pub(super) fn size(&self) -> usize {
        self.opened.size()
    }

    /// How each of its metrics is to read its map.
    pub fn layouts(&self) -> &[Layout] {
        &self.layouts
    }

    /// Its metrics, as they were asked for.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> + Clone {
        self.config.metrics.iter()
    }

    /// Its spans, as they were asked for.
    pub fn spans(&self) -> &[SpanPlan] {
        &self.config.spans
    }

    /// Whether a metric of this map has its records counted that come by perf events.
    pub fn opens_events(&self, map: &str) -> bool {
        let kind = |metric: &Metric| metric.events.map(|events| events.kind);
        let metrics = self.config.metrics.iter().zip(&self.layouts);
        let mut of_map = metrics.filter(|(_, layout)| layout.map == map);
        of_map.any(|(metric, _)| kind(metric) == Some(StreamKind::PerfEventArray))
    }

    /// Its plugins.
    pub fn plugins(&self) -> &[Gauge] {
        &self.plugins
    }

    /// Whether it has a map that is to be kept filled with cgroups.
    pub fn has_cgroup_map(&self) -> bool {
        self.config.cgroup_id_map.is_some()
    }

    /// Has all that can be pinned of it stay in this directory, once it is loaded.
    pub fn pin_in(&mut self, dir: &PinDir) {
        self.opened.pin_in(dir);
    }

    /// Has its object go on with those of these maps that are like its own.
    ///
    /// # Errors
    ///
    /// When no descriptor is left, or the kernel does not tell of a map.
    pub fn take_over(&mut self, maps: &[MapRef]) -> io::Result<Handover> {
        self.opened.take_over(maps)
    }

    /// What it is made of.
    pub fn made_of(&self) -> MadeOf {
        MadeOf {
            config: self.config.clone(),
            object: self.opened.digest(),
            plugins: self.plugins.iter().map(Gauge::digest).collect(),
        }
    }

    /// Loads the object, and opens the buffers that its programs stream to, but those that are `read` already.
    ///
    /// # Errors
    ///
    /// When the kernel does not take the object, or opens no buffer.
    pub fn load(self, read: &[String]) -> Result<Ready, LoadError> {
        let made_of = self.made_of();
        let Self { config, opened, layouts, metrics, spans, plugins } = self;
        let began = Instant::now();
        let object = opened.load()?;
        let loaded = Instant::now();
        let metrics: Vec<_> = metrics.into_iter().zip(layouts).collect();
        // Before anything counts: what comes to a buffer that is not open is lost, and nobody says so.
        let bundle = config.file.bundle().map(|held| held.id().clone());
        let name = config.name;
        let unread = metrics.iter().filter(|(_, layout)| !read.contains(&layout.map));
        let failed = |error: ReadError| LoadError { name: name.clone(), advice: unopened(&error) };
        let sources = streams(unread, object.maps()).map_err(failed)?;
        let unread = spans.into_iter().filter(|(_, layout)| !read.contains(&layout.map));
        let spans = rings(&name, unread, object.maps()).map_err(failed)?;
        let (times, enrolled) = ((began, loaded), None);
        let made =
            Substance { name, metrics, sources, spans, plugins, enrolled, bundle, times, made_of };
        Ok(Ready { made, object })
    }

    /// Loads it, and attaches its programs. Those that do not attach have been logged, and are found in
    /// [`Attached::failures`].
    ///
    /// # Errors
    ///
    /// As [`Checked::load`].
    pub fn start(self, system: &System) -> Result<Running, LoadError> {
        Ok(self.load(&[])?.attach(system))
    }
}

/// All of a config but its object in the kernel.
#[derive(Debug)]
struct Substance {
    name: String,
    metrics: Vec<(Linked, Layout)>,
    sources: BTreeMap<String, Box<dyn Source>>,
    spans: Vec<TracedRing>,
    plugins: Vec<Gauge>,
    enrolled: Option<Enrolled>,
    bundle: Option<BundleId>,
    /// When the kernel began to load it, and when it had.
    times: (Instant, Instant),
    made_of: MadeOf,
}

/// A config whose object the kernel has, and whose programs do not run yet.
#[derive(Debug)]
pub struct Ready {
    made: Substance,
    object: Loaded,
}

/// A config whose programs run, and may have to leave again.
#[derive(Debug)]
#[must_use = "what ran before runs neither on nor again"]
pub struct Arriving {
    made: Substance,
    swap: Swap,
    attached: Instant,
}

/// What became of programs, by their names.
pub type Passages = Vec<(String, Passage)>;

impl Ready {
    /// The config's name.
    pub fn name(&self) -> &str {
        &self.made.name
    }

    /// Opens what its metrics read of maps that were not read before.
    ///
    /// # Errors
    ///
    /// If a map cannot be made ready for reading.
    pub fn open(&mut self, how: &[Making], reading: Reading) -> Result<(), ReadError> {
        let Substance { metrics, sources, .. } = &mut self.made;
        let maps = self.object.maps();
        With::reading(metrics, how, maps, reading).open(metrics, how, maps, sources)
    }

    /// Opens what all its metrics read.
    ///
    /// # Errors
    ///
    /// If a map cannot be made ready for reading.
    pub fn open_all(&mut self, reading: Reading) -> Result<(), ReadError> {
        let all = vec![Making::Fed; self.made.metrics.len()];
        self.open(&all, reading)
    }

    /// Fills its map of cgroups, if it is to have one, and attaches its programs.
    pub fn attach(mut self, system: &System) -> Running {
        self.enroll(system);
        let attached = self.object.attach();
        self.made.run(attached, Instant::now())
    }

    /// The same with a way back: see [`Arriving::failures`].
    pub fn attach_strictly(mut self, system: &System) -> Arriving {
        self.enroll(system);
        let Self { made, object } = self;
        Arriving { made, swap: object.attach_strictly(), attached: Instant::now() }
    }

    /// Attaches its programs in the place of those of an object before it.
    ///
    /// # Errors
    ///
    /// When that would cost a program that ran, or with `strict` any: all that ran goes on.
    pub fn attach_in_place_of(
        self,
        old: Option<Attached>,
        strict: bool,
    ) -> Result<Arriving, Box<NotSwapped>> {
        let Self { made, object } = self;
        let swap = object.attach_in_place_of(old, strict)?;
        Ok(Arriving { made, swap, attached: Instant::now() })
    }

    /// Before anything counts by it.
    fn enroll(&mut self, system: &System) {
        self.made.enrolled = rolls::enroll(&self.made.made_of.config, self.object.maps(), system);
    }
}

impl Arriving {
    /// The config's name.
    pub fn name(&self) -> &str {
        &self.made.name
    }

    /// How many programs were to be attached.
    pub fn programs(&self) -> usize {
        self.swap.programs()
    }

    /// Those that do not run.
    pub fn failures(&self) -> impl Iterator<Item = &AttachError> {
        self.swap.failures()
    }

    /// Lets go of what ran before, and fills its map of cgroups, if that was not done: it may be the one that those
    /// had. What became of each program.
    pub fn settle(self, system: &System) -> (Running, Passages) {
        let Self { made, swap, attached: at } = self;
        let Swapped { attached, passages } = swap.settle();
        let mut running = made.run(attached, at);
        if running.enrolled.is_none() {
            let (config, maps) = (&running.made_of.config, running.attached.maps());
            running.enrolled = rolls::enroll(config, maps, system);
        }
        (running, passages)
    }

    /// Has those run again that ran before.
    pub fn undo(self) -> TakenBack {
        self.swap.undo()
    }
}

impl Substance {
    /// With its object, whose programs were attached then.
    fn run(self, attached: Attached, at: Instant) -> Running {
        let Self { name, metrics, sources, spans, plugins, enrolled, bundle, times, made_of } =
            self;
        let (began, loaded) = times;
        let times = ConfigTimes { name: name.clone(), began, loaded, attached: at };
        Running {
            name,
            metrics,
            sources,
            spans,
            attached,
            plugins,
            enrolled,
            bundle,
            times,
            made_of,
        }
    }
}

/// Why a buffer could not be opened.
fn unopened(error: &ReadError) -> Advice {
    let why = descriptors::explain_error(error);
    let why = why.unwrap_or_else(|| Advice::plain(advice::words(&error.source)));
    why.about(format_args!("failed to open the buffer of map {}", error.map))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Way;

    #[test]
    fn a_buffer_that_is_not_opened_says_why() {
        let of = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            let way = Way::Events;
            unopened(&ReadError { map: "events_total".to_owned(), way, source }).to_string()
        };
        insta::assert_snapshot!(of(libc::ENOMEM), @"failed to open the buffer of map events_total: cannot allocate memory");
        assert!(of(libc::EMFILE).starts_with("failed to open the buffer of map events_total: "));
    }
}
