//! Whom TLS trusts, and who it says that one is: for whatever asks somebody over TLS, be it a registry, a
//! collector of spans or a kubelet, and for the server, which says who it is too.
//!
//! Asks nobody itself, and says nothing of flags or variables: who asks knows what its files are named by.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use crate::files;

pub(crate) mod itself;
mod server;

pub(crate) use itself::Side;

use server::OwnOr;

/// Bytes of a file of certificates, or of a key.
const LARGEST_FILE: u64 = 4 << 20;

/// Whom to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trusted<'a> {
    /// Nobody: there is to be no TLS.
    Nobody,
    /// The authorities of this host.
    Host,
    /// Those of a file, and no others.
    File(&'a Path),
    /// Those of a file, and those of this host.
    HostAnd(&'a Path),
    /// Whoever answers, so that anybody on the way can read and change what is said.
    Anybody,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A file with a certificate, and those that lead from it to an authority.
    pub certificate: PathBuf,
    /// A file with its private key.
    pub key: PathBuf,
}

/// Why TLS cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file that is not what it is to be.
    #[error("{} {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody could be trusted.
    #[error("TLS cannot be had: this host has no certificates of authorities")]
    NoAuthorities,
    /// Anything else.
    #[error("TLS cannot be had: {0}")]
    Tls(#[from] rustls::Error),
}

/// What keeps somebody from being asked, as far as something can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It has a certificate that is not trusted.
    Certificate,
    /// It has a certificate for other names.
    OtherName,
    /// It answers, but not in TLS.
    NoTls,
    /// The network, or who was asked.
    Other,
}

/// What TLS is spoken with. Files are read now, and no later.
///
/// # Errors
///
/// When a file is not what it is to be, or nobody would be trusted.
pub(crate) fn config(
    trusted: Trusted<'_>,
    identity: Option<&Identity>,
) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions()?;
    let builder = match trusted {
        Trusted::Anybody => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider)))
        }
        Trusted::File(file) | Trusted::HostAnd(file) => {
            let own = certificates(&read(file)?).map_err(|why| bad(file, why))?;
            let verifier = OwnOr::new(own, roots(trusted)?, provider)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        Trusted::Nobody | Trusted::Host => builder.with_root_certificates(roots(trusted)?),
    };
    let Some(Identity { certificate, key }) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let secret = secret(&read(key)?).map_err(|why| bad(key, why))?;
    let shown = chain(&read(certificate)?).map_err(|why| bad(certificate, why))?;
    let unfit = |error| bad(certificate, format!("is of no use with its key: {error}"));
    builder.with_client_auth_cert(shown, secret).map_err(unfit)
}

fn roots(trusted: Trusted<'_>) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    if let Trusted::File(file) | Trusted::HostAnd(file) = trusted {
        roots = authorities(&read(file)?).map_err(|why| bad(file, why))?;
    }
    if let Trusted::Host | Trusted::HostAnd(_) = trusted {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TrustError::NoAuthorities);
        }
    }
    Ok(roots)
}

/// The certificate that a text in PEM format holds, and those that lead from it to an authority.
///
/// # Errors
///
/// The end of a sentence that begins with the text's name.
pub(crate) fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let all = certificates(pem)?;
    if all.is_empty() { Err("holds no certificate in PEM format") } else { Ok(all) }
}

/// The private key that a text in PEM format holds.
///
/// # Errors
///
/// The end of a sentence that begins with the text's name.
pub(crate) fn secret(pem: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| "holds no private key in PEM format")
}

/// The authorities that a text in PEM format holds: one at least.
///
/// # Errors
///
/// The end of a sentence that begins with the text's name.
pub(crate) fn authorities(pem: &[u8]) -> Result<RootCertStore, &'static str> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(pem)?);
    if roots.is_empty() { Err("holds no certificate that can be trusted") } else { Ok(roots) }
}

/// There may be none.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    all.map_err(|_| "holds no certificates in PEM format")
}

fn read(file: &Path) -> Result<Vec<u8>, TrustError> {
    files::read(file, LARGEST_FILE).map_err(|unread| bad(file, unread.why()))
}

fn bad(file: &Path, why: impl Into<String>) -> TrustError {
    TrustError::File { file: file.to_owned(), why: why.into() }
}

/// Takes any certificate, as long as who has shown it has its key.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl Trouble {
    /// What TLS says of a request's error, if TLS does.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let all = successors(Some(error), |error| cause(*error));
        let tls = all.into_iter().find_map(|error| error.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Self::OtherName,
            Some(rustls::Error::InvalidCertificate(_)) => Self::Certificate,
            Some(rustls::Error::InvalidMessage(_)) => Self::NoTls,
            _ => Self::Other,
        }
    }
}

/// What caused an error. One of the system's skips what it was made of.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_that_are_none_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let file = dir.path().join(name);
            fs::write(&file, text).unwrap();
            file
        };
        let empty = file("empty.pem", "");
        let damaged =
            file("bad.pem", "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n");
        let said = |trusted, identity: Option<&Identity>| {
            let error = config(trusted, identity).err().unwrap().to_string();
            error.replace(&dir.path().display().to_string(), "DIR")
        };
        let gone = dir.path().join("gone.pem");
        let identity = Identity { certificate: empty.clone(), key: empty.clone() };
        insta::assert_snapshot!(said(Trusted::File(&empty), None), @"DIR/empty.pem holds no certificate that can be trusted");
        insta::assert_snapshot!(said(Trusted::HostAnd(&damaged), None), @"DIR/bad.pem holds no certificates in PEM format");
        insta::assert_snapshot!(said(Trusted::File(&gone), None), @"DIR/gone.pem cannot be read: no such file or directory");
        insta::assert_snapshot!(said(Trusted::File(dir.path()), None), @"DIR is a directory");
        insta::assert_snapshot!(said(Trusted::Nobody, Some(&identity)), @"DIR/empty.pem holds no private key in PEM format");
    }

    #[test]
    fn whoever_needs_no_file_needs_none() {
        assert!(config(Trusted::Nobody, None).is_ok());
        assert!(config(Trusted::Anybody, None).is_ok());
    }
}
