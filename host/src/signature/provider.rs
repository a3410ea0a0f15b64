//! The arithmetic of signatures: what `sigstore-verify` asks for, done by `ring`, which TLS has here anyway.
//!
//! Nothing is signed here, and no key is made.

use std::cell::RefCell;

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use sigstore_verify::crypto::{
    self, CryptoProvider, Error, HashContext, KeyAlgorithm, SigningScheme, install_default_provider,
};
use sigstore_verify::types::HashAlgorithm;

/// Has all signatures of this process checked here. Says nothing if that is so already.
pub(super) fn install() {
    let _ = install_default_provider(&Ring);
}

thread_local! {
    /// The message whose signature this thread checks, and none otherwise.
    static AT_HAND: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Does something while `message` is at hand.
///
/// `ring` checks messages, and `sigstore-verify` asks for some by their digest alone. Such a digest is that of the
/// artifact, which whoever asks has. So the message is laid here, and taken if its digest is the one asked for.
pub(super) fn with_message<T>(message: &[u8], work: impl FnOnce() -> T) -> T {
    let _laid = Laid;
    AT_HAND.set(message.to_vec());
    work()
}

/// Takes the message away again, also where the work panics.
struct Laid;

impl Drop for Laid {
    fn drop(&mut self) {
        AT_HAND.take();
    }
}

#[derive(Debug)]
struct Ring;

struct Hash<H>(H);

impl<H: sha2::Digest + Send> HashContext for Hash<H> {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

impl CryptoProvider for Ring {
    fn hash(&self, algorithm: HashAlgorithm) -> crypto::Result<Box<dyn HashContext>> {
        match algorithm {
            HashAlgorithm::Sha2256 => Ok(Box::new(Hash(Sha256::new()))),
            HashAlgorithm::Sha2384 => Ok(Box::new(Hash(Sha384::new()))),
            HashAlgorithm::Sha2512 => Ok(Box::new(Hash(Sha512::new()))),
            other => Err(Error::UnsupportedAlgorithm(other.to_string())),
        }
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> crypto::Result<()> {
        let algorithm = algorithm(scheme)
            .ok_or_else(|| Error::UnsupportedAlgorithm(scheme.name().to_owned()))?;
        let checked = UnparsedPublicKey::new(algorithm, key).verify(message, signature);
        checked.map_err(|_| invalid(scheme))
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> crypto::Result<()> {
        AT_HAND.with_borrow(|message| {
            let found = match scheme.hash_algorithm() {
                Some(HashAlgorithm::Sha2256) => Sha256::digest(message).to_vec(),
                Some(HashAlgorithm::Sha2384) => Sha384::digest(message).to_vec(),
                Some(HashAlgorithm::Sha2512) => Sha512::digest(message).to_vec(),
                _ => return Err(invalid(scheme)),
            };
            match found == digest {
                true => self.verify_raw(scheme, key, message, signature),
                false => Err(invalid(scheme)),
            }
        })
    }
}

fn invalid(scheme: SigningScheme) -> Error {
    Error::Verification(format!("the signature of {} is not good", scheme.name()))
}

fn algorithm(scheme: SigningScheme) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match scheme {
        SigningScheme::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        SigningScheme::EcdsaP256Sha384 => &signature::ECDSA_P256_SHA384_ASN1,
        SigningScheme::EcdsaP384Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
        SigningScheme::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        SigningScheme::Ed25519 => &signature::ED25519,
        SigningScheme::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SigningScheme::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        SigningScheme::RsaPkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        SigningScheme::RsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
        SigningScheme::RsaPssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
        SigningScheme::RsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// Whether signatures of such keys can be checked.
pub(super) fn knows(key: KeyAlgorithm) -> bool {
    algorithm(key.default_signing_scheme()).is_some()
}
