//! The JSON Schema of a config, for editors and for checks that run without the exporter.
//!
//! It is made from the list of keys that the reader has. It takes what the reader takes without a word:
//! booleans as `yes`, numbers as `1_000`, texts that look like numbers. It refuses what the reader refuses,
//! as far as JSON Schema has words for it. It has none for the range of a number with a unit, for what one
//! number has to be beside another, for names that stand elsewhere in the file, and for the BPF object:
//! `--config.check` knows them all.
//!
//! It keeps to words that drafts 7 and 2020-12 share, for editors that know one of them.

mod json;
mod patterns;
mod rules;
mod words;

use json::{Json, list, map};
pub use words::{KeyRow, KeyTable, policy_tables, tables, web_tables};

use super::buckets::LARGEST_EXACT;
use super::limits::MOST_DATA;
use super::ranges::{Count, MOST_BUCKETS};
use super::raw::keys::{self, Key, Only, Section, Unwritten, ValueKind};
use super::{bounds, name};

/// Sections that are items of lists and mappings, each of which may stand in several places.
const ITEMS: [&Section; 8] = [
    &keys::COUNTER,
    &keys::HISTOGRAM,
    &keys::SPAN,
    &keys::LABEL,
    &keys::DECODER,
    &keys::TRANSFORM,
    &keys::PLUGIN,
    &keys::DATA,
];

/// The schema as JSON text, its keys in the order in which people write them.
pub fn json() -> String {
    let mut parts = vec![
        ("$schema", Json::from("https://json-schema.org/draft/2020-12/schema")),
        ("title", "Config of ebpf_wasm_exporter".into()),
        ("description", keys::FILE.says.into()),
        ("type", "object".into()),
    ];
    parts.extend(body(&keys::FILE));
    parts.extend(any_of(&keys::FILE));
    parts.push(("$defs", map(ITEMS.map(|section| (section.name, item(section))))));
    map(parts).pretty()
}

/// A section where `null` cannot stand.
fn item(section: &Section) -> Json {
    let about = [("description", section.says.into()), ("type", "object".into())];
    map(about.into_iter().chain(body(section)).chain(any_of(section)).chain(one_of(section)))
}

/// What an object has to be to be this section.
fn body(section: &Section) -> Words {
    let is_file = std::ptr::eq(section, &keys::FILE);
    let mut parts =
        vec![("properties", map(section.keys.iter().map(|key| (key.name, property(key)))))];
    // A file may have sections that only hold what others use: `x-labels: &labels [...]`.
    parts.push(("additionalProperties", is_file.into()));
    let needed = section.keys.iter().filter(|key| is_needed(key)).map(|key| key.name);
    let needed: Vec<_> = needed.collect();
    if !needed.is_empty() {
        parts.push(("required", list(needed)));
    }
    let mut conditions = conditions(section);
    conditions.extend(rules::of(section));
    if !conditions.is_empty() {
        parts.push(("allOf", list(conditions)));
    }
    parts
}

/// The keys of which an object has to have one that says something, if it says something itself.
fn any_of(section: &Section) -> Option<(&'static str, Json)> {
    let keys = section.keys.iter().filter(|key| section.any_of.contains(&key.name));
    let any = keys.map(|key| has(&[key])).collect::<Vec<_>>();
    (!any.is_empty()).then(|| ("anyOf", list(any)))
}

/// The keys of which an object has to have exactly one that says something.
fn one_of(section: &Section) -> Option<(&'static str, Json)> {
    let keys = section.keys.iter().filter(|key| section.one_of.contains(&key.name));
    let one = keys.map(|key| has(&[key])).collect::<Vec<_>>();
    (!one.is_empty()).then(|| ("oneOf", list(one)))
}

/// Whether a key has to be there in whatever section of its kind.
fn is_needed(key: &Key) -> bool {
    key.default == Unwritten::Needed && key.only.is_none()
}

/// An object in which these keys say something.
fn has(keys: &[&Key]) -> Json {
    let says = keys.iter().map(|key| (key.name, map(something(&key.kind))));
    map([("required", list(keys.iter().map(|key| key.name))), ("properties", map(says))])
}

