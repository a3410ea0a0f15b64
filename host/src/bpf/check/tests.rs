//! Plans against objects that do not fit them: what is told, and where.

use libbpf_rs::MapType;

use super::*;
use crate::bpf::key::Field;
use crate::config::buckets::{Buckets, Scale};
use crate::config::name::{LabelName, MetricName};
use crate::config::{Label, MetricKind, SpanPlan};

fn map(name: &str, kind: MapKind, key_size: u32) -> MapSpec {
    MapSpec { name: name.to_owned(), kind, key_size, value_size: 8, max_entries: 64, flags: 0 }
}

fn counter(labels: &[(&str, usize, usize)]) -> Metric {
    let label = |&(name, size, padding): &(&str, usize, usize)| Label {
        name: LabelName::new(name).unwrap(),
        size,
        padding,
        reuse: false,
        steps: Vec::new(),
    };
    Metric {
        name: MetricName::new("x_total").unwrap(),
        help: "help".to_owned(),
        path: "metrics.counters[0]".to_owned(),
        events: None,
        kind: MetricKind::Counter,
        labels: labels.iter().map(label).collect(),
        transforms: Vec::new(),
        max_series: None,
        dropped: Vec::new(),
    }
}

fn histogram(labels: &[(&str, usize, usize)]) -> Metric {
    let buckets =
        Buckets { scale: Scale::Linear { min: 0, max: 4 }, multiplier: 1.0, native: None };
    Metric { kind: MetricKind::Histogram(buckets), ..counter(labels) }
}

/// The findings for a metric that does not fit, one a line.
fn misfit(metric: &Metric, maps: &[MapSpec], key: Option<&KeyType>) -> String {
    let findings = layout(&metric.outline(), maps, key).expect_err("it does not fit");
    findings.iter().map(|Finding { below, advice }| format!("{below}: {advice}\n")).collect()
}

