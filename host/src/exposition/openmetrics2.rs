//! The OpenMetrics text format 2.0, for those who ask for this version where OpenMetrics is enabled.
//!
//! A histogram is one line, its classic buckets and its native ones side by side, and a series says when it began.
//! Names are those of the text format: no type appends anything. `prometheus-client` does not write it, so all
//! of it is written here.
//!
//! Never writes a time of which it is not known that the series had counted nothing until then.

use std::io::Write as _;

use bytes::Bytes;

use super::lines::{Labels, braced};
use super::names::{self, Names, commented};
use super::openmetrics::{self, script::OpenMetricsScript};
use super::script::Script;
use crate::config::buckets::native::Native;
use crate::escaping::Escaping;
use crate::series::{Bounds, Family, Histogram, Kind};

/// What the buckets of a native histogram hold together at most: Prometheus reads the count as a real number, and
/// refuses the scrape if it is another than that of the buckets, which are whole numbers to it.
const MOST: u64 = 1 << f64::MANTISSA_DIGITS;

/// Appends all families to `out`, in the order given. Those without series are left out.
pub fn encode<'a>(
    families: impl IntoIterator<Item = &'a Family>,
    escaping: Escaping,
    out: &mut Vec<u8>,
) {
    for family in families.into_iter().filter(|family| !family.is_empty()) {
        let mut script = OpenMetrics2Script::new(family, &escaping);
        out.extend_from_slice(&script.head);
        for id in family.live() {
            script.write(family, id, out, |_, _| {});
        }
    }
    out.extend_from_slice(openmetrics::end().as_bytes());
}

/// Writes a family as OpenMetrics 2.0.
#[derive(Debug)]
pub(super) struct OpenMetrics2Script {
    /// The comments.
    head: Bytes,
    /// What stands before the labels of a series, and behind them.
    around: (String, String),
    /// What stands before each number of a series.
    before: Vec<String>,
    /// What stands behind the last number, before the time.
    behind: &'static str,
    labels: Labels,
    /// When the series in hand began, and the end of its line.
    end: Vec<u8>,
}

impl Script for OpenMetrics2Script {
    type Terms = Escaping;

    const DIGITS: &'static [u8] = OpenMetricsScript::DIGITS;

    fn new(family: &Family, escaping: &Escaping) -> Self {
        let Names { name, labels } = Names::of(family, *escaping).quoted();
        let (before, behind) = match &family.kind {
            Kind::Counter | Kind::RealCounter | Kind::Gauge | Kind::IntegerGauge => {
                (vec![String::new()], "")
            }
            Kind::Histogram(bounds) => before(bounds),
        };
        Self {
            head: head(family, *escaping).into(),
            around: braced(&name, !labels.is_empty()),
            before,
            behind,
            labels: Labels::new(&labels),
            end: Vec::new(),
        }
    }

    fn head(&self, _: usize) -> Bytes {
        self.head.clone()
    }

    fn len(&self) -> usize {
        self.before.len()
    }

    fn numbers(kind: &Kind, cells: &[u64], mut then: impl FnMut(usize, &[u8])) {
        // A number that stands alone is written as in version 1.0.
        let Kind::Histogram(bounds) = kind else {
            return OpenMetricsScript::numbers(kind, cells, then);
        };
        let (mut whole, mut real) = (itoa::Buffer::new(), dtoa::Buffer::new());
        let histogram = Histogram::new(bounds, cells);
        let count = histogram.told_count(MOST);
        then(0, whole.format(count).as_bytes());
        then(1, real.format(histogram.sum()).as_bytes());
        let native = histogram.native_counts(MOST).filter(|_| bounds.native.is_some());
        let classic = histogram.cumulative().map(|(_, below)| below.min(count)).chain([count]);
        let classic = classic.filter(|_| bounds.has_classic());
        for (place, number) in native.chain(classic).enumerate() {
            then(2 + place, whole.format(number).as_bytes());
        }
    }

    fn begin(&mut self, family: &Family, id: usize, _: &mut Vec<u8>) {
        self.labels.begin(family.label_values(id));
        self.end.clear();
        self.end.extend_from_slice(self.behind.as_bytes());
        if let Some(time) = family.begun(id).filter(|_| !is_gauge(&family.kind)) {
            let (seconds, milliseconds) = (time / 1000, time % 1000);
            // Memory takes all.
            let _ = write!(self.end, " st@{seconds}.{milliseconds:03}");
        }
        self.end.push(b'\n');
    }

