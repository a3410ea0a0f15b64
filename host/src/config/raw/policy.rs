//! A policy as it was typed: the file of `--plugins.policy`, and the keys that it may have.

use super::Field;
use super::fields::Fields;
use super::section::{Section, Unwritten, ValueKind, key, section};
use crate::config::faults::Faults;
use crate::config::node::Node;

use Unwritten::{Needed, NeededWithout, Nothing, Said, Written};

pub(in crate::config) static POLICY: Section = section(
    "policy",
    "A policy: who has to have signed which plugins.",
    &[
        key(
            "trusted_root",
            ValueKind::Word,
            Said("that of Sigstore's public instance, as it was when the exporter was built"),
            "A file as `cosign trusted-root create` makes it: whose certificates, logs and times are believed. A relative one is beside the policy.",
        ),
        key(
            "rules",
            ValueKind::Items(&RULE),
            Needed,
            "The rules. A plugin that none is for is refused.",
        ),
    ],
);

pub(in crate::config) static RULE: Section = section(
    "rule",
    "A rule, an item of `rules`. Of all that are for a plugin the one counts that names it nearest.",
    &[
        key(
            "repositories",
            ValueKind::Texts,
            NeededWithout("files"),
            "The repositories of registries that it is for: `ghcr.io/acme/zone`, `ghcr.io/acme/*` with all below, or `*`.",
        ),
        key(
            "files",
            ValueKind::Texts,
            NeededWithout("repositories"),
            "The files that it is for, by their names without a directory: `zone.wasm`, or `*`.",
        ),
        key("keys", ValueKind::Items(&KEY), Nothing, "Keys, of which one has to have signed."),
        key(
            "identities",
            ValueKind::Items(&IDENTITY),
            Nothing,
            "Who may have signed without a key of their own. One of `keys` and `identities` is enough.",
        ),
        key(
            "unsigned",
            ValueKind::Boolean,
            Written("false"),
            "Whether nobody needs to have signed. Such a rule has neither `keys` nor `identities`.",
        ),
    ],
);

pub(in crate::config) static KEY: Section = section(
    "key",
    "A public key, an item of `keys`: ECDSA on P-256 or P-384, Ed25519, or RSA.",
    &[
        key(
            "file",
            ValueKind::Word,
            NeededWithout("pem"),
            "Its file in PEM format, such as `cosign.pub`. A relative one is beside the policy.",
        ),
        key("pem", ValueKind::Word, NeededWithout("file"), "The key itself, in PEM format."),
        key(
            "log",
            ValueKind::Boolean,
            Written("false"),
            "Whether a log of `trusted_root` has to have noted the signature.",
        ),
    ],
);

pub(in crate::config) static IDENTITY: Section = section(
    "identity",
    "Somebody whom a certificate names, an item of `identities`.",
    &[
        key(
            "issuer",
            ValueKind::Word,
            NeededWithout("issuer_regexp"),
            "Who has vouched for them: `https://token.actions.githubusercontent.com`.",
        ),
        key("issuer_regexp", ValueKind::Word, NeededWithout("issuer"), "A pattern of all of it."),
        key(
            "subject",
            ValueKind::Word,
            NeededWithout("subject_regexp"),
            "Who they are: a mail address, or a workflow with its branch or tag.",
        ),
        key("subject_regexp", ValueKind::Word, NeededWithout("subject"), "A pattern of all of it."),
    ],
);

/// A whole file.
pub(in crate::config) struct Policy {
    pub(in crate::config) trusted_root: Field<String>,
    pub(in crate::config) rules: Field<Vec<Rule>>,
}

pub(in crate::config) struct Rule {
    pub(in crate::config) path: String,
    /// Each with its path.
    pub(in crate::config) repositories: Vec<(String, String)>,
    pub(in crate::config) files: Vec<(String, String)>,
    pub(in crate::config) keys: Field<Vec<Key>>,
    pub(in crate::config) identities: Field<Vec<Identity>>,
    pub(in crate::config) unsigned: Field<bool>,
}

pub(in crate::config) struct Key {
    pub(in crate::config) path: String,
    pub(in crate::config) file: Field<String>,
    pub(in crate::config) pem: Field<String>,
    pub(in crate::config) log: Field<bool>,
}

pub(in crate::config) struct Identity {
    pub(in crate::config) path: String,
    pub(in crate::config) issuer: Field<String>,
    pub(in crate::config) issuer_regexp: Field<String>,
    pub(in crate::config) subject: Field<String>,
    pub(in crate::config) subject_regexp: Field<String>,
}

/// Reads a policy's root, which has to be a mapping.
pub(in crate::config) fn policy(root: &Node<'_>, faults: &Faults<'_>) -> Option<Policy> {
    let fields = Fields::open(root, "", &POLICY, faults)?;
    Some(Policy { trusted_root: fields.word("trusted_root"), rules: fields.items("rules", rule) })
}

fn rule(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Rule> {
    let fields = Fields::open(node, path, &RULE, faults)?;
    Some(Rule {
        path: path.to_owned(),
        repositories: fields.texts("repositories"),
        files: fields.texts("files"),
        keys: fields.items("keys", self::one_key),
        identities: fields.items("identities", identity),
        unsigned: fields.boolean("unsigned"),
    })
}

fn one_key(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Key> {
    let fields = Fields::open(node, path, &KEY, faults)?;
    let (file, pem, log) = (fields.word("file"), fields.word("pem"), fields.boolean("log"));
    Some(Key { path: path.to_owned(), file, pem, log })
}

fn identity(node: &Node<'_>, path: &str, faults: &Faults<'_>) -> Option<Identity> {
    let fields = Fields::open(node, path, &IDENTITY, faults)?;
    Some(Identity {
        path: path.to_owned(),
        issuer: fields.word("issuer"),
        issuer_regexp: fields.word("issuer_regexp"),
        subject: fields.word("subject"),
        subject_regexp: fields.word("subject_regexp"),
    })
}
