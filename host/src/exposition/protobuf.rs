//! Prometheus' protobuf format, for those who ask for it first: `io.prometheus.client.MetricFamily`
//! messages, each behind its length. Names and labels are exactly those of the text format.
//!
//! Not through `prometheus-client`: its feature `protobuf` writes the messages of OpenMetrics, which
//! Prometheus does not read. Its newer `prometheus_protobuf` has the right ones, but appends `_total`
//! to every counter, holds all messages before it writes the first, and brings a compiler of schemas
//! into the build. Here, one message holds one series at a time.

use bytes::Bytes;
use prost::Message;

use super::Body;
use crate::series::{Family, Histogram, Kind};

/// What to send as `Content-Type`.
pub const CONTENT_TYPE: &str = "application/vnd.google.protobuf; \
                                proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// All families that have series, in the order given.
pub fn encode<'a>(families: impl IntoIterator<Item = &'a Family>) -> Body {
    let with_series = families.into_iter().filter(|family| !family.is_empty());
    with_series.flat_map(delimited).collect()
}

/// A family's message, and its length before it.
fn delimited(family: &Family) -> [Bytes; 2] {
    let head = messages::Head {
        name: family.name.clone(),
        help: family.help.clone(),
        kind: match family.kind {
            Kind::Counter | Kind::RealCounter => messages::COUNTER,
            Kind::Gauge => messages::GAUGE,
            Kind::Histogram(_) => messages::HISTOGRAM,
        },
    };
    let mut out = head.encode_to_vec();
    let mut series = messages::Series::default();
    series.metric.label =
        family.labels.iter().map(|name| messages::LabelPair::named(name)).collect();
    for id in family.live() {
        fill(&mut series.metric, family, id);
        append(&series, &mut out);
    }
    let mut length = Vec::new();
    // As in `append`.
    let _ = prost::encode_length_delimiter(out.len(), &mut length);
    [length.into(), out.into()]
}

/// Fields that repeat may be written one by one: what follows is read as more of the same message.
fn append(series: &messages::Series, out: &mut Vec<u8>) {
    // It fails only where memory has a fixed size.
    let _ = series.encode(out);
}

/// Makes `metric`, whose labels have their names, the `id`-th series of the family.
fn fill(metric: &mut messages::Metric, family: &Family, id: usize) {
    for (label, value) in metric.label.iter_mut().zip(family.label_values(id)) {
        label.value.clear();
        label.value.push_str(value);
    }
    let cells = family.numbers(id);
    match &family.kind {
        Kind::Counter => metric.counter = Some(messages::Number { value: cells[0] as f64 }),
        Kind::RealCounter => {
            metric.counter = Some(messages::Number { value: f64::from_bits(cells[0]) });
        }
        Kind::Gauge => metric.gauge = Some(messages::Number { value: f64::from_bits(cells[0]) }),
        Kind::Histogram(bounds) => {
            let histogram = Histogram::new(bounds, cells);
            let to = metric.histogram.get_or_insert_default();
            to.sum = histogram.sum();
            // Prometheus adds the bucket of +Inf.
            let buckets = histogram.cumulative();
            let buckets = buckets.map(|(upper, count)| messages::Bucket { count, upper });
            to.bucket.clear();
            to.bucket.extend(buckets);
            to.count = to.bucket.last().map_or(0, |bucket| bucket.count);
        }
    }
}

/// The part of `metrics.proto` that is written here; tags and types are the format.
mod messages {
    use prost::Message;

    /// Values of the enumeration `MetricType`.
    pub(super) const COUNTER: i32 = 0;
    pub(super) const GAUGE: i32 = 1;
    pub(super) const HISTOGRAM: i32 = 4;

    /// A `MetricFamily` without its series.
    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Head {
        #[prost(string, required, tag = "1")]
        pub(super) name: String,
        #[prost(string, required, tag = "2")]
        pub(super) help: String,
        #[prost(int32, required, tag = "3")]
        pub(super) kind: i32,
    }

