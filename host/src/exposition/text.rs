//! The Prometheus text format: 0.0.4, and 1.0.0, which only says that names may be in quotes.
//!
//! Families come out in the order given, series in the order in which their label sets were met.
//! Whatever bytes the labels are made of, the output is a valid exposition.

use std::fmt::{self, Write as _};

use bytes::Bytes;

use super::lines::{Lines, braced, escape};
use super::names::{Names, commented};
use super::script::Script;
use crate::escaping::Escaping;
use crate::series::{Family, Histogram, Kind};

/// Appends all families to `out`. Those without series are left out, as Prometheus clients do.
pub fn encode<'a>(
    families: impl IntoIterator<Item = &'a Family>,
    escaping: Escaping,
    out: &mut Vec<u8>,
) {
    for family in families {
        if !family.is_empty() {
            let mut script = TextScript::new(family, &escaping);
            out.extend_from_slice(&script.head);
            for id in family.live() {
                script.write(family, id, out, |_, _| {});
            }
        }
    }
}

/// Writes a family as text.
#[derive(Debug)]
pub(super) struct TextScript {
    /// The comments.
    head: Bytes,
    lines: Lines,
}

impl Script for TextScript {
    type Terms = Escaping;

    const DIGITS: &'static [u8] = b"0123456789.e+-";

    fn new(family: &Family, escaping: &Escaping) -> Self {
        Self { head: head(family, *escaping).into(), lines: lines(family, *escaping) }
    }

    fn head(&self, _: usize) -> Bytes {
        self.head.clone()
    }

    fn len(&self) -> usize {
        self.lines.len()
    }

    fn numbers(kind: &Kind, cells: &[u64], mut then: impl FnMut(usize, &[u8])) {
        let mut digits = itoa::Buffer::new();
        match kind {
            Kind::Counter => then(0, digits.format(cells[0]).as_bytes()),
            Kind::IntegerGauge => then(0, digits.format(cells[0].cast_signed()).as_bytes()),
            Kind::RealCounter | Kind::Gauge => {
                then(0, Real::of(f64::from_bits(cells[0])).as_str().as_bytes());
            }
            Kind::Histogram(bounds) => {
                let histogram = Histogram::new(bounds, cells);
                let mut all = 0;
                for (line, (_, count)) in histogram.cumulative().enumerate() {
                    then(line, digits.format(count).as_bytes());
                    all = count;
                }
                let buckets = bounds.upper.len();
                then(buckets, digits.format(all).as_bytes());
                then(buckets + 1, Real::of(histogram.sum()).as_str().as_bytes());
                then(buckets + 2, digits.format(all).as_bytes());
            }
        }
    }

    fn begin(&mut self, family: &Family, id: usize, _: &mut Vec<u8>) {
        self.lines.begin(family.label_values(id));
    }

    fn put(&self, n: usize, number: &[u8], out: &mut Vec<u8>) -> usize {
        self.lines.put(n, number, out)
    }
}

/// The comments that stand before a family's series.
fn head(family: &Family, escaping: Escaping) -> Vec<u8> {
    let name = escaping.metric(&family.name);
    let name = commented(&name);
    let kind = family.kind.word();
    let mut out = Vec::new();
    put(&mut out, &["# HELP ", &name, " "]);
    escape(&family.help, false, &mut out);
    put(&mut out, &["\n# TYPE ", &name, " ", kind, "\n"]);
    out
}

