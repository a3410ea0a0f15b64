//! The parts of a warm scrape between the kernel and the socket, each alone: rows held against those
//! known, text, gzip; and the two formats that no scrape keeps anything of. `make bench-micro` runs them.
//!
//! `--scrapes N` makes N scrapes of 10,000 rows, a tenth of them changed, and nothing else: a tool
//! that counts instructions tells what one costs by the difference of two such runs.

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ebpf_wasm_exporter::escaping::Escaping;
use ebpf_wasm_exporter::exposition::gzip::{Deflater, Member};
use ebpf_wasm_exporter::exposition::sheet::Sheet;
use ebpf_wasm_exporter::exposition::{openmetrics, protobuf};
use ebpf_wasm_exporter::rows::{Column, Decision, Fate, Grounds, Known, Row};
use ebpf_wasm_exporter::series::{Family, Kind, LabelSet};
use ebpf_wasm_exporter::source::Chunk;

const KEY: usize = 24;
const SIZES: [usize; 2] = [10_000, 100_000];

fn main() {
    let mut args = std::env::args().skip_while(|arg| arg != "--scrapes");
    match args.nth(1) {
        Some(count) => scrape(count.parse().expect("--scrapes takes a number")),
        None => divan::main(),
    }
}

fn scrape(count: usize) {
    let mut rows = Rows::new(10_000);
    for _ in 0..count {
        rows.change(10);
        rows.walk();
        black_box(rows.render());
        black_box(rows.compress());
    }
}

#[divan::bench(args = SIZES)]
fn rows_that_are_as_they_were(bencher: Bencher<'_, '_>, count: usize) {
    let mut rows = Rows::new(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| drop(rows.walk()));
}

#[divan::bench(args = SIZES)]
fn rows_of_which_a_tenth_changed(bencher: Bencher<'_, '_>, count: usize) {
    let mut rows = Rows::new(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        rows.change(10);
        rows.walk();
    });
}

#[divan::bench(args = SIZES)]
fn text_of_which_a_tenth_changed(bencher: Bencher<'_, '_>, count: usize) {
    let mut rows = Rows::new(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        rows.change(10);
        rows.walk();
        rows.render()
    });
}

#[divan::bench(args = SIZES)]
fn gzip_of_which_a_tenth_changed(bencher: Bencher<'_, '_>, count: usize) {
    let mut rows = Rows::new(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        rows.change(10);
        rows.walk();
        rows.render();
        rows.compress()
    });
}

#[divan::bench(args = SIZES)]
fn text_from_nothing(bencher: Bencher<'_, '_>, count: usize) {
    let mut rows = Rows::new(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        rows.sheet = Sheet::new(&rows.family);
        rows.render()
    });
}

#[divan::bench(args = SIZES)]
fn gzip_from_nothing(bencher: Bencher<'_, '_>, count: usize) {
    let mut rows = Rows::new(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        rows.sheet = Sheet::new(&rows.family);
        rows.render();
        rows.compress()
    });
}

#[divan::bench(args = SIZES)]
fn openmetrics_from_nothing(bencher: Bencher<'_, '_>, count: usize) {
    let families = [Arc::new(Rows::new(count).family)];
    bencher
        .counter(ItemsCount::new(count))
        .bench_local(|| openmetrics::encode(&families, Escaping::default()));
}

#[divan::bench(args = SIZES)]
fn protobuf_from_nothing(bencher: Bencher<'_, '_>, count: usize) {
    let families = [Arc::new(Rows::new(count).family)];
    bencher
        .counter(ItemsCount::new(count))
        .bench_local(|| protobuf::encode(&families, Escaping::default()));
}

/// A map's rows and all that is kept of them.
struct Rows {
    keys: Vec<u8>,
    values: Vec<u64>,
    random: u64,
    known: Known,
    family: Family,
    sheet: Sheet,
    blocks: usize,
    deflater: Deflater,
}

impl Rows {
    /// So many rows after their first scrape.
    fn new(count: usize) -> Self {
        let mut keys = vec![0; count * KEY];
        for (id, key) in (0..).zip(keys.chunks_mut(KEY)) {
            key[..8].copy_from_slice(&(id * 7919u64).to_ne_bytes());
        }
        let labels = vec!["id".to_owned(), "comm".to_owned()];
        let name = "ebpf_exporter_rows_total".to_owned();
        let family = Family::new(name, "Rows".to_owned(), labels, Kind::Counter);
        let mut rows = Self {
            keys,
            values: (0..count as u64).map(|id| 1_000 + id % 8_000_000).collect(),
            random: 88_172_645_463_325_252,
            known: Known::new(KEY, &[Column::Counter]),
            sheet: Sheet::new(&family),
            family,
            blocks: 0,
            deflater: Deflater::default(),
        };
        for (id, row) in rows.walk().into_iter().enumerate() {
            let (id, comm) = (id * 7919, id % 977);
            let labels = LabelSet::of([&*id.to_string(), &*format!("worker-{comm}")]);
            let cell = rows.family.join(&labels, None);
            let fates = &[Fate::Add(cell)];
            let decision = Decision { fates, errors: 0, due: None, grounds: Grounds::Known };
            let Known { rows: known, decided } = &mut rows.known;
            decided.decide(row, decision, known, &mut rows.family);
        }
        rows.render();
        rows.compress();
        rows
    }

    fn change(&mut self, percent: usize) {
        for _ in 0..self.values.len() * percent / 100 {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let row = (self.random % self.values.len() as u64) as usize;
            self.values[row] += 1 + row as u64 % 17;
        }
    }

    /// Rows that are new.
    fn walk(&mut self) -> Vec<Row> {
        let Known { rows, decided } = &mut self.known;
        let mut adding = decided.adding(&mut self.family);
        let mut walk = rows.begin(&mut adding);
        walk.take(Chunk::new(&self.keys, KEY, &self.values, 1));
        walk.end().trust().forget_missed()
    }

    /// Bytes of the text.
    fn render(&mut self) -> usize {
        let mut bytes = 0;
        let blocks = &mut self.blocks;
        self.sheet.render(&mut self.family, Escaping::default(), |part, block| {
            bytes += part.len();
            *blocks = block.map_or(0, |block| block + 1);
        });
        bytes
    }

    /// Bytes of the text in gzip.
    fn compress(&mut self) -> usize {
        let mut member = Member::default();
        for block in 0..self.blocks {
            member.push(self.sheet.deflated(block, &mut self.deflater));
        }
        member.finish().iter().map(|part| part.len()).sum()
    }
}