    fn put(&self, n: usize, number: &[u8], out: &mut Vec<u8>) -> usize {
        if n == 0 {
            out.extend_from_slice(self.around.0.as_bytes());
            out.extend_from_slice(self.labels.bytes());
            out.extend_from_slice(self.around.1.as_bytes());
        }
        out.extend_from_slice(self.before[n].as_bytes());
        let at = out.len();
        out.extend_from_slice(number);
        if n + 1 == self.before.len() {
            out.extend_from_slice(&self.end);
        }
        at
    }
}

/// Whether what it measures never began.
fn is_gauge(kind: &Kind) -> bool {
    matches!(kind, Kind::Gauge | Kind::IntegerGauge)
}

/// The comments that stand before a family's series.
fn head(family: &Family, escaping: Escaping) -> String {
    let name = escaping.metric(&family.name);
    // Prometheus takes a carriage return before the end of a line for part of it.
    let help = names::escape(family.help.trim_end_matches('\r'));
    let (name, kind) = (commented(&name), family.kind.word());
    format!("# TYPE {name} {kind}\n# HELP {name} {help}\n")
}

/// What stands before each number of a histogram, and behind the last.
fn before(bounds: &Bounds) -> (Vec<String>, &'static str) {
    let mut before = vec!["{count:".to_owned(), ",sum:".to_owned()];
    let mut behind = "";
    if let Some(Native { schema, second, .. }) = bounds.native {
        let (threshold, others) = (real(bounds.upper[0]), bounds.upper.len() - 1);
        before.push(format!(",schema:{schema},zero_threshold:{threshold},zero_count:"));
        let spans = format!(",positive_spans:[{second}:{others}],positive_buckets:[");
        before.extend(listed(spans, std::iter::repeat_n(String::new(), others)));
        behind = if others > 0 { "]" } else { "" };
    }
    if bounds.has_classic() {
        let ends = bounds.upper.iter().map(|upper| real(*upper)).chain(["+Inf".to_owned()]);
        let buckets = ends.map(|end| format!("{end}:"));
        before.extend(listed(format!("{behind},bucket:["), buckets));
        behind = "]";
    }
    (before, if behind.is_empty() { "}" } else { "]}" })
}

/// What stands before each number of a list that begins so, each of which has this before it.
fn listed(begin: String, each: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    let commas = std::iter::repeat(",".to_owned());
    [begin].into_iter().chain(commas).zip(each).map(|(comma, each)| comma + &each)
}

