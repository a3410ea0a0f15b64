//! The OpenMetrics text format 1.0: for those who ask for it where it is enabled, off the hot path.
//!
//! The lines are those of [`super::text`]. What differs is what the format insists on:
//! - a counter's family has no `_total` and its series have: `x_total` stays, `x` becomes `x_total`;
//! - bounds are real numbers: `le="1"` becomes `le="1.0"`;
//! - histograms with a negative bound have neither sum nor count;
//! - no two families may share a name, with what their types append to it. A counter that would
//!   keeps the name it has, and its type is `unknown`.
//!
//! Not through `prometheus-client`: it writes a bound of 0.000004 as `4e-6`, where the format wants
//! what Go writes and every other exposition of ours has, `4e-06`; and it encodes only what is
//! `'static`, which would take a copy of every family.

use std::collections::HashMap;

use super::text::{self, Lines, escape, number, put};
use crate::series::{Family, Kind};

/// What to send as `Content-Type`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Appends a whole exposition to `out`. Families without series are left out; pass them all the
/// same, so that a name does not depend on what there is to count.
pub fn encode(families: &[&Family], out: &mut Vec<u8>) {
    let names = Names::of(families);
    for family in families.iter().filter(|family| !family.is_empty()) {
        let Name { family: name, series, kind } = names.of_family(family);
        put(out, &["# HELP ", name, " "]);
        escape(&family.help, true, out);
        put(out, &["\n# TYPE ", name, " ", kind, "\n"]);
        let mut lines = Lines::named(family, &series, bound);
        if matches!(&family.kind, Kind::Histogram(bounds) if bounds.upper.iter().any(|b| *b < 0.0))
        {
            lines = lines.without_totals();
        }
        for id in family.live() {
            lines.write(family, id, out, |_, _| {});
        }
    }
    put(out, &["# EOF\n"]);
}

/// How families are called here.
struct Names {
    /// How many families lay claim to each name.
    claims: HashMap<String, usize>,
}

/// How one family is called here.
struct Name<'a> {
    family: &'a str,
    /// The name of its series, without what the type of a histogram appends.
    series: String,
    kind: &'static str,
}

impl Names {
    fn of(families: &[&Family]) -> Self {
        let mut claims = HashMap::new();
        for name in families.iter().flat_map(|family| claimed(family)) {
            *claims.entry(name).or_default() += 1;
        }
        Self { claims }
    }

    fn of_family<'a>(&self, family: &'a Family) -> Name<'a> {
        let kind = text::type_of(&family.kind);
        if !is_counter(family) {
            return Name { family: &family.name, series: family.name.clone(), kind };
        }
        if claimed(family).any(|name| self.claims.get(&name).is_some_and(|claims| *claims > 1)) {
            return Name { family: &family.name, series: family.name.clone(), kind: "unknown" };
        }
        let base = base(family);
        Name { family: base, series: format!("{base}_total"), kind }
    }
}

/// The names that nobody else may have if this family is exposed as what it is.
fn claimed(family: &Family) -> impl Iterator<Item = String> {
    let suffixes: &[&str] = match family.kind {
        Kind::Counter | Kind::RealCounter => &["", "_total", "_created"],
        Kind::Gauge => &[""],
        Kind::Histogram(_) => &["", "_bucket", "_sum", "_count", "_created"],
    };
    let base = if is_counter(family) { base(family) } else { &family.name };
    suffixes.iter().map(move |suffix| format!("{base}{suffix}"))
}

fn is_counter(family: &Family) -> bool {
    matches!(family.kind, Kind::Counter | Kind::RealCounter)
}

fn base(family: &Family) -> &str {
    family.name.strip_suffix("_total").unwrap_or(&family.name)
}

/// A bound as a label: [`number`], with a point or an exponent in any case.
fn bound(value: f64) -> String {
    let mut text = number(value);
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        text.push_str(".0");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::buckets::{Buckets, Scale, Slot};
    use crate::series::LabelSet;

    fn family(name: &str, kind: Kind) -> Family {
        let help = "What \"it\" is:\na \\ b".to_owned();
        let mut family = Family::new(name.to_owned(), help, vec!["a".to_owned()], kind);
        family.join(&LabelSet::of(["\"\\\n"]), None);
        family
    }

    fn encoded(families: &[Family]) -> String {
        let mut out = Vec::new();
        encode(&families.iter().collect::<Vec<_>>(), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The lines of types and samples, without labels and values.
    fn names(families: &[Family]) -> Vec<String> {
        let text = encoded(families);
        let lines = text.lines().filter(|line| !line.starts_with("# HELP"));
        lines.map(|line| line.split('{').next().unwrap().replace("# TYPE ", "")).collect()
    }

    #[test]
    fn counters_end_in_total_and_their_families_do_not() {
        let text = encoded(&[
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
        y_seconds{a="\"\\\n"} 0
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
        let other =
            [family("x_bucket_total", Kind::Counter), family("x_total", Kind::Counter), empty];
        assert_eq!(
            names(&other),
            ["x_bucket_total unknown", "x_bucket_total", "x_total unknown", "x_total", "# EOF"]
        );
    }

    #[test]
    fn histograms() {
        let encoded = |keys: &[f64]| {
            let scale = Scale::Fixed(keys.to_vec());
            let kind = Kind::histogram(&Buckets { scale, multiplier: 1e-6 });
            let mut family = Family::new("h".to_owned(), "x".to_owned(), Vec::new(), kind);
            let cell = family.join(&LabelSet::default(), Some(Slot::Bucket(1)));
            family.add(cell, 3);
            encoded(&[family])
        };
        insta::assert_snapshot!(encoded(&[0.0, 4.0, 1e6, 1e30]), @r##"
        # HELP h x
        # TYPE h histogram
        h_bucket{le="0.0"} 0
        h_bucket{le="4e-06"} 3
        h_bucket{le="1.0"} 3
        h_bucket{le="1e+24"} 3
        h_bucket{le="+Inf"} 3
        h_sum 0
        h_count 3
        # EOF
        "##);
        insta::assert_snapshot!(encoded(&[-1e6, 4.0]), @r##"
        # HELP h x
        # TYPE h histogram
        h_bucket{le="-1.0"} 0
        h_bucket{le="4e-06"} 3
        h_bucket{le="+Inf"} 3
        # EOF
        "##);
    }
}
