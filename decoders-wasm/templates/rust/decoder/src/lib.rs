//! `my-plugin`: a text → the name that the settings have for it.
//!
//! Settings, which may all be left out:
//!
//! ```yaml
//! names: {bash: shell, sh: shell}  # text: name
//! default: other                   # for texts without a name; without it, such a text is an error
//! ```

use std::collections::HashMap;

use ebpf_exporter_plugin::{Decoder, Outcome, export_decoder};
use serde::Deserialize;

/// The config's `settings`, which are all that this decoder knows. A key that is not here is refused with a message.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    names: HashMap<String, String>,
    default: Option<String>,
}

impl Decoder for Names {
    type Settings = Self;

    fn configure(settings: Self) -> Result<Self, String> {
        Ok(settings)
    }

    fn decode(&mut self, input: &[u8]) -> Result<Outcome, String> {
        let name = str::from_utf8(input).ok().and_then(|text| self.names.get(text));
        let name = name.or(self.default.as_ref());
        name.map(Outcome::label).ok_or_else(|| "it has no name, and there is no default".to_owned())
    }
}

/// The same for programs: the exporter tells which key of a config is misspelt, and on which line.
const SETTINGS: &str = include_str!("../settings.schema.json");

export_decoder!(Names, settings = SETTINGS);

#[cfg(test)]
mod tests {
    use ebpf_exporter_plugin::testing::{TestDecoder, check_schema, json};

    use super::{Names, SETTINGS};

    #[test]
    fn the_schema_says_what_settings_there_are() {
        check_schema::<Names>(SETTINGS);
    }

    #[test]
    fn texts_have_names() {
        let names = json!({"bash": "shell", "é": "accent"});
        TestDecoder::<Names>::new(json!({ "names": names })).unwrap().check(&[
            (b"bash", "shell"),
            ("é".as_bytes(), "accent"),
            (b"zsh", "(error: it has no name, and there is no default)"),
            (b"\xff", "(error: it has no name, and there is no default)"),
        ]);
        let settings = json!({"names": names, "default": "other"});
        TestDecoder::<Names>::new(settings).unwrap().check(&[(b"bash", "shell"), (b"\xff", "other")]);
    }

    #[test]
    fn a_setting_that_is_unknown_is_refused() {
        let refused = TestDecoder::<Names>::new(json!({"name": {}})).err().unwrap();
        assert_eq!(refused, "settings: unknown field `name`, expected `names` or `default`");
    }
}
