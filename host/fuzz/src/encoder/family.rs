//! Families that a config may ask for, made up.

use arbitrary::{Arbitrary as _, Result, Unstructured};
use ebpf_wasm_exporter::config::buckets::native::{FINEST, OCTAVES};
use ebpf_wasm_exporter::config::buckets::{Buckets, Scale};
use ebpf_wasm_exporter::config::name::{LabelName, MetricName, labels_that_meet};
use ebpf_wasm_exporter::series::{Family, Kind};

/// Names of families and labels that are hard to tell apart; others are made up.
const NAMES: [&str; 8] = ["a", "a_total", "a.b", "a_b", "b:c", "\u{706b}\"\\", "9", "z_bucket"];

fn name(u: &mut Unstructured<'_>) -> Result<String> {
    match u.int_in_range(0..=9)? {
        0 | 1 => Ok(<&str>::arbitrary(u)?.chars().take(16).collect()),
        known => Ok(NAMES[known - 2].to_owned()),
    }
}

/// A family that a config may ask for, or the exporter has of its own.
pub(super) fn family(u: &mut Unstructured<'_>) -> Result<Family> {
    let name = name(u)?;
    let name = MetricName::new(&name).map_or_else(|_| "x".to_owned(), |name| name.exposed());
    let kind = kind(u)?;
    let help = <&str>::arbitrary(u)?.chars().take(32).collect();
    let mut labels: Vec<LabelName> = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let Ok(label) = LabelName::new(&self::name(u)?) else { continue };
        let is_new = !labels.contains(&label) && label.as_str() != "le";
        if is_new && labels_that_meet(labels.iter().chain([&label])).is_none() {
            labels.push(label);
        }
    }
    let labels = labels.iter().map(|label| label.as_str().to_owned()).collect();
    Ok(Family::new(name, help, labels, kind))
}

fn kind(u: &mut Unstructured<'_>) -> Result<Kind> {
    let multiplier = *u.choose(&[1.0, 1e-6, 0.5, 1e300])?;
    let scale = match u.int_in_range(0..=9)? {
        0 | 1 => return Ok(Kind::Counter),
        2 => return Ok(Kind::RealCounter),
        3 => return Ok(Kind::Gauge),
        4 => return Ok(Kind::IntegerGauge),
        5 => Scale::Exp2 { min: 0, max: u.int_in_range(0..=27)? },
        6 => Scale::Linear { min: 0, max: u.int_in_range(0..=9)? },
        7 => Scale::Exp2Zero { min: 0, max: u.int_in_range(0..=27)? },
        8 => {
            let schema = u.int_in_range(0..=FINEST)?;
            let largest = OCTAVES << schema;
            let min = u.int_in_range(0..=largest)?;
            Scale::Seconds { schema, min, max: u.int_in_range(min..=largest.min(min + 27))? }
        }
        _ => {
            let mut keys = <[f64; 3]>::arbitrary(u)?.map(|key| key + 0.0);
            keys.sort_by(f64::total_cmp);
            Scale::Fixed(keys.to_vec())
        }
    };
    let mut buckets = Buckets { scale, multiplier, native: None };
    let bounds = buckets.bounds();
    // A config with such bounds is refused.
    if !bounds.iter().all(|bound| bound.is_finite()) || !bounds.is_sorted_by(|a, b| a < b) {
        buckets.scale = Scale::Fixed(vec![-1.0, 2.5]);
    }
    // As a native one too, or as that alone, if it may be.
    let native = Option::<bool>::arbitrary(u)?.and_then(|classic| buckets.as_native(classic));
    Ok(Kind::histogram(&Buckets { native, ..buckets }))
}
