//! Files that were written for `ebpf_exporter` before 2.0.

use insta::assert_snapshot;

use super::faults;

#[test]
fn a_whole_file_is_told_in_one_line() {
    let with_code = "\
programs:
  - name: timers
    metrics:
      counters:
        - {name: m, help: h, table: counts, labels: [{name: l, size: 8, decoders: [{name: ksym}]}]}
    tracepoints:
      timer:timer_start: on_timer
    code: |
      BPF_HASH(counts, u64);
";
    assert_snapshot!(faults(with_code), @"x.yaml:1: programs: this is a config of ebpf_exporter 1.x (`programs:` with BCC code); 2.x and this exporter take one NAME.yaml with `metrics:` and a compiled NAME.bpf.o");
    assert_snapshot!(faults("programs: [{name: a, metrics: {}}]"), @"x.yaml:1: programs: this is a config of ebpf_exporter before 2.0 (`programs:`); 2.x and this exporter take one NAME.yaml with `metrics:` and a compiled NAME.bpf.o");
    assert_snapshot!(faults("Programs:\nmetrics: {counters: []}"), @"x.yaml:1: Programs: this is a config of ebpf_exporter before 2.0 (`Programs:`); 2.x and this exporter take one NAME.yaml with `metrics:` and a compiled NAME.bpf.o");
    assert_snapshot!(faults("name: a\ncode: ''\nkprobes: {f: g}\nkaddrs: [a]"), @"x.yaml:2: code: this is a config of ebpf_exporter 1.x (`code:` with BCC code); 2.x and this exporter take one NAME.yaml with `metrics:` and a compiled NAME.bpf.o");
}

#[test]
fn no_key_of_it_is_to_be_removed() {
    let rest = "\
programs: [{code: x}]
name: a
cflags: [-O2]
kprobes: {}
kretprobes: {}
uprobes: {}
uretprobes: {}
tracepoints: {}
raw_tracepoints: {}
perf_events: []
code: ''
metrics:
  counters:
    - {name: a, help: A, table: b, Table: c, tabel: d}
    - {name: b, help: B, perf_map: c, perf_map_flush_duration: 1m}
  histograms:
    - {name: c, help: C, table: b, bucket_type: exp2, bucket_max: 1, labels: [{name: l, size: 8, decoders: [{name: uint}]}]}
";
    assert_snapshot!(faults(rest), @r#"
    x.yaml:1: warning: programs: `programs` of ebpf_exporter before 2.0 does nothing; write what is in its `metrics` as `metrics` of the file, and the programs as C code of NAME.bpf.o
    x.yaml:2: warning: name: `name` of ebpf_exporter before 2.0 does nothing; a config has the name of its file: name that so
    x.yaml:3: warning: cflags: `cflags` of ebpf_exporter before 2.0 does nothing; compile the C code to NAME.bpf.o beside NAME.yaml, as libbpf takes it
    x.yaml:4: warning: kprobes: `kprobes` of ebpf_exporter before 2.0 does nothing; programs say themselves where they attach, by `SEC("tracepoint/GROUP/NAME")`, `SEC("kprobe/FUNCTION")` and so on in the BPF source
    x.yaml:5: warning: kretprobes: `kretprobes` of ebpf_exporter before 2.0 does nothing; programs say themselves where they attach, by `SEC("tracepoint/GROUP/NAME")`, `SEC("kprobe/FUNCTION")` and so on in the BPF source
    x.yaml:6: warning: uprobes: `uprobes` of ebpf_exporter before 2.0 does nothing; programs say themselves where they attach, by `SEC("tracepoint/GROUP/NAME")`, `SEC("kprobe/FUNCTION")` and so on in the BPF source
    x.yaml:7: warning: uretprobes: `uretprobes` of ebpf_exporter before 2.0 does nothing; programs say themselves where they attach, by `SEC("tracepoint/GROUP/NAME")`, `SEC("kprobe/FUNCTION")` and so on in the BPF source
    x.yaml:8: warning: tracepoints: `tracepoints` of ebpf_exporter before 2.0 does nothing; programs say themselves where they attach, by `SEC("tracepoint/GROUP/NAME")`, `SEC("kprobe/FUNCTION")` and so on in the BPF source
    x.yaml:9: warning: raw_tracepoints: `raw_tracepoints` of ebpf_exporter before 2.0 does nothing; programs say themselves where they attach, by `SEC("tracepoint/GROUP/NAME")`, `SEC("kprobe/FUNCTION")` and so on in the BPF source
    x.yaml:10: warning: perf_events: `perf_events` of ebpf_exporter before 2.0 does nothing; name the event in the BPF source, by `SEC("perf_event/type=T,config=C,frequency=F")`
    x.yaml:11: warning: code: `code` of ebpf_exporter before 2.0 does nothing; compile the C code to NAME.bpf.o beside NAME.yaml, as libbpf takes it
    x.yaml:14: warning: metrics.counters[0].table: `table` of ebpf_exporter before 2.0 does nothing; give the map in the BPF object and the metric the same name, in `name`
    x.yaml:14: warning: metrics.counters[0].Table: `table` of ebpf_exporter before 2.0 does nothing; give the map in the BPF object and the metric the same name, in `name`
    x.yaml:14: warning: metrics.counters[0].tabel: `table` of ebpf_exporter before 2.0 does nothing; give the map in the BPF object and the metric the same name, in `name`
    x.yaml:15: warning: metrics.counters[1].perf_map: `perf_map` of ebpf_exporter before 2.0 does nothing; write `perf_event_array: true`, and give the map and the metric the same name
    x.yaml:15: warning: metrics.counters[1].perf_map_flush_duration: `perf_map_flush_duration` of ebpf_exporter before 2.0 does nothing; write `flush_interval`
    x.yaml:17: warning: metrics.histograms[0].table: `table` of ebpf_exporter before 2.0 does nothing; give the map in the BPF object and the metric the same name, in `name`
    "#);
}
