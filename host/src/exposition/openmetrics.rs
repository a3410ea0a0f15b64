//! The OpenMetrics text format 1.0, for those who ask for it where it is enabled. `prometheus-client` writes
//! it. Large families are kept and written by a `script`, which the client's text is the twin of.
//!
//! What the format insists on, and the client's way with numbers, make it differ from [`super::text`]:
//! - a counter's family has no `_total` and its series have: `x_total` stays, `x` becomes `x_total`;
//! - bounds have a point, and an exponent only if they are very small or large: `le="1"` becomes
//!   `le="1.0"`, `le="4e-06"` becomes `le="0.000004"`; a value without a limit is `inf`;
//! - no two families may share a name, with what their types append to it, and a histogram with a
//!   negative bound may have neither sum nor count. A counter or a histogram that would break this
//!   is exposed under the names it has, with the type `unknown`.
//!
//! The client does not escape help texts; that is done here.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{self, DescriptorEncoder, EncodeGaugeValue};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::client::{Lent, labelled};
use super::names::{Names, escape, quote};
use super::text::number;
use crate::escaping::{Escaping, is_plain_metric};
use crate::series::{Bounds, Family, Histogram, Kind};

pub(super) mod script;

/// A whole exposition, all of it by the client. Families without series are left out; pass them all the
/// same, so that a name does not depend on what there is to count.
pub fn encode(families: &[Arc<Family>], escaping: Escaping) -> String {
    let claims = Claims::of(families.iter().map(|family| &**family), escaping);
    let mut out = String::new();
    for family in families.iter().filter(|family| !family.is_empty()) {
        write(family, &claims.exposed(family), &mut out);
    }
    out.push_str(&end());
    out
}

/// What ends an exposition.
pub(super) fn end() -> String {
    let mut end = String::new();
    // It fails only where there is no room to write.
    let _ = encoding::text::encode_eof(&mut end);
    end
}

/// What a family is exposed as.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exposed {
    /// How the names of its labels are escaped.
    pub(super) escaping: Escaping,
    /// Its name, escaped, without what its type appends to it; all of it if the type is unknown.
    pub(super) name: String,
    /// Whether it cannot have its type.
    pub(super) unknown: bool,
}

/// Appends a family's text, by the client.
pub(super) fn write(family: &Arc<Family>, exposed: &Exposed, out: &mut String) {
    let name = &exposed.name;
    if is_plain_metric(name) {
        return append(family, name, exposed, out);
    }
    // The client knows no names in braces. It gets one that begins each line and no other thing.
    let stand_in = Escaping::Values.metric(name);
    let mut text = String::new();
    append(family, &stand_in, exposed, &mut text);
    text.split_terminator('\n').for_each(|line| named(line, &stand_in, name, out));
}

/// Appends the text as the client writes it of a family called `name`.
fn append(family: &Arc<Family>, name: &str, exposed: &Exposed, out: &mut String) {
    let Names { labels, .. } = Names::of(family, exposed.escaping).quoted();
    let (family, help) = (Arc::clone(family), escape(&family.help));
    let names = Names { name: name.to_owned(), labels };
    let lent = Lent { ids: 0..family.room(), family, names, help };
    let mut registry = Registry::default();
    registry.register_collector(if exposed.unknown {
        Box::new(Unknown(lent))
    } else {
        Box::new(lent)
    });
    // As above.
    let _ = encoding::text::encode_registry(out, &registry);
}

/// Appends `line`, which is about a metric that is called `stand_in`, with what else there is to its name,
/// as one about `name`.
fn named(line: &str, stand_in: &str, name: &str, out: &mut String) {
    let Some((before, rest)) = line.split_once(stand_in) else { return };
    let (suffix, rest) = rest.split_at(rest.find(['{', ' ']).unwrap_or(rest.len()));
    let name = quote(&format!("{name}{suffix}"));
    let parts: [&str; 5] = match rest.strip_prefix('{') {
        _ if !before.is_empty() => [before, &name, rest, "", "\n"],
        Some(labels) => ["{", &name, ",", labels, "\n"],
        None => ["{", &name, "}", rest, "\n"],
    };
    parts.into_iter().for_each(|part| out.push_str(part));
}

/// How many families lay claim to each name.
pub(super) struct Claims {
    escaping: Escaping,
    counts: HashMap<String, usize>,
}

impl Claims {
    /// What all families of an exposition claim.
    pub(super) fn of<'a>(families: impl Iterator<Item = &'a Family>, escaping: Escaping) -> Self {
        let mut counts = HashMap::new();
        for family in families {
            let name = escaping.metric(&family.name);
            for name in claimed(&name, &family.kind) {
                *counts.entry(name).or_default() += 1;
            }
        }
        Self { escaping, counts }
    }

    /// What one of the families is exposed as.
    pub(super) fn exposed(&self, family: &Family) -> Exposed {
        let name = self.escaping.metric(&family.name);
        let alone = |name| self.counts.get(&name) <= Some(&1);
        let fits = match &family.kind {
            Kind::Counter | Kind::RealCounter => claimed(&name, &family.kind).all(alone),
            Kind::Gauge | Kind::IntegerGauge => true,
            Kind::Histogram(bounds) => bounds.upper.iter().all(|bound| *bound >= 0.0),
        };
        let name = if fits { base(&name, &family.kind).to_owned() } else { name.into_owned() };
        Exposed { escaping: self.escaping, name, unknown: !fits }
    }
}

