//! Servers whose certificate stands in the file of authorities itself, and all others.
//!
//! What registries are told to make for themselves is such a certificate: it is its own authority. It has to be the one
//! in the file byte by byte, be good now, and be for the name that was asked.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::itself::{Side, look_at};

/// Takes servers whose own certificate is known, and those that lead to an authority.
#[derive(Debug)]
pub(super) struct OwnOr {
    own: Vec<CertificateDer<'static>>,
    others: Arc<WebPkiServerVerifier>,
}

impl OwnOr {
    /// # Errors
    ///
    /// When the authorities are of no use.
    pub(super) fn new(
        own: Vec<CertificateDer<'static>>,
        authorities: RootCertStore,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let others =
            WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), provider).build();
        let others = others.map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { own, others })
    }
}

impl ServerCertVerifier for OwnOr {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.own.iter().any(|own| own == shown) {
            return self.others.verify_server_cert(shown, others, name, ocsp, now);
        }
        look_at(shown, Side::Server, now)?;
        verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.others.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.others.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.others.supported_verify_schemes()
    }
}
