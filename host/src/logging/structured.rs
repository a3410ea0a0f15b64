//! Lines for programs: logfmt or JSON with the keys of Prometheus' own log, `time`, `level`, `source`
//! and `msg`, then what else an event has.
//!
//! A value may hold any text: what could end a line, or reach a terminal as a command, is escaped.

use std::fmt::{self, Write as _};
use std::path::Path;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Structured {
    /// JSON rather than logfmt.
    pub(super) json: bool,
    /// Begin with the time.
    pub(super) timestamps: bool,
}

impl Structured {
    /// A line that says `message`, of the place `source`.
    pub(super) fn line(self, level: Level, source: (&str, u32), message: &str) -> String {
        let mut record = Record::begin(self, level, Some(source));
        record.text("msg", message);
        record.finish()
    }
}

impl<S, N> FormatEvent<S, N> for Structured
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let source = metadata.file().zip(metadata.line());
        let mut record = Record::begin(*self, *metadata.level(), source);
        event.record(&mut record);
        writer.write_str(&record.finish())
    }
}

/// The time now, as RFC 3339 has it, in UTC.
pub(super) fn now() -> String {
    let mut text = String::new();
    // Without a time a line says what it has to say all the same.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

/// A line in the making.
struct Record {
    json: bool,
    line: String,
}

impl Record {
    fn begin(style: Structured, level: Level, source: Option<(&str, u32)>) -> Self {
        let mut record = Self { json: style.json, line: String::new() };
        if style.timestamps {
            record.text("time", &now());
        }
        record.text("level", level.as_str());
        if let Some((file, line)) = source {
            let file = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
            record.text("source", &format!("{file}:{line}"));
        }
        record
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        if self.json || !is_plain(value) {
            quote(value, &mut self.line);
        } else {
            self.line.push_str(value);
        }
    }

    fn number(&mut self, key: &str, value: impl fmt::Display) {
        self.key(key);
        // Writing to a string does not fail.
        let _ = write!(self.line, "{value}");
    }

    fn key(&mut self, key: &str) {
        let first = self.line.is_empty();
        if self.json {
            self.line.push(if first { '{' } else { ',' });
            quote(key, &mut self.line);
            self.line.push(':');
        } else {
            self.line.push_str(if first { "" } else { " " });
            self.line.push_str(key);
            self.line.push('=');
        }
    }

    fn finish(mut self) -> String {
        self.line.push_str(if self.json { "}\n" } else { "\n" });
        self.line
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(key_of(field), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(key_of(field), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(key_of(field), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(key_of(field), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(key_of(field), value);
    }
}

fn key_of(field: &Field) -> &'static str {
    match field.name() {
        "message" => "msg",
        name => name,
    }
}

/// Whether logfmt takes it without quotes.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && !"\"=\\".contains(c))
}

/// A text as JSON has it, which Go's parsers of logfmt take too.
fn quote(value: &str, out: &mut String) {
    out.push('"');
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => push_printable(character, out),
        }
    }
    out.push('"');
}

/// A character of a JSON string that needs no backslash, or what JSON has instead of one that does not
/// print.
fn push_printable(character: char, out: &mut String) {
    if matches!(character, ' '..='~') || (!character.is_ascii() && is_shown(character)) {
        out.push(character);
        return;
    }
    for unit in character.encode_utf16(&mut [0; 2]) {
        // Writing to a string does not fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

fn is_shown(character: char) -> bool {
    character.escape_debug().eq([character])
}

/// The same JSON, in which all that does not print is written as numbers: a terminal may get it.
pub(crate) fn printable(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    json.chars().for_each(|character| push_printable(character, &mut out));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: bool, message: &str) -> String {
        let style = Structured { json, timestamps: false };
        style.line(Level::WARN, ("host/src/x.rs", 7), message)
    }

    #[test]
    fn any_text_is_one_valid_line() {
        let every: String = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        for text in ["", "a", "a b", "\"", "\\", "a=b", "\n{}\u{1b}[31m", &every] {
            let line = line(true, text);
            assert_eq!(line.matches('\n').count(), 1);
            assert!(line.trim_end().chars().all(|c| !c.is_control() && c != '\u{202e}'));
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["msg"], text);
        }
        insta::assert_snapshot!(line(true, "a \"b\"\u{9b}\n"), @r#"{"level":"WARN","source":"x.rs:7","msg":"a \"b\"\u009b\n"}"#);
    }

    #[test]
    fn logfmt_quotes_what_needs_it() {
        insta::assert_snapshot!(line(false, "plain"), @"level=WARN source=x.rs:7 msg=plain");
        insta::assert_snapshot!(line(false, ""), @r#"level=WARN source=x.rs:7 msg="""#);
        insta::assert_snapshot!(line(false, "a=b"), @r#"level=WARN source=x.rs:7 msg="a=b""#);
        insta::assert_snapshot!(line(false, "two words\n"), @r#"level=WARN source=x.rs:7 msg="two words\n""#);
    }
}
