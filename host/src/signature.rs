//! Signatures of plugins: whether somebody has signed one whom the policy trusts.
//!
//! ```text
//! bundle     one signature: its form, its bytes, who has made it
//! blame      what is wrong with a certificate
//! provider   the arithmetic, by ring
//! ```
//!
//! Given are bytes: those of a manifest or of a component, and those of bundles that are said to be of them.
//! Nothing is opened or asked here, and no clock but this host's. Bundles are hostile: their number and size are
//! bounded, and what they say of themselves never makes them easier to believe. A policy that names nobody lets
//! nobody in.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use regex_automata::meta::{Config, Regex};
use sigstore_verify::Verifier;
use sigstore_verify::crypto::KeyAlgorithm;
use sigstore_verify::trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot};
use sigstore_verify::types::DerPublicKey;

use crate::advice::{Advice, quote};
use crate::config::policy::{NamePattern, PolicyPlan, SignerPlan, TextPattern};
use crate::config::{self, Fault};
use crate::digest::Digest;
use crate::reference::Repository;

mod blame;
mod bundle;
mod error;
mod provider;
#[cfg(test)]
mod tests;

pub(crate) use bundle::LARGEST_BUNDLE;
pub use error::{Refused, SignatureError};

use bundle::{Named, Root, Sealed};
use error::shown;

/// Bundles of one artifact that are looked at.
pub const MOST_BUNDLES: usize = 64;
/// Bytes of memory that a pattern may take.
const LARGEST_PATTERN: usize = 1 << 20;

/// Who has to have signed which plugins.
pub struct Policy {
    root: Root,
    rules: Vec<Rule>,
}

/// What is said to be signed, as rules name it.
#[derive(Clone, Copy, Debug)]
pub enum SignedAs<'a> {
    /// An artifact of a registry: the bytes are those of its manifest.
    Repository(&'a Repository),
    /// A file: the bytes are its own.
    File(&'a Path),
}

/// Who has signed, as the policy knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// Nobody needs to have.
    Nobody,
    /// Who has this key.
    Key {
        /// Its file, if it has one.
        file: Option<String>,
        /// SHA-256 of the key.
        digest: Digest,
    },
    /// Whom a certificate names.
    Identity {
        /// Who they are.
        subject: String,
        /// Who has vouched for them.
        issuer: String,
    },
}

struct Rule {
    repositories: Vec<NamePattern>,
    files: Vec<NamePattern>,
    /// Nobody if nobody needs to have signed.
    signers: Option<Vec<Trusted>>,
}

enum Trusted {
    Key { file: Option<String>, key: DerPublicKey, log: bool },
    Identity { issuer: TextMatcher, subject: TextMatcher },
}

enum TextMatcher {
    Exact(String),
    Regexp(Box<Regex>),
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody"),
            Self::Key { file: Some(file), digest } => {
                write!(f, "the key {file} ({})", digest.tagged())
            }
            Self::Key { file: None, digest } => write!(f, "the key {}", digest.tagged()),
            Self::Identity { subject, issuer } => write!(f, "{subject} ({issuer})"),
        }
    }
}

impl fmt::Display for SignedAs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(repository) => repository.fmt(f),
            Self::File(file) => file.display().fmt(f),
        }
    }
}

impl Policy {
    /// Makes a policy of its plan.
    ///
    /// # Errors
    ///
    /// Every key, pattern and trusted root that is none.
    pub fn new(plan: PolicyPlan) -> Result<Self, Vec<Fault>> {
        provider::install();
        let mut found = Vec::new();
        let root = root(plan.trusted_root.as_deref());
        let root = root.map_err(|advice| found.push(("trusted_root".to_owned(), advice)));
        let mut rules = Vec::new();
        for rule in plan.rules {
            let signers = rule.signers.map(|signers| {
                let trusted = signers.into_iter().map(trusted);
                trusted
                    .filter_map(|signer| signer.map_err(|fault| found.push(fault)).ok())
                    .collect()
            });
            rules.push(Rule { repositories: rule.repositories, files: rule.files, signers });
        }
        match root {
            Ok(root) if found.is_empty() => Ok(Self { root, rules }),
            _ => Err(config::located(&plan.file, found)),
        }
    }

    /// Reads the policy that a file holds.
    ///
    /// # Errors
    ///
    /// Every fault of it.
    pub fn read(file: &Path) -> Result<Self, Vec<Fault>> {
        config::policy::policy(file).and_then(Self::new)
    }

