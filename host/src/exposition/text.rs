//! The Prometheus text format 0.0.4.
//!
//! Families come out in the order given, series in the order in which their label sets were met.
//! Whatever bytes the labels are made of, the output is a valid exposition.

use crate::series::{Family, Histogram, LabelValues, Series};

/// What to send as `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Appends all families to `out`. Those without series are left out, as Prometheus clients do.
pub fn encode<'a>(families: impl IntoIterator<Item = &'a Family>, out: &mut Vec<u8>) {
    for family in families {
        if !family.series.sets().is_empty() {
            head(family, out);
            body(family, out);
        }
    }
}

fn head(family: &Family, out: &mut Vec<u8>) {
    let kind = match family.series {
        Series::Counters(_) | Series::RealCounters(_) => "counter",
        Series::Gauges(_) => "gauge",
        Series::Histograms(_) => "histogram",
    };
    put(out, &["# HELP ", &family.name, " "]);
    escape(&family.help, false, out);
    put(out, &["\n# TYPE ", &family.name, " ", kind, "\n"]);
}

fn body(family: &Family, out: &mut Vec<u8>) {
    let lines = Lines::new(family);
    match &family.series {
        Series::Counters(counters) => {
            let mut digits = itoa::Buffer::new();
            for (labels, value) in counters.iter() {
                lines.line(labels, digits.format(value), out);
            }
        }
        Series::RealCounters(reals) | Series::Gauges(reals) => {
            for (labels, value) in reals.iter() {
                lines.line(labels, &number(value), out);
            }
        }
        Series::Histograms(histograms) => {
            for (labels, histogram) in histograms.iter() {
                histogram_lines(family, labels, histogram, out);
            }
        }
    }
}

/// The parts of a family's lines that stand before each of its label values.
struct Lines {
    name: String,
    /// `{first="`, `",second="`, …
    before: Vec<String>,
}

impl Lines {
    fn new(family: &Family) -> Self {
        let before = family.labels.iter().enumerate().map(|(n, label)| {
            let open = if n == 0 { "{" } else { "\"," };
            format!("{open}{label}=\"")
        });
        Self { name: family.name.clone(), before: before.collect() }
    }

    fn line(&self, labels: LabelValues<'_>, value: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name.as_bytes());
        for (before, label) in self.before.iter().zip(labels) {
            out.extend_from_slice(before.as_bytes());
            escape(label, true, out);
        }
        let close = if self.before.is_empty() { " " } else { "\"} " };
        put(out, &[close, value, "\n"]);
    }
}

