//! A policy of signatures, the file of `--plugins.policy`: who has to have signed which plugins, as plain data.
//!
//! What keys, patterns and the trusted root hold is looked at where signatures are checked, for that alone says whether a
//! signature is good. A policy is stricter than a config: whatever it has that nobody knows is an error, for a
//! rule that does nothing would let somebody in.

use std::path::{Path, PathBuf};

use super::bounds::{self, Bounds};
use super::error::{ConfigFile, Fault, Severity};
use super::faults::Faults;
use super::node;
use super::raw::Field;
use super::raw::policy as raw;
use crate::advice::{Advice, quote};
use crate::files;
use crate::reference::{Repository, one_spelling};

/// Bytes of a file that holds a key.
const LARGEST_KEY: u64 = 64 << 10;
/// Bytes of a file that holds a trusted root.
const LARGEST_ROOT: u64 = 1 << 20;
/// What a pattern ends in that stands for all below.
const BELOW: &str = "/*";

/// Who has to have signed which plugins.
#[derive(Clone, Debug)]
pub struct PolicyPlan {
    /// Where it stands.
    pub file: ConfigFile,
    /// The text of the trusted root, if it is not the one that the exporter knows.
    pub trusted_root: Option<String>,
    /// In the order of the file. No two are for the same name.
    pub rules: Vec<RulePlan>,
}

/// Who has to have signed some plugins.
#[derive(Clone, Debug)]
pub struct RulePlan {
    /// Where it stands: `rules[0]`.
    pub path: String,
    /// The repositories that it is for.
    pub repositories: Vec<NamePattern>,
    /// The files that it is for, without their directories.
    pub files: Vec<NamePattern>,
    /// Who has to have signed; nobody if nobody needs to.
    pub signers: Option<Vec<SignerPlan>>,
}

/// Somebody whose signature is enough.
#[derive(Clone, Debug)]
pub enum SignerPlan {
    /// Whoever has this key.
    Key {
        /// Where it stands: `rules[0].keys[0]`.
        path: String,
        /// Its file as typed, if it has one.
        file: Option<String>,
        /// The public key in PEM format.
        pem: String,
        /// Whether a log has to have noted the signature.
        log: bool,
    },
    /// Whom a certificate names.
    Identity {
        /// Where it stands: `rules[0].identities[0]`.
        path: String,
        /// Who has vouched for them.
        issuer: TextPattern,
        /// Who they are.
        subject: TextPattern,
    },
}

/// A text, or what all of a text has to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPattern {
    /// This text.
    Exact(String),
    /// A regular expression. Not looked at yet.
    Regexp(String),
}

/// A name, all names below one, or all names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    /// Without what stands for all below.
    name: String,
    below: bool,
}

impl NamePattern {
    /// Of all names.
    pub fn all() -> Self {
        Self { name: String::new(), below: true }
    }

    fn parse(text: &str) -> Self {
        match text.strip_suffix(BELOW) {
            _ if text == "*" => Self::all(),
            Some(name) => Self { name: name.to_owned(), below: true },
            None => Self { name: text.to_owned(), below: false },
        }
    }

    /// How near it comes to a name that it matches: the more the nearer. None if it does not match.
    pub fn nearness(&self, name: &str) -> Option<usize> {
        let matches = match name.strip_prefix(&*self.name) {
            Some("") => !self.below || self.name.is_empty(),
            Some(rest) => self.below && (self.name.is_empty() || rest.starts_with('/')),
            None => false,
        };
        matches.then_some(self.name.len() * 2 + usize::from(!self.below))
    }
}

/// Reads a policy.
///
/// # Errors
///
/// Every fault that it has.
pub fn policy(path: &Path) -> Result<PolicyPlan, Vec<Fault>> {
    let text = text_of(path, bounds::FILE).map_err(|problem| {
        let advice = Advice::new(
            format!("the policy {problem}"),
            "name a file of --plugins.policy that can be read",
        );
        vec![Fault::of_file(path, advice)]
    })?;
    parse(ConfigFile::new(path, text))
}

