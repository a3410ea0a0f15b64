//! Numbers as people read them: grouped, and with their unit.

use std::time::Duration;

/// `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.char_indices() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 label`, `2,000 labels`, `3 new entries`.
pub(super) fn counted(count: u64, what: &str) -> String {
    let number = grouped(count);
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("{number} {what}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        _ => format!("{number} {what}s"),
    }
}

/// `79 %`: rounded down, so that 100 % is all.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let percent = u128::from(part) * 100 / u128::from(whole.max(1));
    format!("{percent} %")
}

/// Three digits and a unit: `12 ns`, `1.23 ms`, `45.6 s`. From 100 seconds on as [`age`] has it.
pub(super) fn spent(seconds: f64) -> String {
    let nanos = seconds * 1e9;
    let (number, unit) = match nanos {
        nanos if nanos < 999.5 => return format!("{nanos:.0} ns"),
        nanos if nanos < 999.5e3 => (nanos / 1e3, "µs"),
        nanos if nanos < 999.5e6 => (nanos / 1e6, "ms"),
        nanos if nanos < 99.95e9 => (seconds, "s"),
        _ => return age(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)),
    };
    let places = match number {
        number if number < 9.995 => 2,
        number if number < 99.95 => 1,
        _ => 0,
    };
    format!("{number:.places$} {unit}")
}

/// How long something has been: `0 s`, `59 s`, `3 min 20 s`, `5 h 2 min`, `12 d 4 h`.
pub(super) fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    let two = |large: u64, unit, small: u64, part| match small {
        0 => format!("{} {unit}", grouped(large)),
        small => format!("{} {unit} {small} {part}", grouped(large)),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// `512 B`, `1.1 MiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut number = bytes as f64 / 1024.0;
    let mut unit = 0;
    while number >= 1023.95 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    let text = format!("{number:.1}");
    format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let texts = [0, 999, 1000, 1024, 1_234_567, u64::MAX].map(grouped);
        assert_eq!(
            texts,
            ["0", "999", "1,000", "1,024", "1,234,567", "18,446,744,073,709,551,615"]
        );
        assert_eq!(counted(1, "new entry"), "1 new entry");
        assert_eq!(counted(0, "new entry"), "0 new entries");
        assert_eq!(counted(2000, "label"), "2,000 labels");
    }

    #[test]
    fn all_is_all_and_nothing_less() {
        assert_eq!(
            [(812, 1024), (1023, 1024), (1024, 1024), (7, 0)]
                .map(|(part, whole)| percent(part, whole)),
            ["79 %", "99 %", "100 %", "700 %"]
        );
        assert_eq!(percent(u64::MAX, u64::MAX), "100 %");
    }

    #[test]
    fn times_have_a_unit() {
        for (seconds, text) in [
            (0.0, "0 ns"),
            (412e-9, "412 ns"),
            (999.6e-9, "1.00 µs"),
            (1.234e-3, "1.23 ms"),
            (99.96e-3, "100 ms"),
            (0.9996, "1.00 s"),
            (12.34, "12.3 s"),
            (125.0, "2 min 5 s"),
            (f64::INFINITY, "213,503,982,334,601 d 7 h"),
        ] {
            assert_eq!(spent(seconds), text, "{seconds}");
        }
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (200, "3 min 20 s"),
            (18_120, "5 h 2 min"),
            (86_400, "1 d"),
            (1_051_200, "12 d 4 h"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn sizes_have_a_unit() {
        let texts = [0, 1023, 1024, 1_153_434, 16 << 20, (1 << 20) - 1, u64::MAX].map(size);
        assert_eq!(texts, ["0 B", "1023 B", "1 KiB", "1.1 MiB", "16 MiB", "1 MiB", "16777216 TiB"]);
    }
}
