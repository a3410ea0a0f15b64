//! Which format a client wants the metrics in (RFC 9110 §12.5.1).
//!
//! Nobody gets OpenMetrics or protobuf who has not named it: wildcards mean text, which is also for
//! those who say nothing, or ask for what we do not have.

use axum::http::{HeaderMap, header};

use super::encoding::weight;
use crate::exposition::Format;

/// The format that these headers like best, text if it is liked as well as another. OpenMetrics is
/// none of them unless it is `enabled`.
pub(super) fn preferred(headers: &HeaderMap, openmetrics_enabled: bool) -> Format {
    let mut weights = Weights::default();
    for value in headers.get_all(header::ACCEPT) {
        let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
        text.split(',').for_each(|range| weights.note(range));
    }
    let mut best = (weights.text.1, Format::Text);
    let openmetrics = if openmetrics_enabled { weights.openmetrics } else { 0.0 };
    for (weight, format) in
        [(openmetrics, Format::OpenMetrics), (weights.protobuf, Format::Protobuf)]
    {
        if weight > best.0 {
            best = (weight, format);
        }
    }
    best.1
}

/// The weights from 0 to 1 that were given.
#[derive(Default)]
struct Weights {
    /// After how closely it was named: the closest counts.
    text: (Closeness, f32),
    openmetrics: f32,
    protobuf: f32,
}

/// How closely text 0.0.4 was named.
#[derive(Clone, Copy, Default, PartialEq, PartialOrd)]
enum Closeness {
    #[default]
    NotAtAll,
    Anything,
    AnyText,
    Plain,
    Exactly,
}

impl Weights {
    /// Takes one range, in lowercase, such as `text/plain;version=0.0.4;q=0.5`.
    fn note(&mut self, range: &str) {
        let range = Range::parse(range);
        let version = range.parameter("version");
        let closeness = match (range.media, version) {
            ("*/*", _) => Closeness::Anything,
            ("text/*", _) => Closeness::AnyText,
            ("text/plain", None) => Closeness::Plain,
            ("text/plain", Some("0.0.4")) => Closeness::Exactly,
            ("application/openmetrics-text", None | Some("1.0.0")) => {
                self.openmetrics = self.openmetrics.max(range.weight);
                return;
            }
            ("application/vnd.google.protobuf", _) if range.is_delimited_families() => {
                self.protobuf = self.protobuf.max(range.weight);
                return;
            }
            _ => return,
        };
        if (closeness, range.weight) > self.text {
            self.text = (closeness, range.weight);
        }
    }
}

/// One element of an `Accept` header.
struct Range<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    weight: f32,
}

impl<'a> Range<'a> {
    fn parse(range: &'a str) -> Self {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parameters: Vec<_> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
            .collect();
        let q = parameters.iter().find(|(name, _)| *name == "q");
        Self { media, weight: q.map_or(1.0, |(_, value)| weight(value)), parameters }
    }

    fn parameter(&self, wanted: &str) -> Option<&'a str> {
        let found = self.parameters.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| *value)
    }

    /// Whether this is the one protobuf that we write.
    fn is_delimited_families(&self) -> bool {
        self.parameter("proto") == Some("io.prometheus.client.metricfamily")
            && self.parameter("encoding") == Some("delimited")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::Format::{OpenMetrics, Protobuf, Text};
    use super::*;

    const PROTO: &str = "application/vnd.google.protobuf;\
                         proto=io.prometheus.client.MetricFamily;encoding=delimited";

    fn asked(values: &[&str], openmetrics: bool) -> Format {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        }
        preferred(&headers, openmetrics)
    }

    #[test]
    fn honours_weights() {
        let proto = |q: &str| format!("{PROTO};q={q}");
        // What it is where OpenMetrics is enabled, and where not.
        let cases: [(&[&str], Format, Format); 27] = [
            (&[], Text, Text),
            (&[""], Text, Text),
            (&["*/*"], Text, Text),
            (&["application/*"], Text, Text),
            (&["image/png"], Text, Text),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Text, Text),
            (&["application/openmetrics-text"], OpenMetrics, Text),
            (&["Application/OpenMetrics-Text ; Version=\"1.0.0\""], OpenMetrics, Text),
            (&["application/openmetrics-text;version=0.0.1"], Text, Text),
            (&["application/openmetrics-text;version=2.0.0"], Text, Text),
            (&["application/openmetrics-text;q=0"], Text, Text),
            (&["application/openmetrics-text;q=x"], Text, Text),
            (&["application/openmetrics-text,text/plain"], Text, Text),
            (&["application/openmetrics-text,*/*"], Text, Text),
            (&["application/openmetrics-text;q=0.5", "text/*;q=0.4"], OpenMetrics, Text),
            (&["application/openmetrics-text;q=0.5,text/plain;q=0.6"], Text, Text),
            (&["application/openmetrics-text;q=0.5,text/plain;q=0.4,*/*"], OpenMetrics, Text),
            (&["text/plain;version=1.0.0,application/openmetrics-text;q=0.1"], OpenMetrics, Text),
            (&["text/plain;q=0,application/openmetrics-text;q=0.1"], OpenMetrics, Text),
            (&["text/plain;q=0"], Text, Text),
            (&[PROTO], Protobuf, Protobuf),
            (&[&proto("0.1"), "application/openmetrics-text;q=0.2"], OpenMetrics, Protobuf),
            (&[PROTO, "application/openmetrics-text"], OpenMetrics, Protobuf),
            (&[PROTO, "text/plain;version=0.0.4"], Text, Text),
            (&[&proto("0.2"), "text/plain;version=0.0.4;q=0.3"], Text, Text),
            (&["application/vnd.google.protobuf"], Text, Text),
            (
                &[
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
                ],
                Text,
                Text,
            ),
        ];
        for (values, enabled, disabled) in cases {
            assert_eq!(asked(values, true), enabled, "{values:?}");
            assert_eq!(asked(values, false), disabled, "{values:?}");
        }
    }

    /// What Prometheus sends.
    #[test]
    fn understands_prometheus() {
        let two = "application/openmetrics-text;version=1.0.0,\
                   application/openmetrics-text;version=0.0.1;q=0.75,\
                   text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!([asked(&[two], true), asked(&[two], false)], [OpenMetrics, Text]);
        let three = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                     application/openmetrics-text;version=0.0.1;q=0.4,\
                     text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                     text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!([asked(&[three], true), asked(&[three], false)], [OpenMetrics, Text]);
        for rest in [two, three] {
            let rest = rest.replace("version=1.0.0,", "version=1.0.0;q=0.8,");
            let native = format!("{PROTO};escaping=allow-utf-8;q=0.9,{rest}");
            assert_eq!([asked(&[&native], true), asked(&[&native], false)], [Protobuf; 2]);
        }
    }
}