/// What the lines of a family's series are made of.
fn lines(family: &Family, escaping: Escaping) -> Lines {
    let Names { name, labels } = Names::of(family, escaping).quoted();
    let has_labels = !labels.is_empty();
    let around = match &family.kind {
        Kind::Counter | Kind::RealCounter | Kind::Gauge | Kind::IntegerGauge => {
            vec![braced(&name, has_labels)]
        }
        Kind::Histogram(bounds) => {
            let bounds = bounds.upper.iter().copied().chain([f64::INFINITY]);
            let comma = if has_labels { "," } else { "" };
            let (before, _) = braced(&format!("{name}_bucket"), true);
            let buckets =
                bounds.map(|upper| (before.clone(), format!("{comma}le=\"{}\"}} ", number(upper))));
            let totals = ["sum", "count"];
            let totals = totals.map(|suffix| braced(&format!("{name}_{suffix}"), has_labels));
            buckets.chain(totals).collect()
        }
    };
    Lines::new(&labels, around)
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// A real number as Go's `%g` writes it: bounds are labels, so dashboards made for another exporter
/// find the same text only if it is the same to the letter.
pub fn number(value: f64) -> String {
    Real::of(value).as_str().to_owned()
}

/// The text of a real number, held without an allocation: sums are written in every scrape.
#[derive(Default)]
struct Real {
    /// The longest, with sign, point and exponent, has 24 bytes.
    bytes: [u8; 32],
    len: usize,
}

impl Real {
    fn of(value: f64) -> Self {
        let mut text = Self::default();
        // There is room for all that is written.
        let _ = text.write(value);
        text
    }

    fn write(&mut self, value: f64) -> fmt::Result {
        if value.is_nan() {
            return self.write_str("NaN");
        }
        if value.is_infinite() {
            return self.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        write!(self, "{value:e}")?;
        let (digits, exponent) = self.as_str().split_once('e').unwrap_or_default();
        let (digits, exponent) = (digits.len(), exponent.parse::<i32>().unwrap_or_default());
        if (-4..6).contains(&exponent) {
            self.len = 0;
            return write!(self, "{value}");
        }
        self.len = digits;
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(self, "e{sign}{:02}", exponent.abs())
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Write for Real {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::buckets::{Buckets, Scale, Slot};
    use crate::series::LabelSet;

    fn encoded(family: &Family) -> String {
        let mut out = Vec::new();
        encode([family], Escaping::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn family(labels: &[&str], kind: Kind) -> Family {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Family::new("ebpf_exporter_x".to_owned(), "What \"x\" is:\na \\ b".to_owned(), labels, kind)
    }

    fn add(family: &mut Family, labels: &[&str], slot: Option<Slot>, value: u64) {
        let cell = family.join(&LabelSet::of(labels.iter().copied()), slot);
        family.add(cell, value);
    }

    #[test]
    fn counters() {
        let mut family = family(&["one", "two"], Kind::Counter);
        add(&mut family, &["a", "b"], None, u64::MAX);
        add(&mut family, &["quote \" slash \\ line\nend", "\0\r\t \u{1f41d}"], None, 0);
        assert_eq!(
            encoded(&family),
            "# HELP ebpf_exporter_x What \"x\" is:\\na \\\\ b\n\
             # TYPE ebpf_exporter_x counter\n\
             ebpf_exporter_x{one=\"a\",two=\"b\"} 18446744073709551615\n\
             ebpf_exporter_x{one=\"quote \\\" slash \\\\ line\\nend\",two=\"\0\r\t \u{1f41d}\"} 0\n"
        );
    }

    #[test]
    fn a_counter_without_labels() {
        let mut family = family(&[], Kind::Counter);
        add(&mut family, &[], None, 7);
        assert!(encoded(&family).ends_with("\nebpf_exporter_x 7\n"));
    }

    #[test]
    fn gauges_are_real_numbers() {
        let mut family = family(&["config"], Kind::Gauge);
        family.set(&LabelSet::of(["c"]), 0.25);
        let text = encoded(&family);
        assert!(text.contains("# TYPE ebpf_exporter_x gauge\n"));
        assert!(text.ends_with("\nebpf_exporter_x{config=\"c\"} 0.25\n"));
    }

    fn named(name: &str, labels: &[&str], kind: Kind) -> String {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
        let values = vec!["v"; labels.len()];
        let slots = matches!(kind, Kind::Histogram(_)).then_some(Slot::Bucket(0));
        let mut family = Family::new(name.to_owned(), "h".to_owned(), labels, kind);
        family.join(&LabelSet::of(values), slots);
        let mut out = Vec::new();
        for escaping in Escaping::ALL {
            encode([&family], escaping, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_that_are_not_plain_are_escaped_or_quoted() {
        insta::assert_snapshot!(named("x", &["k8s.pod", "b"], Kind::Counter), @r#"
        # HELP x h
        # TYPE x counter
        x{k8s_pod="v",b="v"} 0
        # HELP x h
        # TYPE x counter
        x{"k8s.pod"="v",b="v"} 0
        # HELP x h
        # TYPE x counter
        x{k8s_dot_pod="v",b="v"} 0
        # HELP x h
        # TYPE x counter
        x{U__k8s_2e_pod="v",b="v"} 0
        "#);
        insta::assert_snapshot!(named("a.\"b\"\\_c", &["le:"], Kind::Gauge), @r#"
        # HELP a__b___c h
        # TYPE a__b___c gauge
        a__b___c{le_="v"} 0
        # HELP "a.\"b\"\\_c" h
        # TYPE "a.\"b\"\\_c" gauge
        {"a.\"b\"\\_c","le:"="v"} 0
        # HELP a_dot___b______c h
        # TYPE a_dot___b______c gauge
        a_dot___b______c{le__="v"} 0
        # HELP U__a_2e__22_b_22__5c___c h
        # TYPE U__a_2e__22_b_22__5c___c gauge
        U__a_2e__22_b_22__5c___c{U__le_3a_="v"} 0
        "#);
    }

    #[test]
    fn a_quoted_name_stands_in_braces_with_labels_or_without() {
        let allowed = |labels: &[&str], kind| {
            let all = named("x.y", labels, kind);
            let lines = all.lines().filter(|line| line.contains("x.y"));
            lines.map(|line| format!("{line}\n")).collect::<String>()
        };
        insta::assert_snapshot!(allowed(&[], Kind::Counter), @r#"
        # HELP "x.y" h
        # TYPE "x.y" counter
        {"x.y"} 0
        "#);
        let buckets =
            Buckets { scale: Scale::Linear { min: 1, max: 1 }, multiplier: 1.0, native: None };
        let kind = Kind::histogram(&buckets);
        insta::assert_snapshot!(allowed(&[], kind.clone()), @r#"
        # HELP "x.y" h
        # TYPE "x.y" histogram
        {"x.y_bucket",le="1"} 0
        {"x.y_bucket",le="+Inf"} 0
        {"x.y_sum"} 0
        {"x.y_count"} 0
        "#);
        insta::assert_snapshot!(allowed(&["a", "b.c"], kind), @r#"
        # HELP "x.y" h
        # TYPE "x.y" histogram
        {"x.y_bucket",a="v","b.c"="v",le="1"} 0
        {"x.y_bucket",a="v","b.c"="v",le="+Inf"} 0
        {"x.y_sum",a="v","b.c"="v"} 0
        {"x.y_count",a="v","b.c"="v"} 0
        "#);
    }

    #[test]
    fn a_family_without_series_is_left_out() {
        let mut family = family(&["a"], Kind::Counter);
        assert_eq!(encoded(&family), "");
        let cell = family.join(&LabelSet::of(["gone"]), None);
        family.leave(cell);
        assert_eq!(encoded(&family), "");
    }

    #[test]
    fn histograms() {
        let buckets =
            Buckets { scale: Scale::Exp2 { min: 0, max: 2 }, multiplier: 1e-6, native: None };
        let mut family = family(&["device"], Kind::histogram(&buckets));
        add(&mut family, &["sda"], Some(Slot::Bucket(2)), 5);
        add(&mut family, &["sda"], Some(Slot::Bucket(0)), 1);
        add(&mut family, &["sda"], Some(Slot::Sum), 21);
        add(&mut family, &["sdb"], Some(Slot::Sum), 0);
        insta::assert_snapshot!(encoded(&family), @r#"
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
        let buckets =
            Buckets { scale: Scale::Linear { min: 1, max: 1 }, multiplier: 1.0, native: None };
        let mut family = family(&[], Kind::histogram(&buckets));
        add(&mut family, &[], Some(Slot::Bucket(0)), 3);
        insta::assert_snapshot!(encoded(&family), @r#"
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
            (-2.2250738585072014e-308, "-2.2250738585072014e-308"),
            (-0.00012345678901234567, "-0.00012345678901234567"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(number(value), expected);
        }
    }
}
