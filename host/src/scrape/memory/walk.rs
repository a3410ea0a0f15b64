//! A walk over a map: which row each entry is.
//!
//! Maps hand out their entries in an order that stays while keys stay, so an entry is held against
//! the key that stood at its position the last time. A way of reading that knows the place of each
//! entry in the map has it held against the key that had that place. Nothing is decided here.

use crate::bpf::read::{Chunk, Entry};
use crate::series::Family;

use super::{Fate, Memory, NEVER, Row};

/// Within how many places rows may change theirs in a walk that is still as the last one.
const NEARBY: usize = 8;
/// How many rows further on the next one is looked for in a walk that is not as the last one was.
const NEAR: usize = 256;
/// At a place where no row was met yet.
const NOWHERE: Row = Row(u32::MAX);

impl Memory {
    /// Begins a walk over the map.
    pub fn begin(&mut self) {
        if self.walk == u32::MAX {
            let rows = &mut self.rows;
            let known = rows.all().filter(|row| rows.has_key(*row)).collect::<Vec<_>>();
            known.into_iter().for_each(|row| rows.set_met(row, NEVER + 1));
            self.walk = NEVER + 1;
        }
        self.walk += 1;
        self.straight = true;
        self.count = 0;
        self.inserted.clear();
        self.doubles.clear();
        // A walk that was given up has left rows whose fates are to be decided: look at each.
        if !self.undecoded.is_empty() {
            self.undecoded.clear();
            self.part();
        }
    }

    /// Takes the next entries. An entry whose key this walk has met before is passed over, as may
    /// come while others delete and insert, and is a doubt. All entries of a walk have places, or none
    /// has.
    pub fn take(&mut self, chunk: Chunk<'_>, family: &mut Family) {
        // Keys of a known size are compared word by word, without a call.
        match self.key_size {
            4 => self.take_by(chunk, family, same::<4>),
            8 => self.take_by(chunk, family, same::<8>),
            12 => self.take_by(chunk, family, same::<12>),
            16 => self.take_by(chunk, family, same::<16>),
            20 => self.take_by(chunk, family, same::<20>),
            24 => self.take_by(chunk, family, same::<24>),
            32 => self.take_by(chunk, family, same::<32>),
            40 => self.take_by(chunk, family, same::<40>),
            _ => self.take_by(chunk, family, |one, other| one == other),
        }
    }

    #[inline]
    fn take_by(
        &mut self,
        chunk: Chunk<'_>,
        family: &mut Family,
        same: impl Fn(&[u8], &[u8]) -> bool,
    ) {
        let mut entries = chunk.entries();
        if let Some(places) = chunk.places() {
            return self.take_placed(entries, places, family, same);
        }
        if self.straight {
            for entry in entries.by_ref() {
                let next = self.order.get(self.count);
                let row = match next {
                    Some(row) if same(self.key(*row), entry.key) => Some(*row),
                    _ => self.nearby(|key| same(key, entry.key)),
                };
                let Some(row) = row else {
                    self.part();
                    self.meet(entry, family);
                    break;
                };
                self.put(row, entry.values, family);
                self.count += 1;
            }
        }
        for entry in entries {
            self.meet(entry, family);
        }
    }

