//! Plans held against real objects. Needs no privilege.

use ebpf_wasm_exporter::bpf::{Key, Layout, check};
use ebpf_wasm_exporter::config::{self, Config, ConfigFile, Fault};

use crate::configs::KEY;
use crate::object;
use crate::plan::{self, counter, histogram};

fn text(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

pub fn layouts_of_every_type_of_map() {
    let opened = object::open("workload");
    let of =
        |metric| check(&plan::config(vec![metric], &[]), &opened).map_err(|faults| text(&faults));
    let flow = [("id", 8, 0), ("text", 24, 0)];
    let latency = [("kind", 8, 0), ("bucket", 8, 0)];
    for (metric, expected) in [
        (counter("work_hash_total", &flow), (false, None, Key::Labels)),
        (counter("work_padded_total", &[("n", 4, 4), ("id", 8, 0)]), (false, None, Key::Labels)),
        (counter("work_lru_hash_total", &[("id", 8, 0)]), (false, None, Key::Labels)),
        (counter("work_array_total", &[("index", 4, 0)]), (false, None, Key::Labels)),
        // Of a map without CPUs, `cpu` is a label like any other.
        (counter("work_array_total", &[("a", 2, 0), ("cpu", 2, 0)]), (false, None, Key::Labels)),
        (counter("work_mmap_array_total", &[("index", 4, 0)]), (false, None, Key::Labels)),
        (counter("work_percpu_hash_total", &[("id", 8, 0)]), (true, None, Key::Labels)),
        (counter("work_percpu_array_total", &[("index", 4, 0)]), (true, None, Key::Labels)),
        (
            counter("work_lru_percpu_hash_total", &[("id", 8, 0), ("cpu", 2, 0)]),
            (true, Some(1), Key::Labels),
        ),
        (
            counter("work_cpu_hash_total", &[("id", 8, 0), ("cpu", 2, 0)]),
            (true, Some(1), Key::Labels),
        ),
        (
            counter("work_cpu_array_total", &[("index", 4, 0), ("cpu", 2, 0)]),
            (true, Some(1), Key::Labels),
        ),
        (counter("work_cpu_array_total", &[("cpu", 2, 0)]), (true, Some(0), Key::Ignored)),
        (counter("work_plain_total", &[]), (false, None, Key::Zero)),
        (counter("work_percpu_array_total", &[]), (true, None, Key::Zero)),
        (histogram("work_exp2_seconds", &latency), (false, None, Key::Labels)),
        (histogram("work_exp2zero_bytes", &latency), (true, None, Key::Labels)),
        (histogram("work_linear_depth", &[("bucket", 4, 0)]), (false, None, Key::Labels)),
        (
            histogram("work_cpu_exp2_seconds", &[("bucket", 8, 0), ("cpu", 2, 0)]),
            (true, Some(1), Key::Labels),
        ),
    ] {
        let name = metric.name.as_str().to_owned();
        let found = of(metric).map(|layouts| {
            let [Layout { map, per_cpu, key, .. }] = &layouts[..] else { panic!("{layouts:?}") };
            assert_eq!(*map, name);
            (*per_cpu, layouts[0].cpu(), *key)
        });
        assert_eq!(found, Ok(expected), "{name}");
    }
}

/// The config in this text, which has no fault that can be seen without its object.
fn read(file: &str, text: &str) -> Config {
    let file = ConfigFile::new(file, text);
    let (mut configs, faults) = config::load(vec![file], &[]);
    assert_eq!(faults, []);
    configs.remove(0)
}

pub fn the_workload_fits_its_config() {
    let yaml = format!("{}/workload.yaml", object::SOURCES);
    let config = read(&yaml, &std::fs::read_to_string(&yaml).unwrap());
    let opened = object::open("workload");
    let layouts = check(&config, &opened).map_err(|faults| text(&faults)).unwrap();
    assert_eq!(layouts.len(), opened.maps().len(), "every map is somebody's metric");
}

pub fn the_examples_fit_their_configs() {
    let mut checked = 0;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("redact.key"), KEY).unwrap();
    for entry in std::fs::read_dir(object::EXAMPLES).unwrap() {
        let yaml = entry.unwrap().path();
        let Some(name) = yaml.to_str().and_then(|path| path.strip_suffix(".yaml")) else {
            continue;
        };
        let name = name.rsplit('/').next().unwrap();
        let file = dir.path().join(format!("{name}.yaml"));
        let config = read(file.to_str().unwrap(), &std::fs::read_to_string(&yaml).unwrap());
        let opened = object::open_example(name);
        if let Err(faults) = check(&config, &opened) {
            panic!("{}", text(&faults));
        }
        checked += 1;
    }
    assert!(checked > 0, "there are examples");
}

