//! Patterns as Prometheus has them: RE2's syntax, matched against the whole text.
//!
//! Never matches a part of a text.

use regex::{Captures, Regex};

/// A pattern that matches a whole text or not at all.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// It is Prometheus' default, which matches everything.
    pub(crate) is_default: bool,
}

/// What a rule without `regex` has.
pub(crate) const DEFAULT: &str = "(.*)";

impl Pattern {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let fault = |problem: String| format!("regex: `{text}` {problem}");
        let translated = translate(text).map_err(fault)?;
        let compile = |pattern: &str| {
            Regex::new(pattern).map_err(|error| {
                // The crate draws the pattern over several lines; the last says what is wrong.
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                let problem = last.trim_start_matches("error: ");
                fault(format!("is not a regular expression: {problem}"))
            })
        };
        // By itself first, so that no bracket of it closes the group: `a)|(b`.
        compile(&translated)?;
        // `.` matches a line feed too.
        let regex = compile(&format!("^(?s:{translated})$"))?;
        Ok(Self { regex, is_default: text == DEFAULT })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    pub(crate) fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.regex.captures(text)
    }
}

/// RE2's syntax as the regex crate's: its classes are ASCII, and a bracket in a class is a bracket.
fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(chars.next(), in_class, &mut out)?,
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // A bracket that closes nothing yet is a bracket.
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            // `[:alpha:]` means the same to both.
            '[' if chars.peek() == Some(&':') => {
                out.push('[');
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            // What the crate would take for a nested class or an operation on sets.
            '[' | '&' | '~' if in_class => out.extend(['\\', c]),
            '-' if in_class && chars.peek() == Some(&'-') => out.push_str("\\-"),
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

/// The character behind a backslash.
fn escape(c: Option<char>, in_class: bool, out: &mut String) -> Result<(), String> {
    match c {
        Some('d') => out.push_str("[0-9]"),
        Some('D') => out.push_str("[^0-9]"),
        Some('w') => out.push_str("[0-9A-Za-z_]"),
        Some('W') => out.push_str("[^0-9A-Za-z_]"),
        Some('s') => out.push_str(r"[\t\n\f\r ]"),
        Some('S') => out.push_str(r"[^\t\n\f\r ]"),
        Some('b') if !in_class => out.push_str(r"(?-u:\b)"),
        Some(c @ ('B' | 'C' | 'Q' | 'E')) => {
            return Err(format!("has \\{c}, which is not supported"));
        }
        Some(c) => out.extend(['\\', c]),
        None => out.push('\\'),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts_as_re2_does() {
        let table = [
            ("a|b", "a", true),
            ("a|b", "ab", false),
            ("", "", true),
            ("", "a", false),
            ("a", "a\n", false),
            (".*", "a\nb", true),
            (r"\d+", "19", true),
            (r"\d", "٣", false),
            (r"\w", "é", false),
            (r"[\w.]+", "a.b_9", true),
            (r"[^\s]", " ", false),
            (r"[\D]", "x", true),
            (r".*\bx\b.*", "a x b", true),
            (r".*\bx\b.*", "axb", false),
            ("[]a]+", "]a", true),
            ("[^]a]", "]", false),
            ("[[a]+", "[a", true),
            ("[a&&b]+", "a&b", true),
            ("[a--]+", "-a", true),
            ("[[:digit:]x]+", "1x2", true),
            (r"\[x\]", "[x]", true),
            ("(?i)ÄB", "äb", true),
            (r"\p{Greek}\pL", "αa", true),
        ];
        for (pattern, text, matches) in table {
            assert_eq!(
                Pattern::new(pattern).unwrap().matches(text),
                matches,
                "{pattern} on {text}"
            );
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let refused = |pattern| Pattern::new(pattern).unwrap_err();
        assert_eq!(refused(r"\Qa"), r"regex: `\Qa` has \Q, which is not supported");
        assert_eq!(refused("(a"), "regex: `(a` is not a regular expression: unclosed group");
        assert_eq!(refused("a)|(b"), "regex: `a)|(b` is not a regular expression: unopened group");
    }
}
