//! Spans and records that are counted, when configs are read again: what is made of a buffer is another, and no
//! record is lost or taken twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use insta::assert_snapshot;

use crate::configs::Configs;
use crate::events::value;
use crate::exporter::{BINARY, Exporter, sample, until};
use crate::guests;
use crate::otelcol::{GotSpan, spans};
use crate::reload::{LIFECYCLE, another, reload, reloaded, replace};
use crate::spans::{READ, record};
use crate::workload::Session;

const TRACED: &str = include_str!("../bpf/traced.yaml");

/// The ring buffer of `events.bpf.c`.
const RING: usize = 2;

/// An exporter of these configs that writes its spans to a file, and has them wait for each other for a moment.
fn to_file(configs: &Configs, out: &Path) -> Exporter {
    let mut command = Command::new(BINARY);
    command.args(configs.flags()).args([LIFECYCLE, "--log.no-timestamps"]);
    command.arg("--web.listen-address=127.0.0.1:0");
    command.env("OTEL_TRACES_EXPORTER", "console").env("OTEL_BSP_SCHEDULE_DELAY", "10");
    command.env("OTEL_BSP_MAX_QUEUE_SIZE", "1000000");
    Exporter::serve(command.stdout(fs::File::create(out).unwrap()))
}

/// The spans of the kernel that it wrote until its end, by their numbers.
fn written(exporter: Exporter, out: &Path) -> (BTreeMap<u64, GotSpan>, String) {
    exporter.terminate();
    let (status, log) = exporter.wait();
    assert!(status.success(), "{log}");
    let mut all = BTreeMap::new();
    for span in spans(&fs::read_to_string(out).unwrap()) {
        if span.attributes.contains_key("ebpf_exporter.config") {
            let n = u64::from_str_radix(&span.id, 16).unwrap() - 1000;
            assert!(all.insert(n, span).is_none(), "{n} came twice");
        }
    }
    (all, log)
}

/// The spans that it has made.
fn read(exporter: &Exporter) -> u64 {
    sample(&exporter.metrics(), READ).unwrap()
}

/// The records that the ring buffer had room for.
fn kept(exporter: &Exporter) -> u64 {
    sample(&exporter.metrics(), "ebpf_exporter_traced_records_total{refused=\"0\"}").unwrap()
}

/// While a program writes, the labels, the service, the object and the size of its ring buffer change.
pub fn each_record_is_one_span_whatever_spans_are_made_of_it() {
    let (mut configs, session) = (Configs::new(), Session::new());
    configs.add("traced", TRACED, &session.object_of("traced"));
    let out = configs.path().join("out");
    let exporter = to_file(&configs, &out);
    let (yaml, object) = (configs.path().join("traced.yaml"), configs.path().join("traced.bpf.o"));
    let (done, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let plain = session.object_of("traced");
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let n = sent.fetch_add(1, Ordering::Relaxed);
                session.send(&record(n, 1, 1));
                if n % 100 == 99 {
                    // No faster than a debug build decodes.
                    until("most are read", || read(&exporter) + 200 > kept(&exporter));
                }
            }
        });
        for n in 0..30 {
            let text = TRACED.replace("name: device", &format!("name: device{}", n % 3));
            replace(&yaml, text.replace("service: kernel", &format!("service: kernel{}", n % 2)));
            if n % 5 == 4 {
                // What is missed while one program takes the place of the other is not sent.
                replace(&object, another(&plain, n));
            }
            assert_eq!(reloaded(&exporter), "reloaded: changed traced\n");
            let before = sent.load(Ordering::Relaxed);
            until("more is sent", || sent.load(Ordering::Relaxed) > before + 3);
        }
        done.store(true, Ordering::Relaxed);
    });
    let kept = kept(&exporter);
    until("all are spans", || read(&exporter) == kept);
    let (all, log) = written(exporter, &out);
    assert_eq!(all.len() as u64, kept, "{log}");
    let services: BTreeSet<_> = all.values().map(|span| &*span.service).collect();
    assert!(["kernel0", "kernel1"].iter().all(|name| services.contains(name)), "{services:?}");
    for (n, span) in &all {
        let device = span.attributes.iter().find(|(key, _)| key.starts_with("device"));
        assert_eq!(device.unwrap().1, &n.to_string(), "{span:?}");
    }
}

