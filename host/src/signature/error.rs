//! Why nobody who may has signed a plugin, and what to do about it.

use sigstore_verify::Error;
use sigstore_verify::bundle::Error as BundleError;
use sigstore_verify::types::Statement;

use super::MOST_BUNDLES;
use crate::advice::{Advise, lowered, plain};

/// Bytes of a text of others that a message shows.
const LONGEST_TEXT: usize = 200;
/// Signatures of which it is told what is wrong with them.
const TOLD: usize = 3;

/// Why a policy refuses a plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No rule is for it.
    #[error("the policy has no rule for {0}")]
    NoRule(String),
    /// Nobody has signed it.
    #[error("{subject} has no signature, and the policy needs one")]
    Unsigned {
        /// The repository or the file.
        subject: String,
        /// Whether it is a file.
        is_file: bool,
    },
    /// Nobody has signed it whom the policy trusts.
    #[error("{subject} has no signature that the policy trusts{}: {}", limit(*limited), told(refusals))]
    Untrusted {
        /// The repository or the file.
        subject: String,
        /// What is wrong with each signature.
        refusals: Vec<Refused>,
        /// Whether there may be more than were read.
        limited: bool,
    },
}

/// What is to be done about a signature that is refused. The first that fits any of several is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Remedy {
    /// Somebody has signed it, and the rule may name them.
    Name,
    /// An authority has vouched, and the trusted root may have it.
    Trust,
    /// It is to be signed anew.
    Sign,
}

impl Advise for SignatureError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::NoRule(_) => {
                "add one to the file of --plugins.policy, with who may sign it or `unsigned: true`"
            }
            Self::Unsigned { is_file: false, .. } => {
                "sign it with `cosign`, and fetch it again, or let a rule have `unsigned: true`"
            }
            Self::Unsigned { is_file: true, .. } => {
                "sign the file itself with `cosign sign-blob`, as in a registry only a manifest is signed, or let a rule have `unsigned: true`"
            }
            Self::Untrusted { limited: true, .. } => {
                "have what is no good signature removed from the repository"
            }
            Self::Untrusted { refusals, .. } => match refusals.iter().map(Refused::remedy).min() {
                Some(Remedy::Name) | None => {
                    "do not use it, unless you know who has signed it; then add them to the policy's rule"
                }
                Some(Remedy::Trust) => {
                    "do not use it, unless the authority is one of yours; then add it to the policy's `trusted_root`"
                }
                Some(Remedy::Sign) => {
                    "do not use it before somebody whom the rule names has signed it anew"
                }
            },
        };
        Some(remedy.to_owned())
    }
}

/// The first of them, each with words of its own.
fn told(refusals: &[Refused]) -> String {
    let mut texts: Vec<_> = refusals.iter().take(TOLD).map(ToString::to_string).collect();
    if refusals.len() > TOLD {
        texts.push(format!("and {} more", refusals.len() - TOLD));
    }
    texts.join(" / ")
}

/// Among how many there is none, if there may be more.
fn limit(limited: bool) -> String {
    match limited {
        true => format!(" among the first {MOST_BUNDLES}, and no more are read"),
        false => String::new(),
    }
}

/// What is wrong with one signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing, or nothing that was fetched.
    #[error("what is said to be a signature is no bundle, or one that is too large")]
    Nothing,
    /// More bytes than any has.
    #[error("a bundle is too large, with {0} bytes")]
    TooLarge(usize),
    /// No bundle, or half of one.
    #[error("a bundle is damaged: {0}")]
    Damaged(String),
    /// One of another form.
    #[error("a bundle has the form `{0}`, and only v0.3 is read")]
    Form(String),
    /// It says something else of an artifact than that it is signed.
    #[error("an attestation of `{0}` is no signature")]
    Attestation(String),
    /// It states something in a way that is not known here.
    #[error("a statement of the type `{0}` is no signature: only {known} is read", known = Statement::TYPE_V1)]
    Statement(String),
    /// It is of something else.
    #[error("a signature is of another artifact")]
    OtherArtifact,
    /// No key of the rule has made it.
    #[error("a signature is made with a key that the rule does not have, or was changed")]
    OtherKey,
    /// Made with a key where certificates are wanted.
    #[error("a signature is made with a key, and the rule has none")]
    NoKeys,
    /// Made by whom a certificate names where keys are wanted.
    #[error("a signature has a certificate, and the rule has no identities")]
    NoIdentities,
    /// Somebody else has signed it.
    #[error("{subject} has signed it, for whom {issuer} vouches, and the rule does not have them")]
    OtherIdentity {
        /// Who they are.
        subject: String,
        /// Who has vouched for them.
        issuer: String,
    },
    /// Its certificate ended before it was made.
    #[error("a certificate was good until {to}, and the signature was made at {time}")]
    Expired {
        /// When it ended to be good.
        to: String,
        /// When the signature was made.
        time: String,
    },
    /// Its certificate began after it was made.
    #[error("a certificate is good from {from} on, and the signature was made at {time}")]
    Early {
        /// When it begins to be good.
        from: String,
        /// When the signature was made.
        time: String,
    },
    /// Its certificate is one that is to sign others.
    #[error("a certificate is that of an authority, which signs certificates and nothing else")]
    Authority,
    /// Its certificate is for something else.
    #[error("a certificate is not for signing code")]
    Purpose,
    /// Its certificate is by somebody else.
    #[error("a certificate is by no authority of the trusted root")]
    Stranger,
    /// The certificate, the log or the time of it is not to be believed.
    #[error("a signature is not to be believed: {0}")]
    Unproven(String),
}

impl Refused {
    fn remedy(&self) -> Remedy {
        match self {
            Self::OtherKey | Self::NoKeys | Self::NoIdentities | Self::OtherIdentity { .. } => {
                Remedy::Name
            }
            Self::Stranger => Remedy::Trust,
            _ => Remedy::Sign,
        }
    }

    pub(super) fn damaged(why: &dyn std::fmt::Display) -> Self {
        Self::Damaged(shown(&why.to_string()))
    }

    /// What the verifier says, in words of ours where its own are about JSON.
    pub(super) fn unproven(why: &Error) -> Self {
        Self::Unproven(match why {
            Error::Bundle(BundleError::MissingInclusionProof(_)) => {
                "no log has noted it".to_owned()
            }
            Error::Bundle(BundleError::MissingSigningTimeEvidence) => {
                "nobody says when it was made".to_owned()
            }
            why => shown(&why.to_string()),
        })
    }
}

/// A text of somebody who may mean harm.
pub(super) fn shown(text: &str) -> String {
    plain(lowered(text).trim_end_matches('.'), LONGEST_TEXT)
}
