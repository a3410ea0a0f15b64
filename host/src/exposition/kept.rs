//! A family together with its text in each format that it is asked for in. They are kept from one scrape to
//! the next.
//!
//! All that is kept of a family is brought up to date together, because the family then forgets what
//! changed. What was not asked for in the last pages is kept no longer: it is as large as the page, and
//! to bring it up to date costs in each scrape. So two servers that ask for different formats both find
//! theirs, and what a browser asked for once goes.
//!
//! Names stand in every line, so a text belongs to one [`Escaping`]. A family whose names are plain has one
//! text for all of them. Of any other, the text is kept in the escaping that was asked for last, and
//! written anew when another one is: all servers that scrape an exporter mostly ask for the same.
//!
//! Text is always kept, and OpenMetrics 2.0. In other formats, families with few series are written anew each time
//! by `prometheus-client`: most of what the exporter says of itself.

use std::sync::Arc;

use bytes::Bytes;

use super::names::is_plain;
use super::openmetrics::script::OpenMetricsScript;
use super::openmetrics::{self, Exposed};
use super::openmetrics2::OpenMetrics2Script;
use super::protobuf::{self, script::ProtobufScript};
use super::script::Script;
use super::sheet::{Block, Sheet};
use super::text::TextScript;
use crate::escaping::Escaping;
use crate::series::{Family, Moves};

/// Pages that may be made without it until a text is no longer kept. To bring it up to date so often costs as
/// much as to write it anew.
const UNASKED: u32 = 10;
/// Lines up to which a family is few: for the client, some microseconds.
const FEW: usize = 16;

/// A family and its texts.
#[derive(Debug)]
pub struct Kept {
    /// Shared while a page is encoded, and while a push sends it. To write to it makes a copy then, so that the push
    /// has what was read, and nobody waits for it.
    family: Arc<Family>,
    /// Whether it is called the same in each escaping.
    plain: bool,
    text: Written<TextScript>,
    openmetrics: Written<OpenMetricsScript>,
    openmetrics2: Written<OpenMetrics2Script>,
    protobuf: Written<ProtobufScript>,
}

/// What there is of a family in one format.
#[derive(Debug)]
struct Written<S: Script> {
    sheet: Option<Sheet<S>>,
    /// How many pages have been made since it was asked for.
    unasked: u32,
}

impl From<Family> for Kept {
    fn from(family: Family) -> Self {
        Self {
            plain: is_plain(&family),
            family: Arc::new(family),
            text: Written::default(),
            openmetrics: Written::default(),
            openmetrics2: Written::default(),
            protobuf: Written::default(),
        }
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

    /// Hands out its text, in parts, in order.
    pub(super) fn text(&mut self, escaping: Escaping, part: impl FnMut(Bytes)) {
        if self.catch_up() {
            let escaping = self.telling(escaping);
            self.text.ask(&self.family, &escaping).parts(part);
        }
    }

    /// Hands out its text in OpenMetrics, in parts, in order.
    pub(super) fn openmetrics(&mut self, exposed: Exposed, mut part: impl FnMut(Bytes)) {
        if !self.catch_up() {
            return;
        }
        if exposed.unknown || self.is_few() {
            self.openmetrics = Written::default();
            let mut text = String::new();
            openmetrics::write(&self.family, &exposed, &mut text);
            part(text.into());
        } else {
            let escaping = self.telling(exposed.escaping);
            self.openmetrics.ask(&self.family, &Exposed { escaping, ..exposed }).parts(part);
        }
    }

    /// Hands out its text in OpenMetrics 2.0, in parts, in order.
    pub(super) fn openmetrics2(&mut self, escaping: Escaping, part: impl FnMut(Bytes)) {
        if self.catch_up() {
            let escaping = self.telling(escaping);
            self.openmetrics2.ask(&self.family, &escaping).parts(part);
        }
    }

    /// Hands out its message and the message's length, in parts, in order.
    pub(super) fn protobuf(&mut self, escaping: Escaping, part: impl FnMut(Bytes)) {
        if !self.catch_up() {
            return;
        }
        let escaping = self.telling(escaping);
        if self.is_few() {
            self.protobuf = Written::default();
            protobuf::delimited(&self.family, escaping).into_iter().for_each(part);
        } else {
            self.protobuf.ask(&self.family, &escaping).parts(part);
        }
    }

    /// The blocks of all texts.
    pub(super) fn blocks_mut(&mut self) -> impl Iterator<Item = &mut Block> {
        let Self { text, openmetrics, openmetrics2, protobuf, .. } = self;
        let texts = text.blocks_mut().chain(openmetrics.blocks_mut());
        texts.chain(openmetrics2.blocks_mut()).chain(protobuf.blocks_mut())
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
        self.text = Written::default();
        self.openmetrics = Written::default();
        self.openmetrics2 = Written::default();
        self.protobuf = Written::default();
        Some(moves)
    }

    /// Brings all texts up to date; whether there is anything to hand out.
    fn catch_up(&mut self) -> bool {
        let family = Arc::make_mut(&mut self.family);
        self.text.catch_up(family);
        self.openmetrics.catch_up(family);
        self.openmetrics2.catch_up(family);
        self.protobuf.catch_up(family);
        family.settle();
        !family.is_empty()
    }

    /// The escaping that tells how the family is called: one for all if it is the same in each.
    fn telling(&self, escaping: Escaping) -> Escaping {
        if self.plain { Escaping::default() } else { escaping }
    }

    fn is_few(&self) -> bool {
        self.family.len() * self.family.kind.lines() <= FEW
    }
}

impl<S: Script> Default for Written<S> {
    fn default() -> Self {
        Self { sheet: None, unasked: 0 }
    }
}

impl<S: Script> Written<S> {
    /// Brings it up to date, or forgets it if nobody has asked for it lately.
    fn catch_up(&mut self, family: &Family) {
        if self.unasked > UNASKED {
            self.sheet = None;
        }
        self.unasked += 1;
        if let Some(sheet) = &mut self.sheet {
            sheet.update(family);
        }
    }

