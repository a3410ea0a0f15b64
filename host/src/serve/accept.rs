//! Which format a client wants the metrics in (RFC 9110 §12.5.1), and what is to become of names that
//! not every client takes (the parameter `escaping`, as Prometheus' content negotiation has it).
//!
//! Nobody gets OpenMetrics, its version 2.0, protobuf or text 1.0.0 who has not named it: wildcards mean text 0.0.4,
//! which is also for those who say nothing, or ask for what we do not have. An `escaping` belongs to the range that it
//! stands in, and one that nobody knows is as none: the default.

use axum::http::{HeaderMap, header};

use super::encoding::weight;
use crate::escaping::Escaping;
use crate::exposition::{Accepted, Format};

/// What these headers like best, text if it is liked as well as another format. OpenMetrics is none of them
/// unless it is `enabled`.
pub(super) fn preferred(headers: &HeaderMap, openmetrics_enabled: bool) -> Accepted {
    let mut wishes = Wishes::default();
    for value in headers.get_all(header::ACCEPT) {
        let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
        text.split(',').for_each(|range| wishes.note(range));
    }
    let Wishes { text: (_, text), newer_text, openmetrics, openmetrics2, protobuf } = wishes;
    let newer = newer_text.weight > 0.0 && newer_text.weight >= text.weight;
    let mut best = (Format::Text, if newer { newer_text } else { text });
    let enabled = |wish| if openmetrics_enabled { wish } else { Wish::default() };
    for (format, wish) in [
        (Format::OpenMetrics2, enabled(openmetrics2)),
        (Format::OpenMetrics, enabled(openmetrics)),
        (Format::Protobuf, protobuf),
    ] {
        if wish.weight > best.1.weight {
            best = (format, wish);
        }
    }
    Accepted { format: best.0, escaping: best.1.escaping, newer_text: newer }
}

/// What was asked for.
#[derive(Default)]
struct Wishes {
    /// Text 0.0.4, after how closely it was named: the closest counts.
    text: (Closeness, Wish),
    newer_text: Wish,
    openmetrics: Wish,
    openmetrics2: Wish,
    protobuf: Wish,
}

/// How much something is wanted, and with which names.
#[derive(Clone, Copy, Default)]
struct Wish {
    /// From 0 to 1.
    weight: f32,
    escaping: Escaping,
}

