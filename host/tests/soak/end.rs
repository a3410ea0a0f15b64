//! The end of a soak: what was done, and all that can be held against it once nobody does anything any more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Run;
use crate::client::{CONNECTED, Client, FAST};
use crate::exporter::HANG;
use crate::page::{Form, Page};
use crate::scrapers;
use crate::taken::{Quarter, Taken, at_rest};

/// By how much the memory of the last quarter, in the middle, may be above that of the second one, KiB. The most of a
/// quarter says less: pages for clients that are slow to take them, of which there are five, and objects and plugins
/// that are loaded beside the old ones take more for a moment, and on a slow machine all of that comes together. A
/// minute with 2,600 pages had 330 KiB more, one with 3,000 pages 970 KiB, two minutes with 4,900 pages 900 KiB. Half of
/// the pages lie between: a leak has to be 1.6 KiB a page to be seen in such a minute, and 27 bytes in such an hour.
const GROWTH: u64 = 2 << 10;

/// Lines of the log that a reload may write, and lines beside these.
const LINES: [u64; 2] = [40, 400];

/// Prints what was done, and gives what is wrong.
pub fn judge(run: Run, before: Taken, quarters: [Quarter; 4], reloads: (u64, u64)) -> Vec<String> {
    let process = run.exporter.process();
    let last = last_pages(&run);
    let after = run.or_fail(at_rest(process, Some(before)));
    table(&run, &last, &quarters, reloads, [before, after]);
    if run.faults().is_empty() {
        let found = consistent(&last, reloads).into_iter().chain(flat(&quarters)).chain(late(&run));
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

/// Everything as it is now, once in each format: nobody counts any more, so all is exact. The page in text, once all
/// connections but the one that asks for it have ended.
fn last_pages(run: &Run) -> Page {
    let (began, mut client) = (Instant::now(), Client::new(&run.tcp));
    for form in [Form::Protobuf, Form::OpenMetrics] {
        last_page(run, &mut client, form);
    }
    loop {
        let last = last_page(run, &mut client, Form::Text);
        let alone = last.sum("ebpf_exporter_http_connections", &[]) == 1;
        if alone || !run.faults().is_empty() {
            return last;
        }
        if began.elapsed() > HANG {
            run.fail("at the end: connections that clients have closed stay open".to_owned());
            return last;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn last_page(run: &Run, client: &mut Client, form: Form) -> Page {
    let seen = run.site.ledger.seen();
    let page = scrapers::page(run, client, form, false, FAST).and_then(|page| {
        run.site.ledger.check_last(&page, &seen)?;
        Ok(page)
    });
    run.or_fail(page.map_err(|what| format!("at the end, {form:?}: {what}")))
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
fn flat(quarters: &[Quarter; 4]) -> Option<String> {
    let (second, last) = (quarters[1].memory, quarters[3].memory);
    let grown = last > second + GROWTH;
    grown.then(|| {
        format!("memory grows: {second} KiB in the second quarter, {last} KiB in the last one")
    })
}

/// Whether most pages told a time that is too long ago to know what had been counted by then.
fn late(run: &Run) -> Option<String> {
    let (old, pages) = (run.site.ledger.old(), run.scraped.pages());
    (old * 2 > pages).then(|| format!("{old} of {pages} pages tell a time that is long ago"))
}

fn table(run: &Run, last: &Page, quarters: &[Quarter; 4], reloads: (u64, u64), rest: [Taken; 2]) {
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
        (run.site.ledger.missed(last).values().sum(), "runs of programs that the kernel left out"),
        (
            run.site.ledger.old(),
            "pages that came a minute behind their reading, held against other pages alone",
        ),
    ] {
        println!("{number:>12} {what}");
    }
    println!("{:>12} {:>12} {:>12} {:>12}", "KiB", "at most", "descriptors", "threads");
    let rows = quarters.iter().map(|quarter| (quarter.memory, quarter.most));
    let rows = rows.chain(rest.map(|taken| (taken.memory, taken)));
    let names = [
        "1st quarter",
        "2nd quarter",
        "3rd quarter",
        "4th quarter",
        "at rest before",
        "at rest behind",
    ];
    for (name, (memory, most)) in names.iter().zip(rows) {
        let Taken { memory: peak, descriptors, threads } = most;
        println!("{memory:>12} {peak:>12} {descriptors:>12} {threads:>12} {name}");
    }
}