#[test]
fn missing_maps() {
    let metric = counter(&[("id", 8, 0)]);
    insta::assert_snapshot!(misfit(&metric, &[], None), @r#".name: the object has no map `x_total`; define one in `SEC(".maps")`"#);
    let maps = [map("x_totl", MapKind::HASH, 8), map("other", MapKind::HASH, 8)];
    insta::assert_snapshot!(misfit(&metric, &maps, None), @".name: the object has no map `x_total`; did you mean `x_totl`?");
    let maps = ["m", "n", "a"].map(|name| MapSpec { name: name.to_owned(), ..maps[0].clone() });
    let metric = Metric { name: MetricName::new("M").unwrap(), ..metric };
    insta::assert_snapshot!(misfit(&metric, &maps, None), @".name: the object has no map `M`; did you mean `m`?");
    let maps = [map("starts", MapKind::HASH, 8), map("ends", MapKind::HASH, 8)];
    insta::assert_snapshot!(misfit(&metric, &maps, None), @".name: the object has no map `M`; give the metric the name of one that it has: `starts`, `ends`");
}

#[test]
fn names_that_c_does_not_have() {
    let metric =
        |name: &str| Metric { name: MetricName::new(name).unwrap(), ..counter(&[("id", 8, 0)]) };
    let maps = ["a_b", "a.b", "c_d_e"].map(|name| map(name, MapKind::HASH, 8));
    for (name, found) in [("a.b", "a.b"), ("a_b", "a_b"), ("a-b", "a_b"), ("c.d e", "c_d_e")] {
        assert_eq!(layout(&metric(name).outline(), &maps, None).unwrap().map, found);
    }
    insta::assert_snapshot!(misfit(&metric("c.d.f"), &maps, None), @".name: the object has no map `c_d_f`; did you mean `c_d_e`?");
}

#[test]
fn unreadable_types() {
    let metric = counter(&[("id", 4, 0)]);
    let of = |kind| misfit(&metric, &[map("x_total", kind, 4)], None);
    insta::assert_snapshot!(of(MapKind::RINGBUF), @": map `x_total` is a ringbuf, which holds records and no counts; add `ringbuf: true` to a counter, which counts them");
    let newer = [map("x_total", MapKind::from(4000), 4)];
    assert!(layout(&metric.outline(), &newer, None).is_ok(), "a type that is not known yet");
    insta::assert_snapshot!(of(MapType::Queue.into()), @": map `x_total` is a queue, which holds no counts; use a hash, lru_hash or array, or the per-CPU form of one");
}

#[test]
fn sizes_that_do_not_add_up() {
    let maps = [map("x_total", MapKind::HASH, 16)];
    let metric = counter(&[("pid", 4, 2), ("id", 8, 0)]);
    insta::assert_snapshot!(misfit(&metric, &maps, None), @".labels: sizes add up to 12 and paddings to 2, 14 in all, but keys of map `x_total` have 16 bytes; make them add up to 16");
    let field = |name: &str, offset, size| Field { name: name.to_owned(), offset, size };
    let key = KeyType {
        name: "struct key".to_owned(),
        size: 16,
        fields: vec![field("pid", 0, 4), field("id", 8, 8)],
    };
    insta::assert_snapshot!(misfit(&metric, &maps, Some(&key)), @".labels: sizes add up to 12 and paddings to 2, 14 in all, but keys of map `x_total` have 16 bytes; follow the key's fields, `struct key`: `pid` at 0 {size: 4, padding: 4}, `id` at 8 {size: 8}");
    insta::assert_snapshot!(misfit(&counter(&[]), &maps, Some(&key)), @": a metric without labels is the entry of a u32 key of 0, but keys of map `x_total` have 16 bytes; add labels for the key (follow the key's fields, `struct key`: `pid` at 0 {size: 4, padding: 4}, `id` at 8 {size: 8}), or make the key a `u32`");
}

#[test]
fn every_finding_at_once() {
    let narrow = MapSpec { value_size: 4, ..map("x_total", MapKind::HASH, 16) };
    insta::assert_snapshot!(misfit(&counter(&[("id", 8, 0)]), &[narrow], None), @r"
    : values of map `x_total` have 4 bytes, not 8; make the map's value a `u64`, as all metrics are
    .labels: sizes add up to 8 and paddings to 0, 8 in all, but keys of map `x_total` have 16 bytes; make them add up to 16
    ");
}

#[test]
fn the_cpu_label() {
    let per_cpu = [map("x_total", MapKind::PERCPU_HASH, 8)];
    let short = counter(&[("id", 4, 0), ("cpu", 2, 0)]);
    insta::assert_snapshot!(misfit(&short, &per_cpu, None), @".labels: sizes add up to 4 and paddings to 0 (without `cpu`, which stands beside the key), 4 in all, but keys of map `x_total` have 8 bytes; make them add up to 8");
    let before = histogram(&[("cpu", 2, 0), ("bucket", 8, 0)]);
    insta::assert_snapshot!(misfit(&before, &per_cpu, None), @".labels: sizes add up to 10 and paddings to 0, 10 in all, but keys of map `x_total` have 8 bytes; put the label `cpu` last: per-CPU maps have it beside the key");
    let in_key = histogram(&[("bucket", 8, 6), ("cpu", 2, 0)]);
    insta::assert_snapshot!(misfit(&in_key, &[map("x_total", MapKind::HASH, 16)], None), @".labels: the last part of a histogram's key is its bucket, but here it is `cpu`, which a hash does not have beside the key; put the bucket last, or make the map per-CPU and take `cpu` out of the key");
    let plain = [map("x_total", MapKind::HASH, 8)];
    insta::assert_snapshot!(misfit(&counter(&[("id", 8, 0), ("cpu", 2, 0)]), &plain, None), @".labels: sizes add up to 10 and paddings to 0, 10 in all, but keys of map `x_total` have 8 bytes; take the label `cpu` out or make the map per-CPU: a hash has no CPUs");
    // Only an array's index can be ignored: a hash's key means something.
    insta::assert_snapshot!(misfit(&counter(&[("cpu", 2, 0)]), &per_cpu, None), @".labels: sizes add up to 0 and paddings to 0 (without `cpu`, which stands beside the key), 0 in all, but keys of map `x_total` have 8 bytes; make them add up to 8");
}

#[test]
fn a_cpu_label_of_another_size() {
    let warned = |labels, kind| {
        let parts = counter(labels).outline().parts.unwrap();
        summed_cpus(&parts, &map("x_total", kind, 8))
            .map(|Finding { below, advice }| format!("{below}: {advice}"))
    };
    let wide = [("id", 4, 0), ("cpu", 4, 0)];
    insta::assert_snapshot!(warned(&wide, MapKind::PERCPU_HASH).unwrap(), @".labels[1].size: the label `cpu` has 4 bytes, so it is read from the key of map `x_total`, and the values of all CPUs are summed; give it size 2: the CPU's number stands beside the key");
    assert_eq!(warned(&wide, MapKind::HASH), None);
    assert_eq!(warned(&[("id", 4, 0), ("cpu", 2, 0)], MapKind::PERCPU_HASH), None);
    assert_eq!(warned(&[("cpu", 4, 0), ("id", 4, 0)], MapKind::PERCPU_HASH), None);
}

#[test]
fn labels_that_reuse_take_no_bytes() {
    let reusing = |metric: Metric, which: &[usize]| {
        let mut metric = metric;
        which.iter().for_each(|index| metric.labels[*index].reuse = true);
        metric
    };
    let hash = [map("x_total", MapKind::HASH, 8)];
    let metric = reusing(counter(&[("id", 8, 0), ("text", 8, 0), ("hex", 8, 0)]), &[1, 2]);
    assert!(layout(&metric.outline(), &hash, None).is_ok());
    let metric = reusing(counter(&[("id", 4, 0), ("text", 4, 0)]), &[1]);
    insta::assert_snapshot!(misfit(&metric, &hash, None), @".labels: sizes add up to 4 and paddings to 0, 4 in all, but keys of map `x_total` have 8 bytes; make them add up to 8");
    // The number of the CPU may be decoded more than once, too.
    let per_cpu = [map("x_total", MapKind::PERCPU_HASH, 8)];
    let metric = reusing(counter(&[("id", 8, 0), ("cpu", 2, 0), ("node", 2, 0)]), &[2]);
    let layout = layout(&metric.outline(), &per_cpu, None).unwrap();
    assert_eq!((layout.cpu(), layout.key), (Some(1), Key::Labels));
    let array = [map("x_total", MapKind::PERCPU_ARRAY, 4)];
    let metric = reusing(counter(&[("cpu", 2, 0), ("node", 2, 0)]), &[1]);
    assert_eq!(super::layout(&metric.outline(), &array, None).unwrap().key, Key::Ignored);
    // A label `cpu` of other bytes is none.
    let metric = reusing(counter(&[("id", 8, 0), ("cpu", 8, 0)]), &[1]);
    let layout = super::layout(&metric.outline(), &per_cpu, None).unwrap();
    assert_eq!(layout.cpu(), None);
    let parts = metric.outline().parts.unwrap();
    let Finding { below, advice } = summed_cpus(&parts, &per_cpu[0]).unwrap();
    insta::assert_snapshot!(format!("{below}: {advice}"), @".labels[1].reuse: the label `cpu` reuses the bytes of the label before it, so it is read from the key of map `x_total`, and the values of all CPUs are summed; give it size 2 in place of `reuse`: the CPU's number stands beside the key");
}

#[test]
fn a_key_beside_cpu_alone_is_passed_over() {
    let metric = counter(&[("cpu", 2, 0)]);
    for kind in [MapKind::PERCPU_ARRAY, MapKind::PERCPU_HASH, MapKind::LRU_PERCPU_HASH] {
        let layout = layout(&metric.outline(), &[map("x_total", kind, 4)], None).unwrap();
        assert_eq!((layout.cpu(), layout.key), (Some(0), Key::Ignored), "{kind}");
    }
    let wide = [map("x_total", MapKind::PERCPU_HASH, 8)];
    insta::assert_snapshot!(misfit(&metric, &wide, None), @".labels: sizes add up to 0 and paddings to 0 (without `cpu`, which stands beside the key), 0 in all, but keys of map `x_total` have 8 bytes; make them add up to 8");
}

#[test]
fn sections() {
    assert_eq!(section("tracepoint/sched/sched_switch", true), None);
    assert_eq!(section("xdp.frags/eth0", false), None);
    // It is told of when it is to be attached, and costs the program alone.
    assert_eq!(section("perf_event/type=0", false), None);
    for bare in ["xdp", "xdp.frags", "xdp/devmap", "perf_event", "tc", "sockops", "freplace/x"] {
        assert_eq!(section(bare, true), None, "{bare}");
    }
    assert!(section("tracepiont/sched/sched_switch", false).is_some());
}

#[test]
fn spans_have_a_ring_buffer() {
    let label = |size, padding| Label {
        name: LabelName::new("l").unwrap(),
        size,
        padding,
        reuse: false,
        steps: Vec::new(),
    };
    let span = |ringbuf: &str, labels: Vec<Label>| SpanPlan {
        name: "s".to_owned(),
        ringbuf: ringbuf.to_owned(),
        service: None,
        path: "tracing.spans[0]".to_owned(),
        labels,
    };
    let maps = [
        map("counts", MapKind::HASH, 8),
        map("spans", MapKind::RINGBUF, 0),
        map("others", MapKind::RINGBUF, 0),
    ];
    let misfit = |span: &SpanPlan, maps: &[MapSpec]| {
        let Finding { below, advice } = record(span, maps).expect_err("it does not fit");
        format!("{below}: {advice}")
    };
    insta::assert_snapshot!(misfit(&span("span", Vec::new()), &maps), @".ringbuf: the object has no map `span`; did you mean `spans`?");
    insta::assert_snapshot!(misfit(&span("nothing", Vec::new()), &maps), @".ringbuf: the object has no map `nothing`; give the name of one that it has: `spans`, `others`");
    insta::assert_snapshot!(misfit(&span("counts", Vec::new()), &maps), @".ringbuf: map `counts` is a hash, not a ringbuf; give the name of one that it has: `spans`, `others`");
    insta::assert_snapshot!(misfit(&span("counts", Vec::new()), &maps[..1]), @".ringbuf: map `counts` is a hash, not a ringbuf; define a map of type `BPF_MAP_TYPE_RINGBUF`, and give its name");
    insta::assert_snapshot!(misfit(&span("spans", vec![label(65, 0)]), &maps), @".labels: the labels take 65 bytes, and ringbuf `spans` has 64; correct the sizes");
    let layout = record(&span("spans", vec![label(2, 2), label(8, 100)]), &maps).unwrap();
    assert_eq!((layout.fields, layout.size), (vec![0..2, 4..12], 12));
}