    /// A `MetricFamily` of nothing but one series.
    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Series {
        #[prost(message, required, tag = "4")]
        pub(super) metric: Metric,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub(super) label: Vec<LabelPair>,
        #[prost(message, optional, tag = "2")]
        pub(super) gauge: Option<Number>,
        #[prost(message, optional, tag = "3")]
        pub(super) counter: Option<Number>,
        #[prost(message, optional, tag = "7")]
        pub(super) histogram: Option<Histogram>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct LabelPair {
        #[prost(string, required, tag = "1")]
        pub(super) name: String,
        #[prost(string, required, tag = "2")]
        pub(super) value: String,
    }

    /// A `Gauge` or a `Counter`: they look the same.
    #[derive(Clone, Copy, PartialEq, Message)]
    pub(super) struct Number {
        #[prost(double, required, tag = "1")]
        pub(super) value: f64,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Histogram {
        #[prost(uint64, required, tag = "1")]
        pub(super) count: u64,
        #[prost(double, required, tag = "2")]
        pub(super) sum: f64,
        #[prost(message, repeated, tag = "3")]
        pub(super) bucket: Vec<Bucket>,
    }

    #[derive(Clone, Copy, PartialEq, Message)]
    pub(super) struct Bucket {
        /// Of all observations up to the bound.
        #[prost(uint64, required, tag = "1")]
        pub(super) count: u64,
        #[prost(double, required, tag = "2")]
        pub(super) upper: f64,
    }

    impl LabelPair {
        /// A label that is still to have a value.
        pub(super) fn named(name: &str) -> Self {
            Self { name: name.to_owned(), value: String::new() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::buckets::{Buckets, Scale, Slot};
    use crate::series::LabelSet;

    fn family(name: &str, kind: Kind) -> Family {
        Family::new(name.to_owned(), "h".to_owned(), vec!["l".to_owned()], kind)
    }

    /// Tag and length of a field that holds others, then what it holds.
    fn field(tag: u8, inside: &[&[u8]]) -> Vec<u8> {
        let inside = inside.concat();
        let length = u8::try_from(inside.len()).unwrap();
        assert!(length < 0x80, "a length of one byte");
        [&[tag << 3 | 2, length], &inside[..]].concat()
    }

    /// Tag and bytes of a real number.
    fn double(tag: u8, value: f64) -> Vec<u8> {
        [&[tag << 3 | 1], &value.to_le_bytes()[..]].concat()
    }

    /// Tag and value of a small whole number.
    fn varint(tag: u8, value: u8) -> Vec<u8> {
        vec![tag << 3, value]
    }

    fn label(value: &str) -> Vec<u8> {
        field(1, &[&field(1, &[b"l"]), &field(2, &[value.as_bytes()])])
    }

    /// A family, byte by byte, with its length before it.
    fn expected(name: &str, kind: u8, metrics: &[Vec<u8>]) -> Vec<u8> {
        let mut all = [field(1, &[name.as_bytes()]), field(2, &[b"h"]), varint(3, kind)].concat();
        all.extend(metrics.iter().flat_map(|metric| field(4, &[metric])));
        let length = u8::try_from(all.len()).unwrap();
        assert!(length < 0x80, "a length of one byte");
        all.insert(0, length);
        all
    }

    #[test]
    fn counters_and_gauges_keep_their_names_and_zeros() {
        let mut counter = family("exec_events", Kind::Counter);
        for (label, add) in [("a\0\"\n", 7), ("", 0)] {
            let cell = counter.join(&LabelSet::of([label]), None);
            counter.add(cell, add);
        }
        let mut real = family("s_total", Kind::RealCounter);
        real.set(&LabelSet::of(["c"]), 0.25);
        let mut gauge = family("g", Kind::Gauge);
        gauge.set(&LabelSet::of(["c"]), -0.5);
        let empty = family("empty", Kind::Gauge);

        let counters = [("a\0\"\n", 7.0), ("", 0.0)];
        let counters =
            counters.map(|(value, n)| [label(value), field(3, &[&double(1, n)])].concat());
        let all = [
            expected("exec_events", 0, &counters),
            expected("s_total", 0, &[[label("c"), field(3, &[&double(1, 0.25)])].concat()]),
            expected("g", 1, &[[label("c"), field(2, &[&double(1, -0.5)])].concat()]),
        ];
        assert_eq!(encode([&counter, &real, &empty, &gauge]).concat(), all.concat());
    }

    #[test]
    fn histograms_are_cumulative_and_leave_nothing_to_the_next() {
        let scale = Scale::Fixed(vec![1.0, 2.0]);
        let mut family = family("x", Kind::histogram(&Buckets { scale, multiplier: 0.5 }));
        for (name, slot, add) in [
            ("a", Slot::Bucket(0), 1),
            ("a", Slot::Bucket(1), 2),
            ("a", Slot::Sum, 5),
            ("b", Slot::Bucket(1), 4),
        ] {
            let cell = family.join(&LabelSet::of([name]), Some(slot));
            family.add(cell, add);
        }
        let histogram = |name, counts: [u8; 2], sum| {
            let bucket = |n: usize, upper| field(3, &[&varint(1, counts[n]), &double(2, upper)]);
            let parts = [varint(1, counts[1]), double(2, sum), bucket(0, 0.5), bucket(1, 1.0)];
            [label(name), field(7, &[&parts.concat()])].concat()
        };
        let all = [histogram("a", [1, 3], 2.5), histogram("b", [0, 4], 0.0)];
        assert_eq!(encode([&family]).concat(), expected("x", 4, &all));
    }
}
