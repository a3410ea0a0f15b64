//! What a plugin says of itself, in sections of its file.
//!
//! In a component they stand at the top level, as the crate `wasm-metadata` writes them, so that other
//! tools read them: `version`, `description`, `authors`, `licenses`, `source`, `homepage` and `revision`
//! are texts, and the name is in the section `component-name`. Which settings it takes stands in a
//! section of our own, as JSON Schema.
//!
//! In a core module they stand as `ebpf-exporter:NAME`, where the macros of the SDK put them.
//!
//! All of it is its author's word: nothing here is believed, and nothing of it is ever run.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasm_metadata::{AddMetadata, AddMetadataField};
use wasmparser::{BinaryReader, ComponentName, ComponentNameSectionReader};

use crate::error::{ComponentizeError, MetadataError, Problem, shown};
use crate::sections;

/// The section of a component with the JSON Schema of its settings.
pub const SETTINGS: &str = "ebpf-exporter:settings";
/// What the names of sections of core modules begin with.
const LINKED: &str = "ebpf-exporter:";
/// The section of a component with its name, and names of its parts.
const COMPONENT_NAME: &str = "component-name";

/// Bytes of a text.
pub const LONGEST_TEXT: usize = 1024;
/// Bytes of a schema.
pub const LARGEST_SCHEMA: usize = 64 << 10;
/// Objects and lists of a schema within each other.
const DEEPEST: usize = 32;

/// What a plugin says of itself, as it stands in its file: whoever shows a text has to escape it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its own version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authors: Option<String>,
    /// An SPDX expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licenses: Option<String>,
    /// The URL of its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// A URL to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Which revision of its source it was built of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The JSON Schema of its settings, an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
}

