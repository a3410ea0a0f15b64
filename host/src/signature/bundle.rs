//! One bundle of Sigstore: read, held against the bytes that it is to be of, and against who may have made it.
//!
//! A bundle is hostile until its signature is found to be good. It says itself how it was made; what it takes to
//! believe that is decided here and by the policy, never by the bundle.

use serde_json::{Value, json};
use sigstore_verify::crypto::{KeyAlgorithm, SigningScheme, VerificationKey};
use sigstore_verify::types::bundle::VerificationMaterialContent;
use sigstore_verify::types::{Bundle, DerPublicKey, MediaType, SignatureContent, Statement};
use sigstore_verify::{
    CertificateError, Error, PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult,
    Verifier,
};

use super::blame;
use super::error::{Refused, shown};
use super::provider;
use crate::digest::Digest;

/// Bytes of a bundle. Those of signatures have a few thousand.
pub(crate) const LARGEST_BUNDLE: usize = 256 << 10;

/// What is stated by who signs an artifact with `cosign`.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";
/// What is stated by who builds one: GitHub's attestations are this.
const BUILT: &str = "https://slsa.dev/provenance/v1";
/// The payload of an envelope that holds a statement.
const STATEMENT: &str = "application/vnd.in-toto+json";

/// A bundle whose form is good, about bytes that it is of.
pub(super) struct Sealed<'a> {
    bundle: Bundle,
    bytes: &'a [u8],
}

/// Whom a certificate names, once it was found to be good.
pub(super) struct Named {
    pub(super) subject: String,
    pub(super) issuer: String,
}

impl<'a> Sealed<'a> {
    /// Reads a bundle that is to be of these bytes. Nothing is believed yet.
    pub(super) fn read(text: &[u8], bytes: &'a [u8]) -> Result<Self, Refused> {
        if text.is_empty() {
            return Err(Refused::Nothing);
        }
        if text.len() > LARGEST_BUNDLE {
            return Err(Refused::TooLarge(text.len()));
        }
        let text = str::from_utf8(text).map_err(|error| Refused::damaged(&error))?;
        let bundle = parse(text)?;
        let sealed = Self { bundle, bytes };
        sealed.binds()?;
        Ok(sealed)
    }

    /// Whether it was made with a key, which the verifier has to know.
    pub(super) fn has_key(&self) -> bool {
        matches!(
            self.bundle.verification_material.content,
            VerificationMaterialContent::PublicKey(_)
        )
    }

    /// Whether this key has made it. The log is asked for if there is a `verifier`.
    pub(super) fn is_by(&self, key: &DerPublicKey, log: Option<&Verifier>) -> Result<(), Refused> {
        self.check(key)?;
        let Some(verifier) = log else { return Ok(()) };
        let policy = PublicKeyVerificationPolicy::new(key.clone());
        let proven = provider::with_message(self.bytes, || {
            verifier.verify(self.bytes, &self.bundle, &policy)
        });
        proven.map(drop).map_err(|error| Refused::unproven(&error))
    }

    /// Whom its certificate names, if certificate, time, log and signature are good.
    pub(super) fn named(&self, root: &Root) -> Result<Named, Refused> {
        let mut policy = VerificationPolicy::any_identity();
        if !root.has_certificate_logs {
            policy = policy.skip_sct();
        }
        if !root.has_logs {
            policy = policy.skip_tlog_unsafe();
        }
        let verify = |policy: &VerificationPolicy| {
            provider::with_message(self.bytes, || {
                root.verifier.verify(self.bytes, &self.bundle, policy)
            })
        };
        let proven = match verify(&policy) {
            Err(Error::Certificate(CertificateError::ChainInvalid(_))) => {
                // What is left out now is only what is known to be no good. Nobody is let in by this.
                let rest = verify(&policy.skip_certificate_chain());
                let times = rest.as_ref().map(VerificationResult::verified_timestamps);
                return Err(match (times, self.bundle.signing_certificate()) {
                    (Ok(times), Some(certificate)) => blame::of(certificate.as_bytes(), times),
                    (Err(error), _) => Refused::unproven(error),
                    (Ok(_), None) => Refused::Stranger,
                });
            }
            proven => proven.map_err(|error| Refused::unproven(&error))?,
        };
        match (proven.identity(), proven.issuer()) {
            (Some(subject), Some(issuer)) => {
                Ok(Named { subject: subject.as_str().to_owned(), issuer: issuer.to_owned() })
            }
            _ => Err(Refused::Unproven("the certificate names nobody".to_owned())),
        }
    }

