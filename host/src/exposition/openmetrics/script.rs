//! OpenMetrics, series by series, so that it can be kept. What comes out is byte for byte what the client
//! writes, for families that are exposed as what they are.

use bytes::Bytes;

use super::Exposed;
use crate::exposition::lines::{Lines, braced};
use crate::exposition::names::{Names, commented, escape};
use crate::exposition::script::Script;
use crate::series::{Family, Histogram, Kind};

/// Writes a family as OpenMetrics.
#[derive(Debug)]
pub(crate) struct OpenMetricsScript {
    /// The comments.
    head: Bytes,
    lines: Lines,
}

impl Script for OpenMetricsScript {
    type Terms = Exposed;

    /// A real number may be `-inf` or `NaN`.
    const DIGITS: &'static [u8] = b"0123456789.e+-infNa";

    fn new(family: &Family, exposed: &Exposed) -> Self {
        let name = commented(&exposed.name);
        let (help, kind) = (escape(&family.help), family.kind.word());
        let head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Self { head: head.into(), lines: lines(family, exposed) }
    }

    fn head(&self, _: usize) -> Bytes {
        self.head.clone()
    }

    fn len(&self) -> usize {
        self.lines.len()
    }

    fn numbers(kind: &Kind, cells: &[u64], mut then: impl FnMut(usize, &[u8])) {
        let (mut whole, mut real) = (itoa::Buffer::new(), dtoa::Buffer::new());
        match kind {
            Kind::Counter => then(0, whole.format(cells[0]).as_bytes()),
            Kind::IntegerGauge => then(0, whole.format(cells[0].cast_signed()).as_bytes()),
            Kind::RealCounter | Kind::Gauge => {
                then(0, real.format(f64::from_bits(cells[0])).as_bytes());
            }
            Kind::Histogram(bounds) => {
                let histogram = Histogram::new(bounds, cells);
                let all = histogram.count();
                then(0, real.format(histogram.sum()).as_bytes());
                then(1, whole.format(all).as_bytes());
                let counts = histogram.cumulative().map(|(_, count)| count).chain([all]);
                for (bucket, count) in counts.enumerate() {
                    then(2 + bucket, whole.format(count).as_bytes());
                }
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

/// What the lines of a family's series are made of.
fn lines(family: &Family, exposed: &Exposed) -> Lines {
    let Names { labels, .. } = Names::of(family, exposed.escaping).quoted();
    let name = &exposed.name;
    let has_labels = !labels.is_empty();
    let around = match &family.kind {
        Kind::Counter | Kind::RealCounter => vec![braced(&format!("{name}_total"), has_labels)],
        Kind::Gauge | Kind::IntegerGauge => vec![braced(name, has_labels)],
        Kind::Histogram(bounds) => {
            let comma = if has_labels { "," } else { "" };
            let (before, behind) = braced(&format!("{name}_bucket"), true);
            let bucket = |bound: &str| (format!("{before}le=\"{bound}\"{comma}"), behind.clone());
            let mut real = dtoa::Buffer::new();
            let buckets = bounds.upper.iter().map(|upper| bucket(real.format(*upper)));
            let totals = ["sum", "count"];
            let totals = totals.map(|suffix| braced(&format!("{name}_{suffix}"), has_labels));
            totals.into_iter().chain(buckets).chain([bucket("+Inf")]).collect()
        }
    };
    Lines::new(&labels, around)
}
