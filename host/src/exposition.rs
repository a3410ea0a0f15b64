//! From families to the bytes that a scrape answers with. Never sees a config.

use bytes::Bytes;

use crate::escaping::Escaping;

mod client;
pub mod gzip;
pub mod kept;
mod lines;
mod names;
pub mod openmetrics;
pub mod openmetrics2;
pub mod page;
pub mod protobuf;
mod script;
mod sheet;
pub mod text;

/// A format that an exposition can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// See [`text`].
    Text,
    /// See [`openmetrics`].
    OpenMetrics,
    /// See [`openmetrics2`].
    OpenMetrics2,
    /// See [`protobuf`].
    Protobuf,
}

/// What a client is sent: a format, and what becomes of names in it that are not plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The format.
    pub format: Format,
    /// How names are escaped.
    pub escaping: Escaping,
    /// Whether the client knows text 1.0.0, which is text 0.0.4 with names that may be in quotes.
    pub newer_text: bool,
}

impl Accepted {
    /// What to send as `Content-Type`.
    pub fn content_type(self) -> String {
        let format = match self.format {
            Format::Text if self.newer_text => "text/plain; version=1.0.0; charset=utf-8",
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::OpenMetrics2 => "application/openmetrics-text; version=2.0.0; charset=utf-8",
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited"
            }
        };
        format!("{format}; escaping={}", self.escaping.as_str())
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
