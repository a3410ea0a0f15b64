//! "Did you mean": the word that was probably meant, or the words that could have been.
//!
//! Everything that a person may mistype is looked for here, so that all of it is found by the same
//! rule. However long the word is and however many are known, an answer takes a few milliseconds.

/// Words of more characters are no slips of anything.
const LONGEST: usize = 128;
/// How many pairs of characters are compared in search of one word.
const MOST_PAIRS: usize = 2_000_000;
/// How many known words a remedy lists.
const LISTED: usize = 24;

/// The one of `known` that `word` is most likely a slip for. Case is a slip that any other word
/// has to be nearer than.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = word.chars().take(LONGEST + 1).count();
    if length > LONGEST {
        return None;
    }
    let slips = (length / 3).max(1);
    let lower = word.to_lowercase();
    let mut left = MOST_PAIRS;
    let mut best = None;
    for candidate in known {
        let other = candidate.chars().take(length + slips + 1).count();
        if other.abs_diff(length) > slips {
            continue;
        }
        let distance = match candidate.to_lowercase() {
            same if same == lower => 0,
            _ if left < length * other => continue,
            other_lower => {
                left -= length * other;
                strsim::damerau_levenshtein(&lower, &other_lower)
            }
        };
        if distance <= slips {
            // Of those that differ in case alone, the one that differs in the least.
            let rank = (distance, strsim::damerau_levenshtein(word, candidate), candidate);
            best = Some(best.map_or(rank, |best| rank.min(best)));
        }
    }
    best.map(|(_, _, candidate)| candidate)
}

/// A remedy for an unknown `word`: the nearest of `known`, or all of them behind `otherwise`.
pub(crate) fn suggest(word: &str, known: &[&str], otherwise: &str) -> String {
    match nearest(word, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("{otherwise} {}", listed(known)),
    }
}

/// The middle of a message about an unknown `word`: `, did you mean "WORD"`, or nothing.
pub(crate) fn hint<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(word, known).map(|near| format!(", did you mean {near:?}")).unwrap_or_default()
}

/// The words, as many as a line can show.
pub(crate) fn listed(known: &[&str]) -> String {
    match known.get(..LISTED) {
        Some(some) if known.len() > LISTED => {
            format!("{}, … ({} in all)", some.join(", "), known.len())
        }
        _ => known.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_does_not() {
        let known = ["name", "help", "labels", "bucket_max", "bucket_min"];
        for (word, expected) in [
            ("nmae", Some("name")),
            ("Help", Some("help")),
            ("label", Some("labels")),
            ("bucket-max", Some("bucket_max")),
            ("bucket_mon", Some("bucket_min")),
            ("BUCKET-MAX", Some("bucket_max")),
            ("size", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word:?}");
        }
    }

    #[test]
    fn case_is_ignored_first() {
        for (word, known, expected) in [
            ("M", &["m", "n", "a"][..], Some("m")),
            ("ab", &["AC", "AB", "ac"], Some("AB")),
            ("UINT", &["hint", "uint"], Some("uint")),
            ("Cpu", &["CPU", "cpu"], Some("cpu")),
            ("ÄÖ", &["ao", "äö"], Some("äö")),
            ("TcpRetransmit", &["tcp_retransmit", "tcpretransmit"], Some("tcpretransmit")),
        ] {
            assert_eq!(nearest(word, known.iter().copied()), expected, "{word:?}");
        }
    }

    #[test]
    fn neither_a_long_word_nor_a_long_list_takes_long() {
        let long = "x".repeat(1 << 24);
        assert_eq!(nearest(&long, [long.as_str(), "x"]), None);
        assert_eq!(nearest("xx", [long.as_str(), "xy"]), Some("xy"));
        // What is equal but for case is found behind any number of others.
        let mut words: Vec<String> = (0..300_000).map(|n| format!("counter_{n:08}")).collect();
        words.push("Counter_x".to_owned());
        assert_eq!(nearest("counter_X", words.iter().map(String::as_str)), Some("Counter_x"));
    }

    #[test]
    fn a_list_is_cut_where_it_helps_nobody() {
        let words: Vec<String> = (0..1000).map(|n| format!("w{n}")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        insta::assert_snapshot!(suggest("else", &words, "write one of"), @"write one of w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15, w16, w17, w18, w19, w20, w21, w22, w23, … (1000 in all)");
        insta::assert_snapshot!(suggest("else", &words[..2], "write one of"), @"write one of w0, w1");
    }
}
