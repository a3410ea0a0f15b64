//! Names of metrics and labels for clients that do not take all of them, as Prometheus has it.
//!
//! Prometheus 3 takes any UTF-8 as a name (`k8s.pod`), others only letters, digits and `_` (in names
//! of metrics `:` too), no digit first: **plain** names here. A client says in its `Accept` header how it
//! wants the names that are not plain. The schemes are those of `EscapeName` of Prometheus' Go library,
//! character by character; plain names are the same in all of them.
//!
//! One thing differs from that library. It leaves `:` in names of labels as it is, and Prometheus cannot
//! read what comes of it. Here a label with `:` is not plain.
//!
//! Never knows what a name stands for, nor which format it is written in.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What becomes of names that are not plain: the parameter `escaping` of `Accept` and `Content-Type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Escaping {
    /// `underscores`: what cannot stand is `_`. For those who say nothing.
    #[default]
    Underscores,
    /// `allow-utf-8`: they stay as they are.
    AllowUtf8,
    /// `dots`: `.` is `_dot_`, `_` is `__`, and so is what cannot stand.
    Dots,
    /// `values`: `U__` in front, `_` is `__`, and what cannot stand is its code in hex: `_2e_`.
    Values,
}

impl Escaping {
    /// All of them, the default first.
    pub const ALL: [Self; 4] = [Self::Underscores, Self::AllowUtf8, Self::Dots, Self::Values];

    /// Its name as the value of `escaping`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Underscores => "underscores",
            Self::AllowUtf8 => "allow-utf-8",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// The scheme of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|escaping| escaping.as_str() == name)
    }

    /// The name of a metric.
    pub fn metric(self, name: &str) -> Cow<'_, str> {
        if is_plain_metric(name) { name.into() } else { self.escape(name, is_metric_byte) }
    }

    /// The name of a label.
    pub fn label(self, name: &str) -> Cow<'_, str> {
        if is_plain_label(name) { name.into() } else { self.escape(name, is_label_byte) }
    }

    /// `may`: which bytes may stand in a name, no digit being first.
    fn escape(self, name: &str, may: fn(u8) -> bool) -> Cow<'_, str> {
        if self == Self::AllowUtf8 {
            return name.into();
        }
        let mut out = String::with_capacity(2 * name.len() + 3);
        if self == Self::Values {
            out.push_str("U__");
        }
        for (at, c) in name.char_indices() {
            let stays = u8::try_from(c).is_ok_and(|byte| may(byte) && starts_or_follows(byte, at));
            match self {
                Self::Dots | Self::Values if c == '_' => out.push_str("__"),
                _ if stays => out.push(c),
                Self::Dots if c == '.' => out.push_str("_dot_"),
                Self::Dots => out.push_str("__"),
                Self::Values => {
                    // There is always room in a `String`.
                    let _ = write!(out, "_{:x}_", u32::from(c));
                }
                Self::Underscores | Self::AllowUtf8 => out.push('_'),
            }
        }
        out.into()
    }
}

/// Whether every client takes this as the name of a metric: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_plain_metric(name: &str) -> bool {
    is_plain(name, is_metric_byte)
}

/// Whether every client takes this as the name of a label: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_plain_label(name: &str) -> bool {
    is_plain(name, is_label_byte)
}

fn is_plain(name: &str, may: fn(u8) -> bool) -> bool {
    let mut bytes = name.bytes().enumerate();
    !name.is_empty() && bytes.all(|(at, byte)| may(byte) && starts_or_follows(byte, at))
}

fn is_metric_byte(byte: u8) -> bool {
    byte == b':' || is_label_byte(byte)
}

fn is_label_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// Whether this byte may stand at this place, as far as that depends on the place.
fn starts_or_follows(byte: u8, at: usize) -> bool {
    at > 0 || !byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A name in `underscores`, `dots` and `values`.
    type Case<'a> = (&'a str, [&'a str; 3]);

    fn check(cases: &[Case<'_>], escape: fn(Escaping, &str) -> Cow<'_, str>) {
        for (name, escaped) in cases {
            assert_eq!(escape(Escaping::AllowUtf8, name), *name);
            let [underscores, dots, values] = escaped;
            assert_eq!(escape(Escaping::Underscores, name), *underscores);
            assert_eq!(escape(Escaping::Dots, name), *dots);
            assert_eq!(escape(Escaping::Values, name), *values);
        }
    }

    #[test]
    fn metrics() {
        let plain = ["up", "_", ":", "a:b_c9", "U__x", "A"];
        let plain = plain.map(|name| (name, [name; 3]));
        check(&plain, |escaping, name| escaping.metric(name));
        let cases = [
            (
                "http.server.requests",
                [
                    "http_server_requests",
                    "http_dot_server_dot_requests",
                    "U__http_2e_server_2e_requests",
                ],
            ),
            ("disk.io_bytes", ["disk_io_bytes", "disk_dot_io__bytes", "U__disk_2e_io__bytes"]),
            ("a.b:c", ["a_b:c", "a_dot_b:c", "U__a_2e_b:c"]),
            ("a-b", ["a_b", "a__b", "U__a_2d_b"]),
            ("9a9", ["_a9", "__a9", "U___39_a9"]),
            ("a b/c", ["a_b_c", "a__b__c", "U__a_20_b_2f_c"]),
            ("\u{e9}t\u{e9}", ["_t_", "__t__", "U___e9_t_e9_"]),
            ("\u{706b}\u{1f41d}\u{10ffff}", ["___", "______", "U___706b__1f41d__10ffff_"]),
            (".", ["_", "_dot_", "U___2e_"]),
            ("\"\\\n", ["___", "______", "U___22__5c__a_"]),
        ];
        check(&cases, |escaping, name| escaping.metric(name));
    }

    #[test]
    fn labels_have_no_colon() {
        let cases = [
            ("k8s_pod", ["k8s_pod"; 3]),
            ("k8s.pod", ["k8s_pod", "k8s_dot_pod", "U__k8s_2e_pod"]),
            ("a:b", ["a_b", "a__b", "U__a_3a_b"]),
            ("3d", ["_d", "__d", "U___33_d"]),
        ];
        check(&cases, |escaping, name| escaping.label(name));
    }

    #[test]
    fn schemes_have_names() {
        for escaping in Escaping::ALL {
            assert_eq!(Escaping::named(escaping.as_str()), Some(escaping));
        }
        for other in ["", "none", "utf-8", "allow-utf8", "underscore", "Dots"] {
            assert_eq!(Escaping::named(other), None);
        }
        assert_eq!(Escaping::default(), Escaping::Underscores);
    }

    /// What `values` made of a name, read back.
    fn unescaped(name: &str) -> String {
        let mut out = String::new();
        let mut rest = name.strip_prefix("U__").unwrap();
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if c != '_' {
                out.push(c);
                continue;
            }
            let (code, after) = rest.split_once('_').unwrap();
            let code = if code.is_empty() {
                u32::from('_')
            } else {
                u32::from_str_radix(code, 16).unwrap()
            };
            out.push(char::from_u32(code).unwrap());
            rest = after;
        }
        out
    }

    proptest! {
        #[test]
        fn escaped_names_are_plain(name in ".{1,12}") {
            for escaping in [Escaping::Underscores, Escaping::Dots, Escaping::Values] {
                prop_assert!(is_plain_metric(&escaping.metric(&name)));
                prop_assert!(is_plain_label(&escaping.label(&name)));
            }
            let values = Escaping::Values.label(&name);
            prop_assert!(is_plain_label(&name) || unescaped(&values) == name);
        }
    }
}
