//! From families to the bytes that a scrape answers with. Never sees a config.

use bytes::Bytes;

mod client;
pub mod gzip;
pub mod openmetrics;
pub mod protobuf;
pub mod sheet;
pub mod text;

/// A format that an exposition can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// See [`text`].
    Text,
    /// See [`openmetrics`].
    OpenMetrics,
    /// See [`protobuf`].
    Protobuf,
}

impl Format {
    /// What to send as `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => text::CONTENT_TYPE,
            Self::OpenMetrics => openmetrics::CONTENT_TYPE,
            Self::Protobuf => protobuf::CONTENT_TYPE,
        }
    }
}

/// A page in parts, to be sent one behind the other. Its clones share the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    parts: Vec<Bytes>,
}

impl Body {
    /// How many bytes all parts have together.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Whether there is not a byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts, in order; none of them is empty.
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// All bytes in one piece: copied.
    pub fn concat(&self) -> Vec<u8> {
        self.parts.concat()
    }
}

impl FromIterator<Bytes> for Body {
    fn from_iter<I: IntoIterator<Item = Bytes>>(parts: I) -> Self {
        Self { parts: parts.into_iter().filter(|part| !part.is_empty()).collect() }
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        Self::from_iter([bytes.into()])
    }
}
