//! A family together with its text. Both are kept from one scrape to the next.
//!
//! Never hands out a text that the family has gone past: a text is brought up to date before it is
//! handed out.

use std::sync::Arc;

use bytes::Bytes;

use super::gzip::{Deflated, Deflater};
use super::sheet::Sheet;
use crate::escaping::Escaping;
use crate::series::{Family, Moves};

/// A family and its text.
#[derive(Debug)]
pub struct Kept {
    /// Shared only while a page is encoded. So to write to it never makes a copy.
    family: Arc<Family>,
    sheet: Sheet,
}

impl From<Family> for Kept {
    fn from(family: Family) -> Self {
        Self { sheet: Sheet::new(&family), family: Arc::new(family) }
    }
}

impl Kept {
    /// The family.
    pub fn family(&self) -> &Arc<Family> {
        &self.family
    }

    /// The family, to be written to.
    pub fn family_mut(&mut self) -> &mut Family {
        Arc::make_mut(&mut self.family)
    }

    /// Brings the text up to date and hands out its parts, as [`Sheet::render`] does.
    pub fn render(&mut self, escaping: Escaping, part: impl FnMut(&Bytes, Option<usize>)) {
        self.sheet.render(Arc::make_mut(&mut self.family), escaping, part);
    }

    /// The `n`-th block of the text, deflated.
    pub fn deflated(&mut self, n: usize, deflater: &mut Deflater) -> &Deflated {
        self.sheet.deflated(n, deflater)
    }

    /// Forgets all series.
    pub fn clear(&mut self) {
        *self = self.family.without_series().into();
    }

    /// Gives back the memory of series that have gone, if that is worth it. All cells have moved then.
    pub fn compact(&mut self) -> Option<Moves> {
        if !self.family.is_sparse() {
            return None;
        }
        let moves = self.family_mut().compact();
        self.sheet = Sheet::new(&self.family);
        Some(moves)
    }
}
