//! Values that have a least and a most: sizes and durations.

use std::time::Duration;

use crate::advice::{Advice, quote};
use crate::config::duration;
use crate::config::ranges::{Bytes, Times};
use crate::config::size::{parse as size, shown};

/// A size in this range, in bytes, or why it is none.
pub(super) fn bytes(text: &str, (least, most): Bytes) -> Result<usize, Advice> {
    size(text).filter(|size| (least..=most).contains(size)).ok_or_else(|| {
        let problem = format!("{} is no size that this can have", quote(text));
        Advice::new(problem, format!("write one from {} to {}", shown(least), shown(most)))
    })
}

/// A duration in this range, or why it is none: it is no time that `what`.
pub(super) fn between(text: &str, (least, most): Times, what: &str) -> Result<Duration, Advice> {
    let nanoseconds = |text| if text == "0" { Some(0.0) } else { duration::nanoseconds(text) };
    let allowed = nanoseconds(least).zip(nanoseconds(most));
    let found = nanoseconds(text).zip(allowed);
    let found = found.filter(|(nanos, (least, most))| (least..=most).contains(&nanos));
    let found = found.map(|(nanos, _)| Duration::from_secs_f64(nanos / 1e9));
    found.ok_or_else(|| {
        let problem = format!("{} is no time that {what}", quote(text));
        Advice::new(problem, format!("write one from {least} to {most}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, bytes) in [
            ("16MiB", Some(16 << 20)),
            ("64 KiB", Some(64 << 10)),
            ("1GiB", Some(1 << 30)),
            ("4096", Some(4096)),
            ("16MB", None),
            ("MiB", None),
            ("-1KiB", None),
            ("99999999999999GiB", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
        assert_eq!([64 << 10, 1 << 30, 1000, 0].map(shown), ["64KiB", "1GiB", "1000", "0"]);
    }
}
