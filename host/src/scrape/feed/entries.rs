//! What `/maps` shows of a map: each entry of its last reader, its key field by field, its values as
//! they are now, and the series that it adds to.
//!
//! A piece at a time, so that a map of any size takes little memory and scrapes are made between.

use std::fmt::Write as _;
use std::ops::Range;

use super::{Feed, Reader};
use crate::bpf::{Key, Layout};
use crate::config::Metric;
use crate::decode::builtin::hex;
use crate::rows::{Fate, Known, Row};
use crate::series::Family;
use crate::serve::Piece;

/// Bytes of text from which a piece is one.
const PIECE: usize = 64 << 10;
/// Entries that a piece has at most: each takes a system call.
const ENTRIES: usize = 1024;
/// Places of the memory that are looked at for a piece: most may be empty.
const PLACES: usize = 64 << 10;

/// A part of a key.
#[derive(Debug)]
pub(in crate::scrape) struct KeyField {
    /// The label's name, or what there is instead of a label.
    name: String,
    bytes: Range<usize>,
}

impl KeyField {
    /// The parts of the keys of a metric's map, which have `key_size` bytes.
    pub(in crate::scrape) fn all(metric: &Metric, layout: &Layout, key_size: usize) -> Vec<Self> {
        let mut fields = Vec::new();
        let mut at = 0;
        let mut add = |name: &str, end: usize| {
            let end = end.min(key_size);
            if at < end {
                fields.push(Self { name: name.to_owned(), bytes: at..end });
                at = end;
            }
        };
        if layout.key == Key::Ignored {
            add("index", key_size);
        }
        for (label, field) in metric.labels.iter().zip(&layout.fields) {
            add("(padding)", field.bytes.start);
            add(label.name.as_str(), field.bytes.end);
        }
        add(if layout.key == Key::Labels { "(padding)" } else { "(key)" }, key_size);
        fields
    }
}

impl Feed {
    /// The entries from here on.
    pub(in crate::scrape) fn piece(
        &self,
        config: &str,
        family: Option<&Family>,
        from: usize,
    ) -> Piece {
        let Self { reader, known, .. } = self;
        let rows = &known.rows;
        let mut text = String::new();
        if from == 0 {
            self.headline(config, &mut text);
        }
        let end = rows.places().min(from.saturating_add(PLACES));
        let mut next = (end < rows.places()).then_some(end);
        let mut values = vec![0; reader.source.cpus()];
        let mut entries = 0;
        for place in from..end {
            let Some(row) = rows.row_at(place) else { continue };
            self.entry(row, &mut values, &mut text);
            if let Some(family) = family {
                series(row, known, family, &mut text);
            }
            entries += 1;
            if (text.len() >= PIECE || entries >= ENTRIES) && place + 1 < rows.places() {
                next = Some(place + 1);
                break;
            }
        }
        Piece { text: text.into(), next }
    }

    fn headline(&self, config: &str, out: &mut String) {
        let Reader { source, way: (way, why), .. } = &self.reader;
        let (map, kind) = (source.name(), source.kind());
        let (count, most) = (self.known.rows.len(), source.max_entries());
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "# map {map} of config {config}: {kind}, {count} of {most} entries, read by {way} ({why})\n\
             # of each entry: its key in hex, field by field, its values, and the series that it adds to"
        );
    }

    /// A line with key and values.
    fn entry(&self, row: Row, values: &mut [u64], out: &mut String) {
        let Self { reader, known: Known { rows, .. }, fields, .. } = self;
        let key = rows.key(row);
        let mut digits = Vec::new();
        for KeyField { name, bytes } in fields {
            digits.clear();
            hex::write(&key[bytes.clone()], &mut digits);
            let _ = write!(out, "{name}={} ", String::from_utf8_lossy(&digits));
        }
        let _ = match reader.source.lookup(key, values) {
            Ok(true) => writeln!(out, "{values:?}"),
            Ok(false) => writeln!(out, "gone since it was read"),
            Err(_) => writeln!(out, "{:?} when it was read", rows.numbers(row)),
        };
    }
}

/// A line for each series that a row adds to.
fn series(row: Row, known: &Known, family: &Family, out: &mut String) {
    for fate in known.decided.fates(row) {
        let cell = match fate {
            Fate::Add(cell) => *cell,
            Fate::Out | Fate::Parted(_) => {
                out.push_str("    left out\n");
                continue;
            }
            Fate::Undecided => {
                out.push_str("    not decoded yet\n");
                continue;
            }
        };
        let (values, number) = family.place(cell);
        let labels = family.labels.iter().zip(values);
        let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
        let part = match family.kind.cells() {
            1 => String::new(),
            cells if number + 1 == cells => " sum".to_owned(),
            _ => format!(" bucket {number}"),
        };
        let _ = writeln!(out, "    {}{{{}}}{part}", family.name, labels.join(","));
    }
}
