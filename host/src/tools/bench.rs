//! `plugin bench`: what an input costs.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::{Bench, Guest, ToolError};

/// Inputs of one call.
const SIZES: [usize; 4] = [1, 64, 512, 1024];
/// How long each size is measured. All together stay within what a plugin may spend.
const TIME: Duration = Duration::from_millis(250);

pub(super) fn bench(bench: &Bench<'_>) -> Result<String, ToolError> {
    let mut loader = bench.loader();
    let start = Instant::now();
    bench.plugin(&mut loader, bench.limits)?;
    let compiled = start.elapsed();
    let start = Instant::now();
    let mut guest = bench.start(&mut loader)?;
    let started = start.elapsed();
    let inputs = inputs(bench);

    let mut out = String::new();
    let what = match bench.subject.plugins_cache_dir {
        None => "compile",
        Some(_) => "compile, or find kept",
    };
    let _ = writeln!(out, "{what:21} {:9.1} ms, once", compiled.as_secs_f64() * 1e3);
    let _ = writeln!(out, "start and configure   {:9.1} ms", started.as_secs_f64() * 1e3);
    let start = Instant::now();
    guest.ask(&inputs[..1]);
    let _ = writeln!(out, "first call            {:9.0} ns", nanos(start.elapsed()));
    let empty = per_call(&mut guest, &[Vec::new()]);
    let _ = writeln!(out, "call, one empty input {empty:9.0} ns");
    for size in SIZES {
        let batch: Vec<_> = inputs.iter().cycle().take(size).cloned().collect();
        let cost = per_call(&mut guest, &batch) / size as f64;
        let _ = writeln!(out, "input, batch of {size:<5} {cost:9.0} ns");
    }
    let mut remembering = bench.start_within(&mut loader, bench.limits)?;
    let batch: Vec<_> = inputs.iter().cycle().take(1024).cloned().collect();
    let cost = per_call(&mut remembering, &batch) / 1024.0;
    let _ = writeln!(out, "input, remembered     {cost:9.0} ns");
    match guest.failures() {
        0 => Ok(out),
        failures => {
            let _ =
                writeln!(out, "but {failures} calls failed: try `plugin run` with these inputs");
            Ok(out)
        }
    }
}

/// What is asked: what was typed, or numbers of 4 bytes; of a transform, rows of numbers.
fn inputs(bench: &Bench<'_>) -> Vec<Vec<u8>> {
    if !bench.inputs.is_empty() {
        return bench.inputs.clone();
    }
    let number = |n: u32| match bench.labels.len() {
        0 => n.to_ne_bytes().to_vec(),
        width => vec![n.to_string(); width].join(",").into_bytes(),
    };
    (0..1024).map(number).collect()
}

/// Nanoseconds that this batch takes: the median of as many calls as [`TIME`] allows, at least 3.
fn per_call(guest: &mut Guest, batch: &[Vec<u8>]) -> f64 {
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || start.elapsed() < TIME {
        times.push(guest.time(batch));
    }
    times.sort_unstable();
    nanos(times[times.len() / 2])
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}
