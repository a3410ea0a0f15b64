//! Texts that want to break out of their label: what is counted of each, and what an exposition has to say then.

#![allow(dead_code, reason = "not every test needs all of it")]

/// A config that takes the bytes of texts as they are, NULs included.
pub const HOSTILE: &str = "metrics:
  counters:
    - name: work_hash_total
      help: \"A \\\\ and a \\n newline\"
      labels:
        - {name: id, size: 8, decoders: [{name: uint}]}
        - {name: text, size: 24}
";

/// What is counted of each: a key of `work_hash_total`, whose id is the text's number, and how much.
pub fn hostile() -> impl Iterator<Item = (Vec<u8>, u64)> {
    let key = |(id, text): (u64, Vec<u8>)| ([&id.to_ne_bytes()[..], &text].concat(), id + 1);
    (0..).zip(texts()).map(key)
}

/// The series of each: id, text, value.
pub fn hostile_series() -> Vec<(String, String, u64)> {
    let series = |(id, text): (u64, Vec<u8>)| {
        (id.to_string(), String::from_utf8_lossy(&text).into_owned(), id + 1)
    };
    (0..).zip(texts()).map(series).collect()
}

/// Each filled up with NULs.
fn texts() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 20] = [
        b"",
        b"a\0b\nc\0",
        b"\"quoted\"",
        b"\\",
        b"ends in \\ and \\\"",
        b"\\n is no newline",
        b"\xff\xfe\x80\xc0\xaf",
        b"\xf0\x9f\xa6",
        b"a\xf0\x9f\xa6b",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        "🦀é\u{10ffff}".as_bytes(),
        b"\r\n\t\x1b[31m\x7f",
        b"\"} 1\nfake_total 1\n#",
        b"a{b=\"c\",d=\"e\"} 7 8",
        b"# HELP x y",
        "\u{2028}\u{85}\u{feff}\u{a0}".as_bytes(),
        b" a, b ",
        b"x=\"y\",",
        &[0xff; 24],
    ];
    let fill = |text: &&[u8]| {
        let mut text = text.to_vec();
        text.resize(24, 0);
        text
    };
    texts.iter().map(fill).collect()
}