/// For each group of keys that belong to others: they are where they belong, and nowhere else.
fn conditions(section: &Section) -> Vec<Json> {
    let mut groups: Vec<Only> = section.keys.iter().filter_map(|key| key.only).collect();
    groups.dedup();
    groups.into_iter().map(|only| condition(section, only)).collect()
}

fn condition(section: &Section, only: Only) -> Json {
    let keys = || section.keys.iter().filter(|key| key.only == Some(only));
    let needed: Vec<_> = keys().filter(|key| key.default == Unwritten::Needed).collect();
    let is = map([("enum", list(only.is.iter().copied()))]);
    let belongs = [("required", list([only.key])), ("properties", map([(only.key, is)]))];
    let elsewhere = keys().map(|key| (key.name, nothing()));
    map([
        ("if", map(belongs)),
        ("then", has(&needed)),
        ("else", map([("properties", map(elsewhere))])),
    ])
}

/// A value that says nothing.
fn nothing() -> Json {
    let empty = [Json::Null, "".into(), Json::List(Vec::new()), Json::Map(Vec::new())];
    map([("enum", list(empty))])
}

/// What a value has to be that is not nothing.
fn something(kind: &ValueKind) -> Words {
    match kind {
        ValueKind::Items(_) | ValueKind::Texts | ValueKind::Identifiers | ValueKind::Numbers => {
            vec![("type", "array".into()), ("minItems", 1.into())]
        }
        ValueKind::Pairs | ValueKind::Named(_) | ValueKind::NamedOrOne(_) => {
            vec![("type", "object".into()), ("minProperties", 1.into())]
        }
        ValueKind::Word | ValueKind::Name => {
            vec![("minLength", 1.into()), ("type", list(TEXT))]
        }
        ValueKind::Boolean => vec![("enum", patterns::yes())],
        ValueKind::Reference => vec![("minLength", 1.into()), ("type", "string".into())],
        ValueKind::Whole(_) => vec![("type", list(["integer", "string"]))],
        ValueKind::Section(section) => {
            [("type", "object".into())].into_iter().chain(any_of(section)).collect()
        }
        _ => Vec::new(),
    }
}

/// What a text may look like to a reader of YAML 1.2.
const TEXT: [&str; 3] = ["string", "number", "boolean"];

fn property(key: &Key) -> Json {
    let mut parts = vec![("description", words::describe(key).into())];
    parts.extend(value(&key.kind, is_needed(key)));
    if let Unwritten::Written(text) = key.default {
        parts.push(("default", Json::of_yaml(text)));
    }
    map(parts)
}

