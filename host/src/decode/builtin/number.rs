//! Numbers as decoders take and write them. No decoder of its own.

use crate::decode::DecodeError;

const EXPECTED: &str = "expected a decimal number";

/// The number that `input` is in decimal digits.
///
/// # Errors
///
/// If it is anything else, or above 2^64 - 1.
pub(super) fn parse(input: &[u8]) -> Result<u64, DecodeError> {
    let digits = if input.first() == Some(&b'+') { None } else { str::from_utf8(input).ok() };
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        let shown = &input[..input.len().min(32)];
        let text = format!("{EXPECTED}, got `{}`", shown.escape_ascii());
        DecodeError::showing(text, EXPECTED)
    })
}

/// Appends `number` to `out` in decimal.
pub(super) fn write(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// `input` as an array of its only possible length.
///
/// # Errors
///
/// If it has another.
pub(super) fn exactly<const N: usize>(input: &[u8]) -> Result<[u8; N], DecodeError> {
    input
        .try_into()
        .map_err(|_| DecodeError::new(format!("expected {N} bytes, got {}", input.len())))
}

/// The first `N` bytes of `input`. What follows them is the rest of a wider field of the key.
///
/// # Errors
///
/// If it has fewer.
pub(super) fn first<const N: usize>(input: &[u8]) -> Result<[u8; N], DecodeError> {
    input.first_chunk().copied().ok_or_else(|| {
        DecodeError::new(format!("expected at least {N} bytes, got {}", input.len()))
    })
}

/// The name that a table, ascending by number, has for `number`.
pub(super) fn name(table: &[(u16, &'static str)], number: u64) -> Option<&'static str> {
    let number = u16::try_from(number).ok()?;
    let index = table.binary_search_by_key(&number, |(number, _)| *number).ok()?;
    Some(table[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decimal_digits_are_a_number() {
        for (input, expected) in [("0", 0), ("007", 7), ("18446744073709551615", u64::MAX)] {
            assert_eq!(parse(input.as_bytes()), Ok(expected));
        }
        for input in ["", "+1", "-1", " 1", "0x1", "1.0", "18446744073709551616"] {
            assert!(parse(input.as_bytes()).is_err(), "{input}");
        }
    }

    #[test]
    fn errors_show_what_was_there() {
        insta::assert_snapshot!(
            parse(b"ab\n\xff").unwrap_err(),
            @r"expected a decimal number, got `ab\n\xff`"
        );
        insta::assert_snapshot!(
            parse(&[b'x'; 100]).unwrap_err(),
            @"expected a decimal number, got `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`"
        );
        insta::assert_snapshot!(exactly::<4>(b"abc").unwrap_err(), @"expected 4 bytes, got 3");
        insta::assert_snapshot!(
            first::<4>(b"abc").unwrap_err(),
            @"expected at least 4 bytes, got 3"
        );
    }

    #[test]
    fn what_is_no_number_is_shown_cut_and_escaped_or_not_at_all() {
        let error = parse(format!("\u{1b}[31m{}", "x".repeat(100)).as_bytes()).unwrap_err();
        insta::assert_snapshot!(error, @r"expected a decimal number, got `\x1b[31mxxxxxxxxxxxxxxxxxxxxxxxxxxx`");
        insta::assert_snapshot!(error.redacted(), @"expected a decimal number (its input is not shown, as the metric has transforms)");
        let length = DecodeError::new("expected 8 bytes, got 4");
        assert_eq!(length.clone().redacted(), length);
    }
}