    /// Who has signed these bytes, if they may. Of more than [`MOST_BUNDLES`] bundles the first count.
    ///
    /// # Errors
    ///
    /// When no rule is for them, or nobody has signed them whom its rule names.
    pub fn check(
        &self,
        subject: SignedAs<'_>,
        bytes: &[u8],
        bundles: &[impl AsRef<[u8]>],
    ) -> Result<Signer, SignatureError> {
        let rule = self.rule(subject).ok_or_else(|| SignatureError::NoRule(subject.to_string()))?;
        let Some(signers) = &rule.signers else { return Ok(Signer::Nobody) };
        if bundles.is_empty() {
            let is_file = matches!(subject, SignedAs::File(_));
            return Err(SignatureError::Unsigned { subject: subject.to_string(), is_file });
        }
        let mut refusals = Vec::new();
        for bundle in bundles.iter().take(MOST_BUNDLES) {
            // No input that makes the verifier panic is known, and none would be believed.
            let checked =
                catch_unwind(AssertUnwindSafe(|| self.one(signers, bytes, bundle.as_ref())));
            let failed = |_| Err(Refused::damaged(&"the verifier gives up"));
            match checked.unwrap_or_else(failed) {
                Ok(signer) => return Ok(signer),
                Err(refused) if refusals.contains(&refused) => {}
                Err(refused) => refusals.push(refused),
            }
        }
        let (subject, limited) = (subject.to_string(), bundles.len() >= MOST_BUNDLES);
        Err(SignatureError::Untrusted { subject, refusals, limited })
    }

    /// The rule that names something nearest.
    fn rule(&self, subject: SignedAs<'_>) -> Option<&Rule> {
        let name = match subject {
            SignedAs::Repository(repository) => repository.to_string(),
            SignedAs::File(file) => file.file_name()?.to_str()?.to_owned(),
        };
        let nearness = |rule: &Rule| {
            let patterns = match subject {
                SignedAs::Repository(_) => &rule.repositories,
                SignedAs::File(_) => &rule.files,
            };
            patterns.iter().filter_map(|pattern| pattern.nearness(&name)).max()
        };
        let rules = self.rules.iter().filter_map(|rule| Some((nearness(rule)?, rule)));
        rules.max_by_key(|(nearness, _)| *nearness).map(|(_, rule)| rule)
    }

    /// Who of these has made a bundle.
    fn one(&self, signers: &[Trusted], bytes: &[u8], bundle: &[u8]) -> Result<Signer, Refused> {
        let sealed = Sealed::read(bundle, bytes)?;
        match sealed.has_key() {
            true => self.by_key(signers, &sealed),
            false => self.by_identity(signers, &sealed),
        }
    }

    fn by_key(&self, signers: &[Trusted], sealed: &Sealed<'_>) -> Result<Signer, Refused> {
        let mut refused = Refused::NoKeys;
        for signer in signers {
            let Trusted::Key { file, key, log } = signer else { continue };
            match sealed.is_by(key, log.then_some(&self.root.verifier)) {
                Ok(()) => {
                    let digest = Digest::of(key.as_bytes());
                    return Ok(Signer::Key { file: file.clone(), digest });
                }
                // Of a key that has made it, but not as it should.
                Err(Refused::OtherKey) if matches!(refused, Refused::Unproven(_)) => {}
                Err(why) => refused = why,
            }
        }
        Err(refused)
    }

    fn by_identity(&self, signers: &[Trusted], sealed: &Sealed<'_>) -> Result<Signer, Refused> {
        let identities = signers.iter().filter_map(|signer| match signer {
            Trusted::Identity { issuer, subject } => Some((issuer, subject)),
            Trusted::Key { .. } => None,
        });
        let mut identities = identities.peekable();
        if identities.peek().is_none() {
            return Err(Refused::NoIdentities);
        }
        let Named { subject, issuer } = sealed.named(&self.root)?;
        match identities.any(|(by, who)| by.matches(&issuer) && who.matches(&subject)) {
            true => Ok(Signer::Identity { subject: shown(&subject), issuer: shown(&issuer) }),
            false => {
                let (subject, issuer) = (shown(&subject), shown(&issuer));
                Err(Refused::OtherIdentity { subject, issuer })
            }
        }
    }
}

