//! Points of metrics, as OTLP has them, of series of a family.
//!
//! Names, help and labels stay as they are exposed, as the specification has it of what is Prometheus' own. A counter is
//! a sum that only grows, and the buckets of a histogram are told each on its own.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
    Histogram as Histograms, HistogramDataPoint, Metric, NumberDataPoint, Sum,
};

use super::exponential::Exponential;
use super::told::{Chosen, Told};
use crate::series::{Bounds, Histogram, Kind};

/// One series, its numbers as they are to be told.
struct Point {
    attributes: Vec<KeyValue>,
    /// Since when they were counted; 0 in gauges.
    start: u64,
    numbers: Vec<u64>,
}

/// The metric of these series, which were read at `time`.
pub(super) fn metric(chosen: Chosen<'_>, told: &Told, time: u64) -> Metric {
    let Chosen { family, .. } = chosen;
    let form = told.form();
    let temporality = match form.is_delta(&family.kind) {
        true => AggregationTemporality::Delta,
        false => AggregationTemporality::Cumulative,
    };
    let points = points(chosen, told);
    let data = match &family.kind {
        Kind::Gauge | Kind::IntegerGauge => {
            Data::Gauge(Gauge { data_points: values(points, &family.kind, time) })
        }
        Kind::Counter | Kind::RealCounter => Data::Sum(Sum {
            data_points: values(points, &family.kind, time),
            aggregation_temporality: temporality.into(),
            is_monotonic: true,
        }),
        Kind::Histogram(bounds) => histogram(points, bounds, (form.exponential, temporality), time),
    };
    Metric {
        name: family.name.clone(),
        description: family.help.clone(),
        metadata: vec![attribute("prometheus.type", family.kind.word())],
        data: Some(data),
        ..Metric::default()
    }
}

fn points<'a>(chosen: Chosen<'a>, told: &'a Told) -> impl Iterator<Item = Point> + 'a {
    let Chosen { family, first, ids } = chosen;
    let before = told.of(family);
    let delta = told.form().is_delta(&family.kind);
    (first..).zip(ids).map(move |(place, id)| {
        let id = *id as usize;
        let labels = family.labels.iter().zip(family.label_values(id));
        let before = before.and_then(|told| told.series(place));
        let (start, before) = before.unwrap_or_default();
        let numbers = match delta {
            true => difference(&family.kind, family.numbers(id), before),
            false => family.numbers(id).to_vec(),
        };
        let attributes = labels.map(|(name, value)| attribute(name, value)).collect();
        Point { attributes, start, numbers }
    })
}

/// By what the numbers of a series have grown.
fn difference(kind: &Kind, now: &[u64], before: &[u64]) -> Vec<u64> {
    let less = |(now, before): (&u64, &u64)| match kind {
        Kind::RealCounter => (f64::from_bits(*now) - f64::from_bits(*before)).to_bits(),
        _ => now.wrapping_sub(*before),
    };
    now.iter().zip(before).map(less).collect()
}

fn values(points: impl Iterator<Item = Point>, kind: &Kind, time: u64) -> Vec<NumberDataPoint> {
    let value = |Point { attributes, start, numbers }| NumberDataPoint {
        attributes,
        start_time_unix_nano: start.min(time),
        time_unix_nano: time,
        value: Some(value(kind, numbers[0])),
        ..NumberDataPoint::default()
    };
    points.map(value).collect()
}

/// The number of a series without buckets. Whole numbers stay whole as far as the format has them.
fn value(kind: &Kind, number: u64) -> Number {
    match kind {
        Kind::RealCounter | Kind::Gauge => Number::AsDouble(f64::from_bits(number)),
        Kind::IntegerGauge => Number::AsInt(number.cast_signed()),
        Kind::Counter | Kind::Histogram(_) => {
            i64::try_from(number).map_or(Number::AsDouble(number as f64), Number::AsInt)
        }
    }
}

fn histogram(
    points: impl Iterator<Item = Point>,
    bounds: &Bounds,
    (exponential, temporality): (bool, AggregationTemporality),
    time: u64,
) -> Data {
    let aggregation_temporality = temporality.into();
    match Exponential::of(bounds).filter(|_| exponential) {
        Some(form) => {
            let point = |point| exponential_point(point, form, bounds, time);
            let data_points = points.map(point).collect();
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points,
                aggregation_temporality,
            })
        }
        None => {
            let data_points = points.map(|point| explicit_point(point, bounds, time)).collect();
            Data::Histogram(Histograms { data_points, aggregation_temporality })
        }
    }
}

fn explicit_point(point: Point, bounds: &Bounds, time: u64) -> HistogramDataPoint {
    let Point { attributes, start, numbers } = point;
    let histogram = Histogram::new(bounds, &numbers);
    // Above the last bound there is nothing: what is larger was counted in the last bucket.
    let bucket_counts = histogram.buckets().map(|(_, count)| count).chain([0]).collect();
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: start.min(time),
        time_unix_nano: time,
        count: histogram.count(),
        sum: Some(histogram.sum()),
        bucket_counts,
        explicit_bounds: bounds.upper.clone(),
        ..HistogramDataPoint::default()
    }
}

fn exponential_point(
    point: Point,
    form: Exponential,
    bounds: &Bounds,
    time: u64,
) -> ExponentialHistogramDataPoint {
    let Point { attributes, start, numbers } = point;
    let histogram = Histogram::new(bounds, &numbers);
    let (zero_count, positive) = form.buckets(histogram.buckets().map(|(_, count)| count));
    ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano: start.min(time),
        time_unix_nano: time,
        count: histogram.count(),
        sum: Some(histogram.sum()),
        scale: form.scale,
        zero_count,
        zero_threshold: form.zero_threshold,
        positive: Some(positive),
        ..ExponentialHistogramDataPoint::default()
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}
