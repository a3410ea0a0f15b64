//! The names that an expression of PromQL has.

use std::collections::BTreeSet;

use regex::Regex;

/// The operators that are words.
const WORDS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "inf", "nan"];

/// The metrics that an expression asks for. What remains of it without texts, matchers, ranges, lists of
/// labels and functions are those.
pub fn metrics(expr: &str) -> BTreeSet<String> {
    let bare = without(expr, r#""[^"]*"|#[^\n]*"#);
    let bare = without(&bare, r"\{[^}]*\}|\[[^\]]*\]");
    let bare =
        without(&bare, r"\b(by|without|on|ignoring|group_left|group_right)\b\s*(\([^)]*\))?");
    let bare = without(&bare, r"[A-Za-z_]\w*\s*\(");
    let word = Regex::new(r"[A-Za-z_:][A-Za-z0-9_:]*").unwrap();
    // `1e9` and `5m` are numbers.
    let bare = without(&bare, r"\b\d[\w.]*");
    let names = word.find_iter(&bare).map(|found| found.as_str().to_owned());
    names.filter(|name| !WORDS.contains(&name.to_lowercase().as_str())).collect()
}

fn without(text: &str, pattern: &str) -> String {
    Regex::new(pattern).unwrap().replace_all(text, " ").into_owned()
}

/// The labels that sums over one metric keep, with the metric: `sum by (LABELS) (rate(METRIC…`.
pub fn kept(expr: &str) -> Vec<(String, Vec<String>)> {
    let sum = r"by \(([^)]*)\) \((?:\w+\()?([A-Za-z_:][A-Za-z0-9_:]*)[{\[)]";
    let found = Regex::new(sum).unwrap();
    let of = |found: regex::Captures<'_>| {
        let labels = found[1].split(", ").filter(|label| !label.is_empty()).map(str::to_owned);
        (found[2].to_owned(), labels.collect())
    };
    found.captures_iter(expr).map(of).collect()
}
