//! Bytes of a key through a chain of decoders that are built in.
//!
//! ```text
//! u8 n, then n bytes: which decoders
//! u8: what becomes of an error
//! u8 n, then n bytes: the patterns of `regexp`, a line each; some that are always the same for none
//! then the key
//! ```

use std::path::Path;

use ebpf_wasm_exporter::config::Fault;
use ebpf_wasm_exporter::decode::builtin::{
    ALL, Builtin, DecoderSettings, SettingsError, Spec, find,
};
use ebpf_wasm_exporter::decode::{Chain, Decodings, OnError, Step};
use ebpf_wasm_exporter::series::LabelSet;

use crate::{SYSTEM, text};

/// Decoders of the longest chain.
const MOST_STEPS: u8 = 4;

/// Takes in a key, and the chain that decodes it.
pub fn key(data: &[u8]) {
    let Some((chain, key)) = Case::of(data) else { return };
    let (Some(mut one), Some(mut other)) = (chain.made(), chain.made()) else { return };
    let first = Decodings::of(&mut one, [key, key]);
    let second = Decodings::of(&mut other, [key]);
    let (decoded, again, anew) = (first.get(0), first.get(1), second.get(0));
    assert_eq!((decoded.outcome, decoded.text), (again.outcome, again.text), "one key, two labels");
    assert_eq!((decoded.outcome, decoded.text), (anew.outcome, anew.text), "another chain");
    // Each step at most doubles its input, or puts names for each 8 bytes of it.
    let most = (key.len() + 64) << (5 * usize::from(MOST_STEPS));
    assert!(decoded.text.len() <= most, "{} bytes of {}", decoded.text.len(), key.len());
    if let Some(error) = decoded.error {
        text::one_line(&error.to_string());
    }
    let mut labels = LabelSet::default();
    labels.push(decoded.text);
    assert_eq!(labels.values().collect::<String>(), String::from_utf8_lossy(decoded.text));
}

/// A chain, as an input says it.
struct Case<'a> {
    steps: &'a [u8],
    on_error: OnError,
    patterns: Vec<String>,
}

impl<'a> Case<'a> {
    fn of(data: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (count, rest) = data.split_first()?;
        let (steps, rest) = rest.split_at_checked(usize::from(count % (MOST_STEPS + 1)))?;
        let (on_error, rest) = rest.split_first()?;
        let on_error = match on_error % 3 {
            0 => OnError::default(),
            1 => OnError::Drop,
            _ => OnError::Raw,
        };
        let (count, rest) = rest.split_first()?;
        let (patterns, key) = rest.split_at_checked(usize::from(*count))?;
        let patterns = if patterns.is_empty() { b"^[0-9]+$\na(.)c" } else { patterns };
        let patterns = String::from_utf8_lossy(patterns).lines().map(str::to_owned).collect();
        Some((Self { steps, on_error, patterns }, key))
    }

    /// The chain, if its decoders take these settings.
    fn made(&self) -> Option<Chain> {
        let step = |number: &u8| {
            let builtin = &ALL[usize::from(*number) % ALL.len()];
            let decoder = self.spec(builtin)?.decoder(&SYSTEM);
            Some(Step { name: builtin.name, decoder, on_error: self.on_error.clone() })
        };
        self.steps.iter().map(step).collect::<Option<_>>().map(Chain::new)
    }

    fn spec(&self, builtin: &Builtin) -> Option<Spec> {
        let settings = DecoderSettings {
            static_map: vec![("1".to_owned(), "read".to_owned()), ("a".to_owned(), "b".to_owned())],
            regexps: self.patterns.clone(),
            ..DecoderSettings::default()
        };
        let found = find(builtin.name).expect("one of all");
        match found.with(&settings) {
            Ok(spec) => Some(spec),
            Err(faults) => {
                // As a config says it, whose fault it is.
                let said = |fault: &SettingsError| {
                    Fault::of_file(Path::new("fuzz.yaml"), fault.advice.clone())
                };
                faults.iter().for_each(|fault| text::one_line(&said(fault).to_string()));
                None
            }
        }
    }
}
