//! A walk whose entries have places in the map: each is held against the key that had its place.
//!
//! Which rows are met is noted in each at once; in what order, never.

use super::{Meeting, sum};
use crate::rows::{Receiver, Row};
use crate::source::{Chunk, Entry};

/// At a place where no row was met yet.
const NOWHERE: Row = Row(u32::MAX);

/// How many rows are looked for at a time.
const GROUP: usize = 64;

/// The row that was last met at each place of the map.
#[derive(Debug, Default)]
pub(in crate::rows) struct Placed(Vec<Row>);

/// An entry at a place where another row was met before, or none.
struct Moved<'e> {
    entry: Entry<'e>,
    place: u32,
}

impl Placed {
    #[inline]
    pub(super) fn take<'e, R: Receiver>(
        &mut self,
        entries: impl Iterator<Item = Entry<'e>>,
        places: &[u32],
        meeting: &mut Meeting<'_, R>,
        same: impl Fn(&[u8], &[u8]) -> bool,
    ) {
        // Rows may lie anywhere: memory gives many at once in the time in which it gives one.
        let touched = places.iter().map(|place| meeting.table.touch(self.at(*place)));
        std::hint::black_box(touched.fold(0, |all, one| all ^ one));
        let is_one = meeting.table.columns() == 1;
        let mut moved = Vec::new();
        for (entry, place) in entries.zip(places) {
            if *place == Chunk::GAP {
                continue;
            }
            let row = self.at(*place);
            let is_key = |key: &[u8]| same(key, entry.key);
            if is_one && meeting.table.meet_again(row, is_key, sum(entry.values)) {
                meeting.progress.count += 1;
            } else if meeting.table.has_key(row) && is_key(meeting.table.key(row)) {
                meeting.note(row, entry.values);
            } else {
                moved.push(Moved { entry, place: *place });
            }
        }
        for moved in moved.chunks(GROUP) {
            self.seek(moved, meeting);
        }
    }

    #[inline]
    fn at(&self, place: u32) -> Row {
        self.0.get(place as usize).map_or(NOWHERE, |row| *row)
    }

    /// Takes entries that are new at their places. Each look into memory is made for all of them before the
    /// next one, for the reason above.
    #[cold]
    fn seek<R: Receiver>(&mut self, moved: &[Moved<'_>], meeting: &mut Meeting<'_, R>) {
        let Meeting { table, receiver, .. } = &*meeting;
        let likely: Vec<_> = moved.iter().map(|moved| table.likely(moved.entry.key)).collect();
        let rows = || likely.iter().filter_map(|(_, row)| *row);
        std::hint::black_box(rows().fold(0, |all, row| all ^ table.touch(row)));
        rows().for_each(|row| receiver.touch(row));
        for (Moved { entry, place }, (hash, likely)) in moved.iter().zip(likely) {
            let Meeting { table, .. } = &mut *meeting;
            let known = likely.filter(|row| table.key(*row) == entry.key);
            let row = known.unwrap_or_else(|| table.find_or_insert(hash, entry.key).0);
            self.put(*place as usize, row);
            meeting.note(row, entry.values);
        }
    }

    fn put(&mut self, place: usize, row: Row) {
        if place >= self.0.len() {
            self.0.resize(place + 1, NOWHERE);
        }
        self.0[place] = row;
    }
}