/// The names that nobody else may have if a family of this name is exposed as what it is.
fn claimed(name: &str, kind: &Kind) -> impl Iterator<Item = String> {
    let suffixes: &[&str] = match kind {
        Kind::Counter | Kind::RealCounter => &["", "_total", "_created"],
        Kind::Gauge | Kind::IntegerGauge => &[""],
        Kind::Histogram(_) => &["", "_bucket", "_sum", "_count", "_created"],
    };
    let base = base(name, kind);
    suffixes.iter().map(move |suffix| format!("{base}{suffix}"))
}

/// A family's name, without what its type appends to it.
fn base<'a>(name: &'a str, kind: &Kind) -> &'a str {
    match kind {
        Kind::Counter | Kind::RealCounter => name.strip_suffix("_total").unwrap_or(name),
        Kind::Gauge | Kind::IntegerGauge | Kind::Histogram(_) => name,
    }
}

/// A counter or a histogram that cannot be exposed as such, lent to a registry: its samples are those
/// of the text format, and each name is a family of its own.
#[derive(Debug)]
struct Unknown(Lent);

impl Collector for Unknown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        match &self.0.family.kind {
            Kind::Counter => self.numbers(&mut encoder, "", |cells| cells[0]),
            Kind::RealCounter | Kind::Gauge => {
                self.numbers(&mut encoder, "", |cells| f64::from_bits(cells[0]))
            }
            Kind::IntegerGauge => self.numbers(&mut encoder, "", |cells| cells[0].cast_signed()),
            Kind::Histogram(bounds) => {
                self.buckets(&mut encoder, bounds)?;
                self.numbers(&mut encoder, "_sum", |cells| Histogram::new(bounds, cells).sum())?;
                self.numbers(&mut encoder, "_count", |cells| Histogram::new(bounds, cells).count())
            }
        }
    }
}

