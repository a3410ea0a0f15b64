//! The parts of a warm scrape between the kernel and the socket, each alone: rows held against those
//! known, and each format, plain and in gzip. `make bench-micro` runs them.
//!
//! `--scrapes N` makes N scrapes of 10,000 rows, a tenth of them changed, and nothing else: a tool
//! that counts instructions tells what one costs by the difference of two such runs.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ebpf_wasm_exporter::escaping::Escaping;
use ebpf_wasm_exporter::exposition::gzip::Deflater;
use ebpf_wasm_exporter::exposition::kept::Kept;
use ebpf_wasm_exporter::exposition::{Body, Format, openmetrics, page, protobuf};
use ebpf_wasm_exporter::rows::{Column, Decision, Fate, Grounds, Known, Row};
use ebpf_wasm_exporter::series::{Family, Kind, LabelSet};
use ebpf_wasm_exporter::source::Chunk;

const KEY: usize = 24;
const SIZES: [usize; 2] = [10_000, 100_000];
const PAGES: [(Format, usize); 3] =
    [(Format::Text, 100_000), (Format::OpenMetrics, 100_000), (Format::Protobuf, 100_000)];

fn main() {
    let mut args = std::env::args().skip_while(|arg| arg != "--scrapes");
    match args.nth(1) {
        Some(count) => scrape(count.parse().expect("--scrapes takes a number")),
        None => divan::main(),
    }
}

fn scrape(count: usize) {
    let mut rows = Rows::new(10_000, Format::Text);
    for _ in 0..count {
        rows.change(10);
        rows.walk();
        black_box(rows.zip());
    }
}

#[divan::bench(args = SIZES)]
fn rows_that_are_as_they_were(bencher: Bencher<'_, '_>, count: usize) {
    let mut rows = Rows::new(count, Format::Text);
    bencher.counter(ItemsCount::new(count)).bench_local(|| drop(rows.walk()));
}

#[divan::bench(args = SIZES)]
fn rows_of_which_a_tenth_changed(bencher: Bencher<'_, '_>, count: usize) {
    let mut rows = Rows::new(count, Format::Text);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        rows.change(10);
        rows.walk();
    });
}

#[divan::bench(args = PAGES)]
fn page_of_which_a_tenth_changed(bencher: Bencher<'_, '_>, (format, count): (Format, usize)) {
    let mut rows = Rows::new(count, format);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        rows.change(10);
        rows.walk();
        rows.render()
    });
}

#[divan::bench(args = PAGES)]
fn gzip_of_which_a_tenth_changed(bencher: Bencher<'_, '_>, (format, count): (Format, usize)) {
    let mut rows = Rows::new(count, format);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        rows.change(10);
        rows.walk();
        rows.zip()
    });
}

#[divan::bench(args = PAGES)]
fn page_from_nothing(bencher: Bencher<'_, '_>, (format, count): (Format, usize)) {
    let family = Rows::new(count, format).kept.family().as_ref().clone();
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| Kept::from(family.clone()))
        .bench_local_values(|mut kept| {
            page::render([&mut kept].into_iter(), format, Escaping::default())
        });
}

#[divan::bench(args = SIZES)]
fn openmetrics_by_the_client(bencher: Bencher<'_, '_>, count: usize) {
    let families = [Rows::new(count, Format::OpenMetrics).kept.family().clone()];
    bencher
        .counter(ItemsCount::new(count))
        .bench_local(|| openmetrics::encode(&families, Escaping::default()));
}

#[divan::bench(args = SIZES)]
fn protobuf_by_the_client(bencher: Bencher<'_, '_>, count: usize) {
    let families = [Rows::new(count, Format::Protobuf).kept.family().clone()];
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
    kept: Kept,
    format: Format,
    deflater: Deflater,
}

impl Rows {
    /// So many rows after their first scrape in this format.
    fn new(count: usize, format: Format) -> Self {
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
            kept: family.into(),
            format,
            deflater: Deflater::default(),
        };
        for (id, row) in rows.walk().into_iter().enumerate() {
            let (id, comm) = (id * 7919, id % 977);
            let labels = LabelSet::of([&*id.to_string(), &*format!("worker-{comm}")]);
            let cell = rows.kept.family_mut().join(&labels, None);
            let fates = &[Fate::Add(cell)];
            let decision = Decision { fates, errors: 0, due: None, grounds: Grounds::Known };
            let Known { rows: known, decided } = &mut rows.known;
            decided.decide(row, decision, known, rows.kept.family_mut());
        }
        rows.zip();
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
        let mut adding = decided.adding(self.kept.family_mut());
        let mut walk = rows.begin(&mut adding);
        walk.take(Chunk::new(&self.keys, KEY, &self.values, 1));
        walk.end().trust().forget_missed()
    }

    fn render(&mut self) -> Body {
        page::render([&mut self.kept].into_iter(), self.format, Escaping::default())
    }

    fn zip(&mut self) -> Body {
        let page = self.render();
        page::compress([&mut self.kept].into_iter(), &page, &mut self.deflater)
    }
}
