//! From configs that were read again to what is exchanged of units at work.
//!
//! Never decides what has changed.

use std::collections::BTreeMap;
use std::io;

use super::buffers::{rings, streams};
use super::{Checked, Running, read, sink};

use crate::bpf::{Layout, MapRef};
use crate::link::Linked;
use crate::scrape::{Fed, Renewal, Renewed, Unit};
use crate::source::{MapReader, ReadError, Reading, Sink, Source, Way};
use crate::spans::TracedRing;

/// How a metric comes to be of a config that was read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// It goes on.
    Kept,
    /// It is made anew, and its map is read as before.
    Linked,
    /// It is made anew, and its map was not read before.
    Fed,
}

/// How maps are read.
pub(super) struct With {
    pub(super) reading: Reading,
    pub(super) sink: Option<Sink>,
}

impl With {
    /// With memory of its own for the maps of those of these metrics that are fed anew.
    pub(super) fn reading(
        metrics: &[(Linked, Layout)],
        how: &[Making],
        maps: &[MapRef],
        reading: Reading,
    ) -> Self {
        Self { reading, sink: sink(read(fed(metrics, how), maps), reading) }
    }

    /// Opens what those of these metrics read that are fed anew, but what is open already.
    pub(super) fn open(
        &self,
        metrics: &[(Linked, Layout)],
        how: &[Making],
        maps: &[MapRef],
        sources: &mut BTreeMap<String, Box<dyn Source>>,
    ) -> Result<(), ReadError> {
        for (_, layout) in fed(metrics, how) {
            if !sources.contains_key(&layout.map) {
                let reader =
                    MapReader::new(named(maps, layout)?, self.reading, self.sink.as_ref())?;
                sources.insert(layout.map.clone(), Box::new(reader));
            }
        }
        Ok(())
    }
}

fn named<'a>(maps: &'a [MapRef], layout: &Layout) -> Result<&'a MapRef, ReadError> {
    maps.iter().find(|map| map.spec.name == layout.map).ok_or_else(|| ReadError {
        map: layout.map.clone(),
        way: Way::Batch,
        source: io::ErrorKind::NotFound.into(),
    })
}

/// Those of these metrics whose maps were not read before.
fn fed<'a>(
    metrics: &'a [(Linked, Layout)],
    how: &'a [Making],
) -> impl Iterator<Item = &'a (Linked, Layout)> {
    metrics.iter().zip(how).filter(|(_, how)| **how == Making::Fed).map(|(made, _)| made)
}

/// What becomes of each metric. One whose map nobody has opened is left out.
fn renewed(
    metrics: Vec<(Linked, Layout)>,
    how: &[Making],
    mut sources: BTreeMap<String, Box<dyn Source>>,
) -> Vec<Renewed> {
    let renewed = |((linked, layout), how): ((Linked, Layout), &Making)| match how {
        Making::Kept => Some(Renewed::Kept(layout.map)),
        Making::Linked => Some(Renewed::Linked(Box::new((linked, layout)))),
        Making::Fed => {
            let source = sources.remove(&layout.map)?;
            Some(Renewed::Fed(Box::new(Fed { linked, layout, source })))
        }
    };
    metrics.into_iter().zip(how).filter_map(renewed).collect()
}

/// What is exchanged of a config whose object was loaded anew and whose programs run. All that is fed anew is
/// [open](super::Ready::open).
pub fn renewal(running: Running, how: &[Making]) -> Renewal {
    let Running { name, metrics, sources, attached, plugins, enrolled, bundle, .. } = running;
    let metrics = renewed(metrics, how, sources);
    let (attached, plugins) = (Some(attached), Some(plugins));
    Renewal { name, metrics, attached, plugins, enrolled, bundle }
}

/// A config that comes, all of whose maps are [open](super::Ready::open).
pub fn unit(running: Running) -> Unit {
    let Running {
        name, metrics, mut sources, attached, plugins, enrolled, bundle, made_of, ..
    } = running;
    let file = made_of.config.file.path;
    let fed = |(linked, layout): (Linked, Layout)| {
        let source = sources.remove(&layout.map)?;
        Some(Fed { linked, layout, source })
    };
    let metrics = metrics.into_iter().filter_map(fed).collect();
    Unit { name, metrics, attached: Some(attached), plugins, enrolled, bundle, file }
}

impl Checked {
    /// Opens the ring buffers of its spans among these maps of its object, but those that are `kept`.
    ///
    /// # Errors
    ///
    /// If one cannot be opened.
    pub fn trace(
        &mut self,
        kept: &[String],
        maps: &[MapRef],
    ) -> Result<Vec<TracedRing>, ReadError> {
        let spans = std::mem::take(&mut self.spans).into_iter();
        rings(&self.config.name, spans.filter(|(_, layout)| !kept.contains(&layout.map)), maps)
    }

    /// What is exchanged of a config whose object, which has these maps, stays as it is.
    ///
    /// # Errors
    ///
    /// If a map cannot be made ready for reading.
    pub fn renew(
        self,
        how: &[Making],
        maps: &[MapRef],
        reading: Reading,
    ) -> Result<Renewal, ReadError> {
        let Self { config, layouts, metrics, plugins, .. } = self;
        let metrics: Vec<_> = metrics.into_iter().zip(layouts).collect();
        let mut sources = streams(fed(&metrics, how), maps)?;
        With::reading(&metrics, how, maps, reading).open(&metrics, how, maps, &mut sources)?;
        let metrics = renewed(metrics, how, sources);
        let bundle = config.file.bundle().map(|held| held.id().clone());
        let (name, attached, enrolled) = (config.name, None, None);
        Ok(Renewal { name, metrics, attached, plugins: Some(plugins), enrolled, bundle })
    }
}
