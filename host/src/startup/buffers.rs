//! The buffers that programs write records to, opened: those whose records are counted, and those that become spans.
//!
//! Reads nothing of them.

use std::collections::BTreeMap;
use std::io;

use crate::bpf::{Layout, MapRef, RecordLayout, Ring};
use crate::config::EventStream;
use crate::link::{Linked, LinkedSpan};
use crate::source::{EventSource, ReadError, Source, Way};
use crate::spans::TracedRing;

/// Opens the buffers that these metrics count the records of.
pub(super) fn streams<'a>(
    metrics: impl Iterator<Item = &'a (Linked, Layout)>,
    maps: &[MapRef],
) -> Result<BTreeMap<String, Box<dyn Source>>, ReadError> {
    let streamed = metrics.filter_map(|(linked, layout)| {
        let map = maps.iter().find(|map| map.spec.name == layout.map)?;
        Some((linked.metric.events?, map, layout))
    });
    let open = |(events, map, layout): (EventStream, &MapRef, &Layout)| {
        let source = EventSource::new(map, layout.decoded(), events.flush_interval)?;
        Ok((layout.map.clone(), Box::new(source) as Box<dyn Source>))
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
