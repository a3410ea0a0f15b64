//! Prometheus' protobuf format, for those who ask for it first: `io.prometheus.client.MetricFamily`
//! messages, each behind its length. Names and labels are those of the text format, without its quotes.
//!
//! The messages are `prometheus-client`'s, which appends `_total` to the name of every counter: it is put
//! right. It knows neither native histograms nor when a series began: both are added. The client holds a
//! message for each series, hundreds of bytes, so a family is encoded some series at a time. Large families
//! are kept and written by a `script`, which the client's messages are the twin of.

use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::encoding::prometheus_protobuf::{
    self,
    prometheus_data_model::{BucketSpan, Metric, MetricFamily},
};
use prometheus_client::registry::Registry;
use prost::Message;

use super::Body;
use super::client::Lent;
use super::names::Names;
use crate::config::buckets::native::Native;
use crate::escaping::Escaping;
use crate::series::{Family, Histogram, Kind};

pub(super) mod script;

/// Series that are messages at the same time: they are memory, and what each lot costs beside them
/// vanishes.
const SERIES: usize = 256;

/// What Prometheus counts a native histogram's observations with: more than that it refuses, and the scrape with it.
const MOST: u64 = i64::MAX as u64;

/// All families that have series, in the order given, all of them by the client.
pub fn encode(families: &[Arc<Family>], escaping: Escaping) -> Body {
    let full = families.iter().filter(|family| !family.is_empty());
    full.flat_map(|family| delimited(family, escaping)).collect()
}

/// A family's message, and its length before it, by the client.
pub(super) fn delimited(family: &Arc<Family>, escaping: Escaping) -> [Bytes; 2] {
    let names = Names::of(family, escaping);
    let mut out = Vec::new();
    for start in (0..family.room()).step_by(SERIES) {
        let mut message = message(family, &names, start);
        if out.is_empty() {
            message.name.clone_from(&names.name);
        } else {
            // What follows is read as more of the same message, as if its series had stood there.
            message = MetricFamily { metric: message.metric, ..MetricFamily::default() };
        }
        // It fails only where memory has a fixed size.
        let _ = message.encode(&mut out);
    }
    let mut length = Vec::new();
    // As above.
    let _ = prost::encode_length_delimiter(out.len(), &mut length);
    [length.into(), out.into()]
}

/// A family with some of its series, as the client has it.
fn message(family: &Arc<Family>, names: &Names, start: usize) -> MetricFamily {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Lent {
        family: Arc::clone(family),
        ids: start..family.room().min(start + SERIES),
        names: names.clone(),
        help: family.help.clone(),
    }));
    // Nothing that is lent fails, and one family makes one message.
    let mut message =
        prometheus_protobuf::encode(&registry).unwrap_or_default().pop().unwrap_or_default();
    let ids = (start..family.room().min(start + SERIES)).filter(|id| family.is_live(*id));
    for (metric, id) in message.metric.iter_mut().zip(ids) {
        complete(metric, family, id);
    }
    message
}