impl Unknown {
    /// A number of each series.
    fn numbers<N: EncodeGaugeValue>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        suffix: &str,
        number: impl Fn(&[u64]) -> N,
    ) -> fmt::Result {
        let Lent { family, names, help, .. } = &self.0;
        let name = format!("{}{suffix}", names.name);
        let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Unknown)?;
        for id in family.live() {
            let number = number(family.numbers(id));
            labelled(&self.0.labels(id), &mut metric, |series| series.encode_gauge(&number))?;
        }
        Ok(())
    }

    /// The buckets of each series of a histogram.
    fn buckets(&self, encoder: &mut DescriptorEncoder<'_>, bounds: &Bounds) -> fmt::Result {
        let Lent { family, names, help, .. } = &self.0;
        let name = format!("{}_bucket", names.name);
        let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Unknown)?;
        for id in family.live() {
            let histogram = Histogram::new(bounds, family.numbers(id));
            let all = (f64::INFINITY, histogram.count());
            for (upper, count) in histogram.cumulative().chain([all]) {
                let labels = (self.0.labels(id), [("le", number(upper))]);
                metric.encode_family(&labels)?.encode_gauge(&count)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::buckets::{Buckets, Scale, Slot};
    use crate::series::LabelSet;

    fn family(name: &str, kind: Kind) -> Arc<Family> {
        let help = "What \"it\" is:\na \\ b".to_owned();
        let mut family = Family::new(name.to_owned(), help, vec!["a".to_owned()], kind);
        family.join(&LabelSet::of(["\"\\\n"]), None);
        family.into()
    }

    /// The lines of types and samples, without labels and values.
    fn names(families: &[Arc<Family>]) -> Vec<String> {
        let text = encode(families, Escaping::default());
        let lines = text.lines().filter(|line| !line.starts_with("# HELP"));
        lines.map(|line| line.split('{').next().unwrap().replace("# TYPE ", "")).collect()
    }

    #[test]
    fn counters_end_in_total_and_their_families_do_not() {
        let text = encode(
            &[
                family("exec_events", Kind::Counter),
                family("x_total", Kind::Counter),
                family("y_seconds", Kind::Gauge),
            ],
            Escaping::default(),
        );
        insta::assert_snapshot!(text, @r##"
        # HELP exec_events What \"it\" is:\na \\ b
        # TYPE exec_events counter
        exec_events_total{a="\"\\\n"} 0
        # HELP x What \"it\" is:\na \\ b
        # TYPE x counter
        x_total{a="\"\\\n"} 0
        # HELP y_seconds What \"it\" is:\na \\ b
        # TYPE y_seconds gauge
        y_seconds{a="\"\\\n"} 0.0
        # EOF
        "##);
    }

    #[test]
    fn counters_whose_names_meet_keep_them() {
        let both = [family("x", Kind::Counter), family("x_total", Kind::Counter)];
        assert_eq!(names(&both), ["x unknown", "x", "x_total unknown", "x_total", "# EOF"]);
        let created = [family("x_created", Kind::Gauge), family("x_total", Kind::RealCounter)];
        assert_eq!(
            names(&created),
            ["x_created gauge", "x_created", "x_total unknown", "x_total", "# EOF"]
        );
        let histogram = Kind::histogram(&Buckets {
            scale: Scale::Fixed(vec![1.0]),
            multiplier: 1.0,
            native: None,
        });
        let empty = Family::new("x".to_owned(), "x".to_owned(), Vec::new(), histogram);
        let other = [
            family("x_bucket_total", Kind::Counter),
            family("x_total", Kind::Counter),
            empty.into(),
        ];
        assert_eq!(
            names(&other),
            ["x_bucket_total unknown", "x_bucket_total", "x_total unknown", "x_total", "# EOF"]
        );
    }

    #[test]
    fn names_that_are_not_plain_are_escaped_or_quoted() {
        let histogram = Kind::histogram(&Buckets {
            scale: Scale::Fixed(vec![1.0]),
            multiplier: 1.0,
            native: None,
        });
        let made = |name: &str, labels: &[&str], kind| {
            let labels: Vec<_> = labels.iter().map(|label| (*label).to_owned()).collect();
            let values = LabelSet::of(labels.iter().map(|_| "a{b"));
            let help = "x \"x.y\" U__x\r".to_owned();
            let mut family = Family::new(name.to_owned(), help, labels, kind);
            family.join(&values, None);
            Arc::new(family)
        };
        let families = [
            made("x.y", &["k8s.pod", "b"], Kind::Counter),
            made("x.y_seconds", &[], histogram),
            made("z.", &[], Kind::Counter),
            made("z._total", &[], Kind::Counter),
        ];
        insta::assert_snapshot!(encode(&families, Escaping::AllowUtf8).replace('\r', "CR"), @r##"
        # HELP "x.y" x \"x.y\" U__xCR
        # TYPE "x.y" counter
        {"x.y_total","k8s.pod"="a{b",b="a{b"} 0
        # HELP "x.y_seconds" x \"x.y\" U__xCR
        # TYPE "x.y_seconds" histogram
        {"x.y_seconds_sum"} 0.0
        {"x.y_seconds_count"} 0
        {"x.y_seconds_bucket",le="1.0"} 0
        {"x.y_seconds_bucket",le="+Inf"} 0
        # HELP "z." x \"x.y\" U__xCR
        # TYPE "z." unknown
        {"z."} 0
        # HELP "z._total" x \"x.y\" U__xCR
        # TYPE "z._total" unknown
        {"z._total"} 0
        # EOF
        "##);
        let lines = |escaping| {
            let text = encode(&families[..1], escaping);
            text.lines().nth(2).unwrap().to_owned()
        };
        insta::assert_snapshot!(lines(Escaping::Underscores), @r#"x_y_total{k8s_pod="a{b",b="a{b"} 0"#);
        insta::assert_snapshot!(lines(Escaping::Dots), @r#"x_dot_y_total{k8s_dot_pod="a{b",b="a{b"} 0"#);
        insta::assert_snapshot!(lines(Escaping::Values), @r#"U__x_2e_y_total{U__k8s_2e_pod="a{b",b="a{b"} 0"#);
    }

    #[test]
    fn families_are_given_back() {
        let families = [family("x_total", Kind::Counter), family("x", Kind::Counter)];
        assert!(!encode(&families, Escaping::default()).is_empty());
        assert!(families.iter().all(|family| Arc::strong_count(family) == 1));
    }

    #[test]
    fn histograms() {
        let encoded = |keys: &[f64]| {
            let scale = Scale::Fixed(keys.to_vec());
            let kind = Kind::histogram(&Buckets { scale, multiplier: 1e-6, native: None });
            let mut family = Family::new("h".to_owned(), "x".to_owned(), Vec::new(), kind);
            let cell = family.join(&LabelSet::default(), Some(Slot::Bucket(1)));
            family.add(cell, 3);
            encode(&[family.into()], Escaping::default())
        };
        insta::assert_snapshot!(encoded(&[0.0, 4.0, 1e6, 1e30]), @r##"
        # HELP h x
        # TYPE h histogram
        h_sum 0.0
        h_count 3
        h_bucket{le="0.0"} 0
        h_bucket{le="0.000004"} 3
        h_bucket{le="1.0"} 3
        h_bucket{le="1e24"} 3
        h_bucket{le="+Inf"} 3
        # EOF
        "##);
        insta::assert_snapshot!(encoded(&[-1e6, 4.0]), @r##"
        # HELP h_bucket x
        # TYPE h_bucket unknown
        h_bucket{le="-1"} 0
        h_bucket{le="4e-06"} 3
        h_bucket{le="+Inf"} 3
        # HELP h_sum x
        # TYPE h_sum unknown
        h_sum 0.0
        # HELP h_count x
        # TYPE h_count unknown
        h_count 3
        # EOF
        "##);
    }
}