/// The policy that a text is.
///
/// # Errors
///
/// Every fault that it has.
pub fn parse(file: ConfigFile) -> Result<PolicyPlan, Vec<Fault>> {
    let bounds = Bounds::default();
    let document =
        node::parse(&file.text, &bounds).map_err(|error| vec![super::no_yaml(&file, &error)])?;
    let faults = Faults::new(&file, &document, &bounds);
    super::tell_unread(&document, &faults);
    let plan = raw::policy(&document.root, &faults).and_then(|raw| {
        let check = Check { folder: file.path.parent().unwrap_or(Path::new("")), faults: &faults };
        check.policy(raw, &file)
    });
    let mut found = faults.into_found();
    found.iter_mut().for_each(|fault| fault.severity = Severity::Error);
    match plan {
        Some(plan) if found.is_empty() => Ok(plan),
        _ => Err(found),
    }
}

/// What is to be said of two keys of which there is to be one, and are none or both, as the first says.
fn how_many<T>(first: &Field<T>) -> &'static str {
    if first.is_absent() { "neither of" } else { "both" }
}

/// The text of a file, or the end of a sentence about it.
fn text_of(path: &Path, most: u64) -> Result<String, String> {
    let bytes = files::read(path, most).map_err(|unread| unread.why())?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

/// What is checked, and where faults are told.
struct Check<'a> {
    folder: &'a Path,
    faults: &'a Faults<'a>,
}