/// Adds to a series what the client does not know of.
fn complete(metric: &mut Metric, family: &Family, id: usize) {
    if let Some(time) = family.begun(id) {
        let (counter, histogram) = (&mut metric.counter, &mut metric.histogram);
        let counter = counter.iter_mut().map(|counter| &mut counter.start_timestamp);
        let histogram = histogram.iter_mut().map(|histogram| &mut histogram.start_timestamp);
        for begun in counter.chain(histogram).map(Option::get_or_insert_default) {
            begun.seconds = (time / 1000).cast_signed();
            begun.nanos = (time % 1000 * 1_000_000) as i32;
        }
    }
    if let (Kind::Histogram(bounds), Some(message)) = (&family.kind, &mut metric.histogram)
        && let Some(Native { schema, second, classic }) = bounds.native
    {
        let histogram = Histogram::new(bounds, family.numbers(id));
        let others = bounds.upper.len() - 1;
        message.sample_count = histogram.told_count(MOST);
        message.schema = schema.into();
        message.zero_threshold = bounds.upper[0];
        message.zero_count = histogram.native_counts(MOST).next().unwrap_or_default();
        message.positive_span = vec![BucketSpan { offset: second, length: others as u32 }];
        message.positive_delta = histogram.native_deltas(MOST).collect();
        if !classic {
            message.bucket.clear();
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

    /// Tag and bytes of a real number. Zeros and empty texts are what a field is that is not there.
    fn double(tag: u8, value: f64) -> Vec<u8> {
        if value == 0.0 { Vec::new() } else { [&[tag << 3 | 1], &value.to_le_bytes()[..]].concat() }
    }

    /// Tag and value of a small whole number.
    fn varint(tag: u8, value: u8) -> Vec<u8> {
        if value == 0 { Vec::new() } else { vec![tag << 3, value] }
    }

    fn label(value: &str) -> Vec<u8> {
        let text = if value.is_empty() { Vec::new() } else { field(2, &[value.as_bytes()]) };
        field(1, &[&field(1, &[b"l"]), &text])
    }

    /// A family, byte by byte, with its length before it.
    fn expected(name: &str, kind: u8, metrics: &[Vec<u8>]) -> Vec<u8> {
        let mut all = [field(1, &[name.as_bytes()]), field(2, &[b"h"]), varint(3, kind)].concat();
        all.extend(metrics.iter().flat_map(|metric| field(4, &[metric])));
        let mut out = Vec::new();
        prost::encode_length_delimiter(all.len(), &mut out).unwrap();
        out.append(&mut all);
        out
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
        assert_eq!(
            encode(&[counter, real, empty, gauge].map(Arc::new), Escaping::default()).concat(),
            all.concat()
        );
    }

    #[test]
    fn histograms_are_cumulative() {
        let scale = Scale::Fixed(vec![1.0, 2.0]);
        let mut family =
            family("x", Kind::histogram(&Buckets { scale, multiplier: 0.5, native: None }));
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
            let ends = [bucket(0, 0.5), bucket(1, 1.0), bucket(1, f64::INFINITY)];
            let parts = [varint(1, counts[1]), double(2, sum), ends.concat()];
            [label(name), field(7, &[&parts.concat()])].concat()
        };
        let all = [histogram("a", [1, 3], 2.5), histogram("b", [0, 4], 0.0)];
        assert_eq!(encode(&[family.into()], Escaping::default()).concat(), expected("x", 4, &all));
    }

    #[test]
    fn many_series_are_one_message() {
        let mut family = family("x", Kind::Counter);
        let values: Vec<_> = (0..3 * SERIES as u64 + 1).collect();
        for value in &values {
            let cell = family.join(&LabelSet::of([&*value.to_string()]), None);
            family.add(cell, *value);
            // Half of them are gone again.
            if value % 2 == 1 {
                family.leave(cell);
            }
        }
        let bytes = encode(&[family.into()], Escaping::default()).concat();
        let message = MetricFamily::decode_length_delimited(&*bytes).unwrap();
        assert_eq!((&*message.name, &*message.help), ("x", "h"));
        let found = message.metric.into_iter().map(|metric| {
            let value = metric.counter.unwrap().value;
            assert_eq!(metric.label[0].value, value.to_string());
            value as u64
        });
        assert!(found.eq(values.into_iter().step_by(2)));
    }

    #[test]
    fn names_that_are_not_plain_are_escaped_or_stay() {
        let mut family = Family::new(
            "x.y".to_owned(),
            "h".to_owned(),
            vec!["k8s.pod".to_owned(), "b".to_owned()],
            Kind::Counter,
        );
        family.join(&LabelSet::of(["v", "w"]), None);
        let families = [Arc::new(family)];
        for (escaping, name, label) in [
            (Escaping::AllowUtf8, "x.y", "k8s.pod"),
            (Escaping::Underscores, "x_y", "k8s_pod"),
            (Escaping::Dots, "x_dot_y", "k8s_dot_pod"),
            (Escaping::Values, "U__x_2e_y", "U__k8s_2e_pod"),
        ] {
            let bytes = encode(&families, escaping).concat();
            let message = MetricFamily::decode_length_delimited(&*bytes).unwrap();
            let labels: Vec<_> =
                message.metric[0].label.iter().map(|label| label.name.as_str()).collect();
            assert_eq!((&*message.name, labels), (name, vec![label, "b"]));
        }
    }

    #[test]
    fn families_are_given_back() {
        let mut family = family("x", Kind::Counter);
        family.join(&LabelSet::of(["a"]), None);
        let families = [Arc::new(family)];
        assert!(!encode(&families, Escaping::default()).is_empty());
        assert_eq!(Arc::strong_count(&families[0]), 1);
    }
}
