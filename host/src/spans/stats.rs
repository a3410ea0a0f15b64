//! What has become of spans: of each kind, how many there were, were sent, and were not.
//!
//! All threads count here. Kinds come and go when configs are read again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    kinds: Mutex<Kinds>,
    waiting: AtomicU64,
}

/// The numbers of each kind that there is, and of those together that there were.
#[derive(Debug, Default)]
struct Kinds {
    all: Vec<Arc<KindStats>>,
    gone: SpanCount,
    /// Errors of those that there were, by their configs: the counter of a config never falls.
    gone_errors: BTreeMap<String, u64>,
}

/// The numbers of one kind of spans.
#[derive(Debug, Default)]
pub(super) struct KindStats {
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

    /// Counts spans that there are.
    pub(super) fn count_read(&self, spans: u64) {
        add(&self.read, spans);
    }

    /// Counts one that a collector has.
    pub(super) fn count_sent(&self) {
        add(&self.sent, 1);
    }

    /// Counts one that nobody will have.
    pub(super) fn count_dropped(&self, cause: Cause) {
        add(&self.dropped[cause as usize], 1);
    }

    /// Counts labels that could not be decoded, and records that were too short.
    pub(super) fn count_failed(&self, errors: u64) {
        add(&self.errors, errors);
    }

    fn all_dropped(&self) -> u64 {
        self.dropped.iter().map(get).sum()
    }

    #[cfg(test)]
    pub(super) fn errors(&self) -> u64 {
        get(&self.errors)
    }
}

fn add(number: &AtomicU64, more: u64) {
    number.fetch_add(more, Ordering::Relaxed);
}

fn get(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

impl Kinds {
    /// Lets go of those whose spans nobody makes or sends any more.
    fn forget(&mut self) {
        let Self { all, gone, gone_errors } = self;
        all.retain_mut(|kind| {
            // What others have counted before they let go of it is seen from here on.
            let Some(kind) = Arc::get_mut(kind) else { return true };
            gone.read += get(&kind.read);
            gone.sent += get(&kind.sent);
            gone.dropped += kind.all_dropped();
            let errors = get(&kind.errors);
            if errors > 0 {
                *gone_errors.entry(kind.config.clone()).or_default() += errors;
            }
            false
        });
    }
}

impl SpanStats {
    /// The numbers of a kind of spans, by its config and its name: those that there are already, or zeros. They are
    /// told of as long as anybody has them.
    pub(super) fn kind(&self, config: &str, span: &str) -> Arc<KindStats> {
        let mut kinds = self.kinds();
        if let Some(known) = kinds.all.iter().find(|kind| kind.labels() == [config, span]) {
            return Arc::clone(known);
        }
        let (config, span) = (config.to_owned(), span.to_owned());
        let kind = Arc::new(KindStats { config, span, ..KindStats::default() });
        kinds.all.push(Arc::clone(&kind));
        kind
    }

    /// Says how many wait to be sent.
    pub(super) fn waiting(&self, spans: usize) {
        self.0.waiting.store(spans as u64, Ordering::Relaxed);
    }

    /// All kinds together, those that have gone too; none if there are no kinds.
    pub fn total(&self) -> Option<SpanCount> {
        let Kinds { all, gone, .. } = &*self.kinds();
        let sum = |of: &dyn Fn(&KindStats) -> u64| all.iter().map(|kind| of(kind)).sum::<u64>();
        let total = SpanCount {
            read: gone.read + sum(&|kind| get(&kind.read)),
            sent: gone.sent + sum(&|kind| get(&kind.sent)),
            dropped: gone.dropped + sum(&KindStats::all_dropped),
            waiting: get(&self.0.waiting),
        };
        (!all.is_empty()).then_some(total)
    }

    /// Labels of a config's spans that could not be decoded, and records that were too short: of the kinds that there
    /// are, and of those that there were.
    pub fn errors(&self, config: &str) -> u64 {
        let kinds = self.kinds();
        let of_config = kinds.all.iter().filter(|kind| kind.config == config);
        let now = of_config.map(|kind| get(&kind.errors)).sum::<u64>();
        now + kinds.gone_errors.get(config).copied().unwrap_or_default()
    }

    /// Forgets the errors of kinds that there were, if their configs are not there any more.
    pub fn keep_errors_of(&self, is_there: impl Fn(&str) -> bool) {
        self.kinds().gone_errors.retain(|config, _| is_there(config));
    }

    /// The kinds that there are.
    fn kinds(&self) -> MutexGuard<'_, Kinds> {
        let mut kinds = self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.forget();
        kinds
    }
}

impl Collect for SpanStats {
    fn collect(&self, report: &mut Report) {
        let kinds = &self.kinds().all;
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
        let queued_rows = (!kinds.is_empty()).then(|| ([], get(&self.0.waiting) as f64));
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
        let stats = SpanStats::default();
        assert_eq!(told(&stats), "");
        let kinds =
            [("a", "x"), ("a", "y"), ("b", "x")].map(|(config, span)| stats.kind(config, span));
        kinds[0].count_read(3);
        kinds[0].count_sent();
        kinds[0].count_dropped(Cause::QueueFull);
        kinds[2].count_dropped(Cause::Rejected);
        kinds[0].count_failed(1);
        kinds[1].count_failed(2);
        stats.waiting(4);
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
    }

    #[test]
    fn a_kind_is_told_of_as_long_as_anybody_counts_it() {
        let stats = SpanStats::default();
        let (stays, goes) = (stats.kind("a", "x"), stats.kind("b", "x"));
        goes.count_read(2);
        goes.count_dropped(Cause::Exit);
        stays.count_read(1);
        let again = stats.kind("b", "x");
        drop(goes);
        again.count_sent();
        assert!(told(&stats).contains("sent_total{config=\"b\",span=\"x\"} 1"));
        drop(again);
        insta::assert_snapshot!(told(&stats), @r#"read_total{config="a",span="x"} 1"#);
        let total = SpanCount { read: 3, sent: 1, dropped: 1, waiting: 0 };
        assert_eq!(stats.total(), Some(total), "all that there were");
        assert!(!told(&stats).contains("config=\"b\""));
    }

    #[test]
    fn errors_never_fall_as_long_as_their_config_is_there() {
        let stats = SpanStats::default();
        let errors = || ["a", "b"].map(|config| stats.errors(config));
        let fail = |config, span, errors| stats.kind(config, span).count_failed(errors);
        fail("a", "x", 3);
        fail("a", "y", 1);
        fail("b", "x", 5);
        assert_eq!(errors(), [4, 5], "nobody counts any of them now");
        fail("a", "x", 2);
        assert_eq!(errors(), [6, 5], "what comes again goes on");
        stats.keep_errors_of(|config| config == "a");
        assert_eq!(errors(), [6, 0]);
        fail("b", "x", 1);
        assert_eq!(errors(), [6, 1], "a config that comes again begins anew");
    }
}
