//! Families for the encoders of `prometheus-client`, which writes the formats off the hot path.
//!
//! The client encodes what a registry owns, so a family is lent to one: the registry has a second
//! handle of it, and no copy. Drop the registry before the family is written to again, or
//! [`Arc::make_mut`] makes the copy.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use super::names::Names;
use crate::series::{Family, Histogram, Kind};

/// Series of a family, lent to a registry.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) family: Arc<Family>,
    /// Which of its series; those without rows are passed over.
    pub(super) ids: Range<usize>,
    /// What it and its labels are called. The client appends `_total` to a counter's name.
    pub(super) names: Names,
    /// The client does not escape it.
    pub(super) help: String,
}

/// The labels of one series.
pub(super) struct Labels<'a> {
    pub(super) family: &'a Family,
    /// What they are called.
    pub(super) names: &'a [String],
    pub(super) id: usize,
}

impl Collector for Lent {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self { family, ids, names, help } = self;
        let kind = match family.kind {
            Kind::Counter | Kind::RealCounter => MetricType::Counter,
            Kind::Gauge | Kind::IntegerGauge => MetricType::Gauge,
            Kind::Histogram(_) => MetricType::Histogram,
        };
        let mut metric = encoder.encode_descriptor(&names.name, help, None, kind)?;
        for id in ids.clone().filter(|id| family.is_live(*id)) {
            labelled(&self.labels(id), &mut metric, |series| {
                encode(&family.kind, family.numbers(id), series)
            })?;
        }
        Ok(())
    }
}

impl Lent {
    /// The labels of its `id`-th series.
    pub(super) fn labels(&self, id: usize) -> Labels<'_> {
        Labels { family: &self.family, names: &self.names.labels, id }
    }
}

/// Has a series encoded under its labels, if it has any: the client writes braces around none.
pub(super) fn labelled(
    labels: &Labels<'_>,
    metric: &mut MetricEncoder<'_>,
    encode: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.names.is_empty() {
        return encode(metric);
    }
    encode(&mut metric.encode_family(labels)?)
}

/// Encodes a series of this type with these numbers.
fn encode(kind: &Kind, cells: &[u64], series: &mut MetricEncoder<'_>) -> fmt::Result {
    let real = f64::from_bits(cells[0]);
    match kind {
        Kind::Counter => series.encode_counter::<NoLabelSet, u64, f64>(&cells[0], None),
        Kind::RealCounter => series.encode_counter::<NoLabelSet, f64, f64>(&real, None),
        Kind::Gauge => series.encode_gauge(&real),
        Kind::IntegerGauge => series.encode_gauge(&cells[0].cast_signed()),
        Kind::Histogram(bounds) => {
            let histogram = Histogram::new(bounds, cells);
            // The client adds up the buckets, and has to be given the one of +Inf, which is empty.
            let buckets: Vec<_> = histogram.buckets().chain([(f64::INFINITY, 0)]).collect();
            let (sum, count) = (histogram.sum(), histogram.count());
            series.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        }
    }
}

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let names = self.names.iter().map(String::as_str);
        for label in names.zip(self.family.label_values(self.id)) {
            label.encode(encoder.encode_label())?;
        }
        Ok(())
    }
}
