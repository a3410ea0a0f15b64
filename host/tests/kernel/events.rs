//! Records that programs stream: all are counted, or said to be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use ebpf_wasm_exporter::bpf::{Attached, Stream};
use ebpf_wasm_exporter::source::{EventCounts, EventSource, Source as _};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::configs::Configs;
use crate::exporter::{self, Exporter};
use crate::object;
use crate::workload::{Session, last_cpu, on_cpu};

/// The buffers of `events.bpf.c`.
const PERF: usize = 0;
const PLAIN: usize = 1;
const RING: usize = 2;

const HOUR: Duration = Duration::from_secs(3600);

const CONFIG: &str = "\
metrics:
  counters:
    - name: perf_events_total
      help: Records of a perf event array
      perf_event_array: true
      labels:
        - {name: key, size: 8, decoders: [{name: uint}]}
        - {name: text, size: 8, decoders: [{name: string}]}
    - name: perf_plain_total
      help: Records without labels
      perf_event_array: true
      flush_interval: 10m
    - name: ring_events_total
      help: Records of a ring buffer
      ringbuf: true
      labels:
        - {name: parity, size: 1, decoders: [{name: uint}, {name: regexp, regexps: ['[0-9]$']}]}
";

struct Streaming {
    attached: Attached,
    session: Session,
}

impl Streaming {
    fn start() -> Self {
        let session = Session::new();
        let mut opened = object::open("events");
        opened.set_constant("session", session.number()).unwrap();
        let attached = opened.load().unwrap().attach();
        assert_eq!(attached.failures(), []);
        Self { attached, session }
    }

    fn source(&self, map: &str, key_size: usize, keep: Duration) -> EventSource {
        EventSource::new(self.attached.map(map).unwrap(), key_size, keep).unwrap()
    }
}

/// The value of a series, which has to be there.
pub fn value(page: &str, series: &str) -> u64 {
    exporter::sample(page, series).unwrap_or_else(|| panic!("no {series} in\n{page}"))
}

/// The counts of a source by the first byte of their keys.
fn counts(source: &mut EventSource) -> BTreeMap<u8, u64> {
    let mut counts = BTreeMap::new();
    let read = source.read(&mut |chunk| {
        counts.extend(chunk.entries().map(|entry| (entry.key[0], entry.values[0])));
    });
    read.unwrap();
    counts
}

/// From every CPU, into buffers that are read once: labels, no labels, a ring buffer.
pub fn all_are_in_the_next_scrape() {
    let (mut configs, session) = (Configs::new(), Session::new());
    configs.add("events", CONFIG, &session.object_of("events"));
    let exporter = Exporter::start(configs.flags());
    let stream = || {
        for cpu in [0, last_cpu()] {
            on_cpu(cpu, || {
                session.stream(PERF, 7, 3_000);
                session.stream(PERF, 8, 1);
                session.stream(PLAIN, 1, 40);
                session.stream(RING, 13, 400);
                session.stream(RING, 23, 4);
            });
        }
    };
    for round in 1..=3 {
        stream();
        let page = exporter.metrics();
        let value = |series: &str| value(&page, series);
        assert_eq!(
            value("ebpf_exporter_perf_events_total{key=\"7\",text=\"text\"}"),
            round * 6_000
        );
        assert_eq!(value("ebpf_exporter_perf_events_total{key=\"8\",text=\"text\"}"), round * 2);
        assert_eq!(value("ebpf_exporter_perf_plain_total"), round * 80);
        assert_eq!(value("ebpf_exporter_ring_events_total{parity=\"3\"}"), round * 606);
        let of =
            |map: &str| format!("ebpf_exporter_events_total{{config=\"events\",map=\"{map}\"}}");
        assert_eq!(value(&of("perf_events_total")), round * 6_002);
        assert_eq!(value(&of("ring_events_total")), round * 606);
    }
    let page = exporter.metrics();
    let lost = page.lines().filter(|line| line.starts_with("ebpf_exporter_events_lost_total"));
    assert!(lost.clone().count() >= 3 * 2 + 2 && lost.clone().all(|line| line.ends_with(" 0")));
    assert!(page.contains("map=\"ring_events_total\",way=\"events\",why=\"streamed\""));
    assert!(page.contains("ebpf_exporter_worker_up{worker=\"events\"} 1"));
}

