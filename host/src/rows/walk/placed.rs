//! A walk whose entries have places in the map: each is held against the key that had its place.
//!
//! Which rows are met is noted in each at once; in what order, never.

use super::Meeting;
use crate::rows::{Receiver, Row};
use crate::source::Entry;

/// At a place where no row was met yet.
const NOWHERE: Row = Row(u32::MAX);

/// The row that was last met at each place of the map.
#[derive(Debug, Default)]
pub(in crate::rows) struct Placed(Vec<Row>);

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
        for (entry, place) in entries.zip(places) {
            let row = self.at(*place);
            let is_key = |key: &[u8]| same(key, entry.key);
            if is_one
                && let [number] = entry.values
                && meeting.table.meet_again(row, meeting.progress.walk, is_key, *number)
            {
                meeting.progress.count += 1;
                continue;
            }
            let known = meeting.table.has_key(row) && is_key(meeting.table.key(row));
            let row = if known { row } else { self.replace(*place, entry.key, meeting) };
            meeting.note(row, entry.values);
        }
    }

    #[inline]
    fn at(&self, place: u32) -> Row {
        self.0.get(place as usize).map_or(NOWHERE, |row| *row)
    }

    /// The row of a key that is new at its place.
    #[cold]
    fn replace<R>(&mut self, place: u32, key: &[u8], meeting: &mut Meeting<'_, R>) -> Row {
        let place = place as usize;
        let (row, _) = meeting.table.find_or_insert(key);
        if place >= self.0.len() {
            self.0.resize(place + 1, NOWHERE);
        }
        self.0[place] = row;
        row
    }
}
