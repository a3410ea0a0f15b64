//! An exposition put together of texts, most of which are kept from scrape to scrape.

use bytes::Bytes;

/// Bytes from which a text is a part of the exposition of its own.
const SHORT: usize = 8192;

/// A piece of an exposition.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) text: Bytes,
    /// The family and the block that it is, if it is kept from scrape to scrape.
    pub(super) block: Option<(usize, usize)>,
}

/// An exposition in the making.
#[derive(Debug, Default)]
pub(super) struct Page {
    parts: Vec<Part>,
    /// What stands behind the parts so far; short texts are written here.
    pub(super) loose: Vec<u8>,
}

impl Page {
    /// Adds a text. Short ones are copied together: to send or compress each alone costs more.
    pub(super) fn push(&mut self, text: &Bytes, block: Option<(usize, usize)>) {
        if text.len() < SHORT {
            self.loose.extend_from_slice(text);
        } else {
            self.flush();
            self.parts.push(Part { text: text.clone(), block });
        }
    }

    fn flush(&mut self) {
        if !self.loose.is_empty() {
            let text = std::mem::take(&mut self.loose).into();
            self.parts.push(Part { text, block: None });
        }
    }

    /// All of it, in order.
    pub(super) fn finish(mut self) -> Vec<Part> {
        self.flush();
        self.parts
    }
}
