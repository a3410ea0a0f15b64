//! An exposition put together of families, most of which are kept from scrape to scrape.
//!
//! Families come in any order and go out sorted by name. Never keeps anything itself.

use std::collections::HashMap;

use bytes::Bytes;

use super::gzip::{Deflater, Member};
use super::kept::Kept;
use super::openmetrics::{self, Claims};
use super::{Body, Format};
use crate::escaping::Escaping;

/// Bytes from which a text is a part of the exposition of its own.
const SHORT: usize = 8192;

/// All families that have series, in this format, names so escaped.
pub fn render<'a>(
    families: impl Iterator<Item = &'a mut Kept>,
    format: Format,
    escaping: Escaping,
) -> Body {
    let mut families: Vec<_> = families.collect();
    families.sort_by(|one, other| one.family().name.cmp(&other.family().name));
    let mut page = Page::default();
    match format {
        Format::Text => {
            families.into_iter().for_each(|kept| kept.text(escaping, |part| page.push(part)));
        }
        Format::Protobuf => {
            families.into_iter().for_each(|kept| kept.protobuf(escaping, |part| page.push(part)));
        }
        Format::OpenMetrics => {
            let claims = Claims::of(families.iter().map(|kept| &**kept.family()), escaping);
            for kept in families {
                let exposed = claims.exposed(kept.family());
                kept.openmetrics(exposed, |part| page.push(part));
            }
            page.push(openmetrics::end().into());
        }
        Format::OpenMetrics2 => {
            let mut push = |part| page.push(part);
            families.into_iter().for_each(|kept| kept.openmetrics2(escaping, &mut push));
            page.push(openmetrics::end().into());
        }
    }
    page.finish()
}

/// A page of these families, as one gzip member. Parts that are kept are kept deflated too: they are known
/// by the place of their bytes, which nothing else can have while the page is there.
pub fn compress<'a>(
    families: impl Iterator<Item = &'a mut Kept>,
    page: &Body,
    deflater: &mut Deflater,
) -> Body {
    let blocks = families.flat_map(Kept::blocks_mut).filter(|block| block.text().len() >= SHORT);
    let mut blocks: HashMap<_, _> =
        blocks.map(|block| (block.text().as_ptr_range(), block)).collect();
    let mut member = Member::default();
    for part in page.parts() {
        match blocks.get_mut(&part.as_ptr_range()) {
            Some(block) => member.push(block.deflated(deflater)),
            None => member.push(&deflater.deflate(part)),
        }
    }
    member.finish().into_iter().collect()
}

/// An exposition in the making.
#[derive(Debug, Default)]
struct Page {
    parts: Vec<Bytes>,
    /// What stands behind the parts so far; short texts are written here.
    loose: Vec<u8>,
}

impl Page {
    /// Adds a text. Short ones are copied together: to send or compress each alone costs more.
    fn push(&mut self, text: Bytes) {
        if text.len() < SHORT {
            self.loose.extend_from_slice(&text);
        } else {
            self.flush();
            self.parts.push(text);
        }
    }

    fn flush(&mut self) {
        if !self.loose.is_empty() {
            self.parts.push(std::mem::take(&mut self.loose).into());
        }
    }

    /// All of it, in order.
    fn finish(mut self) -> Body {
        self.flush();
        self.parts.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;

    use flate2::read::GzDecoder;
    use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::MetricFamily;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::exposition::{openmetrics2, protobuf, text};
    use crate::series::{Family, Kind, LabelSet};

    const FORMATS: [Format; 4] =
        [Format::Text, Format::OpenMetrics, Format::OpenMetrics2, Format::Protobuf];

    /// Families of many series and of few, and two that have no place beside each other in OpenMetrics.
    fn families() -> Vec<Kept> {
        let named = |(name, labels, series)| {
            let labels: Vec<_> = [labels].map(str::to_owned).into();
            let mut family = Family::new(String::from(name), "h".to_owned(), labels, Kind::Counter);
            (0..series).for_each(|id| count(&mut family, id, 1));
            Kept::from(family)
        };
        let all = [
            ("z", "a", 700),
            ("few", "a", 3),
            ("a.b", "c.d", 900),
            ("z_total", "a", 40),
            ("no", "a", 0),
        ];
        all.into_iter().map(named).collect()
    }

    /// Counts in a series whose label is long, so that a block is a part of its own.
    fn count(family: &mut Family, id: u64, add: u64) {
        let cell = family.join(&LabelSet::of([&*format!("{id:0>40}")]), None);
        family.add(cell, add);
    }

    fn plain(families: &[Kept], format: Format, escaping: Escaping) -> Vec<u8> {
        let mut families: Vec<_> = families.iter().map(|kept| Arc::clone(kept.family())).collect();
        families.sort_by(|one, other| one.name.cmp(&other.name));
        let each = families.iter().map(|family| &**family);
        let mut out = Vec::new();
        match format {
            Format::Text => {
                text::encode(each, escaping, &mut out);
                out
            }
            Format::OpenMetrics2 => {
                openmetrics2::encode(each, escaping, &mut out);
                out
            }
            Format::OpenMetrics => openmetrics::encode(&families, escaping).into(),
            Format::Protobuf => protobuf::encode(&families, escaping).concat(),
        }
    }

    /// The bytes in a form in which they can be compared.
    fn readable(format: Format, mut bytes: &[u8]) -> String {
        if format != Format::Protobuf {
            return String::from_utf8(bytes.to_vec()).unwrap();
        }
        let mut all = String::new();
        while !bytes.is_empty() {
            let family = MetricFamily::decode_length_delimited(&mut bytes).unwrap();
            all.push_str(&format!("{family:?}\n"));
        }
        all
    }

    fn unzipped(body: &Body) -> Vec<u8> {
        let mut text = Vec::new();
        GzDecoder::new(&*body.concat()).read_to_end(&mut text).unwrap();
        text
    }

    /// One reading: what is counted, which page is made of it, and whether it is zipped.
    type Reading = (Vec<(usize, u64, u64)>, Format, Escaping, bool);

    fn readings() -> impl Strategy<Value = Vec<Reading>> {
        let counted = (0..5usize, 0..1000u64, 0..1000u64);
        let reading = (
            prop::collection::vec(counted, 0..30),
            prop::sample::select(&FORMATS[..]),
            prop::sample::select(&Escaping::ALL[..]),
            any::<bool>(),
        );
        prop::collection::vec(reading, 1..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn every_format_is_what_the_plain_encoders_write_whichever_was_asked_for(
            readings in readings()
        ) {
            let mut families = families();
            let mut deflater = Deflater::default();
            for (counted, format, escaping, zip) in readings {
                for (family, id, add) in counted {
                    count(families[family].family_mut(), id, add);
                }
                let body = render(families.iter_mut(), format, escaping);
                let expected = plain(&families, format, escaping);
                prop_assert_eq!(readable(format, &body.concat()), readable(format, &expected));
                if zip {
                    let zipped = compress(families.iter_mut(), &body, &mut deflater);
                    prop_assert!(unzipped(&zipped) == body.concat(), "gzip differs");
                }
            }
        }
    }
}