impl Metadata {
    /// Its texts by their names, in the order in which they are shown.
    pub fn texts(&self) -> [(&'static str, Option<&str>); 8] {
        [
            ("name", &self.name),
            ("version", &self.version),
            ("description", &self.description),
            ("authors", &self.authors),
            ("licenses", &self.licenses),
            ("source", &self.source),
            ("homepage", &self.homepage),
            ("revision", &self.revision),
        ]
        .map(|(name, text)| (name, text.as_deref()))
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn text_mut(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "name" => Some(&mut self.name),
            "version" => Some(&mut self.version),
            "description" => Some(&mut self.description),
            "authors" => Some(&mut self.authors),
            "licenses" => Some(&mut self.licenses),
            "source" => Some(&mut self.source),
            "homepage" => Some(&mut self.homepage),
            "revision" => Some(&mut self.revision),
            _ => None,
        }
    }

    /// This, and what it leaves out from `other`.
    #[must_use]
    pub fn or(mut self, mut other: Self) -> Self {
        for (name, _) in Self::default().texts() {
            if let (Some(mine), Some(text)) = (self.text_mut(name), other.text_mut(name)) {
                *mine = mine.take().or(text.take());
            }
        }
        self.settings = self.settings.or(other.settings);
        self
    }

    /// Takes what a custom section at the top level of a component says, and whether it is one that says
    /// anything. An empty one says nothing.
    ///
    /// # Errors
    ///
    /// When what it says cannot be. Then nothing is taken.
    pub fn read(&mut self, section: &str, content: &[u8]) -> Result<bool, MetadataError> {
        match section {
            COMPONENT_NAME => self.read_name(content).map(|()| true),
            SETTINGS => self.take("settings", content).map(|()| true),
            // Names of a core module's functions, which no component has.
            "name" => Ok(false),
            _ if self.text_mut(section).is_some() => self.take(section, content).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Of the names in this section the component's own.
    fn read_name(&mut self, content: &[u8]) -> Result<(), MetadataError> {
        let damaged = || MetadataError { field: "name".to_owned(), problem: Problem::Damaged };
        for part in ComponentNameSectionReader::new(BinaryReader::new(content, 0)) {
            if let ComponentName::Component { name, .. } = part.map_err(|_| damaged())? {
                self.take("name", name.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Takes a part, be it a text or the schema.
    pub(crate) fn take(&mut self, field: &str, content: &[u8]) -> Result<(), MetadataError> {
        let wrong = |problem| MetadataError { field: field.to_owned(), problem };
        let most = if field == "settings" { LARGEST_SCHEMA } else { LONGEST_TEXT };
        if content.len() > most {
            return Err(wrong(Problem::TooLong { bytes: content.len(), most }));
        }
        let text = std::str::from_utf8(content).map_err(|_| wrong(Problem::NoText))?.trim();
        if text.is_empty() {
            return Ok(());
        }
        let is_new = match self.text_mut(field) {
            Some(place) => first(place, text.to_owned()),
            None => first(&mut self.settings, schema(text).map_err(wrong)?),
        };
        if is_new { Ok(()) } else { Err(wrong(Problem::Twice)) }
    }

    /// Whether other tools will read it: some refuse a whole file for a URL that is none.
    fn check(&self) -> Result<(), MetadataError> {
        let wrong = |field: &str, problem| Err(MetadataError { field: field.to_owned(), problem });
        let is_url = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        for (field, url) in [("source", &self.source), ("homepage", &self.homepage)] {
            if url.as_ref().is_some_and(|url| !is_url(url) || url.contains(char::is_whitespace)) {
                return wrong(field, Problem::NoUrl);
            }
        }
        if self.version.as_ref().is_some_and(|version| semver::Version::parse(version).is_err()) {
            return wrong("version", Problem::NoVersion);
        }
        match &self.licenses {
            Some(licenses) if !is_expression(licenses) => wrong("licenses", Problem::NoLicense),
            _ => Ok(()),
        }
    }

    /// Writes it behind all that a component has, whose own was taken out.
    pub(crate) fn add_to(&self, mut component: Vec<u8>) -> Result<Vec<u8>, ComponentizeError> {
        self.check()?;
        for (name, text) in self.texts() {
            match text {
                Some(text) if name != "name" => {
                    sections::append(&mut component, name, text.as_bytes())
                }
                _ => {}
            }
        }
        if let Some(schema) = &self.settings {
            sections::append(&mut component, SETTINGS, schema.to_string().as_bytes());
        }
        let Some(name) = self.name.clone() else { return Ok(component) };
        let mut named = AddMetadata::default();
        named.name = AddMetadataField::Set(name);
        let named = named.to_wasm(&component);
        named.map_err(|error| ComponentizeError::Damaged(shown(&format!("{error:#}"))))
    }
}

/// Whether a text has the form of an SPDX expression: names of licences with `AND`, `OR` and `WITH` between them, and
/// parentheses. Whether there are such licences is not known here.
fn is_expression(text: &str) -> bool {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    // How many parentheses are open, and whether a name is to come.
    let (mut open, mut wants_name) = (0usize, true);
    for word in spaced.split_whitespace() {
        match word {
            "(" if wants_name => open += 1,
            ")" if !wants_name && open > 0 => open -= 1,
            "AND" | "OR" | "WITH" if !wants_name => wants_name = true,
            "(" | ")" | "AND" | "OR" | "WITH" => return false,
            name if wants_name && is_license(name) => wants_name = false,
            _ => return false,
        }
    }
    open == 0 && !wants_name
}

/// Whether it could be the name of a licence or of an exception to one.
fn is_license(name: &str) -> bool {
    let name = name.strip_suffix('+').unwrap_or(name);
    let inner = |char: char| char.is_ascii_alphanumeric() || "-.:".contains(char);
    !name.is_empty() && name.chars().all(inner)
}

/// Puts it where nothing is yet, and says whether it did.
fn first<T>(place: &mut Option<T>, what: T) -> bool {
    let is_new = place.is_none();
    place.get_or_insert(what);
    is_new
}

/// A JSON Schema that is not nested too deep.
fn schema(text: &str) -> Result<Value, Problem> {
    let schema: Value =
        serde_json::from_str(text).map_err(|error| Problem::NoSchema(shown(&error.to_string())))?;
    match depth(&schema) {
        _ if !schema.is_object() => Err(Problem::NoSchema("it is no object".to_owned())),
        deep if deep > DEEPEST => Err(Problem::TooDeep),
        _ => Ok(schema),
    }
}

/// How many objects and lists are within each other: never more than the reader lets through.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(entries) => 1 + entries.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// What a core module says of its plugin, and the module without that.
pub(crate) fn lift(module: &[u8]) -> Result<(Metadata, Vec<u8>), ComponentizeError> {
    let mut metadata = Metadata::default();
    let core = sections::without(module, |name, content| {
        let Some(field) = name.strip_prefix(LINKED) else { return Ok(false) };
        let known = field == "settings" || metadata.text_mut(field).is_some();
        if known {
            metadata.take(field, content)?;
        }
        Ok(known)
    })?;
    // Cargo has colons between authors, and other tools read a sentence.
    metadata.authors = metadata.authors.map(|authors| authors.replace(':', ", "));
    Ok((metadata, core))
}

/// What a component says of itself, and the component without that. The section with its name stays, as it
/// has other names too.
pub(crate) fn split(component: &[u8]) -> Result<(Metadata, Vec<u8>), ComponentizeError> {
    let mut metadata = Metadata::default();
    let rest = sections::without(component, |name, content| {
        Ok(metadata.read(name, content)? && name != COMPONENT_NAME)
    })?;
    Ok((metadata, rest))
}