const MISFITS: &str = "\
metrics:
  counters:
    - name: flows_total
      help: Flows
      labels:
        - {name: family, size: 2, decoders: [{name: uint}]}
        - {name: ip, size: 4, decoders: [{name: inet_ip}]}
        - {name: port, size: 2, decoders: [{name: uint}]}
        - {name: rest, size: 13, decoders: [{name: string}]}

    - name: flow_total
      help: The name is misspelt
      labels: [{name: family, size: 2, decoders: [{name: uint}]}]

    - name: narrow_total
      help: Values are too small
    - name: stacks
      help: No counts
      labels: [{name: index, size: 4, decoders: [{name: uint}]}]

    - name: events_total
      help: Events
      labels: [{name: index, size: 4, decoders: [{name: uint}]}]

    - name: stacks_total
      help: No buffer
      ringbuf: true

    - name: ring_total
      help: The other buffer
      perf_event_array: true
";

pub fn misfits() {
    let misfits = object::open("misfits");
    let config = read("test.yaml", MISFITS);
    let faults = check(&config, &misfits).unwrap_err();
    let faults: Vec<_> =
        faults.into_iter().filter(|fault| fault.file.ends_with("test.yaml")).collect();
    insta::assert_snapshot!(text(&faults), @r"
    test.yaml:5: metrics.counters[0].labels: sizes add up to 21 and paddings to 0, 21 in all, but keys of map `flows_total` have 32 bytes; follow the key's fields, `struct flow`: `family` at 0 {size: 2, padding: 2}, `peer.ip` at 4 {size: 4}, `peer.port` at 8 {size: 2, padding: 6}, `cgroup` at 16 {size: 8}, `comm` at 24 {size: 5, padding: 3}
    test.yaml:11: metrics.counters[1].name: the object has no map `flow_total`; did you mean `flows_total`?
    test.yaml:15: metrics.counters[2]: values of map `narrow_total` have 4 bytes, not 8; make the map's value a `u64`, as all metrics are
    test.yaml:17: metrics.counters[3]: map `stacks` is a stack_trace, which holds no counts; use a hash, lru_hash or array, or the per-CPU form of one
    test.yaml:21: metrics.counters[4]: map `events_total` is a perf_event_array, which holds records and no counts; add `perf_event_array: true` to a counter, which counts them
    test.yaml:27: metrics.counters[5].ringbuf: map `stacks_total` is a stack_trace, not a ringbuf; take out `ringbuf: true`, or make the map one
    test.yaml:31: metrics.counters[6].perf_event_array: map `ring_total` is a ringbuf, not a perf_event_array; write `ringbuf: true` instead
    ");
}

const FAULTY: &str = "\
metrics:
  counters:
    - name: flow_total
      labels: [{name: family, size: 2, decoders: [{name: uint}]}]

    - name: narrow_total
      labels: [{name: family}]

    - name: flows_total
      labels: [{name: family, size: 2, decoders: [{name: uinnt}]}]

    - name: events_total
      help: Not both
      perf_event_array: true
      ringbuf: true
";

/// What is faulty without its object is held against it all the same, as far as it can be read.
pub fn misfits_that_are_faulty_in_themselves() {
    let file = ConfigFile::new("test.yaml", FAULTY);
    let (configs, faults) = config::load(vec![file], &[]);
    insta::assert_snapshot!(text(&faults), @r"
    test.yaml:3: metrics.counters[0]: the metric has no help; add `help:` with a line on what it counts
    test.yaml:6: metrics.counters[1]: the metric has no help; add `help:` with a line on what it counts
    test.yaml:7: metrics.counters[1].labels[0]: the label has no size; add `size:` with how many bytes this label takes
    test.yaml:9: metrics.counters[2]: the metric has no help; add `help:` with a line on what it counts
    test.yaml:10: metrics.counters[2].labels[0].decoders[0].name: no decoder is called `uinnt`; did you mean `uint`?
    test.yaml:15: metrics.counters[3].ringbuf: a map is a perf event array or a ring buffer, not both; take out the one that it is not
    ");
    let faults = check(&configs[0], &object::open("misfits")).unwrap_err();
    let faults: Vec<_> =
        faults.into_iter().filter(|fault| fault.file.ends_with("test.yaml")).collect();
    insta::assert_snapshot!(text(&faults), @r"
    test.yaml:3: metrics.counters[0].name: the object has no map `flow_total`; did you mean `flows_total`?
    test.yaml:6: metrics.counters[1]: values of map `narrow_total` have 4 bytes, not 8; make the map's value a `u64`, as all metrics are
    test.yaml:10: metrics.counters[2].labels: sizes add up to 2 and paddings to 0, 2 in all, but keys of map `flows_total` have 32 bytes; follow the key's fields, `struct flow`: `family` at 0 {size: 2, padding: 2}, `peer.ip` at 4 {size: 4}, `peer.port` at 8 {size: 2, padding: 6}, `cgroup` at 16 {size: 8}, `comm` at 24 {size: 5, padding: 3}
    ");
}

pub fn sections_that_nothing_attaches() {
    let faults = check(&plan::config(vec![], &[]), &object::open("misfits")).unwrap_err();
    let dir = object::file("misfits").parent().unwrap().display().to_string();
    insta::assert_snapshot!(text(&faults).replace(&dir, "DIR"), @r"
    DIR/misfits.bpf.o: misspelt: section `trcepoint/sched/sched_switch` is of no kind that libbpf knows; name the hook as libbpf does: tracepoint/GROUP/NAME, kprobe/FUNCTION
    ");
}

pub fn kaddrs_that_are_not_there() {
    let mut opened = object::open("kaddrs");
    let metric = "metrics: {counters: [{name: constants, help: Constants}]}\n";
    let kaddrs =
        "kaddrs:\n- first_symbol\n- first_symbol\n- second_symbo\n- narrow\n- hidden\n- third\n";
    let config = read("test.yaml", &format!("{metric}{kaddrs}"));
    let known = |symbol: &&str| u64::from(!["third", "hidden"].contains(symbol));
    let addresses = |symbols: &[&str]| symbols.iter().map(known).collect();
    let faults = opened.set_kaddrs(&config, Some(&addresses));
    insta::assert_snapshot!(text(&faults), @r"
    test.yaml:5: kaddrs[2]: the object has no constant `kaddr_second_symbo`; did you mean the object's `kaddr_second_symbol`?
    test.yaml:6: kaddrs[3]: the object's constant `kaddr_narrow` has 4 bytes, not 8; declare `const volatile __u64 kaddr_narrow = 0;` in the BPF source
    test.yaml:7: kaddrs[4]: the object has no constant `kaddr_hidden`; declare `const volatile __u64 kaddr_hidden = 0;` in the BPF source
    test.yaml:7: kaddrs[4]: the address of kernel symbol `hidden` is not known; check its name in /proc/kallsyms; addresses shown there as 0 need CAP_SYSLOG and kernel.kptr_restrict below 2
    test.yaml:8: kaddrs[5]: the object has no constant `kaddr_third`; declare `const volatile __u64 kaddr_third = 0;` in the BPF source
    test.yaml:8: kaddrs[5]: the address of kernel symbol `third` is not known; check its name in /proc/kallsyms; addresses shown there as 0 need CAP_SYSLOG and kernel.kptr_restrict below 2
    ");
    let unasked = opened.set_kaddrs(&config, None);
    assert_eq!(unasked, faults.into_iter().filter(of_the_object).collect::<Vec<_>>());
}

fn of_the_object(fault: &Fault) -> bool {
    fault.advice.problem.starts_with("the object")
}
