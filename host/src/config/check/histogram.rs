//! Histograms: their buckets, and the label that holds the bucket of a row.

mod native;

use super::one_of;
use crate::advice::{cut, quote};
use crate::config::bounds;
use crate::config::buckets::{Buckets, LARGEST_EXACT, Scale, TYPES};
use crate::config::error::LONGEST_PATH;
use crate::config::faults::Faults;
use crate::config::ranges::{MOST_BUCKETS as MOST, largest_key, largest_native_key};
use crate::config::raw::{self, Field};
use crate::decode::builtin;

/// The buckets that a histogram's fields ask for.
pub(super) fn buckets(kind: raw::Kind, path: &str, faults: &Faults<'_>) -> Option<Buckets> {
    let raw::Kind::Histogram {
        bucket_type,
        bucket_multiplier,
        bucket_min,
        bucket_max,
        bucket_schema,
        bucket_keys,
        native,
        classic,
    } = kind
    else {
        return None;
    };
    let multiplied = !bucket_multiplier.is_absent();
    let multiplier = multiplier(bucket_multiplier, path, faults);
    let kind = kind_of(bucket_type, path, faults)?;
    let shown = native::Shown::of(native, classic, kind == "native", path, faults);
    let misplaced = |key: &str, remedy: &str| {
        let problem = format!("{kind} buckets do nothing with {key}");
        faults.warning(&format!("{path}.{key}"), problem, remedy);
    };
    if kind == "fixed" {
        let remedy = "remove it, as the keys are those of bucket_keys";
        for (key, field) in [("bucket_min", &bucket_min), ("bucket_max", &bucket_max)] {
            (!field.is_absent()).then(|| misplaced(key, remedy));
        }
    } else if !bucket_keys.is_absent() {
        misplaced("bucket_keys", "remove it, or write `bucket_type: fixed`");
    }
    if kind == "native" {
        if multiplied {
            misplaced("bucket_multiplier", native::IN_SECONDS);
        }
    } else if !bucket_schema.is_absent() {
        misplaced("bucket_schema", "remove it, or write `bucket_type: native`");
    }
    let scale = match kind.as_str() {
        "fixed" => Scale::Fixed(fixed(bucket_keys, path, faults)?),
        "native" => {
            let schema = native::schema(bucket_schema, path, faults);
            let largest = schema.map_or_else(|| largest_key("native"), largest_native_key);
            let range = range("native", largest, (bucket_min, bucket_max), path, faults);
            let (min, max) = range?;
            Scale::Seconds { schema: schema?, min, max }
        }
        kind => {
            let largest = largest_key(kind);
            let (min, max) = range(kind, largest, (bucket_min, bucket_max), path, faults)?;
            match kind {
                "exp2" => Scale::Exp2 { min, max },
                "exp2zero" => Scale::Exp2Zero { min, max },
                _ => Scale::Linear { min, max },
            }
        }
    };
    if faults.bounds.buckets(scale.count()).is_err() {
        let problem = format!("the histograms have more than {} buckets together", bounds::BUCKETS);
        faults.error(path, problem, "count in wider steps, or serve fewer in one process");
        return None;
    }
    let multiplier = match scale {
        Scale::Seconds { .. } => native::NANOSECOND,
        _ => multiplier?,
    };
    let buckets = Buckets { scale, multiplier, native: None };
    let bounds = buckets.bounds();
    if !bounds.is_sorted_by(|a, b| a < b) || !bounds.iter().all(|bound| bound.is_finite()) {
        faults.error(
            &format!("{path}.bucket_multiplier"),
            format!(
                "multiplied with {:e}, the bounds of the buckets are no numbers of their own",
                buckets.multiplier
            ),
            "choose one that is less extreme",
        );
        return None;
    }
    let native = shown?.native(&kind, &buckets, path, faults)?;
    Some(Buckets { native, ..buckets })
}

fn kind_of(raw: Field<String>, path: &str, faults: &Faults<'_>) -> Option<String> {
    if raw.is_absent() {
        let remedy = format!("add `bucket_type:`, one of {}", TYPES.join(", "));
        faults.error(path, "the histogram has no bucket_type", remedy);
    }
    let kind = raw.given()?;
    if !TYPES.contains(&kind.as_str()) {
        let problem = format!("no bucket_type is called {}", quote(&kind));
        faults.error(&format!("{path}.bucket_type"), problem, one_of(&kind, &TYPES));
        return None;
    }
    Some(kind)
}

fn multiplier(raw: Field<f64>, path: &str, faults: &Faults<'_>) -> Option<f64> {
    match raw {
        Field::Absent => Some(1.0),
        Field::Faulty => None,
        Field::Given(0.0) => Some(1.0),
        Field::Given(multiplier) if multiplier.is_finite() && multiplier > 0.0 => Some(multiplier),
        Field::Given(multiplier) => {
            faults.error(
                &format!("{path}.bucket_multiplier"),
                format!("bounds cannot be multiplied with {multiplier}"),
                "write a number above 0, such as 1e-6 for keys in microseconds",
            );
            None
        }
    }
}