impl Wish {
    fn or_more(self, other: Self) -> Self {
        if other.weight > self.weight { other } else { self }
    }
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

impl Wishes {
    /// Takes one range, in lowercase, such as `text/plain;version=0.0.4;q=0.5`.
    fn note(&mut self, range: &str) {
        let range = Range::parse(range);
        let wish = range.wish();
        let closeness = match (range.media, range.parameter("version")) {
            ("*/*", _) => Closeness::Anything,
            ("text/*", _) => Closeness::AnyText,
            ("text/plain", None) => Closeness::Plain,
            ("text/plain", Some("0.0.4")) => Closeness::Exactly,
            ("text/plain", Some("1.0.0")) => {
                self.newer_text = self.newer_text.or_more(wish);
                return;
            }
            ("application/openmetrics-text", None | Some("1.0.0")) => {
                self.openmetrics = self.openmetrics.or_more(wish);
                return;
            }
            ("application/openmetrics-text", Some("2.0.0")) => {
                self.openmetrics2 = self.openmetrics2.or_more(wish);
                return;
            }
            ("application/vnd.google.protobuf", _) if range.is_delimited_families() => {
                self.protobuf = self.protobuf.or_more(wish);
                return;
            }
            _ => return,
        };
        let (closest, text) = self.text;
        if (closeness, wish.weight) > (closest, text.weight) {
            self.text = (closeness, wish);
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

    /// What it asks for; of what it refuses, nothing.
    fn wish(&self) -> Wish {
        let escaping = self.parameter("escaping").and_then(Escaping::named).unwrap_or_default();
        let wish = Wish { weight: self.weight, escaping };
        Wish::default().or_more(wish)
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

    use super::Format::{OpenMetrics, OpenMetrics2, Protobuf, Text};
    use super::*;

    const PROTO: &str = "application/vnd.google.protobuf;\
                         proto=io.prometheus.client.MetricFamily;encoding=delimited";

    fn asked(values: &[&str], openmetrics: bool) -> Format {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        }
        preferred(&headers, openmetrics).format
    }

    /// `Content-Type` without what never changes, where OpenMetrics is enabled.
    fn answered(values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        }
        let Accepted { format, escaping, newer_text } = preferred(&headers, true);
        let format = match format {
            Text if newer_text => "1.0.0",
            Text => "0.0.4",
            OpenMetrics => "openmetrics",
            OpenMetrics2 => "openmetrics2",
            Protobuf => "protobuf",
        };
        format!("{format} {}", escaping.as_str())
    }

    #[test]
    fn honours_weights() {
        let proto = |q: &str| format!("{PROTO};q={q}");
        // What it is where OpenMetrics is enabled, and where not.
        let cases: [(&[&str], Format, Format); 31] = [
            (&[], Text, Text),
            (&[""], Text, Text),
            (&["*/*"], Text, Text),
            (&["application/*"], Text, Text),
            (&["image/png"], Text, Text),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Text, Text),
            (&["application/openmetrics-text"], OpenMetrics, Text),
            (&["Application/OpenMetrics-Text ; Version=\"1.0.0\""], OpenMetrics, Text),
            (&["application/openmetrics-text;version=0.0.1"], Text, Text),
            (&["application/openmetrics-text;version=2.0.0"], OpenMetrics2, Text),
            (&["application/openmetrics-text;version=2.0.1"], Text, Text),
            (
                &["application/openmetrics-text;version=2.0.0,application/openmetrics-text"],
                OpenMetrics2,
                Text,
            ),
            (
                &[
                    "application/openmetrics-text;version=2.0.0;q=0.6,application/openmetrics-text;q=0.7",
                ],
                OpenMetrics,
                Text,
            ),
            (&["application/openmetrics-text;q=0"], Text, Text),
            (&["application/openmetrics-text;q=x"], Text, Text),
            (&["application/openmetrics-text,text/plain"], Text, Text),
            (&["application/openmetrics-text,*/*"], Text, Text),
            (&["application/openmetrics-text;q=0.5", "text/*;q=0.4"], OpenMetrics, Text),
            (&["application/openmetrics-text;q=0.5,text/plain;q=0.6"], Text, Text),
            (&["application/openmetrics-text;q=0.5,text/plain;q=0.4,*/*"], OpenMetrics, Text),
            (&["text/plain;version=1.0.0,application/openmetrics-text;q=0.1"], Text, Text),
            (&["text/plain;version=2.0.0,application/openmetrics-text;q=0.1"], OpenMetrics, Text),
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

    #[test]
    fn escaping_goes_with_what_is_chosen() {
        let om = "application/openmetrics-text;version=1.0.0";
        let proto = |rest: &str| format!("{PROTO}{rest}");
        let cases: [(&[&str], &str); 31] = [
            (&[], "0.0.4 underscores"),
            (&["*/*"], "0.0.4 underscores"),
            (&["*/*;escaping=allow-utf-8"], "0.0.4 allow-utf-8"),
            (&["text/*; escaping=dots"], "0.0.4 dots"),
            (&["text/plain"], "0.0.4 underscores"),
            (&["text/plain;version=0.0.4;escaping=values"], "0.0.4 values"),
            (&["text/plain;version=0.0.4;escaping=allow-utf-8"], "0.0.4 allow-utf-8"),
            (&["text/plain;version=1.0.0"], "1.0.0 underscores"),
            (&["text/plain;version=1.0.0;escaping=underscores"], "1.0.0 underscores"),
            (&["text/plain; Version=1.0.0 ; Escaping=\"Allow-UTF-8\""], "1.0.0 allow-utf-8"),
            (&["text/plain;escaping=allow-utf-8;version=1.0.0;q=0.1"], "1.0.0 allow-utf-8"),
            // Of versions liked as well, the newer one.
            (&["text/plain;version=0.0.4,text/plain;version=1.0.0;escaping=dots"], "1.0.0 dots"),
            (
                &["text/plain;version=0.0.4,text/plain;version=1.0.0;escaping=dots;q=0.9"],
                "0.0.4 underscores",
            ),
            (&["text/plain;version=1.0.0;escaping=dots;q=0.9", "*/*"], "0.0.4 underscores"),
            (&["text/plain;version=1.0.0;escaping=dots;q=0.9,*/*;q=0.1"], "1.0.0 dots"),
            // Of one version asked for twice, what is liked better, else what comes first.
            (
                &[
                    "text/plain;version=1.0.0;escaping=dots;q=0.1,text/plain;version=1.0.0;escaping=values",
                ],
                "1.0.0 values",
            ),
            (
                &[
                    "text/plain;version=1.0.0;escaping=dots,text/plain;version=1.0.0;escaping=values",
                ],
                "1.0.0 dots",
            ),
            (&["text/plain;escaping=dots;q=0.1,text/plain;escaping=values;q=0.2"], "0.0.4 values"),
            // What nobody knows is as none, what is refused says nothing.
            (&["text/plain;version=1.0.0;escaping=braces"], "1.0.0 underscores"),
            (&["text/plain;version=1.0.0;escaping="], "1.0.0 underscores"),
            (&["text/plain;version=1.0.0;escaping"], "1.0.0 underscores"),
            (&["text/plain;version=1.0.0;escaping=allow-utf-8;q=0"], "0.0.4 underscores"),
            (&["text/plain;escaping=allow-utf-8;q=0"], "0.0.4 underscores"),
            // It belongs to its own range.
            (
                &["text/plain;version=3.0.0;escaping=allow-utf-8,text/plain;version=0.0.4;q=0.1"],
                "0.0.4 underscores",
            ),
            (&["image/png;escaping=allow-utf-8,*/*;q=0.1"], "0.0.4 underscores"),
            (&[om], "openmetrics underscores"),
            (&[&format!("{om};escaping=allow-utf-8")], "openmetrics allow-utf-8"),
            (
                &[&format!("{om};escaping=values;q=0.4,text/plain;escaping=dots;q=0.5")],
                "0.0.4 dots",
            ),
            (
                &[&format!("{om};escaping=values;q=0.6,text/plain;escaping=dots;q=0.5")],
                "openmetrics values",
            ),
            (&[&proto("")], "protobuf underscores"),
            (
                &[&proto(";escaping=allow-utf-8;q=0.9"), "*/*;escaping=dots;q=0.8"],
                "protobuf allow-utf-8",
            ),
        ];
        for (values, expected) in cases {
            assert_eq!(answered(values), expected, "{values:?}");
        }
    }

    #[test]
    fn content_types_are_those_of_prometheus() {
        let of = |format, newer_text| {
            Accepted { format, newer_text, escaping: Escaping::AllowUtf8 }.content_type()
        };
        for (accepted, expected) in [
            (of(Text, false), "text/plain; version=0.0.4; charset=utf-8"),
            (of(Text, true), "text/plain; version=1.0.0; charset=utf-8"),
            (of(OpenMetrics, false), "application/openmetrics-text; version=1.0.0; charset=utf-8"),
            (of(OpenMetrics2, false), "application/openmetrics-text; version=2.0.0; charset=utf-8"),
            (
                of(Protobuf, true),
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
            ),
        ] {
            assert_eq!(accepted, format!("{expected}; escaping=allow-utf-8"));
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
        let without = three.replace("openmetrics-text;version=1.0.0", "openmetrics-text;version=9");
        assert_eq!(answered(&[three]), "openmetrics allow-utf-8");
        assert_eq!(answered(&[&without]), "1.0.0 allow-utf-8");
        assert_eq!(answered(&[two]), "openmetrics underscores");
        for rest in [two, three] {
            let rest = rest.replace("version=1.0.0,", "version=1.0.0;q=0.8,");
            let native = format!("{PROTO};escaping=allow-utf-8;q=0.9,{rest}");
            assert_eq!([asked(&[&native], true), asked(&[&native], false)], [Protobuf; 2]);
        }
    }
}
