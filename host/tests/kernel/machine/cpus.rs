//! CPUs that go and come back while the exporter runs.

use std::fs;

use crate::configs::{Configs, WORKLOAD};
use crate::examples::value;
use crate::exporter::{Exporter, until};
use crate::workload::on_cpu;

/// The second CPU, as the kernel lets it be switched.
const SWITCH: &str = "/sys/devices/system/cpu/cpu1/online";

/// What a CPU has counted stays when it goes, and goes on when it is back.
pub fn one_that_goes_and_comes_back() {
    let mut configs = Configs::new();
    let work = configs.add_workload("work", WORKLOAD);
    let exporter = Exporter::start(configs.flags());
    let add = |cpu| on_cpu(cpu, || work.add("work_cpu_hash_total", &7u64.to_ne_bytes(), 1));
    let counted = || {
        let metrics = exporter.metrics();
        assert_eq!(value(&metrics, "ebpf_exporter_scrape_success{config=\"work\"}"), 1);
        [0, 1].map(|cpu| {
            let sample = format!("ebpf_exporter_work_cpu_hash_total{{id=\"7\",cpu=\"{cpu}\"}}");
            value(&metrics, &sample)
        })
    };
    [0, 1].into_iter().for_each(add);
    assert_eq!(counted(), [1, 1]);
    fs::write(SWITCH, "0").unwrap();
    add(0);
    assert_eq!(counted(), [2, 1]);
    fs::write(SWITCH, "1").unwrap();
    [0, 1].into_iter().for_each(add);
    assert_eq!(counted(), [3, 2]);
}

const TICKS: &str = "metrics:
  counters:
    - name: clock_ticks_total
      help: Ticks of each CPU
      labels:
        - name: cpu
          size: 4
          decoders:
            - name: uint
";

/// A perf event is of one CPU, and goes with it: a scrape after it is back has another.
pub fn its_perf_events_come_back_too() {
    let mut configs = Configs::new();
    configs.add_object("sampled", TICKS);
    let exporter = Exporter::start(configs.flags());
    let ticks = || value(&exporter.metrics(), "ebpf_exporter_clock_ticks_total{cpu=\"1\"}");
    let ticks_after = |before| {
        on_cpu(1, || {
            for n in 0..1_000_000 {
                let _ = std::hint::black_box(n);
            }
        });
        ticks() > before
    };
    until("it ticks", || ticks_after(0));
    fs::write(SWITCH, "0").unwrap();
    let before = ticks();
    fs::write(SWITCH, "1").unwrap();
    until("it ticks again", || ticks_after(before));
}
