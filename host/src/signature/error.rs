//! Why nobody who may has signed a plugin, and what to do about it.

use sigstore_verify::Error;
use sigstore_verify::bundle::Error as BundleError;

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
    #[error("{0} has no signature, and the policy needs one")]
    Unsigned(String),
    /// Nobody has signed it whom the policy trusts.
    #[error("{subject} has no signature that the policy trusts: {}", told(refusals))]
    Untrusted {
        /// The repository or the file.
        subject: String,
        /// What is wrong with each signature.
        refusals: Vec<Refused>,
    },
}

impl Advise for SignatureError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::NoRule(_) => {
                "add one to the file of --plugins.policy, with who may sign it or `unsigned: true`"
            }
            Self::Unsigned(_) => {
                "sign it with `cosign`, and fetch it again, or let a rule have `unsigned: true`"
            }
            Self::Untrusted { .. } => {
                "do not use it, unless you know who has signed it; then add them to the policy's rule"
            }
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

/// What is wrong with one signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
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
    /// Its certificate is nobody's, or was not good then.
    #[error(
        "a certificate, good from {from} to {to}, is by no authority of the trusted root, or was not good at the time of the signature"
    )]
    Certificate {
        /// When it began to be good.
        from: String,
        /// When it ended to.
        to: String,
    },
    /// The certificate, the log or the time of it is not to be believed.
    #[error("a signature is not to be believed: {0}")]
    Unproven(String),
}

impl Refused {
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