    /// Whether it says of these bytes that they are signed.
    fn binds(&self) -> Result<(), Refused> {
        let found = Digest::of(self.bytes);
        match &self.bundle.content {
            SignatureContent::MessageSignature(signed) => match &signed.message_digest {
                Some(told) if told.digest.as_bytes().len() == found.as_bytes().len() => {
                    let same = told.digest.as_bytes() == found.as_bytes();
                    same.then_some(()).ok_or(Refused::OtherArtifact)
                }
                // Any other digest is held against the bytes with the signature.
                _ => Ok(()),
            },
            SignatureContent::DsseEnvelope(envelope) => {
                if envelope.payload_type != STATEMENT {
                    return Err(Refused::Attestation(shown(&envelope.payload_type)));
                }
                let statement: Statement = serde_json::from_slice(envelope.payload.as_bytes())
                    .map_err(|error| Refused::damaged(&error))?;
                if statement.type_ != Statement::TYPE_V1 {
                    return Err(Refused::Statement(shown(&statement.type_)));
                }
                if ![SIGNED, BUILT].contains(&&*statement.predicate_type) {
                    return Err(Refused::Attestation(shown(&statement.predicate_type)));
                }
                let hex = found.to_string();
                let mut all = statement.subject.iter();
                let is_of = all.any(|subject| {
                    subject.digest.sha256.as_ref().is_some_and(|digest| digest.to_hex() == hex)
                });
                is_of.then_some(()).ok_or(Refused::OtherArtifact)
            }
            _ => Err(Refused::damaged(&"it holds no signature")),
        }
    }

    /// Whether the signature is this key's.
    fn check(&self, key: &DerPublicKey) -> Result<(), Refused> {
        let other = |_| Refused::OtherKey;
        match &self.bundle.content {
            SignatureContent::MessageSignature(signed) => {
                let key = VerificationKey::from_spki_with_scheme(key, self.scheme(key)?);
                key.and_then(|key| key.verify(self.bytes, &signed.signature)).map_err(other)
            }
            SignatureContent::DsseEnvelope(envelope) => {
                let key = VerificationKey::from_spki(key);
                let signed =
                    key.and_then(|key| key.verify(envelope.pae(), &envelope.signature.sig));
                signed.map_err(other)
            }
            _ => Err(Refused::OtherKey),
        }
    }

    /// How a key signs bytes whose digest is of the kind that the bundle says.
    fn scheme(&self, key: &DerPublicKey) -> Result<SigningScheme, Refused> {
        let algorithm = KeyAlgorithm::from_spki(key).map_err(|_| Refused::OtherKey)?;
        match &self.bundle.content {
            SignatureContent::MessageSignature(signed) => match &signed.message_digest {
                Some(told) => algorithm
                    .resolve_signing_scheme(told.algorithm)
                    .map_err(|error| Refused::damaged(&error)),
                None => Ok(algorithm.default_signing_scheme()),
            },
            _ => Ok(algorithm.default_signing_scheme()),
        }
    }
}

/// Whom certificates, logs and times are believed of.
pub(super) struct Root {
    pub(super) verifier: Verifier,
    /// Whether it has logs of signatures: then each needs an entry.
    pub(super) has_logs: bool,
    /// Whether it has logs of certificates: then each certificate needs an entry.
    pub(super) has_certificate_logs: bool,
}

/// A bundle of the form that is read. One of another may have nothing else in common, so its form is told first.
fn parse(text: &str) -> Result<Bundle, Refused> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| Refused::damaged(&error))?;
    let Some(form) = value.get("mediaType").and_then(Value::as_str) else {
        return Err(Refused::damaged(&"it has no `mediaType`"));
    };
    if !matches!(form.parse(), Ok(MediaType::Bundle0_3)) {
        return Err(Refused::Form(shown(form)));
    }
    let material = value.get("verificationMaterial").unwrap_or(&Value::Null);
    one_of(&value, &["messageSignature", "dsseEnvelope"])?;
    one_of(material, &["certificate", "publicKey", "x509CertificateChain"])?;
    // `cosign` leaves the digest empty where a key signs bytes without one, as those of Ed25519 do.
    if let Some(Value::Object(signature)) = value.get_mut("messageSignature")
        && signature.get("messageDigest") == Some(&json!({}))
    {
        signature.remove("messageDigest");
    }
    serde_json::from_value(value).map_err(|error| Refused::damaged(&error))
}

/// Whether there is at most one of these: of two it would not be said which one counts.
fn one_of(value: &Value, names: &[&str]) -> Result<(), Refused> {
    let there = |name: &&&str| value.get(**name).is_some_and(|value| !value.is_null());
    let found: Vec<_> = names.iter().filter(there).copied().collect();
    match *found {
        [one, other, ..] => Err(Refused::damaged(&format!("it has both `{one}` and `{other}`"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::root;

    /// The public instance's whole way of a statement: certificate, log of certificates, entry of the log, and the
    /// envelope. What it states is no signature, so no policy ever sees it.
    #[test]
    fn a_workflow_of_the_public_instance_is_named() {
        provider::install();
        let bytes: &[u8] = include_bytes!("../../tests/signatures/public/package.conda");
        let text = include_str!("../../tests/signatures/public/package.conda.sigstore.json");
        let root = root(None).unwrap();
        let named = |bytes| Sealed { bundle: parse(text).unwrap(), bytes }.named(&root);
        let Named { subject, issuer } = named(bytes).ok().unwrap();
        insta::assert_snapshot!(subject, @"https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main");
        insta::assert_snapshot!(issuer, @"https://token.actions.githubusercontent.com");
        let refused = named(&bytes[1..]).err().unwrap();
        insta::assert_snapshot!(refused, @"a signature is not to be believed: artifact mismatch: artifact hash does not match any subject in attestation");
    }
}
