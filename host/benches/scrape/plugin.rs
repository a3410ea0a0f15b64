//! What a plugin costs beside the same done natively: the cidr decoder that we ship.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use cidr::Cidr;
use ebpf_exporter_plugin::testing::{TestDecoder, json};

use crate::exporter::{Exporter, Scrape, TEXT};
use crate::rows::Rows;
use crate::{median, millis, print, ratio, shapes};

const PLUGINS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../plugins");
const ROUNDS: usize = 21;

pub(crate) fn measure() {
    let file = Path::new(PLUGINS).join("cidr.wasm");
    if !file.exists() {
        println!("plugin is left out: {} is missing, make plugins builds it", file.display());
        return;
    }
    inputs(&file);
    scrapes();
}

/// An input that was never seen before: in the component, by the size of calls, and by the same Rust
/// code in this process.
fn inputs(file: &Path) {
    let settings = json!({
        "prefixes": {"0.0.0.0/2": "red", "64.0.0.0/2": "green", "128.0.0.0/1": "blue"},
    });
    let output = Command::new(env!("CARGO_BIN_EXE_ebpf_wasm_exporter"))
        .args(["plugin", "bench", "--settings", &settings.to_string()])
        .arg(file)
        .output()
        .expect("the exporter starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in text.lines().filter(|line| line.starts_with("input")) {
        let (what, rest) = line.split_at(21);
        let what = what.trim().replace(", ", ".").replace(' ', "_");
        let nanos = rest.split_whitespace().next().and_then(|number| number.parse().ok());
        print("plugin", &format!("wasm.{what}"), nanos.expect("a number"), "ns");
    }
    let mut native = TestDecoder::<Cidr>::new(settings).expect("the settings are right");
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        for n in 0..100_000u32 {
            std::hint::black_box(native.decode(&n.to_ne_bytes())).expect("a prefix holds it");
        }
        start.elapsed()
    });
    print("plugin", "native.input", millis(median(times.collect())) * 1e6 / 1e5, "ns");
}

/// The same labels by native decoders and by a plugin, scrape by scrape in turn.
fn scrapes() {
    const ENTRIES: usize = 100_000;
    let mut both =
        [("native", shapes::ZONES), ("wasm", shapes::WASM_ZONES)].map(|(label, shape)| {
            let dir = shape.write(label, ENTRIES);
            let exporter = Exporter::start(&dir, "rows", &["--plugins.dir", PLUGINS]);
            let rows = Rows::fill(shape, &dir, ENTRIES);
            print(
                "plugin",
                &format!("{label}.cold.wall"),
                millis(exporter.scrape(TEXT).wall),
                "ms",
            );
            (label, exporter, rows, Vec::new(), Vec::new())
        });
    // Each goes first in every other round: the one leaves the caches to the other.
    for _ in 0..3 * ROUNDS {
        both.reverse();
        for (_, exporter, rows, walls, cpus) in &mut both {
            rows.change(10);
            let Scrape { wall, cpu } = exporter.scrape(TEXT);
            walls.push(wall);
            cpus.push(cpu);
        }
    }
    both.sort_by_key(|(label, ..)| *label);
    let both = both.map(|(label, _, _, walls, cpus)| (label, median(walls), median(cpus)));
    for (label, wall, cpu) in both {
        print("plugin", &format!("{label}.warm.wall"), millis(wall), "ms");
        print("plugin", &format!("{label}.warm.cpu"), millis(cpu), "ms");
    }
    let [(_, native, native_cpu), (_, wasm, wasm_cpu)] = both;
    print("plugin", "warm.wall_wasm_to_native", ratio(wasm, native), "ratio");
    print("plugin", "warm.cpu_wasm_to_native", ratio(wasm_cpu, native_cpu), "ratio");
}
