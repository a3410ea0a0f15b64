//! What texts may look like behind a key: patterns of ECMA 262, in words that Python, RE2 and Rust know too.
//!
//! Numbers in texts are those of YAML 1.1, which YAML 1.2 takes for texts: `1_000`, `0b11`.

use super::json::{Json, list};
use crate::config::scalar;

/// What [`scalar::integer`] takes and a `u32` may hold: ten digits. Whether an exponent leaves a fraction no
/// pattern knows.
pub(super) const WHOLE: &str = r"^[-+]?(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(0[0-9_]*|[1-9](_*[0-9]){0,9}_*)(\.0*)?|\.0+|([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9_]+)[eE][-+]?[0-9_]+)$";
/// What [`scalar::float`] takes, without `.inf` and `.nan`, which nothing here may be.
pub(super) const NUMBER: &str = r"^[-+]?(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9_]+)([eE][-+]?[0-9_]+)?)$";
/// A size in bytes, of which none is larger than 16 GiB: eleven digits. Nothing stands for the default.
pub(super) const SIZE: &str = r"^(\+?0*[0-9]{1,11}\s*(KiB|MiB|GiB)?)?$";
/// A duration as Go writes it.
pub(super) const DURATION: &str = r"^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$";
/// A duration of a range that begins above 0. Nothing stands for the default.
pub(super) const SPAN: &str = r"^(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*$";
/// A duration of a range that begins at 0.
pub(super) const SPAN_OR_NONE: &str =
    r"^(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*)$";
/// An artifact in a registry, `oci:` in front or not: its host, its path, its tag and its digest. Nothing is no
/// reference.
pub(super) const REFERENCE: &str = r"^((oci:)?[A-Za-z0-9.:[\]-]+(/[a-z0-9][a-z0-9._-]*)+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?@sha256:[0-9a-f]{64})?$";
/// A SHA-256. Nothing is none.
pub(super) const DIGEST: &str = "^([0-9a-fA-F]{64})?$";
/// A name as C has it.
pub(super) const IDENTIFIER: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
/// A text without control characters, which a metric and a label may be called.
pub(super) const NAME: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// A text without `__` in front, which Prometheus keeps for itself.
pub(super) const SERVED_NAME: &str = "^(_?[^_]|_$)";

/// The texts that are read as booleans.
pub(super) fn truths() -> String {
    let words = scalar::YES.into_iter().chain(scalar::NO).flat_map(cases);
    format!("^({})$", words.collect::<Vec<_>>().join("|"))
}

/// What is read as true.
pub(super) fn yes() -> Json {
    said(true, &scalar::YES)
}

/// What is read as false.
pub(super) fn no() -> Json {
    said(false, &scalar::NO)
}

fn said(truth: bool, words: &[&'static str]) -> Json {
    let texts = words.iter().flat_map(|word| cases(word)).map(Json::from);
    list([Json::from(truth)].into_iter().chain(texts))
}

/// A word in the cases that are read: `no`, `No`, `NO`; a letter has two.
fn cases(word: &str) -> Vec<String> {
    let capital = word[..1].to_ascii_uppercase() + &word[1..];
    let mut cases = vec![word.to_owned(), capital, word.to_ascii_uppercase()];
    cases.dedup();
    cases
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    /// Every text of up to five of these characters, of which numbers are made.
    fn texts() -> Vec<String> {
        let mut all = vec![String::new()];
        let mut longest = all.clone();
        for _ in 0..5 {
            let longer = "0189.eExX+-"
                .chars()
                .flat_map(|char| longest.iter().map(move |text| format!("{text}{char}")));
            longest = longer.collect();
            all.extend(longest.iter().cloned());
        }
        all
    }

    /// Differences are told of by the first few.
    fn differ(takes: impl Fn(&str) -> bool, pattern: &str) -> Vec<String> {
        let pattern = Regex::new(pattern).expect("a pattern");
        let differ = texts().into_iter().filter(|text| takes(text) != pattern.is_match(text));
        differ.take(20).collect()
    }

    #[test]
    fn numbers_are_those_of_the_reader() {
        let finite = |text: &str| scalar::float(text).is_some_and(f64::is_finite);
        // What is beyond a float is infinite, which no pattern sees.
        let beyond = |text: &str| scalar::float(text).is_some_and(f64::is_infinite);
        let differ = differ(|text| finite(text) || beyond(text), NUMBER);
        assert!(differ.is_empty(), "{differ:?}");
    }

    #[test]
    fn whole_numbers_are_those_of_the_reader() {
        let has_exponent = |text: &str| text.contains(['e', 'E']) && !text.contains(['x', 'X']);
        let taken = |text: &str| match has_exponent(text) {
            true => scalar::float(text).is_some(),
            false => scalar::integer(text).is_some(),
        };
        let differ = differ(taken, WHOLE);
        assert!(differ.is_empty(), "{differ:?}");
    }
}