/// Whether a bundle says that it is a signature of these bytes. Nothing of it is believed.
pub fn is_of(bundle: &[u8], bytes: &[u8]) -> bool {
    // As where it is checked: nothing is known to make the reader panic.
    catch_unwind(AssertUnwindSafe(|| Sealed::read(bundle, bytes).is_ok())).unwrap_or(false)
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy of {} rules", self.rules.len())
    }
}

impl TextMatcher {
    fn new(pattern: TextPattern) -> Result<Self, Advice> {
        let text = match pattern {
            TextPattern::Exact(text) => return Ok(Self::Exact(text)),
            TextPattern::Regexp(text) => text,
        };
        let config = Config::new()
            .nfa_size_limit(Some(LARGEST_PATTERN))
            .onepass_size_limit(Some(LARGEST_PATTERN));
        // Alone first: what closes a group that it has not opened is no pattern.
        let alone = Regex::builder().configure(config.clone()).build(&text);
        let whole = Regex::builder().configure(config).build(&format!("^(?:{text})$"));
        let regex = alone.and(whole).map_err(|_| {
            let problem = format!("{} is no pattern, or too large a one", quote(&text));
            Advice::new(problem, "write a regular expression in RE2's syntax")
        })?;
        match regex.is_match("") {
            true => {
                let problem =
                    format!("{} matches even an empty text, and with it anybody", quote(&text));
                Err(Advice::new(problem, "write a pattern that says who they are"))
            }
            false => Ok(Self::Regexp(Box::new(regex))),
        }
    }

    /// Whether it matches what no issuer and no subject is called.
    fn is_anybodys(&self) -> bool {
        const NOBODY: [&str; 2] =
            ["qzxjvkqzxjvkqzxjvk", "\u{1}: no text / that names @ anybody \u{1}"];
        matches!(self, Self::Regexp(_)) && NOBODY.iter().any(|nobody| self.matches(nobody))
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == text,
            Self::Regexp(regex) => regex.is_match(text),
        }
    }
}

/// A signer, or where it stands and what is wrong with it.
fn trusted(plan: SignerPlan) -> Result<Trusted, (String, Advice)> {
    match plan {
        SignerPlan::Key { path, file, pem, log } => {
            let at = if file.is_some() { "file" } else { "pem" };
            let remedy = "write a public key in PEM format, as `cosign generate-key-pair` writes `cosign.pub`";
            let key =
                DerPublicKey::from_pem(pem.trim()).map_err(|_| "it is no public key".to_owned());
            let key = key.and_then(|key| match KeyAlgorithm::from_spki(&key) {
                Ok(algorithm) if provider::knows(algorithm) => Ok(key),
                Ok(_) | Err(_) => {
                    Err("it is no key of ECDSA on P-256 or P-384, Ed25519 or RSA".to_owned())
                }
            });
            let key =
                key.map_err(|problem| (format!("{path}.{at}"), Advice::new(problem, remedy)))?;
            Ok(Trusted::Key { file, key, log })
        }
        SignerPlan::Identity { path, issuer, subject } => {
            let matcher = |key: &str, pattern: TextPattern| {
                let at = match pattern {
                    TextPattern::Exact(_) => key.to_owned(),
                    TextPattern::Regexp(_) => format!("{key}_regexp"),
                };
                TextMatcher::new(pattern).map_err(|advice| (format!("{path}.{at}"), advice))
            };
            let (issuer, subject) = (matcher("issuer", issuer)?, matcher("subject", subject)?);
            if issuer.is_anybodys() && subject.is_anybodys() {
                let problem = "the identity is anybody's: both patterns match any text";
                return Err((path, Advice::new(problem, "write a pattern that says who they are")));
            }
            Ok(Trusted::Identity { issuer, subject })
        }
    }
}

/// The trusted root that this text is, or the one that the exporter knows.
fn root(text: Option<&str>) -> Result<Root, Advice> {
    let made = TrustedRoot::from_json(text.unwrap_or(SIGSTORE_PRODUCTION_TRUSTED_ROOT))
        .map_err(|error| error.to_string())
        .and_then(|root| {
            let verifier = Verifier::new(&root).map_err(|error| error.to_string())?;
            let (has_logs, has_certificate_logs) =
                (!root.tlogs.is_empty(), !root.ctlogs.is_empty());
            Ok(Root { verifier, has_logs, has_certificate_logs })
        });
    made.map_err(|why| {
        let problem = format!("it is no trusted root: {}", shown(&why));
        Advice::new(problem, "write one with `cosign trusted-root create`")
    })
}
