//! The OpenMetrics text format 1.0, through `prometheus-client`: for those who ask for it where it is
//! enabled, off the hot path.
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

use super::client::{Labels, Lent, labelled};
use super::text::number;
use crate::series::{Bounds, Family, Histogram, Kind};

/// What to send as `Content-Type`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A whole exposition. Families without series are left out; pass them all the same, so that a name
/// does not depend on what there is to count.
pub fn encode(families: &[Arc<Family>]) -> String {
    let names = Names::of(families);
    let mut registry = Registry::default();
    for family in families.iter().filter(|family| !family.is_empty()) {
        registry.register_collector(lent(family, names.of_family(family)));
    }
    let mut out = String::new();
    // It fails only where there is no room to write.
    let _ = encoding::text::encode(&mut out, &registry);
    out
}

/// The family, to be exposed by this name as what it is, or by its own as unknown.
fn lent(family: &Arc<Family>, name: Option<&str>) -> Box<dyn Collector> {
    let help = family.help.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let ids = 0..family.room();
    let family = Arc::clone(family);
    match name {
        Some(name) => Box::new(Lent { ids, name: name.to_owned(), help, family }),
        None => Box::new(Unknown { family, help }),
    }
}

/// How families are called here.
struct Names {
    /// How many families lay claim to each name.
    claims: HashMap<String, usize>,
}

impl Names {
    fn of(families: &[Arc<Family>]) -> Self {
        let mut claims = HashMap::new();
        for name in families.iter().flat_map(|family| claimed(family)) {
            *claims.entry(name).or_default() += 1;
        }
        Self { claims }
    }

    /// What the family is called, without what its type appends; none if it cannot have its type.
    fn of_family<'a>(&self, family: &'a Family) -> Option<&'a str> {
        let alone = |name| self.claims.get(&name) <= Some(&1);
        let fits = match &family.kind {
            Kind::Counter | Kind::RealCounter => claimed(family).all(alone),
            Kind::Gauge => true,
            Kind::Histogram(bounds) => bounds.upper.iter().all(|bound| *bound >= 0.0),
        };
        fits.then(|| base(family))
    }
}

/// The names that nobody else may have if this family is exposed as what it is.
fn claimed(family: &Family) -> impl Iterator<Item = String> {
    let suffixes: &[&str] = match family.kind {
        Kind::Counter | Kind::RealCounter => &["", "_total", "_created"],
        Kind::Gauge => &[""],
        Kind::Histogram(_) => &["", "_bucket", "_sum", "_count", "_created"],
    };
    let base = base(family);
    suffixes.iter().map(move |suffix| format!("{base}{suffix}"))
}

/// A family's name, without what its type appends to it.
fn base(family: &Family) -> &str {
    match family.kind {
        Kind::Counter | Kind::RealCounter => {
            family.name.strip_suffix("_total").unwrap_or(&family.name)
        }
        Kind::Gauge | Kind::Histogram(_) => &family.name,
    }
}

/// A counter or a histogram that cannot be exposed as such, lent to a registry: its samples are those
/// of the text format, and each name is a family of its own.
#[derive(Debug)]
struct Unknown {
    family: Arc<Family>,
    help: String,
}

impl Collector for Unknown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        match &self.family.kind {
            Kind::Counter => self.numbers(&mut encoder, "", |cells| cells[0]),
            Kind::RealCounter | Kind::Gauge => {
                self.numbers(&mut encoder, "", |cells| f64::from_bits(cells[0]))
            }
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
        let Self { family, help } = self;
        let name = format!("{}{suffix}", family.name);
        let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Unknown)?;
        for id in family.live() {
            let number = number(family.numbers(id));
            labelled(family, id, &mut metric, |series| series.encode_gauge(&number))?;
        }
        Ok(())
    }

    /// The buckets of each series of a histogram.
    fn buckets(&self, encoder: &mut DescriptorEncoder<'_>, bounds: &Bounds) -> fmt::Result {
        let Self { family, help } = self;
        let name = format!("{}_bucket", family.name);
        let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Unknown)?;
        for id in family.live() {
            let histogram = Histogram::new(bounds, family.numbers(id));
            let all = (f64::INFINITY, histogram.count());
            for (upper, count) in histogram.cumulative().chain([all]) {
                let labels = (Labels { family, id }, [("le", number(upper))]);
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
        let text = encode(families);
        let lines = text.lines().filter(|line| !line.starts_with("# HELP"));
        lines.map(|line| line.split('{').next().unwrap().replace("# TYPE ", "")).collect()
    }

    #[test]
    fn counters_end_in_total_and_their_families_do_not() {
        let text = encode(&[
            family("exec_events", Kind::Counter),
            family("x_total", Kind::Counter),
            family("y_seconds", Kind::Gauge),
        ]);
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
        let histogram =
            Kind::histogram(&Buckets { scale: Scale::Fixed(vec![1.0]), multiplier: 1.0 });
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
    fn families_are_given_back() {
        let families = [family("x_total", Kind::Counter), family("x", Kind::Counter)];
        assert!(!encode(&families).is_empty());
        assert!(families.iter().all(|family| Arc::strong_count(family) == 1));
    }

    #[test]
    fn histograms() {
        let encoded = |keys: &[f64]| {
            let scale = Scale::Fixed(keys.to_vec());
            let kind = Kind::histogram(&Buckets { scale, multiplier: 1e-6 });
            let mut family = Family::new("h".to_owned(), "x".to_owned(), Vec::new(), kind);
            let cell = family.join(&LabelSet::default(), Some(Slot::Bucket(1)));
            family.add(cell, 3);
            encode(&[family.into()])
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
