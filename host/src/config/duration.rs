//! Durations as Go writes them: `1h30m`, `500ms`.

use std::time::Duration;

/// The duration that `text` is, if it is not negative and fits in Go's 63 bits of nanoseconds.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let total = if text == "0" { 0.0 } else { nanoseconds(text)? };
    (total < 9.223_372_036_854_775e18).then(|| Duration::from_nanos(total as u64))
}

/// How many nanoseconds it is; none if it is no duration.
pub(super) fn nanoseconds(text: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = text;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, scale) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        total += number * scale;
        rest = &rest[unit.len()..];
        if rest.is_empty() {
            return Some(total);
        }
    }
}

/// Longer units stand before those that they start with.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("\u{b5}s", 1e3),
    ("\u{3bc}s", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn as_go_does() {
        for text in ["0", "1h30m", "500ms", "1.5h", ".5s", "1us", "1µs", "1μs", "+3s", "2562047h"]
        {
            assert!(parse(text).is_some(), "{text:?}");
        }
        for text in ["", "5", "h", "1x", "1h ", " 1h", "-1h", "1hour", "1.2.3s", ".s", "2562048h"] {
            assert!(parse(text).is_none(), "{text:?}");
        }
    }
}
