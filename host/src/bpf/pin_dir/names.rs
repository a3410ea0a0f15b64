//! Names of pins. A BPF file system refuses dots, and `-` stands between the parts of a name.

use std::fmt::Write as _;

/// A text as a part of a name: what is no letter, digit or `_` becomes `%` and two digits.
pub(super) fn part(text: &str) -> String {
    encode(text, |byte| byte == b'_')
}

/// A config's name as that of a directory, which has no parts.
pub(super) fn directory(text: &str) -> String {
    encode(text, |byte| matches!(byte, b'_' | b'-'))
}

fn encode(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    let mut name = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || is_plain(byte) {
            name.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name
}

/// The text that a name stands for; none if it is no such name.
pub(super) fn text(name: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), name.as_bytes());
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = tail.get(2..)?;
    }
    let text = String::from_utf8(bytes).ok()?;
    // Only what is written here.
    (part(&text) == name || directory(&text) == name).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let all = ["tcp-connections", "sub/a", ".rodata", "x.bss", "a_b", "é", "%", ""];
        let names = all.map(directory);
        insta::assert_snapshot!(names.join(" "), @"tcp-connections sub%2Fa %2Erodata x%2Ebss a_b %C3%A9 %25 ");
        assert_eq!(part("a-b.c"), "a%2Db%2Ec");
        for name in all {
            assert_eq!(text(&directory(name)).as_deref(), Some(name));
            assert_eq!(text(&part(name)).as_deref(), Some(name));
        }
        for name in ["%", "%2", "%zz", "a.b", "%61", "%2e", "a/b"] {
            assert_eq!(text(name), None, "{name}");
        }
    }
}
