//! What a benchmark prints, and out of what: `name value unit` lines, of medians.

pub(crate) fn print(label: &str, name: &str, value: f64, unit: &str) {
    println!("{label}.{name} {value:.3} {unit}");
}

/// The middle one of durations or numbers; there must be one.
pub(crate) fn median<T: Copy + PartialOrd>(mut all: Vec<T>) -> T {
    all.sort_by(|a, b| a.partial_cmp(b).expect("no NaN is measured"));
    all[all.len() / 2]
}

/// Whether `ONLY`, a list with commas, names this part of the benchmark or nothing at all.
pub(crate) fn wanted(part: &str) -> bool {
    let only = std::env::var("ONLY").unwrap_or_default();
    only.is_empty() || only.split(',').any(|wanted| wanted == part)
}