/// A ring buffer of another size is another one: what stands in the old one becomes spans too.
pub fn another_ring_buffer_is_read_after_the_old_one() {
    let (mut configs, session) = (Configs::new(), Session::new());
    configs.add("traced", TRACED, &session.object_of("traced"));
    let out = configs.path().join("out");
    let exporter = to_file(&configs, &out);
    for (n, object) in (0..).zip(["traced_grown", "traced", "traced_grown"]) {
        (0..50).for_each(|more| session.send(&record(100 * n + more, 1, 1)));
        replace(&configs.path().join("traced.bpf.o"), session.object_of(object));
        assert_eq!(reloaded(&exporter), "reloaded: changed traced\n");
        (50..100).for_each(|more| session.send(&record(100 * n + more, 1, 1)));
    }
    until("all are spans", || read(&exporter) == 300);
    let (all, _) = written(exporter, &out);
    assert_eq!(all.into_keys().collect::<Vec<_>>(), (0..300).collect::<Vec<_>>());
}

/// Records that nobody was woken for stand there until then.
pub fn what_stands_in_a_ring_buffer_becomes_spans_as_before() {
    let (mut configs, session) = (Configs::new(), Session::new());
    configs.add("traced", TRACED, &session.object_of("traced_quiet"));
    let out = configs.path().join("out");
    let exporter = to_file(&configs, &out);
    (0..50).for_each(|n| session.send(&record(n, 1, 1)));
    assert_eq!(read(&exporter), 0);
    replace(&configs.path().join("traced.yaml"), TRACED.replace("name: device", "name: other"));
    assert_eq!(reloaded(&exporter), "reloaded: changed traced\n");
    until("they are spans", || read(&exporter) == 50);
    (50..100).for_each(|n| session.send(&record(n, 1, 1)));
    assert_eq!(read(&exporter), 50);
    replace(&configs.path().join("traced.bpf.o"), session.object_of("traced_grown"));
    assert_eq!(reloaded(&exporter), "reloaded: changed traced\n");
    until("they are spans", || read(&exporter) == 100);
    let (all, _) = written(exporter, &out);
    assert_eq!(all.len(), 100);
    for (n, span) in all {
        let label = if n < 50 { "device" } else { "other" };
        assert_eq!(span.attributes[label], n.to_string());
    }
}

/// They may be sent, for a variable asked for spans at the start.
pub fn configs_with_spans_come_and_go() {
    let counted = &TRACED[..TRACED.find("tracing:").unwrap()];
    let (mut configs, session) = (Configs::new(), Session::new());
    configs.add("traced", counted, &session.object_of("traced"));
    let out = configs.path().join("out");
    let exporter = to_file(&configs, &out);
    assert_eq!(sample(&exporter.metrics(), READ), None);
    // Nobody reads the ring buffer yet, and what stands in it waits.
    session.send(&record(0, 1, 1));
    let yaml = configs.path().join("traced.yaml");
    replace(&yaml, TRACED);
    let programs = exporter.programs();
    assert_eq!(reloaded(&exporter), "reloaded: changed traced\n");
    session.send(&record(1, 1, 1));
    until("both are spans", || read(&exporter) == 2);
    assert_eq!(exporter.programs(), programs);
    assert_eq!(kept(&exporter), 2);
    // A fault of another kind leaves them as they are.
    replace(
        &yaml,
        TRACED.replace("name: device", "name: other").replace("records_total", "nowhere_total"),
    );
    assert_eq!(reload(&exporter).0, 500);
    session.send(&record(2, 1, 1));
    until("it is a span", || read(&exporter) == 3);
    session.send(&record(3, 1, 1));
    replace(&yaml, counted);
    assert_eq!(reloaded(&exporter), "reloaded: changed traced\n");
    until("the kind is told of no more", || sample(&exporter.metrics(), READ).is_none());
    let (all, _) = written(exporter, &out);
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(all.values().all(|span| span.attributes.contains_key("device")));
}

