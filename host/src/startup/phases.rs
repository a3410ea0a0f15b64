//! A config from checked to running, phase by phase: what is not yet possible cannot be written.
//!
//! Never decides what a failure means for the process.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::time::Instant;

use tracing::warn;

use super::rolls;
use crate::advice::{self, Advice};
use crate::bpf::{
    Attached, Layout, LoadError, Loaded, MapRef, MapSpec, NotSwapped, Opened, Passage, PinDir,
    RecordLayout, Ring,
};
use crate::config::{Config, ConfigFile, EventStream, Metric, SpanPlan, StreamKind};
use crate::descriptors;
use crate::digest::Digest;
use crate::files::BundleId;
use crate::link::{Linked, LinkedSpan};
use crate::plugin::Gauge;
use crate::source::{EventSource, ReadError, Way};
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
    /// What counts the records of each map that its programs stream to.
    pub streams: BTreeMap<String, EventSource>,
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

    /// Has its object go on with those of these maps that are like its own. Which they are; what is not is logged.
    ///
    /// # Errors
    ///
    /// When no descriptor is left, or the kernel does not tell of a map.
    pub fn take_over(&mut self, maps: &[MapRef]) -> io::Result<Vec<String>> {
        let handover = self.opened.take_over(maps)?;
        handover.anew.iter().for_each(|map| warn!(config = self.config.name, "{map}"));
        Ok(handover.taken)
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
        let streams = streams(unread, object.maps()).map_err(failed)?;
        let unread = spans.into_iter().filter(|(_, layout)| !read.contains(&layout.map));
        let spans = rings(&name, unread, object.maps()).map_err(failed)?;
        let times = (began, loaded);
        Ok(Ready { name, metrics, streams, spans, object, plugins, bundle, times, made_of })
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

/// A config whose object the kernel has, and whose programs do not run yet.
#[derive(Debug)]
pub struct Ready {
    /// The config's name.
    pub name: String,
    metrics: Vec<(Linked, Layout)>,
    streams: BTreeMap<String, EventSource>,
    spans: Vec<TracedRing>,
    object: Loaded,
    plugins: Vec<Gauge>,
    bundle: Option<BundleId>,
    times: (Instant, Instant),
    made_of: MadeOf,
}

/// How programs have come to run, by their names.
pub type Passages = Vec<(String, Passage)>;

impl Ready {
    /// Fills its map of cgroups, if it is to have one, and attaches its programs.
    pub fn attach(self, system: &System) -> Running {
        // Before anything counts by it.
        let enrolled = rolls::enroll(&self.made_of.config, self.object.maps(), system);
        let Ok(running) = self.attach_by(|loaded| Ok::<_, Infallible>(loaded.attach()));
        Running { enrolled, ..running }
    }

    /// Attaches its programs in the place of those of an object before it, then fills its map of cgroups, which may be
    /// the one that those had. How each program has come to run.
    ///
    /// # Errors
    ///
    /// When a program does not attach that ran before: all that ran goes on.
    pub fn attach_in_place_of(
        self,
        old: Attached,
        system: &System,
    ) -> Result<(Running, Passages), Box<NotSwapped>> {
        let mut passages = Vec::new();
        let running = self.attach_by(|loaded| {
            let swapped = loaded.attach_in_place_of(old)?;
            passages = swapped.passages;
            Ok::<_, Box<NotSwapped>>(swapped.attached)
        })?;
        let enrolled = rolls::enroll(&running.made_of.config, running.attached.maps(), system);
        Ok((Running { enrolled, ..running }, passages))
    }

    fn attach_by<E>(
        self,
        attach: impl FnOnce(Loaded) -> Result<Attached, E>,
    ) -> Result<Running, E> {
        let Self { name, metrics, streams, spans, object, .. } = self;
        let Self { plugins, bundle, times: (began, loaded), made_of, .. } = self;
        let (attached, enrolled) = (attach(object)?, None);
        let times = ConfigTimes { name: name.clone(), began, loaded, attached: Instant::now() };
        Ok(Running {
            name,
            metrics,
            streams,
            spans,
            attached,
            plugins,
            enrolled,
            bundle,
            times,
            made_of,
        })
    }
}

/// Opens the buffers that these metrics count the records of.
pub(super) fn streams<'a>(
    metrics: impl Iterator<Item = &'a (Linked, Layout)>,
    maps: &[MapRef],
) -> Result<BTreeMap<String, EventSource>, ReadError> {
    let streamed = metrics.filter_map(|(linked, layout)| {
        let map = maps.iter().find(|map| map.spec.name == layout.map)?;
        Some((linked.metric.events?, map, layout))
    });
    let open = |(events, map, layout): (EventStream, &MapRef, &Layout)| {
        let source = EventSource::new(map, layout.decoded(), events.flush_interval)?;
        Ok((layout.map.clone(), source))
    };
    streamed.map(open).collect()
}

/// Opens the ring buffers that spans of this config are made of. What stands in them is left there.
pub(super) fn rings(
    config: &str,
    spans: impl Iterator<Item = (LinkedSpan, RecordLayout)>,
    maps: &[MapRef],
) -> Result<Vec<TracedRing>, ReadError> {
    let open = |(linked, layout): (LinkedSpan, RecordLayout)| {
        let map = maps.iter().find(|map| map.spec.name == layout.map);
        let ring = map.map_or_else(|| Err(io::ErrorKind::NotFound.into()), Ring::new);
        match ring {
            Ok(ring) => Ok(TracedRing { config: config.to_owned(), linked, layout, ring }),
            Err(source) => Err(ReadError { map: layout.map, way: Way::Events, source }),
        }
    };
    spans.map(open).collect()
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