/// The first and the last key, of which none is above `largest`.
fn range(
    kind: &str,
    largest: u32,
    (min, max): (Field<i128>, Field<i128>),
    path: &str,
    faults: &Faults<'_>,
) -> Option<(u32, u32)> {
    if max.is_absent() {
        let remedy = "add `bucket_max:` with the last bucket's key";
        faults.error(path, format!("the {kind} histogram has no bucket_max"), remedy);
    }
    let key = |name: &str, value: Option<i128>| {
        let value = value?;
        let key = u32::try_from(value).ok().filter(|key| *key <= largest);
        if key.is_none() {
            faults.error(
                &format!("{path}.{name}"),
                format!("no {kind} bucket has the key {value}"),
                format!("write a number from 0 to {largest}"),
            );
        }
        key
    };
    let min = match min {
        Field::Absent => Some(0),
        min => key("bucket_min", min.given()),
    };
    let max = key("bucket_max", max.given());
    let (min, max) = (min?, max?);
    if min > max {
        let problem = format!("bucket_min {min} is above bucket_max {max}");
        faults.error(&format!("{path}.bucket_min"), problem, "exchange them or correct one");
        return None;
    }
    if (max - min) as usize >= MOST {
        let problem = format!("bucket_min {min} to bucket_max {max} is more than {MOST} buckets");
        let remedy = "count in wider steps, or use exp2";
        faults.error(&format!("{path}.bucket_max"), problem, remedy);
        return None;
    }
    Some((min, max))
}

fn fixed(raw: Field<Vec<Option<f64>>>, path: &str, faults: &Faults<'_>) -> Option<Vec<f64>> {
    let keys = match raw {
        Field::Given(keys) if !keys.is_empty() => keys,
        Field::Faulty => return None,
        Field::Given(_) | Field::Absent => {
            let remedy = "add `bucket_keys:` with the bounds, ascending";
            faults.error(path, "the fixed histogram has no bucket_keys", remedy);
            return None;
        }
    };
    let at = format!("{path}.bucket_keys");
    if keys.len() > MOST {
        let problem = format!("{} buckets are more than {MOST}", keys.len());
        faults.error(&at, problem, "leave some out");
        return None;
    }
    let mut good = Vec::with_capacity(keys.len());
    let mut last = None;
    for (index, key) in keys.iter().enumerate() {
        let key = key.and_then(|key| exact(key, &format!("{at}[{index}]"), faults));
        if let (Some(key), Some(last)) = (key, last)
            && key <= last
        {
            let problem = format!("{key} follows {last}");
            faults.error(&format!("{at}[{index}]"), problem, "list each key once, ascending");
        } else {
            good.extend(key);
        }
        last = key.or(last);
    }
    (good.len() == keys.len()).then_some(good)
}

/// A number as a bucket's key, if it can be one.
fn exact(key: f64, at: &str, faults: &Faults<'_>) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)]
    if key.abs() < LARGEST_EXACT as f64 {
        // Adding turns -0 into 0, which the search for a key tells apart.
        return Some(key + 0.0);
    }
    let problem = format!("{key} cannot be a bucket's key");
    let remedy = format!("write a number below {LARGEST_EXACT}, which is 2^53");
    faults.error(at, problem, remedy);
    None
}

/// Which of a histogram's labels is the bucket: the last, or the one before the CPU number, which
/// may have labels behind it that reuse it.
pub(super) fn bucket(labels: &[raw::Label]) -> Option<usize> {
    let is_cpu = |label: &raw::Label| matches!((&label.name, &label.size), (Field::Given(name), Field::Given(2)) if name == "cpu");
    let last = labels.iter().rposition(|label| !label.reuses());
    let cpu = last.filter(|last| is_cpu(&labels[*last]));
    cpu.unwrap_or(labels.len()).checked_sub(1)
}

/// Checks that there is a bucket label and that it can be a number.
pub(super) fn bucket_label(
    labels: &Field<Vec<raw::Label>>,
    buckets: Option<&Buckets>,
    path: &str,
    faults: &Faults<'_>,
) {
    let labels = match labels {
        Field::Faulty => return,
        Field::Absent => &[][..],
        Field::Given(labels) => labels,
    };
    let remedy = "add a last label, before `cpu` if there is one, with the bucket's number, decoded by `uint`";
    let Some(label) = bucket(labels).map(|index| &labels[index]) else {
        let problem = if labels.is_empty() {
            "the histogram has no labels"
        } else {
            "the histogram has no label for its buckets, only `cpu`"
        };
        return faults.error(path, problem, remedy);
    };
    let decoders = match &label.decoders {
        Field::Faulty => return,
        Field::Absent => &[][..],
        Field::Given(decoders) => decoders,
    };
    let Some(last) = decoders.last() else {
        let problem = "the label of the buckets has no decoder that makes it a number";
        return faults.error(&label.path, problem, "add `decoders: [{name: uint}]`");
    };
    let Field::Given(name) = &last.name else { return };
    match builtin::find(name) {
        Some(builtin) if !builtin.is_numeric() => {
            let problem = format!(
                "the label of the buckets has to be a number, which `{name}` does not give"
            );
            faults.error(&format!("{}.name", last.path), problem, "end its decoders with `uint`");
        }
        Some(_) => {
            if let Some(buckets) = buckets {
                values(last, buckets, faults)
            }
        }
        None => {}
    }
}

/// Checks that what a map of texts gives for the buckets are numbers.
fn values(decoder: &raw::Decoder, buckets: &Buckets, faults: &Faults<'_>) {
    if !matches!(&decoder.name, Field::Given(name) if name == "static_map") {
        return;
    }
    for (key, value) in &decoder.static_map {
        if !buckets.takes(value.as_bytes()) {
            faults.error(
                &format!("{}.static_map.{}", decoder.path, cut(key.clone(), LONGEST_PATH)),
                format!("{} is no bucket's key", quote(value)),
                "map to numbers here: the label of the buckets has to be one",
            );
        }
    }
}
