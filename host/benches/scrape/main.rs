//! What a scrape costs: the built exporter, real maps filled from user space, and the kernel's own
//! batch read of the same maps beside it as the floor. Prints `name value unit` lines.

use std::time::{Duration, Instant};

mod exporter;
#[path = "../common/objects.rs"]
mod objects;
#[path = "../common/report.rs"]
mod report;
mod rows;

use exporter::Exporter;
use report::{median, print, wanted};
use rows::Rows;

/// Scrapes to take the median of.
const ROUNDS: usize = 15;

fn main() {
    for (label, entries) in [("1k", 1_000), ("10k", 10_000), ("100k", 100_000), ("1M", 1_000_000)] {
        if !wanted(label) {
            continue;
        }
        let exporter = Exporter::start(&rows::config(entries));
        let idle = exporter.resident();
        let mut rows = Rows::fill(entries);
        let cold = exporter.scrape(false);
        print(label, "cold.wall", millis(cold.wall), "ms");
        for changed in [0, 10, 100] {
            for gzip in [false, true] {
                measure(label, &exporter, &mut rows, changed, gzip);
            }
        }
        print(label, "rss.above_idle", (exporter.resident() - idle) / 1048576.0, "MiB");
        print(label, "rss.peak", exporter.peak() / 1048576.0, "MiB");
    }
}

fn measure(label: &str, exporter: &Exporter, rows: &mut Rows, changed: usize, gzip: bool) {
    let mut walls = Vec::new();
    let mut cpus = Vec::new();
    let mut floors = Vec::new();
    exporter.scrape(gzip);
    for _ in 0..ROUNDS {
        rows.change(changed);
        floors.push(rows.floor());
        let scrape = exporter.scrape(gzip);
        walls.push(scrape.wall);
        cpus.push(scrape.cpu);
    }
    let (wall, cpu, floor) = (median(walls), median(cpus), median(floors));
    let name = format!("{}.changed_{changed}", if gzip { "gzip" } else { "identity" });
    print(label, &format!("{name}.floor"), millis(floor), "ms");
    print(label, &format!("{name}.wall"), millis(wall), "ms");
    print(label, &format!("{name}.cpu"), millis(cpu), "ms");
    print(
        label,
        &format!("{name}.wall_to_floor"),
        wall.as_secs_f64() / floor.as_secs_f64(),
        "ratio",
    );
    print(label, &format!("{name}.cpu_to_floor"), cpu.as_secs_f64() / floor.as_secs_f64(), "ratio");
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// How long `work` takes.
fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