/// What an object has to say of a value: words of JSON Schema.
type Words = Vec<(&'static str, Json)>;

/// What may stand behind a key; `null` too, unless it is needed.
fn value(kind: &ValueKind, needed: bool) -> Words {
    let types = |types: &[&'static str]| {
        let types = types.iter().copied().chain((!needed).then_some("null"));
        ("type", list(types))
    };
    let (array, object) = (types(&["array"]), types(&["object"]));
    match kind {
        ValueKind::Word if needed => vec![types(&TEXT), ("minLength", 1.into())],
        ValueKind::Word | ValueKind::Text => vec![types(&TEXT)],
        ValueKind::Name => named(types(&TEXT), patterns::NAME),
        ValueKind::Choice(words) => {
            let words = words().into_iter().map(|choice| choice.word.into());
            let nothing = [Json::Null, "".into()].into_iter().filter(|_| !needed);
            vec![("enum", list(words.chain(nothing)))]
        }
        ValueKind::Boolean => {
            vec![types(&["boolean", "string"]), ("pattern", patterns::truths().into())]
        }
        ValueKind::Whole(range) => within(types(&["integer", "string"]), *range, patterns::WHOLE),
        ValueKind::Number => vec![
            types(&["number", "string"]),
            ("minimum", 0.into()),
            // What readers of YAML take `.inf` for is larger.
            ("maximum", f64::MAX.into()),
            ("pattern", patterns::NUMBER.into()),
        ],
        // Of numbers, 0 alone needs no unit.
        ValueKind::Duration(None) => {
            within(types(&["integer", "string"]), (0, 0), patterns::DURATION)
        }
        ValueKind::Duration(Some(("0s", _))) => {
            within(types(&["integer", "string"]), (0, 0), patterns::SPAN_OR_NONE)
        }
        ValueKind::Duration(Some(_)) => {
            vec![types(&["string"]), ("pattern", patterns::SPAN.into())]
        }
        ValueKind::Size((least, most)) => {
            within(types(&["integer", "string"]), (*least as u64, *most as u64), patterns::SIZE)
        }
        ValueKind::Digest => vec![types(&["string"]), ("pattern", patterns::DIGEST.into())],
        ValueKind::Reference => vec![types(&["string"]), ("pattern", patterns::REFERENCE.into())],
        ValueKind::OnError(words) => vec![("anyOf", on_error(words))],
        ValueKind::Texts => {
            let text = list(TEXT.into_iter().chain(["null"]));
            items(array, map([("type", text)]), needed)
        }
        ValueKind::Identifiers => items(array, identifier(), needed),
        ValueKind::Numbers => {
            let mut words = items(array, bucket_key(), needed);
            words.extend([("maxItems", MOST_BUCKETS.into()), ("uniqueItems", true.into())]);
            words
        }
        ValueKind::Items(section) => items(array, refer(section), needed),
        ValueKind::Pairs => {
            let text = list(TEXT.into_iter().chain(["null"]));
            vec![object, ("additionalProperties", map([("type", text)]))]
        }
        ValueKind::Named(section) => {
            let names = format!("^[A-Za-z0-9_.-]{{1,{}}}$", bounds::NAME);
            let names = map([("pattern", names.into())]);
            vec![object, ("propertyNames", names), ("additionalProperties", refer(section))]
        }
        ValueKind::NamedOrOne(section) => {
            let mut names = value(&ValueKind::Named(section), needed);
            names.push(("maxProperties", MOST_DATA.into()));
            vec![("anyOf", list([refer(section), map(names)]))]
        }
        ValueKind::Section(section) => [object].into_iter().chain(body(section)).collect(),
        ValueKind::Optional(section) => {
            let some = [("type", "object".into())].into_iter().chain(body(section));
            vec![("anyOf", list([map(empty(section)), map(some)]))]
        }
        ValueKind::Settings => vec![object],
    }
}

/// A number in this range, or a text that matches.
fn within(types: (&'static str, Json), (least, most): Count, pattern: &'static str) -> Words {
    let range = [("minimum", least.into()), ("maximum", most.into())];
    [types].into_iter().chain(range).chain([("pattern", pattern.into())]).collect()
}

/// A text that matches, and is not too long for a name.
fn named(types: (&'static str, Json), pattern: &'static str) -> Words {
    let length = [("minLength", 1.into()), ("maxLength", name::LONGEST.into())];
    [types].into_iter().chain(length).chain([("pattern", pattern.into())]).collect()
}

/// A list of these; one that is not empty, if it is needed.
fn items(array: (&'static str, Json), item: Json, needed: bool) -> Words {
    let least = needed.then(|| ("minItems", 1.into()));
    [array, ("items", item)].into_iter().chain(least).collect()
}

fn identifier() -> Json {
    map([("type", "string".into()), ("pattern", patterns::IDENTIFIER.into())])
}

fn bucket_key() -> Json {
    map([
        ("type", list(["number", "string"])),
        ("exclusiveMinimum", (-LARGEST_EXACT.cast_signed()).into()),
        ("exclusiveMaximum", LARGEST_EXACT.into()),
        ("pattern", patterns::NUMBER.into()),
    ])
}

/// A section of [`ITEMS`].
fn refer(section: &Section) -> Json {
    map([("$ref", format!("#/$defs/{}", section.name).into())])
}

fn on_error(words: &[&'static str]) -> Json {
    let label = [("type", "object".into())].into_iter().chain(body(&keys::ON_ERROR));
    list([map([("enum", list(words.iter().copied()))]), map(label), map([("type", "null".into())])])
}

/// What may be there and be empty.
fn empty(section: &Section) -> Words {
    let keys = section.keys.iter().map(|key| (key.name, nothing()));
    vec![
        ("type", list(["object", "array", "string", "null"])),
        ("maxLength", 0.into()),
        ("maxItems", 0.into()),
        ("properties", map(keys)),
        ("additionalProperties", false.into()),
    ]
}
