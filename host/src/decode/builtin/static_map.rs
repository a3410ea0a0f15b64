//! `static_map`: a text → the text that the config maps it to; else `unknown:TEXT`, or the text
//! itself with `allow_unknown`.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{Behaviour, Builtin, DecoderSettings, Form, Make, SettingsError, Setup, Sizes};
use crate::advice::Advice;
use crate::decode::{DecodeError, Decoder, Outcome};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "static_map",
    sizes: Sizes::Any,
    takes: Form::Any,
    gives: Form::Any,
    about: Behaviour {
        input: "text",
        gives: "what the config maps it to",
        otherwise: "`unknown:TEXT`, or the text itself with `allow_unknown: true`",
    },
    wants: |_| {},
    make: Make::Set(|settings| StaticMap::new(settings).map(Setup::StaticMap)),
};

/// Texts, by the texts that are mapped to them.
type Texts = HashMap<Box<[u8]>, Box<[u8]>, RandomState>;

/// What texts are mapped to, and whether others pass. Its clones share the texts.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticMap {
    map: Arc<Texts>,
    allow_unknown: bool,
}

impl StaticMap {
    fn new(settings: &DecoderSettings) -> Result<Self, Vec<SettingsError>> {
        if settings.static_map.is_empty() {
            return Err(vec![SettingsError {
                path: "static_map".to_owned(),
                advice: Advice::new(
                    "nothing is mapped",
                    "list pairs of input and output, such as `1: read`",
                ),
            }]);
        }
        let bytes = |text: &String| text.as_bytes().into();
        let map = settings.static_map.iter().map(|(from, to)| (bytes(from), bytes(to))).collect();
        Ok(Self { map: Arc::new(map), allow_unknown: settings.allow_unknown })
    }
}

impl Decoder for StaticMap {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        if let Some(to) = self.map.get(input) {
            out.extend_from_slice(to);
            return Ok(Outcome::Label);
        }
        if !self.allow_unknown {
            out.extend_from_slice(b"unknown:");
        }
        out.extend_from_slice(input);
        Ok(Outcome::Label)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    fn settings(allow_unknown: bool) -> DecoderSettings {
        let pairs = [("1", "read"), ("2", "write"), ("010", "a"), ("1", "fetch"), ("", "none")];
        DecoderSettings {
            static_map: pairs.map(|(from, to)| (from.to_owned(), to.to_owned())).into(),
            allow_unknown,
            ..DecoderSettings::default()
        }
    }

    #[test]
    fn table() {
        testing::check_with(
            "static_map",
            &settings(false),
            &[
                (b"1", "fetch"),
                (b"2", "write"),
                (b"010", "a"),
                (b"", "none"),
                (b"10", "unknown:10"),
                (b"2\0", "unknown:2\0"),
            ],
        );
    }

    #[test]
    fn table_with_allow_unknown() {
        testing::check_with(
            "static_map",
            &settings(true),
            &[(b"2", "write"), (b"10", "10"), (b"", "none")],
        );
    }

    #[test]
    fn an_empty_map_is_refused() {
        insta::assert_snapshot!(
            testing::refusal("static_map", &DecoderSettings::default()),
            @"static_map: nothing is mapped; list pairs of input and output, such as `1: read`"
        );
    }
}
