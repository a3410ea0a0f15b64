//! `regexp`: a text → what the first pattern that matches it finds: its match, or the text of its
//! one group. A row whose text no pattern matches is left out.
//!
//! Patterns match anywhere and are RE2's but for what the regex crate lacks (`\Q…\E`, `\C`) or
//! adds (`&&`, `--`, `~~` in classes), and `\w`, `\d`, `\s`, `\b` know all of Unicode. Bytes that
//! are not UTF-8, such as a name that the kernel cut short, are matched and answered as U+FFFD,
//! so that `.` matches them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use regex_automata::Input;
use regex_automata::meta::{BuildError, Config, Regex};

use super::{Behaviour, Builtin, DecoderSettings, Form, Make, SettingsError, Setup, Sizes};
use crate::advice::{Advice, quote};
use crate::decode::{DecodeError, Decoder, Outcome};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "regexp",
    sizes: Sizes::Any,
    takes: Form::Any,
    gives: Form::Any,
    about: Behaviour {
        input: "text",
        gives: "the match of the first pattern that matches, or the text of its group",
        otherwise: "no pattern matches: the row is left out",
    },
    wants: |_| {},
    make: Make::Set(|settings| Regexp::new(settings).map(Setup::Regexp)),
};

/// What all patterns of a start may take once compiled, in bytes.
const MOST: usize = 64 << 20;
/// What one of them may.
const MOST_OF_ONE: usize = 10 << 20;
/// What a byte of a pattern is counted as before it is compiled: that is how much memory, and time
/// as if it were memory, its parser may need.
const BYTE: usize = 256;
/// What matching may keep for each thread that matches a pattern, in bytes.
const CACHE: usize = 64 << 10;

/// The room that patterns have left. All of a start share one, for the memory they take adds up.
#[derive(Clone, Debug)]
pub struct Room(Arc<AtomicUsize>);

impl Default for Room {
    /// All of it.
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(MOST)))
    }
}

impl Room {
    /// Takes so many bytes, or all that is left and says that this is too little.
    fn take(&self, bytes: usize) -> bool {
        let rest = self.left().checked_sub(bytes);
        self.0.store(rest.unwrap_or_default(), Ordering::Relaxed);
        rest.is_some()
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Patterns, compiled. Clones share what was compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Regexp {
    patterns: Vec<Pattern>,
}

/// Patterns that a text matches or not, compiled. Clones share what was compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Patterns(Vec<Pattern>);

#[derive(Clone, Debug)]
struct Pattern {
    text: Box<str>,
    regex: Regex,
    groups: usize,
}

impl Patterns {
    /// These patterns, in RE2's syntax, which take what they need of `room`.
    ///
    /// # Errors
    ///
    /// All that is wrong with them, each with the index of the pattern.
    pub fn new(texts: &[String], room: &Room) -> Result<Self, Vec<(usize, Advice)>> {
        compiled(texts, room, Ok).map(Self)
    }

    /// Whether any of them matches anywhere in this text.
    pub fn match_any(&self, text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text);
        self.0.iter().any(|pattern| pattern.regex.is_match(&*text))
    }
}

/// All of these, if `take` takes each, or what is wrong with each. Once there is no room left, those behind are
/// not looked at.
fn compiled(
    texts: &[String],
    room: &Room,
    take: fn(Pattern) -> Result<Pattern, Advice>,
) -> Result<Vec<Pattern>, Vec<(usize, Advice)>> {
    let (mut patterns, mut errors) = (Vec::new(), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        match Pattern::new(text, room).and_then(take) {
            Ok(pattern) => patterns.push(pattern),
            Err(advice) => {
                errors.push((index, advice));
                if room.left() == 0 {
                    break;
                }
            }
        }
    }
    if errors.is_empty() { Ok(patterns) } else { Err(errors) }
}

impl Regexp {
    fn new(settings: &DecoderSettings) -> Result<Self, Vec<SettingsError>> {
        if settings.regexps.is_empty() {
            return Err(vec![SettingsError {
                path: "regexps".to_owned(),
                advice: Advice::new(
                    "there are no patterns, so every row would be left out",
                    "list at least one pattern",
                ),
            }]);
        }
        let at = |(index, advice)| SettingsError { path: format!("regexps[{index}]"), advice };
        let patterns = compiled(&settings.regexps, &settings.room, Pattern::of_one_text);
        match patterns {
            Ok(patterns) => Ok(Self { patterns }),
            Err(errors) => Err(errors.into_iter().map(at).collect()),
        }
    }
}

impl Pattern {
    fn new(pattern: &str, room: &Room) -> Result<Self, Advice> {
        let full = || {
            let problem =
                format!("the patterns of all configs take more than {MOST} bytes once compiled");
            Advice::new(
                problem,
                "list fewer or simpler ones: a class such as \\w repeated takes most",
            )
        };
        if !room.take(pattern.len().saturating_mul(BYTE)) {
            return Err(full());
        }
        let limit = room.left().min(MOST_OF_ONE);
        let config = Config::new().nfa_size_limit(Some(limit)).hybrid_cache_capacity(CACHE);
        let built = Regex::builder().configure(config).build(pattern);
        let regex = built.map_err(|error| {
            // It took as much to find out.
            if error.size_limit().is_some() && (!room.take(limit) || limit < MOST_OF_ONE) {
                return full();
            }
            let (pattern, why) = (quote(pattern), fold(&error));
            let problem = format!("{pattern} is not a regular expression: {why}");
            Advice::new(problem, "correct the pattern; its syntax is RE2's")
        })?;
        if !room.take(regex.memory_usage()) {
            return Err(full());
        }
        let groups = regex.captures_len() - 1;
        Ok(Self { text: pattern.into(), regex, groups })
    }