/// A burst that the buffer has room for, and one that it has not: what is lost is counted on its CPU.
pub fn what_is_lost_is_counted() {
    let work = Streaming::start();
    let mut source = work.source("perf_events_total", 8, HOUR);
    let (cpu, fits, burst) = (last_cpu(), 120_000, 400_000);
    on_cpu(cpu, || work.session.stream(PERF, 1, fits));
    assert_eq!(counts(&mut source), [(1, fits)].into());
    on_cpu(cpu, || work.session.stream(PERF, 2, burst));
    let received = counts(&mut source)[&2];
    assert!(received < burst, "the buffer is smaller");
    let lost_on = |events: EventCounts| {
        let lost = events.lost.unwrap().into_iter().filter(|(_, lost)| *lost > 0);
        lost.map(|(cpu, lost)| (cpu as usize, lost)).collect::<Vec<_>>()
    };
    let all = [(cpu, burst - received)];
    assert_eq!(lost_on(source.events().unwrap()), all, "at once");
    on_cpu(cpu, || work.session.stream(PERF, 3, 1));
    assert_eq!(counts(&mut source), [(1, fits), (2, received), (3, 1)].into());
    let events = source.events().unwrap();
    assert_eq!(events.received, fits + received + 1);
    assert_eq!(lost_on(events), all, "and not again with the next record");
}

pub fn records_shorter_than_the_labels_are_counted_as_such() {
    let work = Streaming::start();
    let mut source = work.source("perf_plain_total", 200, HOUR);
    work.session.stream(PLAIN, 1, 5);
    assert_eq!(counts(&mut source), [].into());
    let events = source.events().unwrap();
    assert_eq!((events.received, events.short, events.beyond), (5, 5, 0));
}

/// As if each reading were an interval apart.
pub fn keys_that_nothing_comes_of_are_forgotten() {
    let work = Streaming::start();
    let mut source = work.source("ring_events_total", 8, Duration::ZERO);
    work.session.stream(RING, 1, 2);
    work.session.stream(RING, 2, 2);
    assert_eq!(counts(&mut source), [(1, 2), (2, 2)].into());
    work.session.stream(RING, 1, 1);
    assert_eq!(counts(&mut source), [(1, 3)].into());
    assert_eq!(counts(&mut source), [].into());
    work.session.stream(RING, 2, 1);
    assert_eq!(counts(&mut source), [(2, 1)].into());
}

/// A ring buffer that goes round many times, and is read in between.
pub fn a_ring_buffer_goes_round() {
    let work = Streaming::start();
    let mut source = work.source("ring_events_total", 8, HOUR);
    let rounds = 5;
    for round in 1..=rounds {
        // 24 bytes each, of 1 MiB.
        work.session.stream(RING, 9, 32_000);
        assert_eq!(counts(&mut source), [(9, round * 24_000)].into());
    }
}

/// A ring buffer that is read by nobody: its program says what it had no room for.
pub fn what_a_ring_buffer_has_lost_its_program_says() {
    let work = Streaming::start();
    let admitted = work.attached.admitted();
    assert_eq!((admitted.lost_events(), admitted.insert_failures()), (Some(0), None));
    work.session.stream(RING, 1, 100_000);
    let lost = admitted.lost_events().unwrap();
    let mut source = work.source("ring_events_total", 8, HOUR);
    let kept = counts(&mut source)[&1];
    // Of each four that had room one was taken back.
    assert!(
        lost > 0 && kept <= 100_000 - lost && kept >= (100_000 - lost) * 3 / 4 - 1,
        "{kept} {lost}"
    );
}

/// Whoever waits at a ring buffer hears nothing of it once its reader has gone, though the map is still there.
pub fn a_ring_buffer_without_a_reader_wakes_nobody() {
    let streaming = Streaming::start();
    let wait = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let woken = || {
        let mut ready = Vec::with_capacity(1);
        epoll::wait(&wait, spare_capacity(&mut ready), Some(&Timespec::default())).unwrap()
    };
    let stream = Stream::new(streaming.attached.map("ring_events_total").unwrap()).unwrap();
    epoll::add(&wait, &stream, epoll::EventData::new_u64(1), epoll::EventFlags::IN).unwrap();
    streaming.session.stream(RING, 1, 1);
    assert_eq!(woken(), 1);
    drop(stream);
    streaming.session.stream(RING, 1, 1);
    assert_eq!(woken(), 0);
}
