//! A reader of OpenMetrics 2.0, which shares nothing with what writes it: made from the format's description. It reads
//! a line with the numbers of a histogram as the lines that text would have, and what stands in native buckets as more.

use crate::reader::{Sample, number, series};

/// All samples of a page, whose end is said. Those of native buckets are called `…_native`, and have the index of the
/// bucket as `at`; the zero bucket has none.
///
/// # Errors
///
/// The first line that is none of the format.
pub(super) fn read(text: &str) -> Result<Vec<Sample>, String> {
    let lines = text.strip_suffix("# EOF\n").ok_or("the end is not said")?;
    let mut samples = Vec::new();
    for line in lines.split_terminator('\n').filter(|line| !is_comment(line)) {
        let taken = take(line, &mut samples);
        taken.ok_or_else(|| format!("no line of the format: {line:?}"))?;
    }
    Ok(samples)
}

fn is_comment(line: &str) -> bool {
    line.starts_with("# TYPE ") || line.starts_with("# HELP ")
}

fn take(line: &str, samples: &mut Vec<Sample>) -> Option<()> {
    let (bare, rest) = series(line)?;
    let (value, began) =
        rest.split_once(" st@").map_or((rest, None), |(value, at)| (value, Some(at)));
    if let Some(began) = began {
        number(began)?;
    }
    match value.strip_prefix('{') {
        Some(fields) => histogram(fields.strip_suffix('}')?, &bare, samples),
        None => {
            number(value)?;
            samples.push(Sample { value: value.to_owned(), ..bare });
            Some(())
        }
    }
}

/// Takes the fields of a histogram.
fn histogram(mut fields: &str, bare: &Sample, samples: &mut Vec<Sample>) -> Option<()> {
    let mut first = None;
    while !fields.is_empty() {
        let (key, behind) = fields.split_once(':')?;
        let (value, behind) = match behind.strip_prefix('[') {
            Some(list) => list.split_once(']')?,
            None => behind.split_at(behind.find(',').unwrap_or(behind.len())),
        };
        match key {
            "count" => samples.push(of(bare, "_count", None, value)?),
            "sum" => samples.push(of(bare, "_sum", None, value)?),
            "zero_count" => samples.push(of(bare, "_native", None, value)?),
            "schema" | "zero_threshold" => drop(number(value)?),
            "positive_spans" => first = Some(value.split_once(':')?),
            "positive_buckets" => native(first?, value, bare, samples)?,
            "bucket" => {
                for bucket in value.split(',') {
                    let (end, count) = bucket.split_once(':')?;
                    samples.push(of(bare, "_bucket", Some(("le", end.to_owned())), count)?);
                }
            }
            _ => return None,
        }
        fields = if behind.is_empty() { behind } else { behind.strip_prefix(',')? };
    }
    Some(())
}

/// Takes native buckets, of which there are as many as their span says.
fn native(
    (first, length): (&str, &str),
    counts: &str,
    bare: &Sample,
    samples: &mut Vec<Sample>,
) -> Option<()> {
    let (first, length): (i32, usize) = (first.parse().ok()?, length.parse().ok()?);
    let begin = samples.len();
    for (at, count) in (first..).zip(counts.split_terminator(',')) {
        samples.push(of(bare, "_native", Some(("at", at.to_string())), count)?);
    }
    (samples.len() - begin == length).then_some(())
}

/// A number of this series, under a name with a suffix, and with another label.
fn of(bare: &Sample, suffix: &str, label: Option<(&str, String)>, value: &str) -> Option<Sample> {
    number(value)?;
    let mut labels = bare.labels.clone();
    labels.extend(label.map(|(name, value)| (name.to_owned(), value)));
    Some(Sample { name: format!("{}{suffix}", bare.name), labels, value: value.to_owned() })
}