fn histogram_lines(
    family: &Family,
    labels: LabelValues<'_>,
    histogram: Histogram<'_>,
    out: &mut Vec<u8>,
) {
    let mut set = Vec::new();
    for (name, value) in family.labels.iter().zip(labels) {
        put(&mut set, &[name, "=\""]);
        escape(value, true, &mut set);
        set.extend_from_slice(b"\",");
    }
    let mut digits = itoa::Buffer::new();
    let mut bucket = |bound: &str, count: u64| {
        put(out, &[&family.name, "_bucket{"]);
        out.extend_from_slice(&set);
        put(out, &["le=\"", bound, "\"} ", digits.format(count), "\n"]);
    };
    for (bound, count) in histogram.cumulative() {
        bucket(&number(bound), count);
    }
    bucket("+Inf", histogram.count());

    let set = set.strip_suffix(b",").unwrap_or_default();
    for (suffix, value) in
        [("_sum", number(histogram.sum)), ("_count", histogram.count().to_string())]
    {
        put(out, &[&family.name, suffix]);
        if !set.is_empty() {
            out.push(b'{');
            out.extend_from_slice(set);
            out.push(b'}');
        }
        put(out, &[" ", &value, "\n"]);
    }
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends `text` with backslash and newline escaped, and quotes where it stands in them.
fn escape(text: &str, quoted: bool, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    let special = |byte: &u8| matches!(byte, b'\\' | b'\n') || (quoted && *byte == b'"');
    while let Some(at) = rest.iter().position(special) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\n' => b"\\n",
            b'"' => b"\\\"",
            _ => b"\\\\",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// A real number as Go's `%g` writes it: bounds are labels, so dashboards made for another exporter
/// find the same text only if it is the same to the letter.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::buckets::{Buckets, Scale, Slot};
    use crate::series::{Counters, Histograms, LabelSet, Reals};

    fn encoded(family: Family) -> String {
        let mut out = Vec::new();
        encode([&family], &mut out);
        String::from_utf8(out).unwrap()
    }

    fn family(labels: &[&str], series: Series) -> Family {
        Family {
            name: "ebpf_exporter_x".to_owned(),
            help: "What \"x\" is:\na \\ b".to_owned(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            series,
        }
    }

    #[test]
    fn counters() {
        let mut counters = Counters::default();
        counters.add(&LabelSet::of(["a", "b"]), u64::MAX);
        counters.add(&LabelSet::of(["quote \" slash \\ line\nend", "\0\r\t \u{1f41d}"]), 0);
        assert_eq!(
            encoded(family(&["one", "two"], Series::Counters(counters))),
            "# HELP ebpf_exporter_x What \"x\" is:\\na \\\\ b\n\
             # TYPE ebpf_exporter_x counter\n\
             ebpf_exporter_x{one=\"a\",two=\"b\"} 18446744073709551615\n\
             ebpf_exporter_x{one=\"quote \\\" slash \\\\ line\\nend\",two=\"\0\r\t \u{1f41d}\"} 0\n"
        );
    }

    #[test]
    fn a_counter_without_labels() {
        let mut counters = Counters::default();
        counters.add(&LabelSet::default(), 7);
        assert!(
            encoded(family(&[], Series::Counters(counters))).ends_with("\nebpf_exporter_x 7\n")
        );
    }

    #[test]
    fn gauges_are_real_numbers() {
        let mut reals = Reals::default();
        reals.add(&LabelSet::of(["c"]), 0.25);
        let text = encoded(family(&["config"], Series::Gauges(reals)));
        assert!(text.contains("# TYPE ebpf_exporter_x gauge\n"));
        assert!(text.ends_with("\nebpf_exporter_x{config=\"c\"} 0.25\n"));
    }

    #[test]
    fn a_family_without_series_is_left_out() {
        assert_eq!(encoded(family(&["a"], Series::Counters(Counters::default()))), "");
    }

    #[test]
    fn histograms() {
        let buckets = Buckets { scale: Scale::Exp2 { min: 0, max: 2 }, multiplier: 1e-6 };
        let mut histograms = Histograms::new(&buckets);
        let device = LabelSet::of(["sda"]);
        histograms.add(&device, Slot::Bucket(2), 5);
        histograms.add(&device, Slot::Bucket(0), 1);
        histograms.add(&device, Slot::Sum, 21);
        histograms.add(&LabelSet::of(["sdb"]), Slot::Sum, 0);
        insta::assert_snapshot!(encoded(family(&["device"], Series::Histograms(histograms))), @r#"
        # HELP ebpf_exporter_x What "x" is:\na \\ b
        # TYPE ebpf_exporter_x histogram
        ebpf_exporter_x_bucket{device="sda",le="1e-06"} 1
        ebpf_exporter_x_bucket{device="sda",le="2e-06"} 1
        ebpf_exporter_x_bucket{device="sda",le="4e-06"} 6
        ebpf_exporter_x_bucket{device="sda",le="+Inf"} 6
        ebpf_exporter_x_sum{device="sda"} 2.1e-05
        ebpf_exporter_x_count{device="sda"} 6
        ebpf_exporter_x_bucket{device="sdb",le="1e-06"} 0
        ebpf_exporter_x_bucket{device="sdb",le="2e-06"} 0
        ebpf_exporter_x_bucket{device="sdb",le="4e-06"} 0
        ebpf_exporter_x_bucket{device="sdb",le="+Inf"} 0
        ebpf_exporter_x_sum{device="sdb"} 0
        ebpf_exporter_x_count{device="sdb"} 0
        "#);
    }

    #[test]
    fn a_histogram_without_labels() {
        let buckets = Buckets { scale: Scale::Linear { min: 1, max: 1 }, multiplier: 1.0 };
        let mut histograms = Histograms::new(&buckets);
        histograms.add(&LabelSet::default(), Slot::Bucket(0), 3);
        insta::assert_snapshot!(encoded(family(&[], Series::Histograms(histograms))), @r#"
        # HELP ebpf_exporter_x What "x" is:\na \\ b
        # TYPE ebpf_exporter_x histogram
        ebpf_exporter_x_bucket{le="1"} 3
        ebpf_exporter_x_bucket{le="+Inf"} 3
        ebpf_exporter_x_sum 0
        ebpf_exporter_x_count 3
        "#);
    }

    #[test]
    fn numbers_read_as_go_writes_them() {
        for (value, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (0.5, "0.5"),
            (1e-6, "1e-06"),
            (1.6e-5, "1.6e-05"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (134.217728, "134.217728"),
            (123_456.0, "123456"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (8_589_934_592.0, "8.589934592e+09"),
            (0.0018239999999999999, "0.0018239999999999999"),
            (1e22, "1e+22"),
            (5e-324, "5e-324"),
            (1.5e300, "1.5e+300"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(number(value), expected);
        }
    }
}
