//! What has become of spans: of each kind, how many there were, were sent, and were not.
//!
//! All threads count here, and nothing waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::series::Kind;
use crate::status::SpanCount;
use crate::telemetry::{Collect, Report, about};

/// Why a span was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// As many waited as may.
    QueueFull,
    /// It could not be sent.
    Failed,
    /// The collector took the others of its batch and not this one.
    Rejected,
    /// The exporter ended.
    Exit,
}

impl Cause {
    const ALL: [Self; 4] = [Self::QueueFull, Self::Failed, Self::Rejected, Self::Exit];

    fn word(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Exit => "exit",
        }
    }
}

/// The numbers of all kinds of spans. Cheap to clone; all clones count the same.
#[derive(Clone, Debug, Default)]
pub struct SpanStats(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    kinds: Vec<KindStats>,
    waiting: AtomicU64,
}

/// The numbers of one kind of spans.
#[derive(Debug, Default)]
struct KindStats {
    config: String,
    span: String,
    read: AtomicU64,
    sent: AtomicU64,
    dropped: [AtomicU64; Cause::ALL.len()],
    errors: AtomicU64,
}

impl KindStats {
    fn labels(&self) -> [&str; 2] {
        [&self.config, &self.span]
    }
}

fn add(number: &AtomicU64, more: u64) {
    number.fetch_add(more, Ordering::Relaxed);
}

fn get(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

impl SpanStats {
    /// Zeros for kinds of spans by config and name.
    pub(super) fn of(kinds: impl IntoIterator<Item = (String, String)>) -> Self {
        let kind = |(config, span)| KindStats { config, span, ..KindStats::default() };
        let kinds = kinds.into_iter().map(kind).collect();
        Self(Arc::new(Shared { kinds, waiting: AtomicU64::new(0) }))
    }

    fn kind(&self, kind: usize, count: impl FnOnce(&KindStats)) {
        if let Some(kind) = self.0.kinds.get(kind) {
            count(kind);
        }
    }

    /// Counts spans that there are.
    pub(super) fn read(&self, kind: usize, spans: u64) {
        self.kind(kind, |kind| add(&kind.read, spans));
    }

    /// Counts one that a collector has.
    pub(super) fn sent(&self, kind: usize) {
        self.kind(kind, |kind| add(&kind.sent, 1));
    }

    /// Counts one that nobody will have.
    pub(super) fn dropped(&self, kind: usize, cause: Cause) {
        self.kind(kind, |kind| add(&kind.dropped[cause as usize], 1));
    }

    /// Counts labels that could not be decoded, and records that were too short.
    pub(super) fn failed(&self, kind: usize, errors: u64) {
        self.kind(kind, |kind| add(&kind.errors, errors));
    }

    /// Says how many wait to be sent.
    pub(super) fn waiting(&self, spans: usize) {
        self.0.waiting.store(spans as u64, Ordering::Relaxed);
    }

    /// All kinds together; none if there are no kinds.
    pub fn total(&self) -> Option<SpanCount> {
        let Shared { kinds, waiting } = &*self.0;
        let sum = |of: &dyn Fn(&KindStats) -> u64| kinds.iter().map(of).sum();
        let total = SpanCount {
            read: sum(&|kind| get(&kind.read)),
            sent: sum(&|kind| get(&kind.sent)),
            dropped: sum(&|kind| kind.dropped.iter().map(get).sum()),
            waiting: get(waiting),
        };
        (!kinds.is_empty()).then_some(total)
    }

    /// Labels of a config's spans that could not be decoded, and records that were too short.
    pub fn errors(&self, config: &str) -> u64 {
        let of = self.0.kinds.iter().filter(|kind| kind.config == config);
        of.map(|kind| get(&kind.errors)).sum()
    }
}

impl Collect for SpanStats {
    fn collect(&self, report: &mut Report) {
        let Shared { kinds, waiting } = &*self.0;
        let labels = ["config", "span"];
        let read = about("ebpf_exporter_spans_read_total", "Spans that there were", labels);
        let rows = kinds.iter().map(|kind| (kind.labels(), get(&kind.read) as f64));
        report.family(read, Kind::RealCounter, rows);
        let sent = about("ebpf_exporter_spans_sent_total", "Spans that a collector took", labels);
        let rows = kinds.iter().map(|kind| (kind.labels(), get(&kind.sent) as f64));
        report.family(sent, Kind::RealCounter, rows);
        let dropped = kinds.iter().flat_map(|kind| {
            let [config, span] = kind.labels();
            let count = |cause: Cause| get(&kind.dropped[cause as usize]) as f64;
            Cause::ALL.map(|cause| ([config, span, cause.word()], count(cause)))
        });
        let about_dropped = about(
            "ebpf_exporter_spans_dropped_total",
            "Spans that nobody got, by cause",
            ["config", "span", "cause"],
        );
        report.family(about_dropped, Kind::RealCounter, dropped);
        let queued = about("ebpf_exporter_spans_waiting", "Spans that wait to be sent", []);
        let queued_rows = (!kinds.is_empty()).then(|| ([], get(waiting) as f64));
        report.family(queued, Kind::Gauge, queued_rows);
    }
}

/// Every number that is not 0, a line each.
#[cfg(test)]
pub(super) fn told(stats: &SpanStats) -> String {
    use crate::escaping::Escaping;
    use crate::exposition::{Format, page};

    let mut report = Report::default();
    report.begin();
    stats.collect(&mut report);
    report.end();
    let families = report.families_mut().iter_mut();
    let text = page::render(families, Format::Text, Escaping::default()).concat();
    let text = String::from_utf8(text).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0"));
    lines
        .map(|line| line.strip_prefix("ebpf_exporter_spans_").unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_on_its_own() {
        let stats = SpanStats::of(
            [("a", "x"), ("a", "y"), ("b", "x")]
                .map(|(config, span)| (config.to_owned(), span.to_owned())),
        );
        stats.read(0, 3);
        stats.sent(0);
        stats.dropped(0, Cause::QueueFull);
        stats.dropped(2, Cause::Rejected);
        stats.failed(0, 1);
        stats.failed(1, 2);
        stats.waiting(4);
        // One that there is not.
        stats.sent(7);
        assert_eq!((stats.errors("a"), stats.errors("b"), stats.errors("c")), (3, 0, 0));
        let total = SpanCount { read: 3, sent: 1, dropped: 2, waiting: 4 };
        assert_eq!((stats.total(), SpanStats::default().total()), (Some(total), None));
        insta::assert_snapshot!(told(&stats), @r#"
        dropped_total{config="a",span="x",cause="queue_full"} 1
        dropped_total{config="b",span="x",cause="rejected"} 1
        read_total{config="a",span="x"} 3
        sent_total{config="a",span="x"} 1
        waiting 4
        "#);
        assert_eq!(told(&SpanStats::default()), "");
    }
}
