//! The end of a soak: what was done, and all that can be held against it once nobody does anything any more.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Run;
use crate::client::{CONNECTED, Client, FAST};
use crate::page::{Form, Page};
use crate::scrapers;
use crate::taken::{Taken, at_rest};

/// By how much the most memory of the last quarter may be above that of the second one, KiB. What is taken for a
/// moment is not the same each time: pages for clients that are slow to take them, of which there are five, and
/// objects and plugins that are loaded beside the old ones. Runs of 20 seconds to 20 minutes had between 230 KiB less
/// and 830 KiB more. A leak has to be 2 KiB a page to be seen in two minutes, and 40 bytes in an hour.
const GROWTH: u64 = 2 << 10;

/// Lines of the log that a reload may write, and lines beside these.
const LINES: [u64; 2] = [40, 400];

/// Prints what was done, and gives what is wrong.
pub fn judge(run: Run, before: Taken, quarters: [Taken; 4], reloads: (u64, u64)) -> Vec<String> {
    let process = run.exporter.process();
    let last = last_pages(&run);
    let after = run.or_fail(at_rest(process, Some(before)));
    table(&run, &last, &quarters, reloads, [before, after]);
    if run.faults().is_empty() {
        let found = consistent(&last, reloads).into_iter().chain(flat(&quarters));
        found.for_each(|what| run.fail(what));
    }
    let Run { exporter, faults, .. } = run;
    exporter.terminate();
    let (status, log) = exporter.wait();
    let mut faults = faults.into_inner().expect("nobody panicked");
    let lines = log.lines().count() as u64;
    println!("{:>12} lines of the log, {} bytes", lines, log.len());
    if lines > LINES[0] * (reloads.0 + reloads.1) + LINES[1] {
        faults.push(format!("the log has {lines} lines"));
    }
    if !faults.is_empty() || status.code() != Some(0) {
        faults.push(format!("it ended with {status}, and its log ends so:\n{}", tail(&log)));
    }
    faults
}

/// The last 40 lines.
fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// Everything as it is now, once in each format: nobody counts any more, so all is exact. The page in text.
fn last_pages(run: &Run) -> Page {
    run.site.ledger.note();
    let mut client = Client::new(&run.tcp);
    let mut last = Page::default();
    for form in [Form::Protobuf, Form::OpenMetrics, Form::Text] {
        let seen = run.site.ledger.seen();
        match scrapers::page(run, &mut client, form, false, FAST) {
            Ok(page) => {
                if let Err(what) = run.site.ledger.check(&page, &seen) {
                    run.fail(format!("at the end, {form:?}: {what}"));
                }
                last = page;
            }
            Err(what) => run.fail(format!("at the end, {form:?}: {what}")),
        }
    }
    last
}

/// What the exporter says of itself has to be what was done to it.
fn consistent(last: &Page, (done, refused): (u64, u64)) -> Vec<String> {
    let of =
        |name: &str, labels: &[(&str, &str)]| last.sum(&format!("ebpf_exporter_{name}"), labels);
    let reloads = |outcome| of("config_reloads_total", &[("outcome", outcome)]);
    let closed = of("http_connections_closed_total", &[]);
    let open = of("http_connections", &[]);
    let by_clients = of("http_connections_closed_total", &[("cause", "client")]);
    let trapped = of("plugin_failures_total", &[("cause", "trap")]);
    let workers = last.samples.iter().filter(|sample| sample.name == "ebpf_exporter_worker_up");
    let held = [
        ("reloads that worked", reloads("success"), done),
        ("reloads that were refused", reloads("failure"), refused),
        ("the last reload worked", of("config_last_reload_successful", &[]), 1),
        (
            "connections",
            of("http_connections_accepted_total", &[]),
            CONNECTED.load(Ordering::SeqCst),
        ),
        ("connections that have ended", closed + open, CONNECTED.load(Ordering::SeqCst)),
        ("connections that clients have closed", by_clients, closed),
        ("scrapes that were not answered", of("scrapes_refused_total", &[]), 0),
        ("whether plugins have trapped", u64::from(trapped > 0), 1),
        ("workers", of("worker_up", &[]), workers.count() as u64),
        ("lines that were lost", of("log_lines_lost_total", &[]), 0),
    ];
    let wrong = held.into_iter().filter(|(_, said, is)| said != is);
    wrong
        .map(|(what, said, is)| format!("{what}: the exporter says {said}, and it is {is}"))
        .collect()
}

/// Whether the last quarter took more than the second one. In the first one the exporter comes to know its rows.
fn flat(quarters: &[Taken; 4]) -> Option<String> {
    let (second, last) = (quarters[1].memory, quarters[3].memory);
    let grown = last > second + GROWTH;
    grown.then(|| {
        format!("memory grows: {second} KiB in the second quarter, {last} KiB in the last one")
    })
}

fn table(run: &Run, last: &Page, quarters: &[Taken; 4], reloads: (u64, u64), rest: [Taken; 2]) {
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let traps = last.sum("ebpf_exporter_plugin_failures_total", &[]);
    let calls = last.sum("ebpf_exporter_plugin_calls_total", &[]);
    let lost = last.sum("ebpf_exporter_events_lost_total", &[]);
    for (number, what) in [
        (run.scraped.pages(), "pages of metrics, whole and right"),
        (of(&run.scraped.bytes) >> 20, "MiB of them"),
        (of(&run.scraped.others), "other pages"),
        (of(&run.scraped.hung_up), "clients that went before the end"),
        (CONNECTED.load(Ordering::Relaxed), "connections"),
        (reloads.0, "reloads"),
        (reloads.1, "reloads that were refused"),
        (of(&run.rounds), "rounds of counting"),
        (of(&run.site.stayed), "counts of rows that stay"),
        (of(&run.site.churned), "counts and deletions of others"),
        (calls, "calls of plugins, since the last reload of each"),
        (traps, "of these failed"),
        (lost, "records that a program could not stream"),
    ] {
        println!("{number:>12} {what}");
    }
    println!("{:>12} {:>12} {:>12}", "KiB", "descriptors", "threads");
    let names = [
        "1st quarter",
        "2nd quarter",
        "3rd quarter",
        "4th quarter",
        "at rest before",
        "at rest behind",
    ];
    for (name, taken) in names.iter().zip(quarters.iter().chain(&rest)) {
        println!("{:>12} {:>12} {:>12} {name}", taken.memory, taken.descriptors, taken.threads);
    }
}
