//! What is known of a key of a config before any is read: what may stand behind it, what holds without
//! it, and what it means.
//!
//! Which keys there are is for [`super::keys`] to say.

use crate::config::ranges::{Bytes, Count, Times};

/// A mapping of the file.
#[derive(Debug)]
pub(in crate::config) struct Section {
    /// What it is called: `counter`.
    pub(in crate::config) name: &'static str,
    /// What it is, and where it stands.
    pub(in crate::config) says: &'static str,
    /// Its keys, in the order in which people write them.
    pub(in crate::config) keys: &'static [Key],
    /// The keys of which it has to have one that says something; none if it may lack all.
    pub(in crate::config) any_of: &'static [&'static str],
    /// The keys of which it has to have exactly one that says something; none if there are no such.
    pub(in crate::config) one_of: &'static [&'static str],
}

/// A key of a [`Section`].
#[derive(Debug)]
pub(in crate::config) struct Key {
    pub(in crate::config) name: &'static str,
    pub(in crate::config) kind: ValueKind,
    pub(in crate::config) default: Unwritten,
    /// What it means: sentences.
    pub(in crate::config) says: &'static str,
    /// What it belongs to, if it does nothing elsewhere.
    pub(in crate::config) only: Option<Only>,
}

/// A key belongs to sections in which another one has one of these values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Only {
    pub(in crate::config) key: &'static str,
    pub(in crate::config) is: &'static [&'static str],
}

/// What holds where a key is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Unwritten {
    /// It has to be written; of a key that belongs to others, where it belongs.
    Needed,
    /// It has to be written where this key is not.
    NeededWithout(&'static str),
    /// Nothing.
    Nothing,
    /// This, as it would be written.
    Written(&'static str),
    /// What these words say.
    Said(&'static str),
}

/// What may stand behind a key.
#[derive(Debug)]
pub(in crate::config) enum ValueKind {
    /// A text that says nothing when it is empty.
    Word,
    /// A text that may be empty.
    Text,
    /// What a metric or a label may be called.
    Name,
    /// One of these words.
    Choice(fn() -> Vec<Choice>),
    Boolean,
    Whole(Count),
    /// A number that is not negative.
    Number,
    Numbers,
    /// A duration, in this range if there is one.
    Duration(Option<Times>),
    Size(Bytes),
    /// 64 hexadecimal digits.
    Digest,
    /// An artifact in a registry, with its digest.
    Reference,
    /// One of these words, or `{label: TEXT}`.
    OnError(&'static [&'static str]),
    Texts,
    /// A list of names as C has them.
    Identifiers,
    /// A mapping of texts to texts.
    Pairs,
    /// A list of these.
    Items(&'static Section),
    /// A mapping of names to these.
    Named(&'static Section),
    /// A mapping of names to these, or one of them without a name.
    NamedOrOne(&'static Section),
    /// One of these.
    Section(&'static Section),
    /// One of these, or an empty one, which says nothing.
    Optional(&'static Section),
    /// A mapping that the exporter passes on.
    Settings,
}

/// A word that may be chosen.
#[derive(Clone, Debug)]
pub(in crate::config) struct Choice {
    pub(in crate::config) word: &'static str,
    /// What it stands for; empty if its key says that.
    pub(in crate::config) says: String,
}

impl Section {
    /// Whether a key is one of its own.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|known| known.name == key)
    }

    /// The names of its keys, in their order.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }
}

pub(super) const fn section(
    name: &'static str,
    says: &'static str,
    keys: &'static [Key],
) -> Section {
    Section { name, says, keys, any_of: &[], one_of: &[] }
}

pub(super) const fn key(
    name: &'static str,
    kind: ValueKind,
    default: Unwritten,
    says: &'static str,
) -> Key {
    Key { name, kind, default, says, only: None }
}

impl Key {
    /// The same, of sections alone in which `key` is one of these.
    pub(super) const fn only(self, key: &'static str, is: &'static [&'static str]) -> Self {
        Self { only: Some(Only { key, is }), ..self }
    }
}
