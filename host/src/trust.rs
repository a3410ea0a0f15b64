//! TLS: whose certificates are trusted, and which certificate is shown. It is used for registries, collectors and
//! kubelets that are asked, and for the server.
//!
//! Never opens a connection. Never names a flag or a variable: the callers know which of theirs name the files.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use crate::files;

pub(crate) mod itself;
mod kinds;
mod pem;
mod server;

pub(crate) use itself::Side;
pub use pem::PemError;
pub(crate) use pem::{authorities, chain, secret};

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
        /// What to do with it, if it is not enough to name another.
        remedy: Option<&'static str>,
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
            let authorities = roots(trusted)?;
            let own = chain(&read(file)?).map_err(|error| bad(file, &error))?;
            let verifier = OwnOr::new(own, authorities, provider)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        Trusted::Nobody | Trusted::Host => builder.with_root_certificates(roots(trusted)?),
    };
    let Some(Identity { certificate, key }) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let secret = secret(&read(key)?).map_err(|error| bad(key, &error))?;
    let shown = chain(&read(certificate)?).map_err(|error| bad(certificate, &error))?;
    let unfit = |error| {
        let why = format!("is of no use with its key: {error}");
        TrustError::File { file: certificate.clone(), why, remedy: None }
    };
    builder.with_client_auth_cert(shown, secret).map_err(unfit)
}

fn roots(trusted: Trusted<'_>) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    if let Trusted::File(file) | Trusted::HostAnd(file) = trusted {
        roots = authorities(&read(file)?).map_err(|error| bad(file, &error))?;
    }
    if let Trusted::Host | Trusted::HostAnd(_) = trusted {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TrustError::NoAuthorities);
        }
    }
    Ok(roots)
}

fn read(file: &Path) -> Result<Vec<u8>, TrustError> {
    let bad = |why| TrustError::File { file: file.to_owned(), why, remedy: None };
    files::read(file, LARGEST_FILE).map_err(|unread| bad(unread.why()))
}

fn bad(file: &Path, error: &PemError) -> TrustError {
    // Who asks knows what files without keys and certificates were named by.
    let remedy = error.is_of_its_kind().then(|| error.remedy());
    TrustError::File { file: file.to_owned(), why: error.to_string(), remedy }
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
        insta::assert_snapshot!(said(Trusted::HostAnd(&damaged), None), @"DIR/bad.pem holds a certificate that is damaged");
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