impl Check<'_> {
    fn policy(&self, raw: raw::Policy, file: &ConfigFile) -> Option<PolicyPlan> {
        let trusted_root = match raw.trusted_root {
            Field::Given(name) => Some(self.file("trusted_root", &name, LARGEST_ROOT)?),
            Field::Faulty => return None,
            Field::Absent => None,
        };
        let rules = match raw.rules {
            Field::Given(rules) if !rules.is_empty() => rules,
            Field::Faulty => return None,
            _ => {
                let remedy = "add `rules:`; `unsigned: true` in one lets in what nobody has signed";
                self.faults.error("rules", "the policy has no rule", remedy);
                return None;
            }
        };
        let mut known = Vec::new();
        let rules: Vec<_> = rules.into_iter().map(|raw| self.rule(raw, &mut known)).collect();
        let rules = rules.into_iter().collect::<Option<Vec<_>>>()?;
        Some(PolicyPlan { file: file.clone(), trusted_root, rules })
    }

    /// A rule. `known` are the kinds and names that others are for.
    fn rule(&self, raw: raw::Rule, known: &mut Vec<(bool, String)>) -> Option<RulePlan> {
        let before = self.faults.errors();
        let raw::Rule { path, mut repositories, files, keys, identities, unsigned } = raw;
        for (_, text) in &mut repositories {
            if let Some((host, below)) = text.split_once('/') {
                *text = format!("{}/{below}", one_spelling(host));
            }
        }
        if repositories.is_empty() && files.is_empty() {
            let remedy = "add `repositories:` or `files:` with the names that it is for";
            self.faults.error(&path, "the rule is for nothing", remedy);
        }
        for (is_file, (path, text)) in repositories
            .iter()
            .map(|name| (false, name))
            .chain(files.iter().map(|name| (true, name)))
        {
            self.name(path, text, is_file);
            if known.contains(&(is_file, text.clone())) {
                let problem = format!("{} comes twice", quote(text));
                self.faults.error(path, problem, "name it in one rule, with all who may sign it");
            }
            known.push((is_file, text.clone()));
        }
        let signers = self.signers(&path, keys, identities, unsigned);
        let patterns = |names: Vec<(String, String)>| {
            names.iter().map(|(_, text)| NamePattern::parse(text)).collect()
        };
        let (repositories, files) = (patterns(repositories), patterns(files));
        let rule = RulePlan { path, repositories, files, signers: signers? };
        (self.faults.errors() == before).then_some(rule)
    }

    /// Tells of a name that none can have.
    fn name(&self, path: &str, text: &str, is_file: bool) {
        let name = text.strip_suffix(BELOW).unwrap_or(text);
        let plain = |name: &str| !name.is_empty() && !name.contains(['*', '/']);
        let (good, remedy) = match is_file {
            true => (plain(text), "write a file's name without a directory, or `*` for all"),
            false => (
                // A registry alone stands for all of its repositories.
                name.parse::<Repository>().is_ok()
                    || text != name && format!("{name}/x").parse::<Repository>().is_ok(),
                "write REGISTRY/REPOSITORY, REGISTRY/* or REGISTRY/REPOSITORY/* for all below, or `*` for all",
            ),
        };
        if !good && text != "*" {
            let what = if is_file { "file" } else { "repository" };
            self.faults.error(path, format!("{} names no {what}", quote(text)), remedy);
        }
    }

    /// Who has to have signed, if anybody.
    fn signers(
        &self,
        path: &str,
        keys: Field<Vec<raw::Key>>,
        identities: Field<Vec<raw::Identity>>,
        unsigned: Field<bool>,
    ) -> Option<Option<Vec<SignerPlan>>> {
        if matches!((&keys, &identities), (Field::Faulty, _) | (_, Field::Faulty)) {
            return None;
        }
        let named = !keys.is_absent() || !identities.is_absent();
        match unsigned {
            Field::Faulty => return None,
            Field::Given(true) if named => {
                let remedy = "leave `unsigned` out, or who may sign";
                self.faults.error(path, "the rule needs signatures, and needs none", remedy);
                return None;
            }
            Field::Given(true) => return Some(None),
            _ => {}
        }
        let keys = keys.given().unwrap_or_default().into_iter().map(|key| self.key(key));
        let identities = identities.given().unwrap_or_default().into_iter();
        let identities = identities.map(|identity| self.identity(identity));
        let signers = keys.chain(identities).collect::<Vec<_>>();
        if signers.is_empty() {
            let remedy =
                "add `keys:` or `identities:`; or `unsigned: true` if nobody needs to sign";
            self.faults.error(path, "the rule names nobody who may sign", remedy);
            return None;
        }
        signers.into_iter().collect::<Option<Vec<_>>>().map(Some)
    }

    fn key(&self, raw: raw::Key) -> Option<SignerPlan> {
        let raw::Key { path, file, pem, log } = raw;
        let log = !matches!(log, Field::Absent | Field::Given(false));
        match (file, pem) {
            (Field::Faulty, _) | (_, Field::Faulty) => None,
            (Field::Given(name), Field::Absent) => {
                let pem = self.file(&format!("{path}.file"), &name, LARGEST_KEY)?;
                Some(SignerPlan::Key { path, file: Some(name), pem, log })
            }
            (Field::Absent, Field::Given(pem)) => {
                Some(SignerPlan::Key { path, file: None, pem, log })
            }
            (file, _) => {
                let problem = format!("the key has {} `file` and `pem`", how_many(&file));
                let remedy = "write `file:` with its name, or `pem:` with the key itself";
                self.faults.error(&path, problem, remedy);
                None
            }
        }
    }

    fn identity(&self, raw: raw::Identity) -> Option<SignerPlan> {
        let raw::Identity { path, issuer, issuer_regexp, subject, subject_regexp } = raw;
        let issuer = self.either(&path, "issuer", issuer, issuer_regexp);
        let subject = self.either(&path, "subject", subject, subject_regexp);
        Some(SignerPlan::Identity { path, issuer: issuer?, subject: subject? })
    }

    /// One of the two.
    fn either(
        &self,
        path: &str,
        key: &str,
        exact: Field<String>,
        regexp: Field<String>,
    ) -> Option<TextPattern> {
        match (exact, regexp) {
            (Field::Faulty, _) | (_, Field::Faulty) => None,
            (Field::Given(text), Field::Absent) => Some(TextPattern::Exact(text)),
            (Field::Absent, Field::Given(text)) => Some(TextPattern::Regexp(text)),
            (exact, _) => {
                let how_many = how_many(&exact);
                let problem = format!("the identity has {how_many} `{key}` and `{key}_regexp`");
                let remedy = "write one of them: who may sign is a subject and its issuer";
                self.faults.error(path, problem, remedy);
                None
            }
        }
    }

    /// The text of a file that the policy names.
    fn file(&self, path: &str, name: &str, most: u64) -> Option<String> {
        let file: PathBuf = self.folder.join(name);
        let read = text_of(&file, most);
        let told = read.map_err(|why| {
            let problem = format!("{} {why}", file.display());
            self.faults.error(
                path,
                problem,
                "name a file that can be read; a relative one is beside the policy",
            );
        });
        told.ok()
    }
}
