//! What no message may show, wherever in a file or a variable it was written: hashes of passwords, and keys in PEM
//! format or in its Base64 alone.
//!
//! Known by its form. What has none, such as a password, is not found here: a file that may have one is not quoted at
//! all.

use std::borrow::Cow;
use std::ops::Range;

/// What stands for a secret.
const VEIL: char = '…';
/// What a text in PEM format begins and ends with.
const PEM: (&str, &str) = ("-----BEGIN", "-----END");
/// What the Base64 of a key begins with that is a sequence of ASN.1, by how long that is.
const KEYS: [&str; 4] = ["MC", "MF", "MH", "MI"];
/// Characters of Base64 that are a key and not a word.
const KEY_LENGTH: usize = 40;
/// Characters of a scheme: the `2y` of `$2y$10$…`.
const SCHEME_LENGTH: usize = 12;
/// Characters behind a scheme that are a hash, and not what a pattern calls its groups, as in `$1$2`.
const HASH_LENGTH: usize = 8;

/// A text without the secrets that it holds, in time linear in its length.
pub(crate) fn veiled(text: &str) -> Cow<'_, str> {
    let kinds = [hash, pem, base64];
    let mut next = kinds.map(|find| find(text));
    let (mut veiled, mut at) = (String::new(), 0);
    while let Some(secret) = next.iter().flatten().min_by_key(|secret| secret.start).cloned() {
        veiled.push_str(&text[at..secret.start]);
        veiled.push(VEIL);
        at = secret.end;
        for (next, find) in next.iter_mut().zip(kinds) {
            // One that is further on is not looked for again.
            if next.as_ref().is_some_and(|next| next.start < at) {
                *next = find(&text[at..]).map(|found| found.start + at..found.end + at);
            }
        }
    }
    if at == 0 {
        return Cow::Borrowed(text);
    }
    veiled.push_str(&text[at..]);
    Cow::Owned(veiled)
}

/// Whether a text holds the hash of a password.
pub(crate) fn has_hash(text: &str) -> bool {
    hash(text).is_some()
}

/// Whether a text holds a key, or something else in PEM format.
pub(crate) fn has_key(text: &str) -> bool {
    pem(text).or_else(|| base64(text)).is_some()
}

/// The first hash as crypt(3) writes it: `$SCHEME$` and what follows.
fn hash(text: &str) -> Option<Range<usize>> {
    let hash = |(start, _): (usize, &str)| {
        let (scheme, rest) = text[start + 1..].split_once('$')?;
        let names = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_scheme = (1..=SCHEME_LENGTH).contains(&scheme.len()) && scheme.bytes().all(names);
        let long =
            rest.bytes().take_while(|byte| is_base64(*byte) || b".$=,-".contains(byte)).count();
        (is_scheme && long >= HASH_LENGTH).then(|| start..text.len() - rest.len() + long)
    };
    text.match_indices('$').find_map(hash)
}

/// The first text in PEM format, with the lines around it.
fn pem(text: &str) -> Option<Range<usize>> {
    let start = text.find(PEM.0)?;
    let behind =
        |end: usize| text[end..].find(['\n', '`', '"']).map_or(text.len(), |more| end + more);
    Some(start..text[start..].find(PEM.1).map_or(text.len(), |end| behind(start + end)))
}

/// The first key without lines around it.
fn base64(text: &str) -> Option<Range<usize>> {
    let mut start = 0;
    for word in text.split(|char: char| !u8::try_from(char).is_ok_and(is_base64)) {
        if word.len() >= KEY_LENGTH && KEYS.iter().any(|begin| word.starts_with(begin)) {
            return Some(start..start + word.len());
        }
        let end = start + word.len();
        start = end + text[end..].chars().next().map_or(0, char::len_utf8);
    }
    None
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "p5q3jSsIIEOVdL4yuAVtqev2ocxZR/xIXgGVWCBCTatfyOxFSB0du";
    const KEY: &str = "MC4CAQAwBQYDK2VwBCIEIHKbHhbpVxyzUhMcbcDGUIwfl4iB";

    #[test]
    fn no_secret_stays_in_a_text() {
        for (text, shown) in [
            (format!("$2y$10${TAIL}"), "…"),
            (format!("alice:$2b$04${TAIL} and more"), "alice:… and more"),
            (format!("`$2y$10${TAIL}` is no time"), "`…` is no time"),
            (format!("$apr1$abcdefgh${TAIL}"), "…"),
            (format!("$argon2id$v=19$m=65536,t=3,p=4${TAIL}"), "…"),
            (format!("a $2y$10${TAIL} b $6$salt${TAIL}"), "a … b …"),
            (format!("x $ y $2y$10${TAIL}"), "x $ y …"),
            (format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\nx"), "…\nx"),
            (format!("`-----BEGIN PRIVATE KEY----- {KEY}"), "`…"),
            (format!("a.key={KEY}, b"), "a.key=…, b"),
            (format!("ü{KEY}ü"), "ü…ü"),
        ] {
            assert_eq!(veiled(&text), shown, "{text}");
            assert_eq!(veiled(&shown.repeat(2)), shown.repeat(2));
            assert!(has_hash(&text) || has_key(&text), "{text}");
        }
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        let digest = "3b".repeat(32);
        for text in [
            "",
            "$1$2",
            "${1}-$2 costs 5$",
            "^a$|^b$",
            "$HOME/$USER/abcdefghijk",
            "-----",
            "MIT",
            "/etc/MIC/server.key",
            "prefer_server_cipher_suites",
            &digest,
        ] {
            assert_eq!(veiled(text), text);
        }
    }
}
