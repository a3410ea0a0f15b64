//! What a page of text has to say, made from the numbers of families by nothing that writes pages.

use std::collections::HashSet;
use std::sync::Arc;

use ebpf_wasm_exporter::escaping::Escaping;
use ebpf_wasm_exporter::series::{Bounds, Family, Kind};

use crate::reader::{self, Sample};

/// Numbers in one spelling: OpenMetrics writes them otherwise than Go does. Whole ones keep their last digit.
pub(super) fn canonical(mut sample: Sample) -> Sample {
    for (_, value) in sample.labels.iter_mut().filter(|(name, _)| name == "le") {
        *value = respelt(value);
    }
    sample.value = respelt(&sample.value);
    sample
}

fn respelt(text: &str) -> String {
    const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    if text.parse::<u64>().is_ok() || text.parse::<i64>().is_ok_and(|number| number != 0) {
        return text.to_owned();
    }
    match reader::number(text) {
        Some(number) if number.fract() == 0.0 && number.abs() < EXACT => {
            (number as i64).to_string()
        }
        Some(number) => format!("{number:?}"),
        None => text.to_owned(),
    }
}

pub(super) fn sorted(samples: Vec<Sample>) -> Vec<Sample> {
    let mut samples: Vec<_> = samples.into_iter().map(canonical).collect();
    samples.sort();
    samples
}

/// All samples of the text format, made from the families' numbers alone.
pub(super) fn expected(families: &[Arc<Family>], escaping: Escaping) -> Vec<Sample> {
    let mut all = Vec::new();
    for family in families {
        for id in family.live() {
            let labels = labels(family, id, escaping);
            all.extend(series(family, id, (&escaping.metric(&family.name), labels)));
        }
        let unique: HashSet<Vec<&str>> =
            family.live().map(|id| family.label_values(id).collect()).collect();
        assert_eq!(unique.len(), family.len(), "a label set comes twice");
    }
    sorted(all)
}

/// The same in OpenMetrics 2.0, with native buckets as its reader tells them.
pub(super) fn expected_natively(families: &[Arc<Family>], escaping: Escaping) -> Vec<Sample> {
    let mut all = expected(families, escaping);
    for family in families {
        let Kind::Histogram(Bounds { upper, native: Some(native), .. }) = &family.kind else {
            continue;
        };
        let name = escaping.metric(&family.name);
        if !native.classic {
            all.retain(|sample| sample.name != format!("{name}_bucket"));
        }
        for id in family.live() {
            let counts = family.numbers(id)[..upper.len()].iter();
            let places = [None].into_iter().chain((native.second..).map(Some));
            all.extend(places.zip(counts).map(|(place, count)| {
                let mut labels = labels(family, id, escaping);
                labels.extend(place.map(|at| ("at".to_owned(), at.to_string())));
                Sample { name: format!("{name}_native"), labels, value: count.to_string() }
            }));
        }
    }
    sorted(all)
}

fn labels(family: &Family, id: usize, escaping: Escaping) -> Vec<(String, String)> {
    let names = family.labels.iter().map(|label| escaping.label(label).into_owned());
    names.zip(family.label_values(id).map(str::to_owned)).collect()
}

/// The samples of one series.
fn series(
    family: &Family,
    id: usize,
    (name, labels): (&str, Vec<(String, String)>),
) -> Vec<Sample> {
    let numbers = family.numbers(id);
    let one = |value: String| vec![Sample { name: name.to_owned(), labels: labels.clone(), value }];
    let bounds = match &family.kind {
        Kind::Counter => return one(numbers[0].to_string()),
        Kind::IntegerGauge => return one(numbers[0].cast_signed().to_string()),
        Kind::RealCounter | Kind::Gauge => return one(spelt(f64::from_bits(numbers[0]))),
        Kind::Histogram(bounds) => bounds,
    };
    let (sum, counts) = numbers.split_last().expect("a sum");
    let named = |suffix: &str, value: String| Sample {
        name: format!("{name}{suffix}"),
        labels: labels.clone(),
        value,
    };
    let mut count = 0_u64;
    let mut samples = Vec::new();
    for (bound, more) in
        bounds.upper.iter().copied().chain([f64::INFINITY]).zip(counts.iter().chain([&0]))
    {
        count = count.wrapping_add(*more);
        let mut sample = named("_bucket", count.to_string());
        sample.labels.push(("le".to_owned(), spelt(bound)));
        samples.push(sample);
    }
    samples.push(named("_count", count.to_string()));
    samples.push(named("_sum", spelt(*sum as f64 * bounds.multiplier)));
    samples
}

/// A number as Prometheus reads it.
fn spelt(number: f64) -> String {
    match number {
        number if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        number => format!("{number:e}"),
    }
}
