//! Records of known bytes, and the spans that they are.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::config::{self, ConfigFile, Severity};
use crate::decode::{Decoder, OnError, Outcome, Step};
use crate::link::{self, Plugins};
use crate::spans::stats::SpanStats;
use crate::system::System;

/// A config of one span with these labels.
fn maker(labels: &str) -> SpanMaker {
    let text = format!("tracing: {{spans: [{{name: s, ringbuf: r, labels: [\n{labels}\n]}}]}}");
    let file = ConfigFile::new("x.yaml", text);
    let (configs, faults) = config::load(vec![file], &[]);
    assert!(faults.iter().all(|fault| fault.severity == Severity::Warning), "{faults:?}");
    let (mut linked, faults) = link::spans(&configs[0], &mut Plugins::new(), &System::default());
    assert!(faults.is_empty(), "{faults:?}");
    let linked = linked.remove(0);
    let layout = RecordLayout::new("r", &linked.plan.parts());
    let kind = TracedKind::new("service".to_owned(), SpanStats::default().kind("x", "s"));
    SpanMaker::new(Arc::new(kind), "x", linked, &layout)
}

const SPECIAL: &str = "\
{name: trace_id, size: 16, decoders: [{name: hex}]},
{name: parent_span_id, size: 8, decoders: [{name: hex}]},
{name: span_id, size: 8, decoders: [{name: hex}]},
{name: span_monotonic_timestamp_ns, size: 8, decoders: [{name: uint}]},
{name: span_duration_ns, size: 8, decoders: [{name: uint}]}";

/// 2001-09-09, when the kernel had run for 1000 s.
fn clock() -> Clock {
    Clock::of(1_000_000_000_000_000_000, 1_000_000_000_000)
}

/// The record of a span of all special labels.
fn record(trace: [u8; 16], parent: u64, id: u64, began: u64, duration: u64) -> Vec<u8> {
    let numbers = [parent.to_be(), id.to_be(), began, duration];
    let numbers = numbers.iter().flat_map(|number| number.to_ne_bytes());
    trace.into_iter().chain(numbers).collect()
}

fn made(maker: &mut SpanMaker, records: &[Vec<u8>]) -> Vec<SpanData> {
    records.iter().for_each(|record| maker.take(record));
    maker.make(clock()).into_iter().map(|made| made.span).collect()
}

fn attributes(span: &SpanData) -> String {
    let pair = |pair: &KeyValue| format!("{}={}", pair.key, pair.value);
    span.attributes.iter().map(pair).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_labels_say_is_what_the_span_is() {
    let mut maker = maker(&format!(
        "{SPECIAL},\n{{name: span_name, size: 8, decoders: [{{name: string}}]}},\n\
         {{name: device, size: 4, padding: 4, decoders: [{{name: uint}}]}}"
    ));
    let mut bytes = record([0xab; 16], 0x11, 0x22, 999_000_000_000, 5_000);
    bytes.extend(b"exec\0\0\0\0");
    bytes.extend(7u32.to_ne_bytes());
    bytes.extend([0; 20]);
    let span = made(&mut maker, &[bytes]).remove(0);
    assert_eq!(span.span_context.trace_id(), TraceId::from_bytes([0xab; 16]));
    assert_eq!(span.span_context.span_id().to_string(), "0000000000000022");
    assert_eq!(span.parent_span_id.to_string(), "0000000000000011");
    assert!(span.span_context.is_sampled());
    assert_eq!(span.name, "exec");
    assert_eq!(attributes(&span), "device=7 ebpf_exporter.config=x");
    let began = UNIX_EPOCH + Duration::from_secs(1_000_000_000 - 1);
    assert_eq!(span.start_time, began);
    assert_eq!(span.end_time, began + Duration::from_micros(5));
    assert_eq!(maker.kind.stats.errors(), 0);
}

#[test]
fn zeros_are_no_ids_and_ids_that_lack_are_made() {
    let mut maker = maker(SPECIAL);
    let records = [record([0; 16], 0, 0, 0, 0), record([0; 16], 0, 0, 0, 0)];
    let spans = made(&mut maker, &records);
    for span in &spans {
        assert!(span.span_context.is_valid());
        assert_eq!(span.parent_span_id, SpanId::INVALID);
        assert_eq!((span.name.as_ref(), span.start_time), ("s", span.end_time));
    }
    assert_ne!(spans[0].span_context.trace_id(), spans[1].span_context.trace_id());
    assert_ne!(spans[0].span_context.span_id(), spans[1].span_context.span_id());
}

#[test]
fn without_labels_that_say_so_a_span_is_now_and_new() {
    let mut maker = maker("{name: a, size: 1}");
    let span = made(&mut maker, &[vec![b'x']]).remove(0);
    assert_eq!(span.start_time, clock().wall());
    assert_eq!(span.end_time, span.start_time);
    assert!(span.span_context.is_valid());
    assert_eq!(attributes(&span), "a=x ebpf_exporter.config=x");
}

#[test]
fn the_config_is_an_attribute_once() {
    let mut maker = maker("{name: ebpf_exporter.config, size: 1}, {name: __b, size: 1}");
    let span = made(&mut maker, &[vec![b'x', b'y']]).remove(0);
    assert_eq!(attributes(&span), "__b=y ebpf_exporter.config=x");
}

#[test]
fn a_record_that_is_too_short_is_counted_and_a_longer_one_is_fine() {
    let mut maker = maker("{name: a, size: 2, padding: 6},\n{name: b, size: 2}");
    let records = [&b"12345678ab"[..], b"12345678a", b"", b"12345678abcdef"];
    let spans = made(&mut maker, &records.map(<[u8]>::to_vec));
    let told: Vec<_> = spans.iter().map(attributes).collect();
    assert_eq!(told, ["a=12 b=ab ebpf_exporter.config=x"; 2]);
    assert_eq!(maker.kind.stats.errors(), 2);
}

#[test]
fn a_text_that_an_id_cannot_be_costs_the_span_and_is_counted_once() {
    let text = "{name: trace_id, size: 32},\n{name: a, size: 1, decoders: [{name: uint}]}";
    let mut maker = maker(text);
    let record = |id: &str| [id.as_bytes(), &[7]].concat();
    let good = "0123456789abcdef0123456789ABCDEF";
    let bad = ["x123456789abcdef0123456789abcdef", "+123456789abcdef0123456789abcdef"];
    let spans = made(&mut maker, &[record(bad[0]), record(good), record(bad[1])]);
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].span_context.trace_id().to_string(), good.to_lowercase());
    assert_eq!(maker.kind.stats.errors(), 2);
}