    /// What there is, which is up to date; it is made if there is nothing for these terms.
    fn ask(&mut self, family: &Family, terms: &S::Terms) -> &Sheet<S> {
        self.unasked = 0;
        let fits = self.sheet.take().filter(|sheet| sheet.terms() == terms);
        self.sheet.insert(fits.unwrap_or_else(|| Sheet::new(family, terms)))
    }

    fn blocks_mut(&mut self) -> impl Iterator<Item = &mut Block> {
        self.sheet.iter_mut().flat_map(Sheet::blocks_mut)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::exposition::Format;
    use crate::series::{Kind, LabelSet};

    const FORMATS: [Format; 4] =
        [Format::Text, Format::OpenMetrics, Format::OpenMetrics2, Format::Protobuf];

    fn kept(label: &str) -> Kept {
        let labels = vec![label.to_owned()];
        let mut family = Family::new("x".to_owned(), "h".to_owned(), labels, Kind::Counter);
        for id in 0..=FEW {
            family.join(&LabelSet::of([&*id.to_string()]), None);
        }
        family.into()
    }

    /// What stands behind the head.
    fn block(kept: &mut Kept, format: Format, escaping: Escaping) -> Bytes {
        let mut last = None;
        let part = |part| last = Some(part);
        match format {
            Format::Text => kept.text(escaping, part),
            Format::OpenMetrics => {
                let name = "x".to_owned();
                kept.openmetrics(Exposed { escaping, name, unknown: false }, part);
            }
            Format::OpenMetrics2 => kept.openmetrics2(escaping, part),
            Format::Protobuf => kept.protobuf(escaping, part),
        }
        last.unwrap()
    }

    #[test]
    fn a_format_is_kept_until_it_was_not_asked_for_in_many_pages() {
        let escaping = Escaping::default();
        for (format, other) in FORMATS.into_iter().zip(FORMATS.into_iter().cycle().skip(1)) {
            let mut kept = kept("a");
            // As it is held, no other can have its place.
            let first = block(&mut kept, format, escaping);
            for others in [0, 1, UNASKED] {
                (0..others).for_each(|_| drop(block(&mut kept, other, escaping)));
                let again = block(&mut kept, format, escaping);
                assert_eq!(again.as_ptr(), first.as_ptr(), "{format:?} after {others}");
            }
            (0..=UNASKED).for_each(|_| drop(block(&mut kept, other, escaping)));
            let anew = block(&mut kept, format, escaping);
            assert_ne!(anew.as_ptr(), first.as_ptr(), "{format:?}");
            assert_eq!(anew, first);
        }
    }

    #[test]
    fn only_names_that_are_not_plain_are_written_anew() {
        for (label, places) in [("a_b", 1), ("a.b", 4)] {
            for format in FORMATS {
                let mut kept = kept(label);
                let blocks = Escaping::ALL.map(|escaping| block(&mut kept, format, escaping));
                let found: HashSet<_> = blocks.iter().map(|block| block.as_ptr()).collect();
                assert_eq!(found.len(), places, "{label} {format:?}");
            }
        }
    }

    #[test]
    fn few_series_are_not_kept_where_the_client_writes_them() {
        for (format, is_kept) in FORMATS.into_iter().zip([true, false, true, false]) {
            let labels = vec!["a".to_owned()];
            let mut family = Family::new("x".to_owned(), "h".to_owned(), labels, Kind::Counter);
            family.join(&LabelSet::of(["b"]), None);
            let mut kept = Kept::from(family);
            block(&mut kept, format, Escaping::default());
            assert_eq!(kept.blocks_mut().count() > 0, is_kept, "{format:?}");
        }
    }
}