    /// The same, if it finds no more than one text.
    fn of_one_text(self) -> Result<Self, Advice> {
        if self.groups <= 1 {
            return Ok(self);
        }
        let (text, groups) = (quote(&self.text), self.groups);
        let problem = format!("{text} has {groups} groups, and a label has one text");
        Err(Advice::new(problem, "write (?:…) for the groups that are not the label"))
    }

    /// What the label is if the pattern matches. A group that took no part is empty.
    fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        if self.groups == 0 {
            return text.get(self.regex.find(text)?.range());
        }
        // Start and end of the match, start and end of the group.
        let mut slots = [None; 4];
        self.regex.search_slots(&Input::new(text), &mut slots)?;
        let group =
            slots[2].zip(slots[3]).and_then(|(start, end)| text.get(start.get()..end.get()));
        Some(group.unwrap_or_default())
    }
}

/// Patterns of one text match the same.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Decoder for Regexp {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        let text = String::from_utf8_lossy(input);
        for pattern in &self.patterns {
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
fn fold(error: &BuildError) -> String {
    if error.size_limit().is_some() {
        return format!("it takes more than {MOST_OF_ONE} bytes");
    }
    let text = match error.syntax_error() {
        Some(error) => error.to_string(),
        None => error.to_string(),
    };
    let last = text.lines().next_back().unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{DecoderSettings, testing};
    use super::*;

    fn settings(regexps: &[&str]) -> DecoderSettings {
        let regexps = regexps.iter().map(|&pattern| pattern.to_owned()).collect();
        DecoderSettings { regexps, ..DecoderSettings::default() }
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
    fn patterns_share_the_room_that_there_is() {
        let room = Room(Arc::new(AtomicUsize::new(1 << 20)));
        let build = |regexps: &[&str]| {
            Regexp::new(&DecoderSettings { room: room.clone(), ..settings(regexps) }).map(|_| ())
        };
        assert_eq!(build(&["^a", "^b"]), Ok(()));
        let left = room.left();
        assert!(left > (1 << 20) - (64 << 10), "{left}");
        // None is looked at behind the one that is too much.
        let errors = build(&["c", r"\w{50}", r"\w{50}", r"\w{50}", "(", "d"]).unwrap_err();
        insta::assert_snapshot!(format!("{errors:?}"), @r#"[SettingsError { path: "regexps[1]", advice: Advice { problem: "the patterns of all configs take more than 67108864 bytes once compiled", remedy: Some("list fewer or simpler ones: a class such as \\w repeated takes most"), evidence: None } }]"#);
        assert_eq!(room.left(), 0);
        assert_eq!(build(&["e"]).unwrap_err()[0].path, "regexps[0]");
        let long = "x".repeat(1 << 20);
        let errors = Regexp::new(&settings(&[&long])).map(|_| ()).unwrap_err();
        assert!(errors[0].advice.problem.starts_with("the patterns of all configs"), "{errors:?}");
    }

    #[test]
    fn patterns_alone_match_anywhere_with_groups_or_without() {
        let texts = ["^/sys/.*(system.slice/(.*))$", "kube"].map(str::to_owned);
        let patterns = Patterns::new(&texts, &Room::default()).unwrap();
        for (text, found) in [
            (&b"/sys/fs/cgroup/system.slice/a"[..], true),
            (b"/x/kubepods", true),
            (b"/x/kube\xff", true),
            (b"/x/system.slice/a", false),
            (b"", false),
        ] {
            assert_eq!(patterns.match_any(text), found, "{text:?}");
        }
        let texts = ["a", "(", "["].map(str::to_owned);
        let errors = Patterns::new(&texts, &Room::default()).unwrap_err();
        assert_eq!(errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2]);
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
