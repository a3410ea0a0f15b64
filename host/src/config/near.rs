//! "Did you mean": the word that was probably meant, or the words that could have been.

/// The one of `known` that `word` is most likely a slip for.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let slips = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= slips)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A remedy for an unknown `word`: the nearest of `known`, or all of them behind `otherwise`.
pub(super) fn suggest(word: &str, known: &[&str], otherwise: &str) -> String {
    match nearest(word, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("{otherwise} {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_word_and_another_word_does_not() {
        let known = ["name", "help", "labels", "bucket_max", "bucket_min"];
        for (word, expected) in [
            ("nmae", Some("name")),
            ("Help", Some("help")),
            ("label", Some("labels")),
            ("bucket-max", Some("bucket_max")),
            ("bucket_mon", Some("bucket_min")),
            ("size", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word:?}");
        }
    }
}
