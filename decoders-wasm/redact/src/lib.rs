//! `redact`: hides the values of labels behind a keyed hash or a mask.
//!
//! Settings:
//!
//! ```yaml
//! hash: [user, path]     # these become the first hex digits of HMAC-SHA256(key, value)
//! mask: [comm]           # these become the mask's text
//! key: {file: redact.key}  # at least 16 bytes; needed if anything is hashed
//! digits: 16             # hex digits that are kept of a hash, 8 to 64
//! with: "***"            # the mask's text
//! ```
//!
//! The same value under the same key has the same hash in every label, metric and host, so rows
//! can still be counted and joined; without the key nobody can try out values. A line break at the
//! end of the key's file is not part of the key. With n different values two of them share a hash
//! of 16 digits with a chance of about n² / 2⁶⁵.
//!
//! An empty value stays empty: there is nothing to hide. A label that the metric does not have is
//! refused at start, so that a misspelt name leaks nothing; and a row that this plugin fails on
//! gets `error` for every label, unless the config's `on_error` says otherwise.

use ebpf_exporter_plugin::{Labels, Metric, RowOutcome, Transform, export_transform};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What the config says.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default)]
    hash: Vec<String>,
    #[serde(default)]
    mask: Vec<String>,
    key: Option<String>,
    #[serde(default = "default_digits")]
    digits: usize,
    #[serde(default = "default_mask")]
    with: String,
}

fn default_digits() -> usize {
    16
}

fn default_mask() -> String {
    "***".to_owned()
}

/// What becomes of a label.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Treatment {
    Keep,
    Hash,
    Mask,
}

/// The transform.
pub struct Redact {
    names: Vec<String>,
    treatments: Vec<Treatment>,
    /// A hash that has read the key, ready to be copied.
    keyed: Hmac<Sha256>,
    digits: usize,
    mask: String,
}

impl Transform for Redact {
    type Settings = Settings;

    fn configure(settings: Settings, metric: &Metric) -> Result<Self, String> {
        let Settings { hash, mask, key, digits, with } = settings;
        if hash.is_empty() && mask.is_empty() {
            return Err("nothing is redacted; list labels under hash or mask".to_owned());
        }
        if !(8..=64).contains(&digits) {
            return Err(format!("digits: {digits} is not between 8 and 64"));
        }
        let mut treatments = vec![Treatment::Keep; metric.labels.len()];
        for (labels, treatment) in [(&hash, Treatment::Hash), (&mask, Treatment::Mask)] {
            for label in labels {
                let position = metric.position(label)?;
                if treatments[position] != Treatment::Keep {
                    return Err(format!("label {label} is listed twice; list it once"));
                }
                treatments[position] = treatment;
            }
        }
        let keyed = keyed(key.as_deref(), !hash.is_empty())?;
        Ok(Self { names: metric.labels.clone(), treatments, keyed, digits, mask: with })
    }

    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn transform(&mut self, row: &[&str], out: &mut Labels) -> Result<RowOutcome, String> {
        for (value, treatment) in row.iter().zip(&self.treatments) {
            match treatment {
                _ if value.is_empty() => out.push(""),
                Treatment::Keep => out.push(value),
                Treatment::Mask => out.push(&self.mask),
                Treatment::Hash => out.push(&self.hash(value)),
            }
        }
        Ok(RowOutcome::Labels)
    }
}

impl Redact {
    fn hash(&self, value: &str) -> String {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let hash = self.keyed.clone().chain_update(value).finalize().into_bytes();
        let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.take(self.digits).map(|digit| char::from(HEX[usize::from(digit)])).collect()
    }
}

/// A hash that has read the key; of no use without one, and then never used.
fn keyed(key: Option<&str>, needed: bool) -> Result<Hmac<Sha256>, String> {
    let key = key.unwrap_or_default().trim_end_matches(['\r', '\n']);
    if needed && key.len() < 16 {
        return Err(format!(
            "key: {} bytes cannot keep a secret; make one of at least 16 bytes, such as with \
             `openssl rand -hex 32 > redact.key`, and write `key: {{file: redact.key}}`",
            key.len()
        ));
    }
    Hmac::new_from_slice(key.as_bytes()).map_err(|error| format!("key: {error}"))
}

/// What the config may say, for messages.
const SETTINGS: &str = include_str!("../settings.schema.json");

export_transform!(Redact, settings = SETTINGS);

#[cfg(test)]
mod tests {
    use ebpf_exporter_plugin::testing::{TestTransform, check_schema, json};

    use super::*;

    #[test]
    fn the_schema_says_what_settings_there_are() {
        check_schema::<Settings>(SETTINGS);
    }

    #[test]
    fn values_are_hashed_masked_and_kept() {
        // By another implementation: printf hello | openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkk
        let settings = json!({
            "hash": ["text"], "mask": ["who"], "digits": 64, "key": "k".repeat(20) + "\n",
        });
        let mut redact = TestTransform::<Redact>::new(settings, &["who", "text", "cpu"]).unwrap();
        assert_eq!(redact.names(), ["who", "text", "cpu"]);
        let hash = "75c94b7f5b9adaeb87ec556e5058e78272264e414ce93c4e87bbf37eb4454fbc";
        redact.check(&[
            (&["alice", "hello", "0"], &format!("{{who=\"***\", text=\"{hash}\", cpu=\"0\"}}")),
            (&["", "", "1"], r#"{cpu="1"}"#),
        ]);
    }

    #[test]
    fn the_hash_is_hmac_sha256_shortened() {
        let hash = |digits| {
            // RFC 4231, test case 2 asks for the key "Jefe", too short for us: the hash alone.
            let keyed = Hmac::new_from_slice(b"Jefe").unwrap();
            let redact =
                Redact { names: vec![], treatments: vec![], keyed, digits, mask: String::new() };
            redact.hash("what do ya want for nothing?")
        };
        assert_eq!(hash(64), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(hash(9), "5bdcc146b");
    }

    #[test]
    fn bad_settings_are_refused() {
        let refused = |settings| TestTransform::<Redact>::new(settings, &["a"]).err().unwrap();
        let key = "0123456789abcdef";
        assert_eq!(
            refused(json!({"key": key})),
            "nothing is redacted; list labels under hash or mask"
        );
        assert_eq!(
            refused(json!({"hash": ["b"], "key": key})),
            "metric ebpf_exporter_test_total has no label \"b\"; name one of: a"
        );
        assert_eq!(
            refused(json!({"hash": ["a"], "mask": ["a"], "key": key})),
            "label a is listed twice; list it once"
        );
        assert_eq!(
            refused(json!({"hash": ["a"], "key": key, "digits": 7})),
            "digits: 7 is not between 8 and 64"
        );
        assert_eq!(
            refused(json!({"hash": ["a"], "key": "0123456789abcde\n"})),
            "key: 15 bytes cannot keep a secret; make one of at least 16 bytes, such as with \
             `openssl rand -hex 32 > redact.key`, and write `key: {file: redact.key}`"
        );
    }
}