/// One that asks it and one that does not. Each plugin of a config is there once.
pub fn spans_ask_another_plugin() {
    let label = "name: device, size: 4, padding: 4, decoders: [{name: uint}";
    let asking = TRACED.replace(label, &format!("{label}, {{name: wasm, plugin: guest}}"));
    let asking = format!("plugins: {{guest: {{file: guest.wasm}}}}\n{asking}");
    let (mut configs, session) = (Configs::new(), Session::new());
    let guest = configs.path().join("guest.wasm");
    fs::write(&guest, guests::component("echo")).unwrap();
    configs.add("traced", &asking, &session.object_of("traced"));
    let out = configs.path().join("out");
    let exporter = to_file(&configs, &out);
    let calls = || {
        let page = exporter.metrics();
        let lines =
            page.lines().filter(|line| line.starts_with("ebpf_exporter_plugin_calls_total{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    session.send(&record(0, 1, 1));
    until("it is a span", || read(&exporter) == 1);
    let before = calls();
    replace(&guest, guests::component("few"));
    assert_eq!(reloaded(&exporter), "reloaded: changed traced\n");
    assert!(calls() < before, "the new one has its own");
    session.send(&record(1, 1, 1));
    until("it is a span", || read(&exporter) == 2);
    // A metric's text, which no plugin has to do with.
    let now = calls();
    replace(&configs.path().join("traced.yaml"), asking.replace("Records by", "Records, by"));
    assert_eq!(reloaded(&exporter), "reloaded: changed traced\n");
    assert_eq!(calls(), now, "the plugin goes on");
    let (all, _) = written(exporter, &out);
    assert_eq!(all[&0].attributes["device"], "0");
    assert_ne!(all[&1].attributes["device"], "1");
}

/// Nobody connects to a collector in a process that had none.
pub fn the_first_spans_take_a_restart_unless_they_go_nowhere() {
    let counted = &TRACED[..TRACED.find("tracing:").unwrap()];
    let served = |variables: &[(&str, &str)]| {
        let (mut configs, session) = (Configs::new(), Session::new());
        configs.add("traced", counted, &session.object_of("traced"));
        let mut command = Command::new(BINARY);
        command.args(configs.flags()).args([LIFECYCLE, "--log.no-timestamps"]);
        command.arg("--web.listen-address=127.0.0.1:0").envs(variables.iter().copied());
        let exporter = Exporter::serve(&mut command);
        replace(&configs.path().join("traced.yaml"), TRACED);
        let answer = reload(&exporter);
        (configs, exporter, answer)
    };
    let (_configs, exporter, (status, text)) = served(&[]);
    assert_eq!(status, 500);
    assert_snapshot!(text, @"failed to reload, the old configs go on: config `traced` has spans, and the sandbox of this exporter lets it send none, since there were none when it began; restart the exporter to have it; with OTEL_TRACES_EXPORTER=otlp they may come later too");
    assert!(exporter.metrics().contains("ebpf_exporter_scrape_success{config=\"traced\"} 1\n"));
    let (_configs, exporter, (status, text)) = served(&[("OTEL_TRACES_EXPORTER", "none")]);
    assert_eq!((status, &*text), (200, "reloaded: changed traced\n"));
    exporter.terminate();
    let (_, log) = exporter.wait();
    assert!(log.contains("no spans are made: OTEL_TRACES_EXPORTER=none"), "{log}");
}

/// Counts the records that are spans in `TRACED`.
const COUNTS: &str = "
metrics:
  counters:
    - {name: traced_spans, help: h, ringbuf: true, labels: [{name: id, size: 8, decoders: [{name: uint}]}]}
";

/// Two threads would read it at once.
pub fn a_ring_buffer_is_not_counted_after_spans() {
    let (mut configs, session) = (Configs::new(), Session::new());
    configs.add("traced", TRACED, &session.object_of("traced"));
    let out = configs.path().join("out");
    let exporter = to_file(&configs, &out);
    replace(&configs.path().join("traced.yaml"), COUNTS);
    let (status, text) = reload(&exporter);
    assert_eq!(status, 500);
    assert_snapshot!(text, @"failed to reload, the old configs go on: in config `traced` the ring buffer `traced_spans` goes from spans to a metric, or back, and two threads would read it at once; restart the exporter to have it");
    session.send(&record(0, 1, 1));
    until("it is a span", || read(&exporter) == 1);
}

/// One of another size is another one. One that a reload has left has no reader.
pub fn a_ring_buffer_that_no_spans_are_made_of_is_counted() {
    let neither = &TRACED[..TRACED.find("tracing:").unwrap()];
    let (mut configs, session) = (Configs::new(), Session::new());
    configs.add("traced", TRACED, &session.object_of("traced"));
    let out = configs.path().join("out");
    let exporter = to_file(&configs, &out);
    let (yaml, object) = (configs.path().join("traced.yaml"), configs.path().join("traced.bpf.o"));
    let counts = || {
        let page = exporter.metrics();
        let rows = page.lines().filter(|line| line.starts_with("ebpf_exporter_traced_spans{"));
        rows.map(|row| row.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    let becomes = |text: &str| {
        replace(&yaml, text);
        assert_eq!(reloaded(&exporter), "reloaded: changed traced\n");
    };
    session.send(&record(0, 1, 1));
    replace(&object, session.object_of("traced_grown"));
    becomes(COUNTS);
    session.send(&record(1, 1, 1));
    until("it is counted", || counts() == 1);
    becomes(neither);
    becomes(TRACED);
    (2..500).for_each(|n| session.send(&record(n, 1, 1)));
    becomes(neither);
    becomes(COUNTS);
    session.send(&record(500, 1, 1));
    until("it is counted", || counts() == 1);
    let (all, log) = written(exporter, &out);
    let expected: Vec<_> = std::iter::once(0).chain(2..500).collect();
    assert_eq!(all.into_keys().collect::<Vec<_>>(), expected, "{log}");
}

/// A plugin has spans of it take long.
pub fn a_ring_buffer_is_not_counted_while_spans_are_made_of_what_stands_in_it() {
    let label = "name: device, size: 4, padding: 4, decoders: [{name: uint}";
    let asking = TRACED.replace(label, &format!("{label}, {{name: wasm, plugin: guest}}"));
    let plugins = "plugins: {guest: {file: guest.wasm, limits: {deadline: 10s}}}";
    let neither = &TRACED[..TRACED.find("tracing:").unwrap()];
    let (mut configs, session) = (Configs::new(), Session::new());
    fs::write(configs.path().join("guest.wasm"), guests::component("loop")).unwrap();
    configs.add("traced", &format!("{plugins}\n{asking}"), &session.object_of("traced"));
    let out = configs.path().join("out");
    let exporter = to_file(&configs, &out);
    // A scrape under way would give the plugin less time.
    exporter.metrics();
    session.send(&record(0, 1, 1));
    let yaml = configs.path().join("traced.yaml");
    replace(&yaml, neither);
    assert_eq!(reloaded(&exporter), "reloaded: changed traced\n");
    replace(&yaml, COUNTS);
    let (status, text) = reload(&exporter);
    assert_eq!(status, 500);
    assert_snapshot!(text, @"failed to reload, the old configs go on: in config `traced` a metric is to count the records of the ring buffer `traced_spans`, and spans are still made of what stands in it; reload again in a moment");
    until("it has no reader", || reload(&exporter).0 == 200);
    let (all, log) = written(exporter, &out);
    assert_eq!(all.into_keys().collect::<Vec<_>>(), [0], "{log}");
}

/// A config that counts the records of the ring buffer by these labels.
fn counted(labels: &str, more: &str) -> String {
    format!(
        "metrics: {{counters: [{{name: ring_events_total, help: h, ringbuf: true{more}, labels: [{labels}]}}]}}"
    )
}

const KEY: &str = "{name: key, size: 8, decoders: [{name: uint}]}";
const BOTH: &str = "{name: key, size: 8, decoders: [{name: uint}]}, {name: text, size: 8, decoders: [{name: string}]}";

/// Those that fewer bytes tell apart go on, under load, and none is lost.
pub fn records_are_counted_by_other_labels() {
    let (mut configs, session) = (Configs::new(), Session::new());
    configs.add("events", &counted(BOTH, ""), &session.object_of("events"));
    let exporter = Exporter::start(configs.flags().into_iter().chain([LIFECYCLE.to_owned()]));
    let yaml = configs.path().join("events.yaml");
    let now = |series: &str| value(&exporter.metrics(), &format!("ebpf_exporter_{series}"));
    session.stream(RING, 7, 4);
    assert_eq!(now("ring_events_total{key=\"7\",text=\"text\"}"), 3);
    replace(&yaml, counted(KEY, ""));
    assert_eq!(reloaded(&exporter), "reloaded: changed events\n");
    session.stream(RING, 7, 4);
    assert_eq!(now("ring_events_total{key=\"7\"}"), 6);
    replace(&yaml, counted(KEY, ", flush_interval: 7m"));
    assert_eq!(reloaded(&exporter), "reloaded: changed events\n");
    assert_eq!(now("ring_events_total{key=\"7\"}"), 6);
    // Nobody knows the texts of those that were counted without.
    session.stream(RING, 7, 4);
    replace(&yaml, counted(BOTH, ", flush_interval: 7m"));
    let series = "ebpf_exporter_ring_events_total{";
    assert_eq!(reloaded(&exporter), "reloaded: changed events\n");
    session.stream(RING, 8, 4);
    let page = exporter.metrics();
    let left: u64 = page
        .lines()
        .filter(|line| line.starts_with(series))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert!((3..=6).contains(&left), "{left}: what stood in the buffer may have been taken before");
    assert_eq!(now("events_total{config=\"events\",map=\"ring_events_total\"}"), 12);
    assert!(page.contains("key=\"8\",text=\"text\"} 3\n"), "{page}");

    replace(&yaml, counted(KEY, ""));
    assert_eq!(reloaded(&exporter), "reloaded: changed events\n");
    let (done, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let before = now("ring_events_total{key=\"8\"}");
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                session.stream(RING, 8, 400);
                rounds.fetch_add(1, Ordering::Relaxed);
                // No more than the buffer has room for.
                exporter.metrics();
            }
        });
        for n in 0..30 {
            replace(&yaml, counted(KEY, &format!(", flush_interval: {}m", n + 1)));
            assert_eq!(reloaded(&exporter), "reloaded: changed events\n");
        }
        done.store(true, Ordering::Relaxed);
    });
    let admitted = now("events_lost_total{config=\"events\",map=\"\",cause=\"program\",cpu=\"\"}");
    assert_eq!(admitted, 0);
    let counted = now("ring_events_total{key=\"8\"}") - before;
    assert_eq!(counted, rounds.load(Ordering::Relaxed) * 300);
}
