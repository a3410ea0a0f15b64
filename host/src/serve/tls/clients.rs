//! Who clients are, by their certificates, and who of them is let in.
//!
//! A certificate that is not looked at is still one whose key the client has.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use super::{TlsError, names};
use crate::config::web::TlsPlan;
use crate::trust::{Side, itself};

/// What is asked of clients, if anything is. Authorities come with their certificates.
///
/// # Errors
///
/// When the authorities are of no use.
pub(super) fn verifier(
    plan: &TlsPlan,
    authorities: Option<(RootCertStore, Vec<CertificateDer<'static>>)>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    if plan.clients == crate::config::web::ClientAuth::NotAsked {
        return Ok(None);
    }
    let (authorities, own) = authorities.unzip();
    let verified = authorities.map(|authorities| {
        let (authorities, provider) = (Arc::new(authorities), Arc::clone(provider));
        WebPkiClientVerifier::builder_with_provider(authorities, provider).build()
    });
    let own = own.unwrap_or_default();
    let verified = verified.transpose().map_err(|error| Error::General(error.to_string()))?;
    let (needed, names) = (plan.clients.needs(), plan.names.clone());
    Ok(Some(Arc::new(Clients { verified, own, needed, names, provider: Arc::clone(provider) })))
}

/// Whom a plan lets in.
#[derive(Debug)]
struct Clients {
    /// What looks at certificates; nobody if any is good.
    verified: Option<Arc<dyn ClientCertVerifier>>,
    /// Those that are good themselves: the authorities.
    own: Vec<CertificateDer<'static>>,
    /// Whether there is to be one.
    needed: bool,
    /// Of which it has to have one, if there are any.
    names: Vec<String>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.needed
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verified.as_ref().map_or(&[], |verified| verified.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(verified) = &self.verified {
            match self.own.iter().any(|own| own == shown) {
                true => itself::look_at(shown, Side::Client, now)?,
                false => _ = verified.verify_client_cert(shown, others, now)?,
            }
        }
        if self.names.is_empty() || names::has_one(shown, &self.names) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
