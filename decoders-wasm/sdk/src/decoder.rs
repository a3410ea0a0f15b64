//! What a decoder is, and how a batch becomes calls of it.

use serde::de::DeserializeOwned;

/// A decoder: the bytes of a key, or the text of the step before it, become a label's text.
pub trait Decoder: Sized {
    /// The mapping under `settings` in the config. A config without settings gives an empty one.
    type Settings: DeserializeOwned;

    /// A decoder with these settings. Called once at start, and again with the same settings when
    /// the host replaces an instance that panicked.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings and what to write instead, lowercase, no final period. The
    /// exporter shows it and does not start.
    fn configure(settings: Self::Settings) -> Result<Self, String>;

    /// The answer for one input.
    ///
    /// `self` may be changed (to remember something costly, say), but not so that an equal input
    /// gets another answer later.
    ///
    /// # Errors
    ///
    /// Why this input has no answer. The host counts it and applies the config's `on_error`; no
    /// part of the text reaches a metric. The input is asked again later.
    fn decode(&mut self, input: &[u8]) -> Result<Outcome, String>;
}

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The label's text, at most 16,384 bytes. It holds as long as the key lives.
    Label(String),
    /// The label's text, and for how many seconds it holds: at least those of `limits.hold` in the
    /// config (5 unless it says otherwise).
    LabelFor(String, u32),
    /// The row is left out of the metric.
    Drop,
    /// The row is left out of the metric for so many seconds, at least those of `limits.hold`. If it was
    /// in no series before, it brings all that it has counted once it has a label.
    DropFor(u32),
}

impl Outcome {
    /// A label with this text, which holds as long as the key lives.
    pub fn label(text: impl Into<String>) -> Self {
        Self::Label(text.into())
    }
}

/// The inputs of a batch: `bytes[ends[i-1]..ends[i]]`. The host keeps to that form.
pub(crate) fn inputs<'a>(bytes: &'a [u8], ends: &'a [u32]) -> impl Iterator<Item = &'a [u8]> {
    let mut start = 0;
    ends.iter().map(move |&end| {
        let end = end as usize;
        &bytes[std::mem::replace(&mut start, end)..end]
    })
}

/// Reads settings from the JSON text that the host gives.
pub(crate) fn settings<S: DeserializeOwned>(json: &str) -> Result<S, String> {
    serde_json::from_str(json).map_err(|error| {
        // The JSON is the host's own, on one line: a column of it tells the user nothing.
        let text = error.to_string();
        match text.rfind(" at line ") {
            Some(end) => format!("settings: {}", &text[..end]),
            None => format!("settings: {text}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_cut_at_their_ends() {
        let cut: Vec<&[u8]> = inputs(b"abcde", &[0, 2, 2, 5]).collect();
        assert_eq!(cut, [&b""[..], b"ab", b"", b"cde"]);
    }

    #[test]
    fn a_wrong_setting_is_named_without_a_column() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Settings {
            #[serde(default)]
            #[allow(dead_code)]
            zone: u8,
        }
        let refused = |json| settings::<Settings>(json).unwrap_err();
        assert_eq!(refused(r#"{"zon": 1}"#), "settings: unknown field `zon`, expected `zone`");
        assert_eq!(
            refused(r#"{"zone": "x"}"#),
            "settings: invalid type: string \"x\", expected u8"
        );
    }
}
