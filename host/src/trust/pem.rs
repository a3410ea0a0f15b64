//! Texts in PEM format: certificates, authorities and private keys, or why a text holds none of use.
//!
//! Shows no byte of a text, and opens no file.

use memchr::memmem;
use rustls::RootCertStore;
use rustls::crypto::ring::sign;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::kinds;

/// Why a text is of no use: the end of a sentence that begins with its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Nothing that could be a certificate.
    #[error("holds no certificate in PEM format")]
    NoCertificate,
    /// Something that begins as certificates do.
    #[error("holds a certificate that is damaged")]
    Damaged,
    /// No certificate that could be an authority's.
    #[error("holds no certificate that can be trusted")]
    NoAuthority,
    /// Authorities whose signatures nobody here can look at: of this kind is the first.
    #[error("holds no authority whose signatures can be looked at: a key of {0} is not known here")]
    StrangeAuthority(String),
    /// Nothing that could be a private key.
    #[error("holds no private key in PEM format")]
    NoKey,
    /// A key that nobody can read without its passphrase.
    #[error("holds a private key that needs a passphrase")]
    Locked,
    /// A key of a kind that is not known here.
    #[error("holds a private key of {0}, which TLS is not spoken with here")]
    StrangeKey(String),
    /// Something that begins as a key does.
    #[error("holds a private key that is damaged")]
    DamagedKey,
}

/// What a server and a client may have, each after what `openssl` calls it.
const KEYS: &str = "use a key on P-256 or P-384, of Ed25519, or of RSA with 2048 to 4096 bits, and have it certified";

impl PemError {
    /// Whether the text is what it is to be, and of no use all the same.
    pub(super) fn is_of_its_kind(&self) -> bool {
        match self {
            Self::StrangeAuthority(_) | Self::StrangeKey(_) | Self::Locked | Self::DamagedKey => {
                true
            }
            Self::NoCertificate | Self::Damaged | Self::NoAuthority | Self::NoKey => false,
        }
    }

    /// What to do.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::NoCertificate | Self::Damaged => {
                "write it in PEM format, as `openssl x509 -in FILE -out NEW` does"
            }
            Self::NoAuthority => "write the certificates of authorities, in PEM format",
            Self::StrangeAuthority(_) => {
                "name an authority with a key on P-256 or P-384, of Ed25519, or of RSA with 2048 to 8192 bits"
            }
            Self::NoKey => "write it in PEM format, without a passphrase",
            Self::Locked => "write it without one, as `openssl pkey -in FILE -out NEW` does",
            Self::StrangeKey(_) => KEYS,
            Self::DamagedKey => "write it whole, as `openssl pkey -in FILE -out NEW` does",
        }
    }
}

/// The certificate that a text holds, and those that lead from it to an authority.
///
/// # Errors
///
/// When there is none, or one is damaged.
pub(crate) fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let all = certificates(pem)?;
    if all.is_empty() { Err(PemError::NoCertificate) } else { Ok(all) }
}

/// The private key that a text holds: one that TLS can be spoken with.
///
/// # Errors
///
/// When there is none.
pub(crate) fn secret(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    let locked = || LOCKED.iter().any(|mark| memmem::find(pem, mark).is_some());
    let key = PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| if locked() { PemError::Locked } else { PemError::NoKey })?;
    match sign::any_supported_type(&key) {
        Ok(_) => Ok(key),
        Err(_) => Err(kinds::of(&key).map_or(PemError::DamagedKey, PemError::StrangeKey)),
    }
}

/// What stands in the text of a key that has a passphrase: of PKCS #8, and of OpenSSL's own of old.
const LOCKED: [&[u8]; 2] = [b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED"];

/// The authorities that a text holds: one at least.
///
/// # Errors
///
/// When there is none, or nobody could look at what any of them has signed.
pub(crate) fn authorities(pem: &[u8]) -> Result<RootCertStore, PemError> {
    let all = certificates(pem)?;
    let mut strange = all.iter().map(kinds::of_authority);
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(all.iter().cloned());
    if roots.is_empty() {
        return Err(PemError::NoAuthority);
    }
    match strange.next().flatten() {
        Some(first) if strange.all(|kind| kind.is_some()) => Err(PemError::StrangeAuthority(first)),
        _ => Ok(roots),
    }
}

/// There may be none.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    all.map_err(|_| PemError::Damaged)
}
