//! What a collector has and what a page says, as samples that can be compared.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

/// What the names of the recording's metrics begin with.
pub const OF_MAPS: &str = "ebpf_exporter_work_";

/// Samples of an exposition: what stands before the value, its labels sorted, and the value.
pub type Samples = BTreeMap<String, f64>;

/// The samples of a page.
pub fn samples(text: &str) -> Samples {
    let label = Regex::new(r#"([a-z_]+)="((?:[^"\\]|\\.)*)""#).unwrap();
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = label.captures_iter(labels).map(|found| {
            let (name, value) = (&found[1], &found[2]);
            (name.to_owned(), bound(name, value))
        });
        (series_of(name, labels.collect()), value.parse().unwrap())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

/// A bound as every number is written here; other values as they are.
pub fn bound(name: &str, value: &str) -> String {
    let number = value.parse::<f64>().ok().filter(|_| name == "le");
    number.map_or_else(|| value.to_owned(), |number| number.to_string())
}

/// How a series is called here.
pub fn series_of(name: &str, labels: BTreeMap<String, String>) -> String {
    format!("{name}{labels:?}")
}

/// A point that a collector has, its numbers as samples, each bucket with those below it.
pub struct Got {
    pub series: String,
    pub start: u64,
    pub end: u64,
    pub samples: Samples,
}

/// What is listed there; nothing if there is no list.
pub fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// A whole number, which is a text in JSON of protobuf.
fn whole(value: &Value) -> u64 {
    value.as_str().map_or_else(|| value.as_u64().unwrap_or_default(), |text| text.parse().unwrap())
}

/// The points of maps in a message, as a collector writes it, by the metric's kind.
pub fn points(message: &Value) -> Vec<(&'static str, Got)> {
    let mut all = Vec::new();
    for resource in array(message, "resourceMetrics") {
        for scope in array(resource, "scopeMetrics") {
            assert_eq!(scope["scope"]["name"], "ebpf_wasm_exporter");
            for metric in array(scope, "metrics") {
                let name = metric["name"].as_str().unwrap();
                for kind in ["sum", "gauge", "histogram", "exponentialHistogram"] {
                    let points = array(&metric[kind], "dataPoints");
                    all.extend(points.iter().map(|point| (kind, got(kind, name, point))));
                }
            }
        }
    }
    all
}

fn got(kind: &str, name: &str, point: &Value) -> Got {
    let labels: BTreeMap<_, _> = array(point, "attributes")
        .iter()
        .map(|pair| {
            let value = pair["value"]["stringValue"].as_str().unwrap_or_default();
            (pair["key"].as_str().unwrap().to_owned(), value.to_owned())
        })
        .collect();
    let number = |key: &str| point[key].as_f64().unwrap_or_default();
    let samples = match kind {
        "sum" | "gauge" => {
            let value = match &point["asInt"] {
                Value::Null => number("asDouble"),
                int => whole(int) as f64,
            };
            Samples::from([(series_of(name, labels.clone()), value)])
        }
        _ => {
            let buckets = if kind == "histogram" { explicit(point) } else { exponential(point) };
            let mut samples = cumulative(name, &labels, &buckets);
            let count = whole(&point["count"]) as f64;
            assert_eq!(buckets.iter().map(|(_, count)| count).sum::<f64>(), count);
            samples.insert(series_of(&format!("{name}_count"), labels.clone()), count);
            samples.insert(series_of(&format!("{name}_sum"), labels.clone()), number("sum"));
            samples
        }
    };
    let time = |key: &str| whole(&point[key]);
    let (start, end) = (time("startTimeUnixNano"), time("timeUnixNano"));
    Got { series: series_of(name, labels), start, end, samples }
}

/// Where each bucket ends, and what it holds.
fn explicit(point: &Value) -> Vec<(f64, f64)> {
    let bounds = array(point, "explicitBounds").iter().map(|bound| bound.as_f64().unwrap());
    let counts = array(point, "bucketCounts").iter().map(|count| whole(count) as f64);
    bounds.chain([f64::INFINITY]).zip(counts).collect()
}

fn exponential(point: &Value) -> Vec<(f64, f64)> {
    assert_eq!(point["scale"].as_i64().unwrap_or_default(), 0);
    let offset = point["positive"]["offset"].as_i64().unwrap_or_default();
    let above = array(&point["positive"], "bucketCounts").iter().map(|count| whole(count) as f64);
    let ends = (offset..).map(|index| 2f64.powi(i32::try_from(index).unwrap() + 1));
    let zero = point["zeroThreshold"].as_f64().unwrap_or_default();
    let zero = (zero, whole(&point["zeroCount"]) as f64);
    [zero].into_iter().chain(ends.zip(above)).chain([(f64::INFINITY, 0.0)]).collect()
}

fn cumulative(name: &str, labels: &BTreeMap<String, String>, buckets: &[(f64, f64)]) -> Samples {
    let mut total = 0.0;
    let bucket = |(end, count): &(f64, f64)| {
        total += count;
        let mut labels = labels.clone();
        let end = if end.is_finite() { end.to_string() } else { "inf".to_owned() };
        labels.insert("le".to_owned(), end);
        (series_of(&format!("{name}_bucket"), labels), total)
    };
    buckets.iter().map(bucket).collect()
}

/// Of what was got, the samples of the recording's metrics.
pub fn of_maps(got: impl IntoIterator<Item = Samples>) -> Samples {
    let all = got.into_iter().flatten();
    all.filter(|(series, _)| series.starts_with(OF_MAPS)).collect()
}
