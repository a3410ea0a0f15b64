//! From configs that were read again to what is exchanged of units at work.
//!
//! Never decides what has changed.

use std::collections::BTreeMap;
use std::io;

use super::phases::{rings, streams};
use super::{Checked, Running, read, sink};
use tracing::warn;

use crate::advice;
use crate::bpf::{Layout, MapRef};
use crate::link::Linked;
use crate::scrape::{Fed, Renewal, Renewed};
use crate::source::{EventSource, MapReader, ReadError, Reading, Sink, Source, Way};
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
    /// A metric and what feeds it: the buffer that was opened for it, or its map among these.
    pub(super) fn fed(
        &self,
        (linked, layout): (Linked, Layout),
        streams: &mut BTreeMap<String, EventSource>,
        maps: &[MapRef],
    ) -> Result<Fed, ReadError> {
        let source: Box<dyn Source> = match streams.remove(&layout.map) {
            Some(events) => Box::new(events),
            None => {
                Box::new(MapReader::new(named(maps, &layout)?, self.reading, self.sink.as_ref())?)
            }
        };
        Ok(Fed { linked, layout, source })
    }

    fn renewed(
        &self,
        metrics: Vec<(Linked, Layout)>,
        how: &[Making],
        streams: &mut BTreeMap<String, EventSource>,
        maps: &[MapRef],
    ) -> Result<Vec<Renewed>, ReadError> {
        let pairs = metrics.into_iter().zip(how);
        let renewed = pairs.map(|(made, how)| {
            Ok(match how {
                Making::Kept => Renewed::Kept(made.1.map),
                Making::Linked => Renewed::Linked(Box::new(made)),
                Making::Fed => Renewed::Fed(Box::new(self.fed(made, streams, maps)?)),
            })
        });
        renewed.collect()
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

/// What is exchanged of a config whose object was loaded anew and whose programs run. A metric whose map cannot be made
/// ready for reading is left out, which is logged: there is no way back.
pub fn renewal(running: Running, how: &[Making], reading: Reading) -> Renewal {
    let Running { name, metrics, mut streams, attached, plugins, enrolled, bundle, .. } = running;
    let sink = sink(read(fed(&metrics, how), attached.maps()), reading);
    let with = With { reading, sink };
    let mut renewed = Vec::new();
    for (made, how) in metrics.into_iter().zip(how) {
        match with.renewed(vec![made], &[*how], &mut streams, attached.maps()) {
            Ok(metric) => renewed.extend(metric),
            Err(error) => warn!(
                config = name,
                "map {} cannot be made ready for reading: {}; its metric is left out until a reload or a restart",
                error.map,
                advice::words(&error.source)
            ),
        }
    }
    let (metrics, attached, plugins) = (renewed, Some(attached), Some(plugins));
    Renewal { name, metrics, attached, plugins, enrolled, bundle }
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
        let mut streams = streams(fed(&metrics, how), maps)?;
        let sink = sink(read(fed(&metrics, how), maps), reading);
        let metrics = With { reading, sink }.renewed(metrics, how, &mut streams, maps)?;
        let bundle = config.file.bundle().map(|held| held.id().clone());
        let (name, attached, enrolled) = (config.name, None, None);
        Ok(Renewal { name, metrics, attached, plugins: Some(plugins), enrolled, bundle })
    }
}
