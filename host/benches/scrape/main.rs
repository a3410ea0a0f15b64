//! What a scrape costs: the built exporter, real maps filled from user space, and the kernel's own
//! batch read of the same maps beside it as the floor. Prints `name value unit` lines.
//!
//! `ONLY=10k,plugin` measures some parts: 1k, 10k, 100k, 1M, formats, replaced, rewritten, histograms,
//! percpu, array, chains, plugin, start, tls.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its figures are its output")]

use std::time::{Duration, Instant};

mod exporter;
#[path = "../common/objects.rs"]
mod objects;
mod plugin;
#[path = "../common/report.rs"]
mod report;
mod rows;
mod shapes;
mod start;
mod tls;

use exporter::{Exporter, Format, GZIP, TEXT, Wish};
use report::{median, print, wanted};
use rows::Rows;
use shapes::Shape;

/// One map and what is done with it.
struct Case {
    label: &'static str,
    shape: Shape,
    entries: usize,
    /// Scrapes to take the median of.
    rounds: usize,
    args: &'static [&'static str],
}

/// What happens between two scrapes.
#[derive(Clone, Copy)]
enum Between {
    /// So many of a hundred values change where they stand.
    Change(usize),
    /// So many of a hundred are written anew from outside.
    Rewrite(usize),
    /// So many of a hundred keys are replaced by new ones.
    Replace(usize),
}

fn main() {
    for (label, entries, rounds) in
        [("1k", 1_000, 41), ("10k", 10_000, 21), ("100k", 100_000, 15), ("1M", 1_000_000, 5)]
    {
        if wanted(label) {
            sizes(&Case { label, shape: shapes::ROWS, entries, rounds, args: &[] });
        }
    }
    if wanted("1M") {
        let args = &["--maps.read=batch"];
        let label = "1M_by_batch";
        let case = Case { label, shape: shapes::ROWS, entries: 1_000_000, rounds: 5, args };
        case.run(&[(Between::Change(10), TEXT), (Between::Change(10), GZIP)]);
    }
    if wanted("formats") {
        for (label, shape, entries) in [
            ("formats", shapes::ROWS, 100_000),
            ("formats_of_histograms", shapes::HISTOGRAMS, 270_000),
        ] {
            let args = &["--web.enable-openmetrics"];
            formats(&Case { label, shape, entries, rounds: 15, args });
        }
    }
    if wanted("replaced") {
        let label = "replaced";
        let case = Case { label, shape: shapes::ROWS, entries: 100_000, rounds: 9, args: &[] };
        case.run(&[(Between::Replace(10), TEXT)]);
    }
    if wanted("rewritten") {
        let label = "rewritten";
        let case = Case { label, shape: shapes::ROWS, entries: 100_000, rounds: 9, args: &[] };
        case.run(&[(Between::Rewrite(10), TEXT), (Between::Rewrite(100), TEXT)]);
    }
    for (part, label, shape, entries) in [
        ("histograms", "histograms", shapes::HISTOGRAMS, 270_000),
        ("percpu", "percpu", shapes::PER_CPU, 10_000),
        ("array", "array", shapes::ARRAY, 10_000),
        ("chains", "regexp", shapes::REGEXP, 10_000),
        ("chains", "cgroup", shapes::CGROUP, 10_000),
    ] {
        if wanted(part) {
            let case = Case { label, shape, entries, rounds: 9, args: &[] };
            case.run(&[(Between::Change(10), TEXT), (Between::Change(10), GZIP)]);
        }
    }
    if wanted("plugin") {
        plugin::measure();
    }
    if wanted("start") {
        start::measure();
    }
    if wanted("tls") {
        tls::measure();
    }
}

fn sizes(case: &Case) {
    let all = [0, 10, 100].map(Between::Change);
    let all: Vec<_> =
        all.into_iter().flat_map(|between| [(between, TEXT), (between, GZIP)]).collect();
    case.run(&all);
}

/// Each format but text, as it is and in gzip.
fn formats(case: &Case) {
    let all = [Format::OpenMetrics, Format::Protobuf]
        .into_iter()
        .flat_map(|format| [false, true].map(|gzip| (Between::Change(10), Wish { format, gzip })));
    case.run(&all.collect::<Vec<_>>());
}

impl Case {
    /// Measures scrapes, each after what happens between two.
    fn run(&self, scrapes: &[(Between, Wish)]) {
        let Self { label, shape, entries, args, .. } = *self;
        let dir = shape.write(label, entries);
        let exporter = Exporter::start(&dir, "rows", args);
        let idle = exporter.resident();
        let mut rows = Rows::fill(shape, &dir, entries);
        print(label, "cold.wall", millis(exporter.scrape(TEXT).wall), "ms");
        for (between, wish) in scrapes {
            self.measure(&exporter, &mut rows, *between, *wish);
        }
        print(label, "rss.above_idle", (exporter.resident() - idle) / 1048576.0, "MiB");
        print(label, "rss.peak_above_idle", (exporter.peak() - idle) / 1048576.0, "MiB");
    }

    fn measure(&self, exporter: &Exporter, rows: &mut Rows, between: Between, wish: Wish) {
        let (mut walls, mut cpus, mut floors) = (Vec::new(), Vec::new(), Vec::new());
        let (mut copies, mut harvests) = (Vec::new(), Vec::new());
        // The first two find the way and make what is kept.
        exporter.scrape(wish);
        exporter.scrape(wish);
        let before = exporter.phases();
        let tries = if self.entries > 500_000 { 1 } else { 3 };
        for _ in 0..self.rounds {
            match between {
                Between::Change(percent) => rows.change(percent),
                Between::Rewrite(percent) => rows.rewrite(percent),
                Between::Replace(percent) => rows.replace(percent),
            }
            floors.push(rows.floor(tries));
            let [copy, harvest] = rows.quick(tries);
            copies.extend(copy);
            harvests.extend(harvest);
            let scrape = exporter.scrape(wish);
            walls.push(scrape.wall);
            cpus.push(scrape.cpu);
        }
        let name = format!("{wish}.{between}");
        let print =
            |what: &str, value, unit| print(self.label, &format!("{name}.{what}"), value, unit);
        let (wall, cpu, floor) = (median(walls), median(cpus), median(floors));
        print("floor", millis(floor), "ms");
        for (what, floors) in [("copy_floor", copies), ("harvest_floor", harvests)] {
            if !floors.is_empty() {
                print(what, millis(median(floors)), "ms");
            }
        }
        let mut rest = millis(wall);
        for ((phase, before), (_, after)) in before.into_iter().zip(exporter.phases()) {
            let mean = (after - before) * 1000.0 / self.rounds as f64;
            print(&format!("{phase}_phase"), mean, "ms");
            rest -= mean;
        }
        print("rest", rest, "ms");
        if let Some(size) = exporter.size_to_default() {
            print("size_to_default", size, "ratio");
        }
        print("wall", millis(wall), "ms");
        print("cpu", millis(cpu), "ms");
        print("wall_to_floor", ratio(wall, floor), "ratio");
        print("cpu_to_floor", ratio(cpu, floor), "ratio");
    }
}

impl std::fmt::Display for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Change(percent) => write!(f, "changed_{percent}"),
            Self::Rewrite(percent) => write!(f, "rewritten_{percent}"),
            Self::Replace(percent) => write!(f, "replaced_{percent}"),
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// How long `work` takes.
fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
