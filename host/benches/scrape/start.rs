//! How long it takes from the start to the first answer, and what an idle exporter holds.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::exporter::{Exporter, TEXT};
use crate::{median, millis, objects, print};

/// Ten of the examples: those that load on any kernel with BTF and count without being asked.
const TEN: &str = "cgroup,exec,kfree_skb,percpu-softirq,raw-tracepoints,regexp,runqlat,\
                   softirq-latency,syscalls,timers";
const ROUNDS: usize = 11;
/// After this it has given back what only a start needs.
const SETTLED: Duration = Duration::from_secs(12);

pub(crate) fn measure() {
    let examples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples"));
    objects::compile(examples);
    let mut starts: Vec<Duration> = Vec::new();
    let mut first = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let exporter = Exporter::start(examples, TEN, &[]);
        exporter.scrape(TEXT);
        starts.push(start.elapsed());
        first.push(exporter.resident() / 1048576.0);
    }
    print("start", "ten_configs.first_scrape", millis(median(starts)), "ms");
    print("start", "ten_configs.rss", median(first), "MiB");
    let exporter = Exporter::start(examples, TEN, &[]);
    exporter.scrape(TEXT);
    std::thread::sleep(SETTLED);
    for _ in 0..3 {
        exporter.scrape(TEXT);
    }
    print("start", "ten_configs.idle_rss", exporter.resident() / 1048576.0, "MiB");
}