fn real(number: f64) -> String {
    dtoa::Buffer::new().format(number).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::buckets::{Buckets, Scale, Slot};
    use crate::series::LabelSet;

    fn encoded(families: &[Family], escaping: Escaping) -> String {
        let mut out = Vec::new();
        encode(families, escaping, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn family(name: &str, labels: &[&str], kind: Kind) -> Family {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Family::new(name.to_owned(), "What \"it\" is:\na \\ b".to_owned(), labels, kind)
    }

    #[test]
    fn counters_keep_their_names_and_say_when_they_began() {
        let mut counter = family("x", &["a"], Kind::Counter);
        counter.begin_at(Some(1_700_000_000_007));
        counter.join(&LabelSet::of(["\"\\\n"]), None);
        counter.begin_at(None);
        let cell = counter.join(&LabelSet::of(["found"]), None);
        counter.add(cell, u64::MAX);
        let mut gauge = family("x_total", &[], Kind::Gauge);
        gauge.help = "Ends early\r".to_owned();
        gauge.begin_at(Some(1));
        gauge.set(&LabelSet::default(), -0.5);
        insta::assert_snapshot!(encoded(&[counter, gauge], Escaping::default()), @r##"
        # TYPE x counter
        # HELP x What \"it\" is:\na \\ b
        x{a="\"\\\n"} 0 st@1700000000.007
        x{a="found"} 18446744073709551615
        # TYPE x_total gauge
        # HELP x_total Ends early
        x_total -0.5
        # EOF
        "##);
    }

    #[test]
    fn names_that_are_not_plain_are_escaped_or_quoted() {
        let mut counter = family("x.y", &["k8s.pod", "b"], Kind::Counter);
        counter.join(&LabelSet::of(["v", "v"]), None);
        let line = |escaping| {
            let text = encoded(std::slice::from_ref(&counter), escaping);
            text.lines().nth(2).unwrap().to_owned()
        };
        assert_eq!(line(Escaping::Underscores), r#"x_y{k8s_pod="v",b="v"} 0"#);
        assert_eq!(line(Escaping::AllowUtf8), r#"{"x.y","k8s.pod"="v",b="v"} 0"#);
    }

    /// The line of a histogram with 1, 0 and 4 in its buckets.
    fn histogram(scale: Scale, native: Option<Native>) -> String {
        let kind = Kind::histogram(&Buckets { scale, multiplier: 0.5, native });
        let mut family = family("h", &[], kind);
        family.begin_at(Some(2_500));
        for (slot, value) in [(Slot::Bucket(0), 1), (Slot::Bucket(2), 4), (Slot::Sum, 25)] {
            let cell = family.join(&LabelSet::default(), Some(slot));
            family.add(cell, value);
        }
        encoded(&[family], Escaping::default()).lines().nth(2).unwrap().to_owned()
    }

    #[test]
    fn a_histogram_is_a_line() {
        let scale = || Scale::Exp2 { min: 0, max: 2 };
        let native = |classic| Some(Native { schema: 0, second: 0, classic });
        insta::assert_snapshot!(
            histogram(scale(), None),
            @"h {count:5,sum:12.5,bucket:[0.5:1,1.0:1,2.0:5,+Inf:5]} st@2.500"
        );
        insta::assert_snapshot!(
            histogram(scale(), native(false)),
            @"h {count:5,sum:12.5,schema:0,zero_threshold:0.5,zero_count:1,positive_spans:[0:2],positive_buckets:[0,4]} st@2.500"
        );
        insta::assert_snapshot!(
            histogram(scale(), native(true)),
            @"h {count:5,sum:12.5,schema:0,zero_threshold:0.5,zero_count:1,positive_spans:[0:2],positive_buckets:[0,4],bucket:[0.5:1,1.0:1,2.0:5,+Inf:5]} st@2.500"
        );
    }

    #[test]
    fn a_native_histogram_has_no_more_than_a_real_number_counts() {
        let native = Some(Native { schema: 0, second: 0, classic: true });
        let scale = Scale::Exp2 { min: 0, max: 2 };
        let mut family =
            family("h", &[], Kind::histogram(&Buckets { scale, multiplier: 1.0, native }));
        for (bucket, value) in [(0, 3), (1, MOST - 5), (2, u64::MAX - MOST)] {
            let cell = family.join(&LabelSet::default(), Some(Slot::Bucket(bucket)));
            family.add(cell, value);
        }
        let text = encoded(&[family], Escaping::default());
        let line = text.lines().nth(2).unwrap();
        insta::assert_snapshot!(line, @"h {count:9007199254740992,sum:0.0,schema:0,zero_threshold:1.0,zero_count:3,positive_spans:[0:2],positive_buckets:[9007199254740987,2],bucket:[1.0:3,2.0:9007199254740990,4.0:9007199254740992,+Inf:9007199254740992]}");
    }

    #[test]
    fn a_native_histogram_may_have_a_zero_bucket_alone() {
        for (classic, expected) in [
            (false, "h {count:0,sum:0.0,schema:0,zero_threshold:0.5,zero_count:0}"),
            (
                true,
                "h {count:0,sum:0.0,schema:0,zero_threshold:0.5,zero_count:0,bucket:[0.5:0,+Inf:0]}",
            ),
        ] {
            let native = Some(Native { schema: 0, second: 0, classic });
            let scale = Scale::Exp2 { min: 0, max: 0 };
            let mut family =
                family("h", &[], Kind::histogram(&Buckets { scale, multiplier: 0.5, native }));
            family.join(&LabelSet::default(), Some(Slot::Sum));
            assert_eq!(encoded(&[family], Escaping::default()).lines().nth(2), Some(expected));
        }
    }
}