    /// Takes entries whose places are known. Which rows are met is noted at once, and not in what
    /// order.
    #[inline]
    fn take_placed<'a>(
        &mut self,
        entries: impl Iterator<Item = Entry<'a>>,
        places: &[u32],
        family: &mut Family,
        same: impl Fn(&[u8], &[u8]) -> bool,
    ) {
        if self.straight {
            self.straight = false;
            self.order.clear();
        }
        let row_at =
            |rows: &[Row], place: u32| rows.get(place as usize).map_or(NOWHERE, |row| *row);
        // Rows may lie anywhere: memory gives many at once in the time in which it gives one.
        let touched = places.iter().map(|place| self.rows.touch(row_at(&self.places, *place)));
        std::hint::black_box(touched.fold(0, |all, one| all ^ one));
        for (entry, place) in entries.zip(places) {
            let row = row_at(&self.places, *place);
            let is_key = |key: &[u8]| same(key, entry.key);
            if self.width == 1
                && let [value] = entry.values
                && self.rows.meet_again(row, self.walk, is_key, *value)
            {
                self.count += 1;
                continue;
            }
            let known = self.rows.has_key(row) && is_key(self.rows.key(row));
            let row = if known { row } else { self.replace(*place as usize, entry.key) };
            self.note(row, entry.values, family);
        }
    }

    /// The row of a key that is new at its place.
    #[cold]
    fn replace(&mut self, place: usize, key: &[u8]) -> Row {
        let row = self.find(key).unwrap_or_else(|| self.insert(key));
        if place >= self.places.len() {
            self.places.resize(place + 1, NOWHERE);
        }
        self.places[place] = row;
        row
    }

    /// Notes that the walk has met this row, and with which values; `false` if it had before.
    #[inline]
    pub(super) fn note(&mut self, row: Row, values: &[u64], family: &mut Family) -> bool {
        if self.rows.met(row) == self.walk {
            self.doubles.push(row);
            return false;
        }
        self.rows.set_met(row, self.walk);
        self.count += 1;
        self.put(row, values, family);
        if self.rows.is_undecoded(row) {
            self.undecoded.push(row);
        }
        true
    }

    /// The row with this key if it is only a few places further on, and now the next one. So it is
    /// when an entry is written anew, which moves it within its bucket, or when one is gone: its row
    /// is passed on from place to place until the walk ends without it.
    #[cold]
    fn nearby(&mut self, is_key: impl Fn(&[u8]) -> bool) -> Option<Row> {
        let end = self.order.len().min(self.count + NEARBY);
        let further = (self.count..end).find(|at| is_key(self.key(self.order[*at])))?;
        self.order[self.count..=further].rotate_right(1);
        Some(self.order[self.count])
    }

    /// Ends the part of the walk that was as the last one.
    #[cold]
    pub(super) fn part(&mut self) {
        let Self { rows, order, ahead, walk, count, .. } = self;
        ahead.clear();
        ahead.extend(order.drain(*count..));
        order.iter().for_each(|row| rows.set_met(*row, *walk));
        self.passed = 0;
        self.straight = false;
    }

    /// Takes the next entry of a walk that is not straight.
    fn meet(&mut self, Entry { key, values }: Entry<'_>, family: &mut Family) {
        let row = self.expected(key).unwrap_or_else(|| self.seek(key));
        if self.note(row, values, family) {
            self.order.push(row);
        }
    }

    /// The row that comes next if the walk is as the last one again, or that would if it were not
    /// for one that is gone.
    fn expected(&mut self, key: &[u8]) -> Option<Row> {
        let mut next = (self.passed..self.ahead.len()).take(2);
        let at = next.find(|at| self.key(self.ahead[*at]) == key)?;
        self.passed = at + 1;
        Some(self.ahead[at])
    }

    /// Notes a row's values, one for each CPU or their sum, and passes on by what they differ.
    #[inline]
    pub(super) fn put(&mut self, row: Row, values: &[u64], family: &mut Family) {
        if self.width == 1 {
            let value = values.iter().fold(0u64, |sum, value| sum.wrapping_add(*value));
            return self.put_one(row, 0, value, family);
        }
        for (n, value) in values.iter().enumerate() {
            self.put_one(row, n, *value, family);
        }
    }

    /// Notes a value, and adds to its series what it has grown by: all of it if it fell, as then its key
    /// has gone and come again.
    #[inline]
    fn put_one(&mut self, row: Row, n: usize, value: u64, family: &mut Family) {
        let before = self.rows.replace_value(row, n, value);
        if value != before
            && let Fate::Add(cell) = self.fates[row.0 as usize * self.width + n]
        {
            family.add(cell, value.checked_sub(before).unwrap_or(value));
        }
    }

    /// The row of a key that is not where it was, or new. Behind one that was further ahead, the
    /// walk is as the last one again.
    #[cold]
    fn seek(&mut self, key: &[u8]) -> Row {
        let Some(row) = self.find(key) else {
            let row = self.insert(key);
            self.inserted.push(row);
            return row;
        };
        let mut near = self.ahead[self.passed..].iter().take(NEAR);
        if let Some(skipped) = near.position(|ahead| *ahead == row) {
            self.passed += skipped + 1;
        }
        row
    }
}

/// Whether two keys of `N` bytes are equal.
#[inline]
fn same<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    matches!((one.first_chunk::<N>(), other.first_chunk::<N>()), (Some(one), Some(other)) if one == other)
}
