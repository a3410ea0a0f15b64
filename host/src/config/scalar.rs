//! What a scalar's text means where a number or a yes is wanted: YAML 1.1, as Go reads it.

/// A whole number: decimal, `0x1F`, `0b101`, octal as `017` or `0o17`; `_` between digits; a
/// float without a fraction.
pub(super) fn integer(text: &str) -> Option<i128> {
    let text = text.replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some(two) if two.bytes().all(|b| b.is_ascii_digit()) && two.starts_with('0') => {
            (8, &lower[1..])
        }
        _ => (10, &*lower),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    match i128::from_str_radix(digits, radix) {
        Ok(number) => Some(sign * number),
        Err(_) => whole(&text),
    }
}

/// A float that is a whole number, exactly.
fn whole(text: &str) -> Option<i128> {
    let number = decimal(text)?;
    #[allow(clippy::cast_possible_truncation)]
    (number.fract() == 0.0 && number.abs() < 1e18).then_some(number as i128)
}

/// A number: what [`integer`] takes, decimals with or without exponent, `.inf`, `.nan`.
pub(super) fn float(text: &str) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)]
    integer(text).map(|number| number as f64).or_else(|| decimal(&text.replace('_', "")))
}

fn decimal(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number = match unsigned {
        ".inf" | ".Inf" | ".INF" => f64::INFINITY,
        ".nan" | ".NaN" | ".NAN" => f64::NAN,
        // Rust also takes the words `inf` and `nan`, which are texts in YAML.
        _ if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            unsigned.parse().ok()?
        }
        _ => return None,
    };
    Some(if text.starts_with('-') { -number } else { number })
}

/// What is true, in lower case.
pub(super) const YES: [&str; 4] = ["true", "yes", "on", "y"];
/// What is false, in lower case.
pub(super) const NO: [&str; 4] = ["false", "no", "off", "n"];

/// A truth value: `true`, `yes`, `on`, `y` and their opposites, in the three usual cases.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let usual = text == lower
        || text == text.to_ascii_uppercase()
        || text.get(1..) == lower.get(1..) && text.starts_with(|c: char| c.is_ascii_uppercase());
    match lower.as_str() {
        word if usual && YES.contains(&word) => Some(true),
        word if usual && NO.contains(&word) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_every_form() {
        for (text, expected) in [
            ("0", Some(0)),
            ("42", Some(42)),
            ("+7", Some(7)),
            ("-7", Some(-7)),
            ("0x10", Some(16)),
            ("0X1f", Some(31)),
            ("-0x10", Some(-16)),
            ("010", Some(8)),
            ("0o10", Some(8)),
            ("0b101", Some(5)),
            ("1_000", Some(1000)),
            ("08", Some(8)),
            ("8.0", Some(8)),
            ("1e3", Some(1000)),
            ("18446744073709551616", Some(1 << 64)),
            ("8.5", None),
            ("", None),
            ("-", None),
            ("+-5", None),
            ("0x", None),
            ("0x-1", None),
            ("1e300", None),
            (".inf", None),
            ("eight", None),
            ("8 bytes", None),
            ("0é", None),
        ] {
            assert_eq!(integer(text), expected, "{text:?}");
        }
    }

    #[test]
    fn floats_in_every_form() {
        for (text, expected) in [
            ("1", Some(1.0)),
            ("0x10", Some(16.0)),
            ("0.000001", Some(0.000_001)),
            ("1e-9", Some(1e-9)),
            (".5", Some(0.5)),
            ("-2.5", Some(-2.5)),
            ("1_000.5", Some(1000.5)),
            (".inf", Some(f64::INFINITY)),
            ("-.inf", Some(f64::NEG_INFINITY)),
            ("inf", None),
            ("nan", None),
            ("--1", None),
            ("", None),
        ] {
            assert_eq!(float(text), expected, "{text:?}");
        }
        assert!(float(".nan").is_some_and(f64::is_nan));
    }

    #[test]
    fn booleans_in_every_form() {
        for text in ["true", "True", "TRUE", "yes", "on", "On", "y", "Y"] {
            assert_eq!(boolean(text), Some(true), "{text:?}");
        }
        for text in ["false", "no", "No", "off", "OFF", "n"] {
            assert_eq!(boolean(text), Some(false), "{text:?}");
        }
        for text in ["", "1", "tRUE", "oN", "yess", "null"] {
            assert_eq!(boolean(text), None, "{text:?}");
        }
    }
}
