//! Sizes in bytes, as people write them: `16MiB`.

const UNITS: [(&str, u32); 3] = [("KiB", 10), ("MiB", 20), ("GiB", 30)];

/// `16MiB`, `64 KiB`, or bytes without a unit.
pub(crate) fn parse(text: &str) -> Option<usize> {
    let (number, shift) = UNITS
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
        .unwrap_or((text, 0));
    let number: usize = number.trim_end().parse().ok()?;
    number.checked_mul(1 << shift)
}

/// The same back again, in the largest unit that fits.
pub(crate) fn shown(size: usize) -> String {
    let fits = |(_, shift): &&(&str, u32)| size > 0 && size.is_multiple_of(1 << shift);
    match UNITS.iter().rev().find(fits) {
        Some((unit, shift)) => format!("{}{unit}", size >> shift),
        None => size.to_string(),
    }
}
