//! What the kept parts of a family are written by: one script for each format.
//!
//! A script knows what stands around the numbers of a series. Never keeps anything of a series.

use std::fmt::Debug;

use bytes::Bytes;

use crate::series::{Family, Kind};

/// How a family is written in a format, series by series.
///
/// The numbers of a series stand in the order of [`Script::numbers`], which is the same in all series.
pub(super) trait Script: Debug + Sized {
    /// What the script depends on beside the family.
    type Terms: Clone + Debug + PartialEq;

    /// All bytes that a number may be made of, whatever it is.
    const DIGITS: &'static [u8];

    /// A script for this family.
    fn new(family: &Family, terms: &Self::Terms) -> Self;

    /// What stands before all series, which take so many bytes.
    fn head(&self, series: usize) -> Bytes;

    /// How many numbers a series has.
    fn len(&self) -> usize;

    /// Hands out the numbers of a series with these cells, in order, each with its place in the order.
    fn numbers(kind: &Kind, cells: &[u64], then: impl FnMut(usize, &[u8]));

    /// Begins the `id`-th series, and appends what stands before its numbers, if anything does.
    fn begin(&mut self, family: &Family, id: usize, out: &mut Vec<u8>);

    /// Appends the `n`-th number of the series in hand to `out`, with what stands around it; where in
    /// `out` the number begins.
    fn put(&self, n: usize, number: &[u8], out: &mut Vec<u8>) -> usize;

    /// Appends the `id`-th series to `out`. `note` is told where in `out` each number begins, and how
    /// long it is.
    fn write(
        &mut self,
        family: &Family,
        id: usize,
        out: &mut Vec<u8>,
        mut note: impl FnMut(usize, usize),
    ) {
        self.begin(family, id, out);
        let script = &*self;
        Self::numbers(&family.kind, family.numbers(id), |n, number| {
            note(script.put(n, number, out), number.len());
        });
    }
}
