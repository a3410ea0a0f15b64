//! Whom registries are trusted by: the authorities of this host, and those of a file.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::error::RegistryError;
use super::limits::LARGEST_FILE;
use crate::files;

/// What TLS is spoken with. The host's authorities are only looked for if somebody has to be `trusted`.
///
/// # Errors
///
/// When the file is none of certificates, or nobody would be trusted.
pub(super) fn config(
    authorities: Option<&Path>,
    trusted: bool,
) -> Result<ClientConfig, RegistryError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = authorities {
        roots.add_parsable_certificates(certificates(file)?);
        if roots.is_empty() {
            return Err(bad(file, "holds no certificate that can be trusted"));
        }
    }
    if trusted {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if trusted && roots.is_empty() {
        return Err(RegistryError::Tls("this host has no certificates of authorities".to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| RegistryError::Tls(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, RegistryError> {
    let bytes = files::read(file, LARGEST_FILE).map_err(|unread| bad(file, unread.why()))?;
    let all = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    all.map_err(|_| bad(file, "holds no certificates in PEM format"))
}

fn bad(file: &Path, why: impl Into<String>) -> RegistryError {
    RegistryError::Authorities { file: file.to_owned(), why: why.into() }
}
