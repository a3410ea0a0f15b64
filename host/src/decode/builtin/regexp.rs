//! `regexp`: a text → what the first pattern that matches it finds: its match, or the text of its
//! one group. A row whose text no pattern matches is left out.
//!
//! Patterns match anywhere and are RE2's but for what the regex crate lacks (`\Q…\E`, `\C`) or
//! adds (`&&`, `--`, `~~` in classes), and `\w`, `\d`, `\s`, `\b` know all of Unicode. Bytes that
//! are not UTF-8, such as a name that the kernel cut short, are matched and answered as U+FFFD,
//! so that `.` matches them.

use regex::{CaptureLocations, Regex};

use super::{Builtin, Form, SettingsError, Sizes};
use crate::decode::{DecodeError, Decoder, Outcome};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "regexp",
    sizes: Sizes::Any,
    takes: Form::Any,
    gives: Form::Any,
    build: |settings, _| Ok(Box::new(Regexp::new(&settings.regexps)?)),
};

struct Regexp {
    patterns: Vec<Pattern>,
}

struct Pattern {
    regex: Regex,
    /// Where its groups matched last; kept so that no row allocates.
    groups: CaptureLocations,
}

impl Regexp {
    fn new(patterns: &[String]) -> Result<Self, SettingsError> {
        if patterns.is_empty() {
            return Err(SettingsError {
                path: "regexps".to_owned(),
                problem: "there are no patterns, so every row would be left out".to_owned(),
                remedy: "list at least one pattern".to_owned(),
            });
        }
        let patterns = patterns.iter().enumerate();
        let patterns = patterns.map(|(index, pattern)| Pattern::new(index, pattern));
        Ok(Self { patterns: patterns.collect::<Result<_, _>>()? })
    }
}

impl Pattern {
    fn new(index: usize, pattern: &str) -> Result<Self, SettingsError> {
        let error = |problem, remedy: &str| SettingsError {
            path: format!("regexps[{index}]"),
            problem,
            remedy: remedy.to_owned(),
        };
        let regex = Regex::new(pattern).map_err(|fault| {
            let problem = format!("`{pattern}` is not a regular expression: {}", fold(&fault));
            error(problem, "correct the pattern; its syntax is RE2's")
        })?;
        let groups = regex.captures_len() - 1;
        if groups > 1 {
            let problem = format!("`{pattern}` has {groups} groups, and a label has one text");
            return Err(error(problem, "write (?:…) for the groups that are not the label"));
        }
        Ok(Self { groups: regex.capture_locations(), regex })
    }

    /// What the label is if the pattern matches. A group that took no part is empty.
    fn find<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        if self.groups.len() == 1 {
            return self.regex.find(text).map(|found| found.as_str());
        }
        self.regex.captures_read(&mut self.groups, text)?;
        let group = self.groups.get(1).and_then(|(start, end)| text.get(start..end));
        Some(group.unwrap_or_default())
    }
}

impl Decoder for Regexp {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let text = String::from_utf8_lossy(input);
        for pattern in &mut self.patterns {
            if let Some(found) = pattern.find(&text) {
                out.extend_from_slice(found.as_bytes());
                return Ok(Outcome::Label);
            }
        }
        Ok(Outcome::Drop)
    }
}

/// The regex crate draws the pattern and an arrow over several lines: only the last one says what
/// is wrong.
fn fold(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("it takes more than {limit} bytes"),
        other => {
            let text = other.to_string();
            let last = text.lines().next_back().unwrap_or_default();
            last.trim().trim_start_matches("error: ").to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, testing};

    fn settings(regexps: &[&str]) -> Settings {
        let regexps = regexps.iter().map(|&pattern| pattern.to_owned()).collect();
        Settings { regexps, ..Settings::default() }
    }

    #[test]
    fn table() {
        testing::check_with(
            "regexp",
            &settings(&["^systemd-journal$", "^kworker/([0-9]+)", "sys(?:log|tem)", "^(a)?z$"]),
            &[
                (b"systemd-journal", "systemd-journal"),
                (b"kworker/17:1H", "17"),
                (b"rsyslogd", "syslog"),
                (b"systemd", "system"),
                (b"z", ""),
                (b"az", "a"),
                (b"", "DROP"),
                (b"bash", "DROP"),
                (b"kworker/u9", "DROP"),
            ],
        );
    }

    #[test]
    fn an_empty_match_is_a_label() {
        testing::check_with("regexp", &settings(&[""]), &[(b"", ""), (b"bash", "")]);
    }

    #[test]
    fn text_that_was_cut_short_matches() {
        let cut = &"größe".as_bytes()[..4];
        testing::check_with("regexp", &settings(&["^gr.*$"]), &[(cut, "grö")]);
        let cut = &"größe".as_bytes()[..3];
        testing::check_with("regexp", &settings(&["^gr.*$"]), &[(cut, "gr\u{fffd}")]);
        testing::check_with("regexp", &settings(&["^.(.).$"]), &[(b"\xff\0\xfe", "\0")]);
    }

    #[test]
    fn bad_patterns_are_refused() {
        let refusal = |regexps: &[&str]| testing::refusal("regexp", &settings(regexps));
        insta::assert_snapshot!(
            refusal(&[]),
            @"regexps: there are no patterns, so every row would be left out; list at least one pattern"
        );
        insta::assert_snapshot!(
            refusal(&["ok", "a(b"]),
            @"regexps[1]: `a(b` is not a regular expression: unclosed group; correct the pattern; its syntax is RE2's"
        );
        insta::assert_snapshot!(
            refusal(&["a(?!b)"]),
            @"regexps[0]: `a(?!b)` is not a regular expression: look-around, including look-ahead and look-behind, is not supported; correct the pattern; its syntax is RE2's"
        );
        insta::assert_snapshot!(
            refusal(&[r"\w{9999}"]),
            @r"regexps[0]: `\w{9999}` is not a regular expression: it takes more than 10485760 bytes; correct the pattern; its syntax is RE2's"
        );
        insta::assert_snapshot!(
            refusal(&["(a)(?P<n>b)"]),
            @"regexps[0]: `(a)(?P<n>b)` has 2 groups, and a label has one text; write (?:…) for the groups that are not the label"
        );
    }
}
