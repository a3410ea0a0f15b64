//! `domain`: a DNS name → its registrable domain, by the Public Suffix List.
//!
//! `a.b.example.co.uk` becomes `example.co.uk`: the one label in front of the public suffix that
//! somebody could register. So a metric has a series per site, not per host name.
//!
//! The input is a name in DNS's wire form (`\x07example\x03com\x00`, what stands behind its end
//! is ignored) or text, with or without a last dot. A name that holds a zero byte is in wire form:
//! no text does. Letters become lowercase.
//!
//! Settings, all optional:
//!
//! ```yaml
//! private: true          # whether suffixes of companies count (github.io); false asks for ICANN's
//! default: other         # for names without a registrable domain: a suffix itself (co.uk),
//!                        # localhost, the root; without it they stay as they are
//! ```
//!
//! A top-level domain that the list doesn't know (`host.internal`) is a suffix, as the list asks.
//! Bytes that are no name of DNS are an error. The list is part of the component and as old as it: data that an
//! instance reads when it is configured, since code of it takes the exporter ten times as long to compile.

use ebpf_exporter_plugin::{Decoder, Outcome, export_decoder};

mod rules;

use rules::Rules;

/// What the config says.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "yes")]
    private: bool,
    default: Option<String>,
}

fn yes() -> bool {
    true
}

/// The decoder.
pub struct Domain {
    settings: Settings,
    rules: Rules,
}

impl Decoder for Domain {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings, rules: Rules::new() })
    }

    fn decode(&mut self, input: &[u8]) -> Result<Outcome, String> {
        let name = if input.contains(&0) { from_wire(input)? } else { from_text(input)? };
        let domain = self.registrable(&name).or(self.settings.default.as_deref());
        Ok(Outcome::label(domain.unwrap_or(&name)))
    }
}

impl Domain {
    /// The part of a name that somebody could register.
    fn registrable<'a>(&self, name: &'a str) -> Option<&'a str> {
        let mut suffix = self.rules.suffix(name);
        while !self.settings.private && suffix.is_private {
            // ICANN's suffix is within the company's: `io` in `github.io`.
            let (_, within) = suffix.text.split_once('.')?;
            suffix = self.rules.suffix(within);
        }
        let before = name.strip_suffix(suffix.text)?.strip_suffix('.')?;
        let label = before.rfind('.').map_or(0, |dot| dot + 1);
        Some(&name[label..])
    }
}

/// The longest name that DNS has, as text without its last dot.
const LONGEST: usize = 253;

/// A name in wire form as lowercase text; the root is `.`.
fn from_wire(mut wire: &[u8]) -> Result<String, String> {
    let mut name = String::new();
    loop {
        let (&length, rest) = wire.split_first().ok_or("a name in wire form has no end")?;
        if length == 0 {
            break;
        }
        let (label, rest) = rest
            .split_at_checked(usize::from(length))
            .filter(|_| length < 64)
            .ok_or("a label of a name in wire form is cut short or compressed")?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(text(label)?);
        wire = rest;
    }
    checked(name)
}

/// A name's text as lowercase text without its last dot; the root is `.`.
fn from_text(input: &[u8]) -> Result<String, String> {
    let name = text(input)?;
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.split('.').any(str::is_empty) && !name.is_empty() {
        return Err("a name has an empty label".to_owned());
    }
    checked(name.to_owned())
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(bytes).ok();
    let plain = |text: &&str| !text.chars().any(|c| c.is_control() || c.is_whitespace());
    text.filter(plain).ok_or_else(|| "not a name: it has bytes that are no text".to_owned())
}

fn checked(name: String) -> Result<String, String> {
    match name.len() {
        0 => Ok(".".to_owned()),
        1..=LONGEST => Ok(name.to_lowercase()),
        _ => Err(format!("a name is longer than {LONGEST} bytes")),
    }
}

/// What the config may say, for messages.
const SETTINGS: &str = include_str!("../settings.schema.json");

export_decoder!(Domain, settings = SETTINGS);

#[cfg(test)]
mod tests {
    use ebpf_exporter_plugin::testing::{TestDecoder, check_schema, json};

    use super::*;

    #[test]
    fn the_schema_says_what_settings_there_are() {
        check_schema::<Settings>(SETTINGS);
    }

    #[test]
    fn names_become_registrable_domains() {
        let long = ["a".repeat(63).as_str(); 4].join(".");
        TestDecoder::<Domain>::new(json!({})).unwrap().check(&[
            (b"www.example.com", "example.com"),
            (b"WWW.Example.COM.", "example.com"),
            (b"a.b.example.co.uk", "example.co.uk"),
            (b"_sip._tcp.example.de", "example.de"),
            (b"pages.someone.github.io", "someone.github.io"),
            (b"a.b.c.kobe.jp", "b.c.kobe.jp"),
            (b"city.kobe.jp", "city.kobe.jp"),
            (b"host.some.internal", "some.internal"),
            ("www.食狮.公司.cn".as_bytes(), "食狮.公司.cn"),
            (b"www.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"),
            (b"3com.com", "3com.com"),
            // Without a registrable domain.
            (b"co.uk", "co.uk"),
            (b"localhost", "localhost"),
            (b"", "."),
            (b".", "."),
            // In wire form.
            (b"\x03www\x07EXAMPLE\x03com\x00", "example.com"),
            (b"\x03www\x07example\x03com\x00\x00\xff\x00", "example.com"),
            (b"\x00", "."),
            // No names.
            (
                b"\x03www\x0fexample\x00",
                "(error: a label of a name in wire form is cut short or compressed)",
            ),
            (b"\xc0\x0c\x00", "(error: a label of a name in wire form is cut short or compressed)"),
            (b"\x02\x00a", "(error: not a name: it has bytes that are no text)"),
            (b"\x03www\x03com", "(error: not a name: it has bytes that are no text)"),
            (b"a..b", "(error: a name has an empty label)"),
            (b".a", "(error: a name has an empty label)"),
            (b"a b.com", "(error: not a name: it has bytes that are no text)"),
            (b"a\xff.com", "(error: not a name: it has bytes that are no text)"),
            (long.as_bytes(), "(error: a name is longer than 253 bytes)"),
        ]);
    }

    #[test]
    fn suffixes_of_companies_may_not_count() {
        let settings = json!({"private": false, "default": "other"});
        TestDecoder::<Domain>::new(settings).unwrap().check(&[
            (b"pages.someone.github.io", "github.io"),
            (b"bucket.s3.dualstack.us-east-1.amazonaws.com", "amazonaws.com"),
            (b"a.b.example.co.uk", "example.co.uk"),
            (b"github.io", "github.io"),
            (b"co.uk", "other"),
            (b"localhost", "other"),
            (b".", "other"),
        ]);
    }
}