#[test]
fn a_label_that_cannot_be_decoded_is_what_on_error_says() {
    let text = "\
{name: a, size: 1, decoders: [{name: uint}, {name: errno}, {name: errno}]},
{name: b, size: 1, decoders: [{name: uint}, {name: errno, on_error: drop}, {name: errno, on_error: drop}]},
{name: span_duration_ns, size: 1, decoders: [{name: uint}, {name: regexp, regexps: ['^[1-9]+$']}]}";
    let mut maker = maker(text);
    // The second label drops each; a number that no pattern matches drops too, which is no error.
    assert_eq!(made(&mut maker, &[vec![1, 1, 1], vec![1, 1, 0]]), []);
    assert_eq!(maker.kind.stats.errors(), 4);
}

/// A plugin that has so many turns at inputs that are no `!`.
struct Turns(Arc<AtomicU32>);

impl Decoder for Turns {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        if input == b"!" {
            return Err(DecodeError::new("it has no answer"));
        }
        let left = |turns: u32| turns.checked_sub(1);
        self.0
            .fetch_update(Relaxed, Relaxed, left)
            .map_err(|_| DecodeError::new("x").deferred())?;
        out.extend_from_slice(input);
        Ok(Outcome::Label)
    }
}

/// A maker of spans with one label, which the plugin decodes; its turns.
fn asking() -> (SpanMaker, Arc<AtomicU32>) {
    let (mut maker, turns) = (maker("{name: a, size: 1}"), Arc::new(AtomicU32::new(0)));
    let decoder = Box::new(Turns(Arc::clone(&turns)));
    let step = Step { name: "wasm", decoder, on_error: OnError::default() };
    maker.parts[0].chain = Chain::new(vec![step]);
    (maker, turns)
}

/// So many milliseconds after [`clock`].
fn at(millis: i128) -> Clock {
    Clock::of(
        1_000_000_000_000_000_000 + millis * 1_000_000,
        1_000_000_000_000 + millis * 1_000_000,
    )
}

fn told(spans: &[Made]) -> Vec<String> {
    let began =
        |made: &Made| made.span.start_time.duration_since(clock().wall()).unwrap().as_millis();
    let label = |made: &Made| made.span.attributes[0].value.to_string();
    spans.iter().map(|made| format!("{} at {}", label(made), began(made))).collect()
}

#[test]
fn a_record_waits_for_a_plugin_that_got_no_turn() {
    let (mut maker, turns) = asking();
    turns.store(1, Relaxed);
    b"abc!".iter().for_each(|byte| maker.take(&[*byte]));
    assert_eq!(told(&maker.make(at(0))), ["a at 0", "error at 0"]);
    assert_eq!((maker.waits(), maker.taken(), maker.kind.stats.errors()), (true, 0, 1));
    turns.store(1, Relaxed);
    maker.take_again(at(49));
    assert_eq!(maker.taken(), 0, "it is not asked again so soon");
    maker.take_again(at(50));
    maker.take(b"d");
    assert_eq!(told(&maker.make(at(50))), ["b at 0"], "who waits comes first");
    turns.store(2, Relaxed);
    maker.take_again(at(100));
    assert_eq!(told(&maker.make(at(100))), ["c at 0", "d at 50"]);
    assert_eq!((maker.waits(), maker.kind.stats.errors()), (false, 1));
}

#[test]
fn it_does_not_wait_for_long() {
    let (mut maker, _) = asking();
    maker.take(b"a");
    assert_eq!(told(&maker.make(at(0))), [""; 0]);
    maker.take_again(at(999));
    maker.take(b"b");
    assert_eq!(told(&maker.make(at(999))), [""; 0]);
    maker.take_again(at(1100));
    assert_eq!(told(&maker.make(at(1100))), ["error at 0"]);
    maker.hurry();
    maker.take_again(at(1101));
    maker.take(b"c");
    assert_eq!(told(&maker.make(at(1101))), ["error at 999", "error at 1101"], "at the end");
    assert_eq!((maker.waits(), maker.kind.stats.errors()), (false, 3));
}

#[test]
fn no_more_records_wait_than_may() {
    let (mut maker, turns) = asking();
    (0..1100).for_each(|_| maker.take(b"a"));
    assert_eq!(maker.make(at(0)).len(), 1100 - 1024);
    maker.take(b"b");
    assert_eq!(told(&maker.make(at(0))), ["error at 0"]);
    turns.store(2000, Relaxed);
    maker.take_again(at(50));
    assert_eq!(maker.make(at(50)).len(), 1024);
}
