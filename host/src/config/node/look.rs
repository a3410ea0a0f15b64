//! A look at the bytes of a file before a parser sees it.
//!
//! The parser holds a whole document as events before it hands out the first, and takes longer for
//! each the more brackets are open. So both are estimated here from above, by the characters
//! without which no event begins. Most of what stands in quotes and comments is counted too: to tell
//! it apart takes a parser. A line that is but a key and a text in quotes is no event more than that.

use std::ops::Range;

use super::NoYaml;
use crate::config::bounds::NODES;

/// Events that the parser may come to hold, of some 130 bytes each. By the estimate each node is two.
const MOST_EVENTS: usize = 2 * NODES;
/// Brackets open, added up over all events: what the parser looks through.
const MOST_OPEN: usize = 300_000_000;
/// Characters of a number. It is read anew for each of its aliases, and none tells how long it is.
const MOST_OF_NUMBER: usize = 1_000;
/// Lines that begin with `%`: each tag is looked for in all of them.
const MOST_DIRECTIVES: usize = 64;

/// Refuses a text that would take the parser too long or too much memory.
pub(super) fn look(text: &str) -> Result<(), NoYaml> {
    let bytes = text.as_bytes();
    let (mut events, mut depth, mut open, mut directives) = (0, 0usize, 0usize, 0);
    let (mut before, mut quoted) = (b'\n', 0..0);
    let (mut number, mut longest) = (0, 0);
    for (at, byte) in bytes.iter().enumerate() {
        number = if b"0123456789.eE".contains(byte) { number + 1 } else { 0 };
        longest = longest.max(number);
        if before == b'\n' {
            quoted = quoted_text(bytes, at);
        }
        if quoted.contains(&at) {
            continue;
        }
        let next = bytes.get(at + 1).copied();
        let weight = match byte {
            b'[' | b'{' => {
                depth += 1;
                4
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                0
            }
            b',' => 2,
            b'-' if is_end(next) => 2,
            b'?' if is_end(next) => 4,
            b':' if is_end(next) || b",[]{}".contains(&next.unwrap_or(b' ')) => 2,
            b':' if b"\"']}".contains(&before) => 2,
            b'%' if is_break(before) => {
                directives += 1;
                0
            }
            _ => 0,
        };
        if weight > 0 {
            events += weight;
            open += depth;
        }
        before = *byte;
    }
    let too_much = |problem: String, remedy| Err(NoYaml { line: None, problem, remedy });
    if events > MOST_EVENTS {
        let problem = format!(
            "with so many `,`, `:`, `-`, `[` and `{{` it can have more than {NODES} keys, items and texts"
        );
        return too_much(problem, "split the file, or list less");
    }
    if open > MOST_OPEN {
        let problem = "more of its brackets are open at a time than can be read in time";
        return too_much(problem.to_owned(), "close each `[` and `{`, or split the file");
    }
    if longest > MOST_OF_NUMBER {
        let problem = format!("a number in it has more than {MOST_OF_NUMBER} characters");
        return too_much(problem, "shorten it");
    }
    if directives > MOST_DIRECTIVES {
        let problem = format!("more than {MOST_DIRECTIVES} of its lines begin with `%`");
        return too_much(problem, "remove them: a config needs no directives");
    }
    Ok(())
}

/// The text in quotes of a line that begins here and is `KEY: "TEXT"`, be it an item of a list; else nothing.
///
/// Wherever the line stands, no event begins in it: in a text in other quotes that began above, it is
/// of that text, whose own quotes it lacks; in one in the same quotes, the first of them ends that text,
/// and a letter right behind it is no YAML.
fn quoted_text(bytes: &[u8], start: usize) -> Range<usize> {
    let line = bytes[start..].split(|byte| *byte == b'\n').next().unwrap_or_default();
    let found = key_and_text(line.trim_ascii_end());
    found.map_or(0..0, |text| start + text.start..start + text.end)
}

fn key_and_text(line: &[u8]) -> Option<Range<usize>> {
    let (quote, rest) = line.split_last().filter(|(last, _)| b"\"'".contains(last))?;
    let open = rest.iter().rposition(|byte| byte == quote)?;
    let key = rest[..open].trim_ascii_end().strip_suffix(b":")?;
    let apart = rest[..open].ends_with(b" ");
    let mut key = key.trim_ascii_start();
    while let Some(inner) = key.strip_prefix(b"- ") {
        key = inner.trim_ascii_start();
    }
    let key = match key.split_first() {
        Some((quote, inner)) if b"\"'".contains(quote) => inner.strip_suffix(&[*quote])?,
        _ => key,
    };
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.".contains(byte);
    let is_key = key.first().is_some_and(u8::is_ascii_alphanumeric) && key.iter().all(name);
    let text = &rest[open + 1..];
    let is_text = text.first().is_some_and(u8::is_ascii_alphanumeric)
        && !text.iter().any(|byte| b"\"'\\\r".contains(byte));
    (apart && is_key && is_text).then_some(open + 1..rest.len())
}

/// Whether what stands before it ends here.
fn is_end(next: Option<u8>) -> bool {
    next.is_none_or(|next| next <= b' ' || next >= 0x80)
}

/// Whether a line may begin behind it: a line feed, a carriage return, or the last byte of one of
/// the other line breaks that YAML knows.
fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0x85 | 0xa8 | 0xa9 | 0xbf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_that_is_certain_is_passed_over() {
        for (line, text) in [
            ("a: \"x, [y\"", "x, [y"),
            ("  - - a_1.b:   'x: y'  \r", "x: y"),
            ("'0x1F': \"x, y\"", "x, y"),
            ("\"a\": \"x\"", "x"),
            ("a: \", x, y\"", ""),
            ("a: \"x', y\"", ""),
            ("a: \"x\\\", y\"", ""),
            ("a: \"x\", \"y\"", ""),
            ("- \"x, y\"", ""),
            ("a, b: \"x, y\"", ""),
            ("# a: \"x, y\"", ""),
            ("a: x, \"y, z\"", ""),
            ("a:\"x, y\"", ""),
            ("\"a: \"x, y\"", ""),
            ("a: \"x, y\" # z", ""),
            ("\"", ""),
            ("", ""),
        ] {
            let both = format!("first\n{line}\nlast");
            assert_eq!(&both[quoted_text(both.as_bytes(), 6)], text, "{line}");
        }
    }
}
